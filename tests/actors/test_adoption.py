"""What stands under our name already: each case of the adoption rule, told by the job's actor and the cluster."""

from typing import Any

import pytest

from prow_async.api import actions, names
from prow_async.api.errors import Refused
from prow_async.sandbox.faults import Fault
from tests.actors import worlds
from tests.actors.script import DROP
from tests.actors.worlds import Town, passes, settle, story

Json = dict[str, Any]
CREATE = "POST /api/v1/namespaces/test-pods/pods"


def marks(pod: Json) -> Json:
    found: Json = pod["metadata"]["annotations"]
    return found


@story
async def test_fresh() -> None:
    """1. Nothing stands there. 2. One pod is made, with the owner's UID, the attempt, the digest and the labels."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank"):
        job, pod = town.kube.job("a"), town.kube.pod("a")
    assert (job.status.state, job.status.pod_name) == ("pending", "a")
    assert job.status.build_id == pod["metadata"]["labels"][names.BUILD_ID_LABEL]
    assert marks(pod)[names.OWNER_UID] == job.metadata.uid
    assert marks(pod)[names.ATTEMPT] == "0"
    assert marks(pod)[names.DIGEST] == marks(town.pod_of("a", build_id=job.status.build_id))[names.DIGEST]
    assert town.kube.faults.writes() == [f"{CREATE} 201", "PATCH /apis/prow.k8s.io/v1/namespaces/prow/prowjobs/a 200"]


@story
async def test_our_own_pod_is_adopted() -> None:
    """1. An engine dies after it made the pod. 2. The next finds it taken, proves it ours, takes it. 3. One pod."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    uid = town.kube.put_pod(town.pod_of("a", build_id="77"))["metadata"]["uid"]
    async with town.engine("plank"):
        assert town.kube.pod("a")["metadata"]["uid"] == uid
        assert len(town.kube.all_pods()) == 1
        assert town.kube.job("a").status.build_id == "77"
        assert town.kube.job("a").status.state == "pending"


@story
async def test_answer_lost() -> None:
    """1. The pod is made, the answer is lost. 2. The second try meets the first's pod. 3. It is adopted."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    town.kube.faults.fail("POST", "/pods", DROP, done=True)
    async with town.engine("plank"):
        await passes(5)
        assert town.kube.job("a").status.state == "pending"
        assert town.kube.job("a").status.build_id == town.kube.pod("a")["metadata"]["labels"][names.BUILD_ID_LABEL]
    assert len(town.kube.all_pods()) == 1


@story
async def test_our_own_pod_on_its_way_out() -> None:
    """1. Our pod stands there, being deleted. 2. It is waited for. 3. Once gone, a new one is made."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    old = town.kube.put_pod(town.pod_of("a"))["metadata"]["uid"]
    town.kube.bind_pod("a")
    town.kube.delete_pod("a")
    async with town.engine("plank"):
        await passes(20)
        assert town.kube.pod("a")["metadata"]["uid"] == old
        assert town.kube.job("a").status.state == "triggered"
        town.kube.delete_pod("a", grace_s=0)
        await passes(5)
        assert town.kube.job("a").status.state == "pending"
        assert town.kube.pod("a")["metadata"]["uid"] != old


@story
async def test_our_own_pod_of_an_earlier_attempt() -> None:
    """1. The pod of attempt 0 stands; attempt 1 is due. 2. It is deleted and waited for. 3. Attempt 1's is made."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    old = town.kube.put_pod(town.pod_of("a"))["metadata"]["uid"]
    town.kube.bind_pod("a")
    town.kube.set_status("a", state="pending", pod_revival_count=1)
    async with town.engine("plank"):
        await passes(3)
        assert "deletionTimestamp" in town.kube.pod("a")["metadata"]
        assert town.kube.pod("a")["metadata"]["uid"] == old
        town.kube.delete_pod("a", grace_s=0)
        await passes(3)
        pod = town.kube.pod("a")
        assert (marks(pod)[names.ATTEMPT], pod["metadata"]["uid"] == old) == ("1", False)
        assert town.kube.job("a").status.pod_name == "a"


def another_owner(town: Town) -> Json:
    return town.pod_of("a", owner="0000-another")


def no_marks_other_id(town: Town) -> Json:
    pod = town.upstream_pod_of("a")
    pod["metadata"]["labels"][names.ID_LABEL] = "b"
    return pod


def another_content(town: Town) -> Json:
    pod = town.pod_of("a")
    pod["spec"]["containers"][0]["image"] = "other"
    return worlds.redigested(pod)


def a_later_attempt(town: Town) -> Json:
    return town.pod_of("a", attempt=3)


@pytest.mark.parametrize("stranger", [another_owner, no_marks_other_id, another_content, a_later_attempt])
@story
async def test_a_strangers_pod_is_never_touched(stranger: Any) -> None:
    """1. A pod that is not the one we would send has our name. 2. Error, and an event tells why. 3. It lives."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    before = town.kube.put_pod(stranger(town))
    async with town.engine("plank"):
        await passes(30)
        job = town.kube.job("a")
        assert (job.status.state, job.complete) == ("error", True)
        assert job.status.description.startswith("Pod can not be created: ")
        assert town.kube.pod("a") == before
        (told,) = town.kube.event_texts()
        assert told.startswith("Warning ForeignPod: ")


@story
async def test_no_event_without_the_right_to_write_one() -> None:
    """1. A stranger's pod, and events are forbidden. 2. The job ends in error all the same."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    town.kube.put_pod(another_owner(town))
    town.kube.faults.fail("POST", "/events", Fault("answer", status=403), times=-1)
    async with town.engine("plank"):
        await passes(5)
        assert town.kube.job("a").status.state == "error"


@story
async def test_upstreams_pod_is_adopted() -> None:
    """1. Upstream made the pod and died. 2. No mark, but its label names the job: it is taken, build id and all."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    uid = town.kube.put_pod(town.upstream_pod_of("a", "78"))["metadata"]["uid"]
    async with town.engine("plank"):
        assert town.kube.job("a").status.state == "pending"
        assert town.kube.job("a").status.build_id == "78"
        town.kube.pod_ends("a")
        await settle()
        assert town.kube.job("a").status.state == "success"
        assert town.kube.pod("a")["metadata"]["uid"] == uid


@story
async def test_upstreams_pod_older_than_the_job() -> None:
    """1. A pod without marks was there before the job. 2. It cannot be the job's: error, and it lives."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    pod = town.upstream_pod_of("a")
    town.kube.delete_job("a")
    before = town.kube.put_pod(pod)
    await passes(60)
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank"):
        assert town.kube.job("a").status.state == "error"
        assert town.kube.pod("a") == before


@story
async def test_an_equal_prowjob_is_adopted() -> None:
    """1. The ProwJob was created before a crash. 2. Its creation is repeated. 3. It counts as created, untouched."""
    town = Town()
    async with town.engine() as engine:
        job = town.presubmit("a")
        await engine.executor.perform(actions.CreateProwJob(job=job, why="first"), "x")
        before = town.kube.job("a")
        await passes(5)
        later = town.presubmit("a")
        assert later.status != job.status
        await engine.executor.perform(actions.CreateProwJob(job=later, why="again"), "x")
        assert town.kube.job("a") == before


@pytest.mark.parametrize("digest_kept", [True, False])
@story
async def test_another_prowjob_is_left_alone(digest_kept: bool) -> None:
    """1. A ProwJob with another spec has our name. 2. Refused. 3. It is as it was, with a digest or without."""
    town = Town()
    town.kube.put(town.presubmit("a", job="theirs"))
    if not digest_kept:
        town.kube.patch("a", {"metadata": {"annotations": {names.DIGEST: None}}})
    before = town.kube.job("a")
    async with town.engine() as engine:
        with pytest.raises(Refused, match="another spec"):
            await engine.executor.perform(actions.CreateProwJob(job=town.presubmit("a"), why="ours"), "x")
        assert town.kube.job("a") == before


@story
async def test_a_delete_hits_what_was_meant() -> None:
    """1. The engine wants a pod deleted. 2. Another has taken its place meanwhile. 3. The other survives."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank"):
        town.kube.pod_runs("a")
        await settle()
        town.kube.faults.fail("DELETE", "/pods/a", Fault("delay", delay_s=60))
        town.kube.set_status("a", state="aborted")
        await settle()
        town.kube.delete_pod("a", grace_s=0)
        stranger = town.kube.put_pod(another_owner(town))
        await passes(70)
        assert town.kube.pod("a") == stranger
        assert town.kube.job("a").complete


@story
async def test_a_concurrent_change_makes_it_decide_again() -> None:
    """1. The pod succeeds. 2. Before our patch arrives somebody aborts the job. 3. The abort stands."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank"):
        town.kube.faults.fail("PATCH", "/prowjobs/a", Fault("delay", delay_s=60))
        town.kube.pod_ends("a")
        await settle()
        town.kube.set_status("a", state="aborted", description="by hand")
        await passes(120)
        job = town.kube.job("a")
        assert (job.status.state, job.status.description, job.complete) == ("aborted", "by hand", True)


@story
async def test_a_reporters_mark_in_between_does_not_disturb() -> None:
    """1. The pod succeeds. 2. A reporter's mark comes before our patch. 3. Both stand; the patch is only renewed."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank"):
        town.kube.faults.fail("PATCH", "/prowjobs/a", Fault("delay", delay_s=60))
        town.kube.pod_ends("a")
        await settle()
        town.kube.set_status("a", prev_report_states={"github-reporter": "pending"})
        await passes(60)
        job = town.kube.job("a")
        assert (job.status.state, job.complete) == ("success", True)
        assert job.status.prev_report_states == {"github-reporter": "pending"}
        assert [line.rpartition(" ")[2] for line in town.kube.faults.writes()[-2:]] == ["409", "200"]
