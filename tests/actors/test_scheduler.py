"""Jobs in the state scheduling: where they go, who is asked, and that a lost answer or a death changes nothing."""

from typing import Any

import msgspec
import pytest
import structlog

from prow_async.api.config import Config
from prow_async.api.config_sections import ExternalScheduling, ExternalSchedulingCache, Failover, Scheduler
from prow_async.api.errors import Retry
from prow_async.api.prowjob import ProwJob
from prow_async.ports.web import Answered
from prow_async.sandbox.faults import Fault
from tests.actors.worlds import Town, passes, settle, story

URL = "http://where.example/schedule"


def waiting(town: Town, name: str, **spec: Any) -> ProwJob:
    job = town.prowjob(name, **spec)
    return msgspec.structs.replace(job, status=msgspec.structs.replace(job.status, state="scheduling"))


def external(fresh: str | None = None) -> Config:
    return Config(scheduler=Scheduler(True, None, ExternalScheduling(URL, ExternalSchedulingCache(fresh, fresh))))


@pytest.mark.parametrize(
    ("settings", "spec", "cluster"),
    [
        (Scheduler(), {}, "default"),
        (Scheduler(failover=Failover({"default": "west"})), {}, "west"),
        (Scheduler(failover=Failover({"default": "west"})), {"cluster": "east"}, "east"),
        (Scheduler(failover=Failover({"default": "west"})), {"agent": "tekton-pipeline"}, "west"),
        (Scheduler(failover=Failover({"default": "west"})), {"agent": "jenkins"}, "default"),
        (Scheduler(failover=Failover({"default": "west"}), external=ExternalScheduling(URL)), {}, "west"),
    ],
)
@story
async def test_strategies(settings: Scheduler, spec: dict[str, Any], cluster: str) -> None:
    """1. A job waits for its cluster. 2. The strategy names it; one write gives it to its agent."""
    town = Town(Config(scheduler=settings))
    town.kube.put(waiting(town, "a", **spec))
    async with town.engine("scheduler"):
        job = town.kube.job("a")
        assert (job.status.state, job.spec.cluster) == ("triggered", cluster)
        assert len(town.kube.faults.writes()) == 1
    assert town.internet.asked == []


@story
async def test_a_service_is_asked_and_remembered() -> None:
    """1. The service names a cluster. 2. For ten minutes it is believed. 3. Then it is asked again."""
    town = Town(external("10m"))
    town.internet.answers[URL] = Answered(200, b'{"cluster": "west"}')
    async with town.engine("scheduler"):
        for name, pause_s in (("a", 60), ("b", 600), ("c", 1)):
            town.kube.put(waiting(town, name))
            await passes(pause_s)
            assert town.kube.job(name).spec.cluster == "west"
    assert town.internet.asked == [("POST", URL, b'{"job":"unit"}')] * 2


@pytest.mark.parametrize("fresh", [None, "nonsense"])
@story
async def test_without_a_time_nothing_is_remembered(fresh: str | None) -> None:
    town = Town(external(fresh))
    town.internet.answers[URL] = Answered(200, b'{"cluster": "west"}')
    async with town.engine("scheduler"):
        for name in "ab":
            town.kube.put(waiting(town, name))
            await settle()
    assert len(town.internet.asked) == 2


@pytest.mark.parametrize(
    "answer",
    [Answered(500, b""), Answered(200, b"<html>"), Answered(200, b'{"cluster": ""}'), Retry("connection refused")],
)
@story
async def test_where_nobody_answers_the_jobs_own_cluster_stands(answer: Answered | Exception) -> None:
    """1. The service is of no use. 2. The job goes where it says itself, at once."""
    town = Town(external())
    town.internet.answers[URL] = answer
    town.kube.put(waiting(town, "a", cluster="east"))
    async with town.engine("scheduler"):
        job = town.kube.job("a")
        assert (job.status.state, job.spec.cluster) == ("triggered", "east")


@pytest.mark.parametrize("answer", [Answered(500, b""), Answered(200, b'{"cluster": "west"}')])
@story
async def test_a_password_in_the_services_address_is_not_told(answer: Answered) -> None:
    """1. The service answers, or is of no use. 2. Log and page say so, without its address."""
    address = "http://me:s3cret@scheduler.example"
    town = Town(Config(scheduler=Scheduler(True, external=ExternalScheduling(address))))
    town.internet.answers[address] = answer
    town.kube.put(waiting(town, "a"))
    with structlog.testing.capture_logs() as logs:
        async with town.engine("scheduler") as engine:
            await settle()
            told = f"{logs} {engine.describe('a')}"
    assert "the external scheduler" in told
    assert "s3cret" not in told


@story
async def test_from_scheduling_to_the_pod() -> None:
    """1. Scheduler and plank in one process. 2. The job is moved off a cluster that is gone, its pod made elsewhere."""
    town = Town(Config(scheduler=Scheduler(True, Failover({"gone": "west"}))), aliases=("default", "west"))
    town.kube.put(waiting(town, "a", cluster="gone"))
    async with town.engine("scheduler", "plank"):
        await passes(5)
        assert town.kube.job("a").status.state == "pending"
        assert len(town.clusters["west"].all_pods()) == 1
    assert town.kube.all_pods() == []


@story
async def test_trouble_with_the_server_is_waited_out() -> None:
    """1. The patch meets a conflict, then a server that is away. 2. It is sent again until it holds."""
    town = Town()
    town.kube.faults.fail("PATCH", "/prowjobs/a", Fault("answer", status=409), times=1)
    town.kube.faults.fail("PATCH", "/prowjobs/a", Fault("answer", status=503), times=6)
    town.kube.put(waiting(town, "a"))
    async with town.engine("scheduler"):
        await passes(120)
        assert town.kube.job("a").status.state == "triggered"


@story
async def test_others_write_all_the_time() -> None:
    """1. One conflict after another. 2. After some the turn ends, and is taken again later. 3. At last it holds."""
    town = Town()
    town.kube.faults.fail("PATCH", "/prowjobs/a", Fault("answer", status=409), times=12)
    town.kube.put(waiting(town, "a"))
    async with town.engine("scheduler") as engine:
        await passes(120)
        assert town.kube.job("a").status.state == "triggered"
        assert "changed 5 times while it was being given its cluster" in str(engine.stories.of("a"))


@story
async def test_somebody_else_was_faster() -> None:
    """1. Aborted while it waited. 2. It stays aborted."""
    town = Town()
    town.kube.put(waiting(town, "a"))
    town.kube.faults.fail("PATCH", "/prowjobs/a", Fault("delay", delay_s=60), times=1)
    async with town.engine("scheduler"):
        town.kube.set_status("a", state="aborted")
        await passes(120)
        assert town.kube.job("a").status.state == "aborted"
