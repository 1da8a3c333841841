"""The executor: every write passes it, once in effect, tried again where that helps, never on dry run."""

from typing import Any

import pytest

from prow_async.actors.executor import Executor, Targets
from prow_async.adapters.kube.collection import CONFIG_MAPS
from prow_async.api import actions
from prow_async.api.errors import Exists, Missing, Refused, Retry, Stale
from prow_async.api.github import HookOf, Status
from prow_async.core import instants
from prow_async.ports import cause as causes
from prow_async.ports.kube import ConfigMaps
from prow_async.sandbox.faults import Fault
from tests.actors.script import DROP
from tests.actors.worlds import JOBS, ORG, PODS, REPO, START_S, Town, passes, story

Json = dict[str, Any]
WHY = "a story"
BAD_GATEWAY = Fault("answer", status=502)


def executor(town: Town, dry_run: bool = False, github: bool = True) -> Executor:
    pods = {alias: cluster.pods for alias, cluster in town.clusters.items()}
    github_ = town.client if github else None
    return Executor(
        Targets(town.kube.jobs, town.kube.events, pods, github_, config_maps=maps_of(town)),
        town.metrics,
        town.clock,
        town.ids,
        dry_run,
    )


def maps_of(town: Town) -> ConfigMaps:
    return lambda alias, namespace: town.kube.collection(CONFIG_MAPS, namespace) if alias == "default" else None


def comment(number: int, body: str = "hello") -> actions.CreateComment:
    return actions.CreateComment(org=ORG, repo=REPO, number=number, body=body, why=WHY)


def config_map(cluster: str, **data: str) -> actions.UpdateConfigMap:
    return actions.UpdateConfigMap(cluster=cluster, namespace=JOBS, name="m", data=data, why=WHY)


def status(sha: str) -> actions.PostStatus:
    return actions.PostStatus(org=ORG, repo=REPO, sha=sha, status=Status("success", context="unit"), why=WHY)


def abort(name: str = "a") -> actions.AbortProwJob:
    return actions.AbortProwJob(namespace=JOBS, name=name, description="Aborted by trigger plugin.", why=WHY)


def bodies(town: Town, number: int) -> list[str | None]:
    return [said.body for said in town.github.comments(ORG, REPO, number)]


def every_action(town: Town, number: int, sha: str) -> list[actions.Action]:
    pull: Json = {"org": ORG, "repo": REPO, "number": number, "why": WHY}
    pod: Json = {"cluster": "default", "namespace": PODS, "name": "a", "why": WHY}
    about: Json = {"kind": "ProwJob", "name": "a", "uid": "u", "api_version": "v1", "reason": "R", "message": "m"}
    return [
        actions.CreateProwJob(job=town.prowjob("b"), why=WHY),
        actions.PatchProwJob(
            namespace=JOBS, name="a", patch={"status": {"state": "error"}}, resource_version="1", why=WHY
        ),
        abort(),
        actions.DeleteProwJob(namespace=JOBS, name="a", uid="u", reason="aged", why=WHY),
        actions.CreatePod(cluster="default", pod=town.pod_of("a"), why=WHY),
        actions.PatchPod(patch={"metadata": {"labels": {"a": "b"}}}, resource_version="1", **pod),
        actions.DeletePod(uid="u", reason="aged", **pod),
        actions.RecordEvent(namespace=JOBS, why=WHY, **about),
        config_map("default", x="y"),
        status(sha),
        comment(number),
        actions.EditComment(org=ORG, repo=REPO, comment_id=1, body="x", why=WHY),
        actions.DeleteComment(org=ORG, repo=REPO, comment_id=1, why=WHY),
        actions.AddLabel(label="l", **pull),
        actions.RemoveLabel(label="l", **pull),
        actions.RedeliverHook(hook=HookOf(ORG, REPO, 1), delivery_id=1, why=WHY),
        actions.RerunFailedJobs(org=ORG, repo=REPO, run_id=1, why=WHY),
        actions.ApproveRun(org=ORG, repo=REPO, run_id=1, why=WHY),
    ]


@story
async def test_dry_run_writes_nothing() -> None:
    """Every kind of action, also one to be resumed: nothing is sent anywhere, not even a question."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    number, sha = town.open_pull()
    dry = executor(town, dry_run=True)
    every = every_action(town, number, sha)
    assert len(every) == 18
    for action in every:
        assert await dry.perform(action, "x") is None
        assert await dry.resume(action, "x", START_S) is None
    assert town.kube.faults.asked == town.github_faults.asked == []


@pytest.mark.parametrize("fault", [DROP, BAD_GATEWAY, Fault("answer", status=429)])
@story
async def test_tried_again(fault: Fault) -> None:
    """1. Three tries fail. 2. The fourth works: done, in a few seconds, three retries counted."""
    town = Town()
    town.kube.faults.fail("POST", "/prowjobs", fault, times=3)
    await executor(town).perform(actions.CreateProwJob(job=town.prowjob("a"), why=WHY), "x")
    assert town.kube.job("a").spec.job == "unit"
    assert town.metrics.total("prow_async_executor_retries_total", action="CreateProwJob") == 3
    assert town.metrics.total("prow_async_executor_actions_total", action="CreateProwJob", outcome="done") == 1
    assert town.clock.now() - START_S < 5


@story
async def test_given_back_after_the_last_try() -> None:
    """1. Nothing works. 2. After four tries the caller hears Retry."""
    town = Town()
    town.kube.faults.fail("POST", "/prowjobs", times=-1)
    with pytest.raises(Retry):
        await executor(town).perform(actions.CreateProwJob(job=town.prowjob("a"), why=WHY), "x")
    assert len(town.kube.faults.asked) == 4
    assert town.metrics.total("prow_async_executor_actions_total", outcome="retry") == 1


@story
async def test_waits_as_long_as_the_server_asks() -> None:
    """429 with Retry-After: the next try comes when the server said, not before."""
    town = Town()
    town.kube.faults.fail("POST", "/prowjobs", Fault("answer", status=429, retry_after_s=33))
    await executor(town).perform(actions.CreateProwJob(job=town.prowjob("a"), why=WHY), "x")
    assert town.clock.now() == START_S + 33


@story
async def test_refusals_are_not_tried_again() -> None:
    """What the server refuses for good goes to the caller at once, by its name."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    town.kube.put_pod(town.pod_of("a"))
    act = executor(town)
    patch = {"status": {"state": "error"}}
    cases: list[tuple[actions.Action, type[Exception]]] = [
        (actions.CreatePod(cluster="default", pod=town.pod_of("a"), why=WHY), Exists),
        (actions.PatchProwJob(namespace=JOBS, name="a", patch=patch, resource_version="1", why=WHY), Stale),
        (actions.PatchProwJob(namespace=JOBS, name="none", patch=patch, resource_version="1", why=WHY), Missing),
        (actions.DeletePod(cluster="default", namespace=PODS, name="a", uid="other", reason="r", why=WHY), Stale),
        (actions.DeleteProwJob(namespace=JOBS, name="a", uid="other", reason="r", why=WHY), Stale),
        (comment(99), Missing),
        (status("f" * 40), Refused),
    ]
    for action, error in cases:
        before = len(town.kube.faults.asked) + len(town.github_faults.asked)
        with pytest.raises(error):
            await act.perform(action, "x")
        assert len(town.kube.faults.asked) + len(town.github_faults.asked) == before + 1
    assert town.kube.job("a").status.state == "triggered"
    assert len(town.kube.all_pods()) == 1


@story
async def test_deleting_what_is_gone_is_done() -> None:
    """A delete of something that is not there any more counts as done, whatever kind."""
    town = Town()
    number, _ = town.open_pull()
    act = executor(town)
    await act.perform(actions.DeleteProwJob(namespace=JOBS, name="a", uid="u", reason="r", why=WHY), "x")
    gone = {"namespace": PODS, "name": "a", "why": WHY}
    await act.perform(actions.DeletePod(cluster="default", uid="u", reason="r", **gone), "x")
    await act.perform(actions.DeleteComment(org=ORG, repo=REPO, comment_id=12345, why=WHY), "x")
    await act.perform(actions.RemoveLabel(org=ORG, repo=REPO, number=number, label="none", why=WHY), "x")
    assert town.metrics.total("prow_async_executor_actions_total", outcome="done") == 4


@story
async def test_unknown_cluster() -> None:
    """A pod for a cluster nobody knows is refused by name, without a request."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    with pytest.raises(Refused) as refused:
        await executor(town).perform(actions.CreatePod(cluster="nowhere", pod=town.pod_of("a"), why=WHY), "x")
    assert refused.value.reason == "UnknownCluster"
    assert town.kube.faults.asked == []


@story
async def test_no_github() -> None:
    """A component without GitHub refuses to write there."""
    town = Town()
    with pytest.raises(Refused) as refused:
        await executor(town, github=False).perform(comment(1), "x")
    assert refused.value.reason == "NoGitHub"


@story
async def test_a_comment_whose_answer_is_lost_is_not_doubled() -> None:
    """1. Written, the answer lost. 2. Before the second try it looks: there it is. 3. One comment."""
    town = Town()
    number, _ = town.open_pull()
    town.github_faults.fail("POST", "/comments", DROP, done=True)
    await executor(town).perform(comment(number), "x")
    assert bodies(town, number) == ["hello"]


class Ahead:
    """A clock that is ahead of the town's, and so of GitHub's."""

    def __init__(self, town: Town, by_s: float) -> None:
        self._clock = town.clock
        self._by_s = by_s

    def now(self) -> float:
        return self._clock.now() + self._by_s

    def monotonic(self) -> float:
        return self._clock.monotonic()


@story
async def test_a_comment_is_found_though_our_clock_is_ahead() -> None:
    """Seconds apart, as clocks are: neither a lost answer nor a crash doubles it."""
    town = Town()
    number, _ = town.open_pull()
    clock = Ahead(town, by_s=5)
    targets = Targets(town.kube.jobs, town.kube.events, {}, town.client)
    act = Executor(targets, town.metrics, clock, town.ids)
    town.github_faults.fail("POST", "/comments", DROP, done=True)
    await act.perform(comment(number), "x")
    await act.resume(comment(number), "x", clock.now())
    assert bodies(town, number) == ["hello"]


@story
async def test_a_comment_that_was_not_written_is_written() -> None:
    """1. The first try never arrives. 2. It looks: only an older one with the same words is there. 3. Written."""
    town = Town()
    number, _ = town.open_pull()
    act = executor(town)
    await act.perform(comment(number), "x")
    await passes(60)
    town.github_faults.fail("POST", "/comments", DROP)
    await act.perform(comment(number), "x")
    assert bodies(town, number) == ["hello", "hello"]


@story
async def test_resuming_a_comment() -> None:
    """After a crash: ours, same words, since the delivery: found. Another's, other words, or older: written."""
    town = Town()
    number, _ = town.open_pull()
    act = executor(town)
    town.github.comment(ORG, REPO, number, "ann", "hello", now_s=town.clock.now())
    await act.resume(comment(number), "x", town.clock.now())
    assert len(bodies(town, number)) == 2
    await act.resume(comment(number), "x", town.clock.now())
    await act.resume(comment(number, "other"), "x", town.clock.now())
    assert bodies(town, number) == ["hello", "hello", "other"]
    await passes(60)
    await act.resume(comment(number), "x", town.clock.now())
    assert len(bodies(town, number)) == 4


@story
async def test_aborting() -> None:
    """An unfinished job is aborted with the reason; one aborted already is left alone; one that is gone is fine."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    act = executor(town)
    await act.perform(abort(), "x")
    job = town.kube.job("a")
    assert (job.status.state, job.status.description, job.complete) == ("aborted", "Aborted by trigger plugin.", False)
    await act.perform(abort(), "x")
    await act.perform(abort("none"), "x")
    assert town.kube.job("a") == job


@pytest.mark.parametrize("state", ["success", "failure", "error"])
@story
async def test_aborting_never_flips_a_result(state: str) -> None:
    """1. It completes between our look and our write. 2. The write is stale; we look again. 3. Its result stays."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    town.kube.faults.fail("PATCH", "/prowjobs/a", Fault("delay", delay_s=10))
    act = executor(town)

    async def completes() -> None:
        await passes(5)
        town.kube.set_status("a", state=state, completionTime=instants.rfc3339(town.clock.now()))

    await town.beside(completes, act.perform(abort(), "x"))
    assert town.kube.job("a").status.state == state


@story
async def test_aborting_a_job_that_never_stands_still() -> None:
    """1. Every look is stale by the time of the write. 2. At last the caller hears Retry; nothing was forced."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    town.kube.faults.fail("PATCH", "/prowjobs/a", Fault("answer", status=409), times=-1)
    with pytest.raises(Retry, match="changed 5 times"):
        await executor(town).perform(abort(), "x")
    assert town.kube.job("a").status.state == "triggered"


@story
async def test_a_prowjob_that_does_not_read() -> None:
    """What stands there does not read: it is refused to be aborted or adopted, with a reason, and left alone."""
    town = Town()
    town.kube.lax()
    town.kube.put(town.presubmit("a"))
    town.kube.patch("a", {"spec": {"type": 7}})
    for action in (abort(), actions.CreateProwJob(job=town.presubmit("a"), why=WHY)):
        with pytest.raises(Refused, match="does not read"):
            await executor(town).perform(action, "x")
    assert town.kube.world.objects("prowjobs")[0]["spec"]["type"] == 7


@story
async def test_a_label_and_a_status() -> None:
    """Labels and statuses land where they belong; saying them twice changes nothing."""
    town = Town()
    number, sha = town.open_pull()
    act = executor(town)
    for _ in range(2):
        await act.perform(actions.AddLabel(org=ORG, repo=REPO, number=number, label="ok-to-test", why=WHY), "x")
        await act.perform(status(sha), "x")
    assert await town.client.labels(ORG, REPO, number) == ("ok-to-test",)
    assert [(s.context, s.state) for s in town.github.statuses(ORG, REPO, sha)] == [("unit", "success")]


@story
async def test_an_event() -> None:
    """An Event says what, about which object, and since when; a long text is cut where the server would refuse it."""
    town = Town()
    about: Json = {"kind": "ProwJob", "name": "a", "uid": "u1", "api_version": "prow.k8s.io/v1", "reason": "Malformed"}
    act = actions.RecordEvent(namespace=JOBS, message="x" * 3000, warning=True, why=WHY, **about)
    await executor(town).perform(act, "x")
    (event,) = town.kube.world.objects("events")
    assert event["involvedObject"]["uid"] == "u1"
    assert (event["type"], event["reason"], len(event["message"])) == ("Warning", "Malformed", 1024)
    assert event["firstTimestamp"] == "2026-01-02T03:00:00Z"


@story
async def test_a_long_wait_is_the_callers() -> None:
    """GitHub asks for ten minutes: no actor sleeps that long; who ordered it hears how long to wait."""
    town = Town()
    _number, sha = town.open_pull()
    town.github_faults.fail("POST", "/statuses", Fault("answer", status=429, retry_after_s=600))
    with pytest.raises(Retry) as caught:
        await executor(town).perform(status(sha), "x")
    assert caught.value.after_s == 601
    assert town.clock.now() - START_S < 1
    assert town.metrics.total("prow_async_executor_actions_total", action="PostStatus", outcome="retry") == 1


@story
async def test_requests_say_why_they_are_made() -> None:
    """An action's requests carry its urgency and who ordered it."""
    town = Town()
    number, sha = town.open_pull()
    act = executor(town)
    with causes.because(causes.Cause("guid", "trigger")):
        await act.perform(status(sha), "guid")
        await act.perform(comment(number), "guid")
    labels = {"origin": "trigger", "method": "POST", "status": "201"}
    for urgency in ("status", "comment"):
        assert town.metrics.total("prow_async_github_requests_total", urgency=urgency, **labels) == 1


@story
async def test_config_maps_of_unknown_clusters() -> None:
    """No cluster has the alias, or the component writes none at all: refused."""
    town = Town()
    with pytest.raises(Refused, match="no cluster has the alias 'arm'"):
        await executor(town).perform(config_map("arm"), "x")


@pytest.mark.parametrize("done", [False, True])
@story
async def test_a_config_map_that_is_made_twice(done: bool) -> None:
    """The answer to the creation is lost, before or after its effect: one ConfigMap with the content."""
    town = Town()
    town.kube.faults.fail("POST", "/configmaps", done=done)
    await executor(town).perform(config_map("default", x="y"), "x")
    assert town.kube.ask("GET", CONFIG_MAPS.path(JOBS, "m"))["data"] == {"x": "y"}
