"""Build ids: where tot is configured they are its numbers."""

import pytest
import structlog

from prow_async.api.errors import Refused, Retry
from prow_async.ports.web import Answered
from tests.actors.worlds import Town, passes, story

TOT = "http://tot.example/ci"


@story
async def test_tot_is_asked() -> None:
    """1. Tot vends 17. 2. The pod and the job carry it."""
    town = Town()
    town.internet.answers[f"{TOT}/vend/unit"] = Answered(200, b"17\n")
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank", tot_url=TOT):
        assert town.kube.job("a").status.build_id == "17"
        assert town.kube.pod("a")["metadata"]["labels"]["prow.k8s.io/build-id"] == "17"
    assert town.internet.asked == [("GET", f"{TOT}/vend/unit", b"")]


USELESS = [Answered(500, b"17"), Answered(200, b"<html>"), Answered(200, b""), Retry("away"), Refused("no address")]


@pytest.mark.parametrize("answer", USELESS)
@story
async def test_tot_is_asked_until_it_answers(answer: Answered | Exception) -> None:
    """1. Tot is of no use for two minutes: the job waits. 2. It answers: the job starts."""
    town = Town()
    url = f"{TOT}/vend/unit"
    town.internet.answers[url] = answer
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank", tot_url=TOT):
        await passes(50)
        assert len(town.internet.asked) == 9
        await passes(70)
        assert len(town.internet.asked) > 10
        assert town.kube.job("a").status.state == "triggered"
        town.internet.answers[url] = Answered(200, b"18")
        await passes(120)
        assert town.kube.job("a").status.build_id == "18"


@story
async def test_a_password_in_tots_address_is_not_told() -> None:
    """1. Tot is of no use. 2. Log and page say so, without its address."""
    town = Town()
    address = "http://me:s3cret@tot.example"
    town.internet.answers[f"{address}/vend/unit"] = Answered(500, b"")
    town.kube.put(town.prowjob("a"))
    with structlog.testing.capture_logs() as logs:
        async with town.engine("plank", tot_url=address) as engine:
            await passes(60)
            told = f"{logs} {engine.describe('a')}"
    assert "tot vends no build id for unit: it answers 500" in told
    assert "s3cret" not in told
