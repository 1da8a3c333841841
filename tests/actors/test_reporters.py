"""All reporters together: what each tells, one record for all, none waits for another, and what a kill leaves."""

from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from prow_async.actors.reporters.blobs import BlobReporter
from prow_async.actors.reporters.github import GitHubReporter
from prow_async.actors.reporters.pods import PodReporter
from prow_async.actors.reporters.pubsub import PubSubReporter
from prow_async.actors.reporters.slack import SlackReporter
from prow_async.api import names
from prow_async.api.config import Config, DecorationEntry, Plank, Sinker
from prow_async.api.config import SlackReporter as Settings
from prow_async.api.prowjob import (
    DecorationConfig,
    GCSConfiguration,
    ProwJob,
    Refs,
    ReporterConfig,
    SlackReporterConfig,
)
from prow_async.apps.engine import Engine
from prow_async.core import instants
from prow_async.sandbox.faults import Fault
from tests.actors.outlets import Outlets
from tests.actors.script import DROP
from tests.actors.worlds import ORG, REPO, Town, passes, settle, story

Json = dict[str, Any]
GCS = GCSConfiguration(bucket="logs", path_strategy="explicit")
BY_DEFAULT = Plank(default_decoration_config_entries=(DecorationEntry(config=DecorationConfig(gcs_configuration=GCS)),))
RUN = "pr-logs/pull/o_r/1/unit"


def town_with(**config: Any) -> Town:
    return Town(Config(**{"plank": BY_DEFAULT, **config}))


def advance(town: Town, name: str, state: str, **more: Any) -> None:
    """Do to a job what a controller does."""
    now = instants.rfc3339(town.clock.now())
    status: Json = {"state": state, "description": f"Job {state}."}
    if state == "pending":
        status |= {"pendingTime": now, "build_id": "77", "pod_name": name, "url": f"https://ci.example/{name}"}
    if state not in {"pending", "triggered"}:
        status["completionTime"] = now
    town.kube.set_status(name, **(status | more))


def records(town: Town) -> list[str]:
    """Return the writes to ProwJobs."""
    return [line for line in town.kube.faults.done if line.startswith("PATCH") and "/prowjobs/" in line]


def reported(town: Town, name: str) -> dict[str, str]:
    return town.kube.job(name).status.prev_report_states


def with_pod(town: Town, job: ProwJob) -> None:
    town.kube.put(job)
    town.kube.put_pod(town.pod_of(job.metadata.name))


def with_topic(job: ProwJob, **labels: str) -> ProwJob:
    marks = {names.PUBSUB_PROJECT: "p", names.PUBSUB_TOPIC: "t", names.PUBSUB_RUN_ID: "r-1", **labels}
    return msgspec.structs.replace(job, metadata=msgspec.structs.replace(job.metadata, annotations=marks))


@story
async def test_two_records_for_the_reports_of_a_life(tmp_path: Path) -> None:
    """1. Created, pending, success. 2. Three reporters tell each state at once. 3. Two patches record all of it."""
    town = town_with()
    outlets = Outlets(town, tmp_path)
    number, sha = town.open_pull()
    async with town.engine("crier", reports=outlets.reports(GitHubReporter, BlobReporter, PodReporter)):
        with_pod(town, town.presubmit("a", number, sha))
        await settle()
        assert [s.state for s in town.github.statuses(ORG, REPO, sha)] == ["pending"]
        await passes(20)
        assert records(town) == []
        outlets.storage_faults.fail("GET", "", Fault("delay", delay_s=5))
        advance(town, "a", "pending")
        await settle()
        assert records(town) == []
        await passes(6)
        assert len(records(town)) == 1
        everybody = ("gcsk8sreporter", "gcsreporter", "github-reporter")
        assert reported(town, "a") == dict.fromkeys(everybody, "pending")
        await passes(60)
        advance(town, "a", "success")
        await settle()
        assert reported(town, "a") == dict.fromkeys(everybody, "success")
        await passes(3600)
        assert len(records(town)) == 2
        assert len(town.github_faults.writes()) == 3


@pytest.mark.slow
@story
async def test_seven_writes_after_the_creation(tmp_path: Path) -> None:
    """The whole life with the controller, three reporters and the sweeper: pod finalizers aside, seven writes."""
    sweeps = Sinker(resync_period_s=60, max_prowjob_age_s=600, max_pod_age_s=500, terminated_pod_ttl_s=300)
    town = town_with(sinker=sweeps)
    outlets = Outlets(town, tmp_path)
    number, sha = town.open_pull()
    town.kube.put(town.presubmit("a", number, sha))
    parts = outlets.reports(GitHubReporter, BlobReporter, PodReporter)
    async with town.engine("plank", "crier", "sinker", reports=parts):
        await passes(2)
        town.kube.pod_runs("a")
        await passes(20)
        town.kube.pod_ends("a")
        await passes(1200)
        assert town.kube.all_jobs() == []
        assert town.kube.all_pods() == []
    writes = [line.split()[:2] for line in town.kube.faults.writes()]
    kinds = [f"{method} {path.split('/')[-2 if method != 'POST' else -1]}" for method, path in writes]
    assert kinds.count("PATCH pods") == 2
    assert [kind for kind in kinds if kind != "PATCH pods"] == [
        "POST pods",
        "PATCH prowjobs",
        "PATCH prowjobs",
        "PATCH prowjobs",
        "PATCH prowjobs",
        "DELETE pods",
        "DELETE prowjobs",
    ]


@story
async def test_a_job_that_waits_is_recorded_once_it_has_waited(tmp_path: Path) -> None:
    """1. A job stays triggered for an hour. 2. After half a minute that is recorded; a restart tells nothing again."""
    town = town_with()
    outlets = Outlets(town, tmp_path)
    number, sha = town.open_pull()
    town.kube.put(town.presubmit("a", number, sha))
    async with town.engine("crier", reports=outlets.reports()):
        await passes(29)
        assert reported(town, "a") == {}
        await passes(2)
        assert reported(town, "a") == {"github-reporter": "triggered"}
    told = len(town.github_faults.writes())
    async with town.engine("crier", reports=outlets.reports()):
        await passes(3600)
        assert len(town.github_faults.writes()) == told == 1


@story
async def test_storage_away_holds_up_nobody_else(tmp_path: Path) -> None:
    """1. Storage answers nothing. 2. GitHub, Slack and Pub/Sub hear of it at once and are recorded. 3. Storage is back:
    it gets the last state alone."""
    slack = {"*": Settings(channel="ci", job_states_to_report=("failure",), job_types_to_report=("presubmit",))}
    town = town_with(slack_reporter_configs=slack)
    outlets = Outlets(town, tmp_path)
    outlets.storage_faults.fail("GET", "", Fault("delay", delay_s=130), times=-1)
    outlets.storage_faults.fail("GET", "", DROP, times=-1)
    number, sha = town.open_pull()
    with_pod(town, with_topic(town.presubmit("a", number, sha)))
    async with town.engine("crier", reports=outlets.reports()):
        advance(town, "a", "pending")
        await passes(120)
        advance(town, "a", "failure")
        await settle()
        assert [s.state for s in town.github.statuses(ORG, REPO, sha)] == ["failure"]
        assert len(outlets.mailbox.posts) == 1
        assert [m["status"] for _, _, m in outlets.mailbox.published] == ["triggered", "pending", "failure"]
        await passes(15)
        known = {"github-reporter", "slackreporter", "pubsub-reporter"}
        assert {r for r, state in reported(town, "a").items() if state == "failure"} >= known
        assert outlets.files().keys() & {f"{RUN}/77/prowjob.json"} == set()
        outlets.storage_faults.heal()
        await passes(600)
        assert reported(town, "a")["gcsreporter"] == "failure"
        finished = msgspec.json.decode(outlets.files()[f"{RUN}/77/finished.json"])
        assert (finished["result"], finished["passed"]) == ("failure", False)


@pytest.mark.parametrize("times", [1, 3])
@story
async def test_a_record_that_meets_another_write(tmp_path: Path, times: int) -> None:
    """The ProwJob has changed in between: read anew, recorded all the same, and nothing told again."""
    town = town_with()
    outlets = Outlets(town, tmp_path)
    town.kube.faults.fail("PATCH", "/prowjobs/", Fault("answer", status=409), times=times)
    number, sha = town.open_pull()
    town.kube.put(town.presubmit("a", number, sha))
    async with town.engine("crier", reports=outlets.reports(GitHubReporter)):
        advance(town, "a", "success")
        await settle()
        assert reported(town, "a") == {"github-reporter": "success"}
        assert [s.state for s in town.github.statuses(ORG, REPO, sha)] == ["success"]
        assert len(town.github_faults.writes()) == 2


@story
async def test_messages_are_recorded_at_once(tmp_path: Path) -> None:
    """Made twice, a message would be seen twice: its record waits for nobody, whatever the others do."""
    town = town_with()
    outlets = Outlets(town, tmp_path)
    town.github_faults.fail("POST", "/statuses/", Fault("delay", delay_s=1000), times=-1)
    number, sha = town.open_pull()
    async with town.engine("crier", reports=outlets.reports(GitHubReporter, PubSubReporter)):
        town.kube.put(with_topic(town.presubmit("a", number, sha)))
        await settle()
        assert reported(town, "a") == {"pubsub-reporter": "triggered"}


@story
async def test_pubsub(tmp_path: Path) -> None:
    """Each state is published with where its files are; a job without a topic is silent."""
    town = town_with(
        plank=msgspec.structs.replace(BY_DEFAULT, job_url_prefix_config={"*": "https://prow.example/view/"})
    )
    outlets = Outlets(town, tmp_path)
    number, sha = town.open_pull()
    async with town.engine("crier", reports=outlets.reports(PubSubReporter)):
        town.kube.put(with_topic(town.presubmit("a", number, sha)))
        town.kube.put(town.presubmit("silent", number, sha))
        await settle()
        advance(town, "a", "pending", url="https://prow.example/view/gs/logs/pr-logs/1")
        await settle()
        (_, first), (_, second) = [(m[:2], m[2]) for m in outlets.mailbox.published]
        assert outlets.mailbox.published[0][:2] == ("p", "t")
        assert first["status"] == "triggered"
        assert list(second) == [
            *("project", "topic", "runid", "status", "url", "gcs_path", "refs", "job_type", "job_name", "message")
        ]
        assert (second["runid"], second["gcs_path"]) == ("r-1", "gs://logs/pr-logs/1")
        assert reported(town, "silent") == {}


@story
async def test_slack(tmp_path: Path) -> None:
    """Scopes, a job's own channel and host, states and types decide; a job's `report: false` is heeded."""
    org = Settings(channel="org", job_states_to_report=("failure",), job_types_to_report=("postsubmit",))
    everybody = Settings(channel="all", job_states_to_report=("error",), job_types_to_report=("presubmit",))
    town = town_with(slack_reporter_configs={"o": org, "*": everybody})
    outlets = Outlets(town, tmp_path)
    number, sha = town.open_pull()
    own = SlackReporterConfig(host="h", channel="own", report_template="{{.Spec.Job}}!", report=True)
    jobs = {
        "by-type": {},
        "own": {"reporter_config": ReporterConfig(slack=own)},
        "off": {"reporter_config": ReporterConfig(slack=msgspec.structs.replace(own, report=False))},
        "post": {"type": "postsubmit"},
    }
    async with town.engine("crier", reports=outlets.reports(SlackReporter)):
        for name, spec in jobs.items():
            town.kube.put(town.presubmit(name, number, sha, job=name, context=name, **spec))
            advance(town, name, "pending")
            await settle()
            advance(town, name, "failure")
            await settle()
    text = "Job post of type postsubmit ended with state failure. <https://ci.example/post|View logs>"
    assert outlets.mailbox.posts == [("h", "own", "own!"), ("*", "org", text)]
    assert reported(town, "own") == {"slackreporter": "failure"}
    assert reported(town, "off") == {}


@story
async def test_a_channel_that_is_not_there(tmp_path: Path) -> None:
    """Slack knows no such channel: asked once, told in an event, never again for this state."""
    config = {"*": Settings(channel="gone", job_states_to_report=("failure",), job_types_to_report=("presubmit",))}
    town = town_with(slack_reporter_configs=config)
    outlets = Outlets(town, tmp_path)
    outlets.message_faults.fail("POST", "", Fault("answer", status=404), times=-1)
    town.kube.put(town.presubmit("a"))
    async with town.engine("crier", reports=outlets.reports(SlackReporter)):
        advance(town, "a", "failure")
        await passes(1800)
        (event,) = town.kube.event_texts()
        assert event.startswith("Warning ReportRefused: slackreporter cannot report state failure")
        await passes(7200)
        assert outlets.message_faults.asked == ["POST slack/gone"]
        assert reported(town, "a") == {"slackreporter": "failure"}


@story
async def test_files_of_an_undecorated_run(tmp_path: Path) -> None:
    """Nobody else tells where it is: pointers come with the first report, and never go back to an older run."""
    town = town_with()
    outlets = Outlets(town, tmp_path)
    number, sha = town.open_pull()
    async with town.engine("crier", reports=outlets.reports(BlobReporter)):
        for name, build in (("b", "78"), ("a", "77")):
            town.kube.put(town.presubmit(name, number, sha))
            advance(town, name, "pending", build_id=build)
            await settle()
        files = outlets.files()
        assert files["pr-logs/directory/unit/latest-build.txt"] == b"78"
        assert files[f"{RUN}/latest-build.txt"] == b"78"
        assert files["pr-logs/directory/unit/77.txt"] == f"gs://logs/{RUN}/77".encode()
        started = msgspec.json.decode(files[f"{RUN}/77/started.json"])
        assert started["metadata"] == {"uploader": "crier"}
        assert (started["pull"], started["repo-commit"]) == (str(number), sha)
        assert files[f"{RUN}/77/started.json"].startswith(b'{\n\t"timestamp": ')
        assert f"{RUN}/77/finished.json" not in files
        advance(town, "a", "aborted", completionTime=None)
        await settle()
        assert reported(town, "a") == {"gcsreporter": "pending"}
        advance(town, "a", "aborted")
        await settle()
        files = outlets.files()
        assert msgspec.json.decode(files[f"{RUN}/77/finished.json"])["result"] == "aborted"
        assert msgspec.json.decode(files[f"{RUN}/77/prowjob.json"])["status"]["state"] == "aborted"


@story
async def test_what_a_pod_uploaded_stays(tmp_path: Path) -> None:
    """started.json and finished.json of the pod are better than ours; pointers are its business too."""
    town = town_with()
    outlets = Outlets(town, tmp_path)
    number, sha = town.open_pull()
    decorated = DecorationConfig(gcs_configuration=GCS)
    town.kube.put(town.presubmit("a", number, sha, decoration_config=decorated))
    bucket = outlets.storage.bucket("logs")
    async with town.engine("crier", reports=outlets.reports(BlobReporter)):
        advance(town, "a", "pending")
        await settle()
        assert set(outlets.files()) == {f"{RUN}/77/started.json", f"{RUN}/77/prowjob.json"}
        for name in ("started.json", "finished.json"):
            bucket.put(f"{RUN}/77/{name}", b'{"timestamp":1}')
        advance(town, "a", "success")
        await settle()
        files = outlets.files()
        assert set(files) == {f"{RUN}/77/{name}.json" for name in ("started", "finished", "prowjob")}
        assert files[f"{RUN}/77/started.json"] == files[f"{RUN}/77/finished.json"] == b'{"timestamp":1}'


@story
async def test_a_decorated_run_that_never_began(tmp_path: Path) -> None:
    """Its pod uploaded nothing: at the end the pointers are written for it."""
    town = town_with()
    outlets = Outlets(town, tmp_path)
    number, sha = town.open_pull()
    town.kube.put(town.presubmit("a", number, sha, decoration_config=DecorationConfig(gcs_configuration=GCS)))
    async with town.engine("crier", reports=outlets.reports(BlobReporter)):
        advance(town, "a", "pending")
        await settle()
        advance(town, "a", "error")
        await settle()
        assert outlets.files()[f"{RUN}/latest-build.txt"] == b"77"


@story
async def test_no_place_in_storage(tmp_path: Path) -> None:
    """Without any bucket nothing is stored, no pod is held, and it is not asked for again."""
    town = Town()
    outlets = Outlets(town, tmp_path)
    with_pod(town, town.presubmit("a"))
    async with town.engine("crier", reports=outlets.reports(BlobReporter, PodReporter)):
        advance(town, "a", "pending")
        await settle()
        assert outlets.storage_faults.asked == []
        assert reported(town, "a") == {"gcsreporter": "pending", "gcsk8sreporter": "pending"}
        assert "finalizers" not in town.kube.pod("a")["metadata"]


@story
async def test_the_pods_information(tmp_path: Path) -> None:
    """1. A pod that runs is held. 2. Over and deleted, it stays until podinfo.json is there. 3. Then it goes."""
    town = town_with()
    outlets = Outlets(town, tmp_path)
    number, sha = town.open_pull()
    with_pod(town, town.presubmit("a", number, sha))
    async with town.engine("crier", reports=outlets.reports(PodReporter)):
        advance(town, "a", "pending")
        await settle()
        assert town.kube.pod("a")["metadata"]["finalizers"] == [names.GCS_K8S_FINALIZER]
        uid = town.kube.pod("a")["metadata"]["uid"]
        about = {"kind": "Pod", "namespace": "test-pods", "name": "a", "uid": uid}
        event = {"metadata": {"name": "e"}, "involvedObject": about, "reason": "Pulled", "message": "m"}
        town.kube.ask("POST", "/api/v1/namespaces/test-pods/events", event)
        town.kube.delete_pod("a")
        await passes(60)
        assert town.kube.pod("a")["metadata"]["deletionTimestamp"]
        advance(town, "a", "success")
        await settle()
        info = msgspec.json.decode(outlets.files()[f"{RUN}/77/podinfo.json"])
        assert info["pod"]["metadata"]["name"] == "a"
        assert [event["reason"] for event in info["events"]] == ["Pulled"]
        assert town.kube.all_pods() == []
        assert reported(town, "a") == {"gcsk8sreporter": "success"}


@story
async def test_a_pod_that_is_gone_or_somebody_elses(tmp_path: Path) -> None:
    """Nothing to tell of it, and that is recorded; a stranger's pod is not touched."""
    town = town_with()
    outlets = Outlets(town, tmp_path)
    town.kube.put(town.presubmit("gone"))
    town.kube.put(town.presubmit("other"))
    town.kube.put(town.presubmit("theirs"))
    foreign = town.pod_of("other")
    foreign["metadata"]["name"] = "theirs"
    town.kube.put_pod(foreign)
    async with town.engine("crier", reports=outlets.reports(PodReporter)):
        for name in ("gone", "theirs"):
            advance(town, name, "pending")
            await settle()
            advance(town, name, "success")
            await settle()
            assert reported(town, name) == {"gcsk8sreporter": "success"}
    assert outlets.files() == {}
    assert "finalizers" not in town.kube.pod("theirs")["metadata"]


@story
async def test_the_share_of_pods(tmp_path: Path) -> None:
    """With a fraction only jobs that are chosen by name are reported; the others are never asked for."""
    town = town_with()
    outlets = Outlets(town, tmp_path)
    async with town.engine("crier", reports=outlets.reports(PodReporter, pod_fraction=0.5)):
        for n in range(40):
            town.kube.put(town.presubmit(f"job-{n}"))
            advance(town, f"job-{n}", "success", pendingTime="2026-01-02T03:00:00Z", build_id=str(n))
        await settle()
        chosen = [n for n in range(40) if reported(town, f"job-{n}")]
        assert 5 < len(chosen) < 35


@pytest.mark.slow
@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("number", range(1, 13))
@story
async def test_storage_fails_at_every_request(tmp_path: Path, number: int, done: bool) -> None:
    """Whichever request breaks, before or after its work, in the end everything is there and recorded once."""
    town = town_with()
    outlets = Outlets(town, tmp_path)
    left = [number]

    def breaks(method: str, path: str) -> Fault | None:
        left[0] -= 1
        return DROP if left[0] == 0 else None

    hook = "after" if done else "before"
    original = getattr(outlets.storage_faults, hook)

    def hooked(method: str, path: str, *status: int) -> Fault | None:
        return original(method, path, *status) or breaks(method, path)

    setattr(outlets.storage_faults, hook, hooked)
    pull, sha = town.open_pull()
    with_pod(town, town.presubmit("a", pull, sha))
    async with town.engine("crier", reports=outlets.reports()):
        advance(town, "a", "pending")
        await passes(30)
        advance(town, "a", "failure")
        await passes(60)
    assert reported(town, "a") == dict.fromkeys(("gcsk8sreporter", "gcsreporter", "github-reporter"), "failure")
    found = {path.removeprefix(f"{RUN}/77/") for path in outlets.files() if path.startswith(f"{RUN}/77/")}
    assert found == {"started.json", "finished.json", "prowjob.json", "podinfo.json"}
    assert outlets.files()[f"{RUN}/latest-build.txt"] == b"77"
    assert "finalizers" not in town.kube.pod("a")["metadata"]


@pytest.mark.slow
@pytest.mark.parametrize("place", ["kube", "github", "storage", "messages"])
@pytest.mark.parametrize("write", [1, 2, 3, 4, 5])
@story
async def test_killed_after_any_write(tmp_path: Path, place: str, write: int) -> None:
    """1. The process dies after a write, before it hears of it. 2. The next one makes all whole: one comment, the last
    status, all files; a message that was recorded comes once."""
    config = {"*": Settings(channel="c", job_states_to_report=("failure",), job_types_to_report=("presubmit",))}
    town = town_with(slack_reporter_configs=config)
    outlets = Outlets(town, tmp_path)
    pull, sha = town.open_pull()
    with_pod(town, with_topic(town.presubmit("a", pull, sha)))
    doors = {
        "kube": town.kube.faults,
        "github": town.github_faults,
        "storage": outlets.storage_faults,
        "messages": outlets.message_faults,
    }
    doors[place].stop_after_write(write)
    async with town.engine("crier", reports=outlets.reports()):
        advance(town, "a", "pending")
        await passes(15)
        advance(town, "a", "failure")
        await passes(15)
    for door in doors.values():
        door.renew()
    async with town.engine("crier", reports=outlets.reports()):
        await passes(60)
        assert [s.state for s in town.github.statuses(ORG, REPO, sha)] == ["failure"]
        assert sum("<!-- test report -->" in (c.body or "") for c in town.github.comments(ORG, REPO, pull)) == 1
        everybody = ("gcsk8sreporter", "gcsreporter", "github-reporter", "pubsub-reporter", "slackreporter")
        assert reported(town, "a") == dict.fromkeys(everybody, "failure")
        assert "finalizers" not in town.kube.pod("a")["metadata"]
    assert 1 <= len(outlets.mailbox.posts) <= 2
    if place in {"github", "storage"}:
        assert len(outlets.mailbox.posts) == 1
        statuses = [message["status"] for _, _, message in outlets.mailbox.published]
        assert statuses == sorted(set(statuses), key=["triggered", "pending", "failure"].index)


@story
async def test_what_was_told_before_a_stop_is_recorded_at_the_end(tmp_path: Path) -> None:
    """A process that is asked to end does not put its records off."""
    town = town_with()
    outlets = Outlets(town, tmp_path)
    number, sha = town.open_pull()
    town.kube.put(town.presubmit("a", number, sha))
    async with town.engine("crier", reports=outlets.reports()) as engine:
        assert reported(town, "a") == {}
        engine.hurry()
        await settle()
        assert engine.idle
        assert reported(town, "a") == {"github-reporter": "triggered"}


@story
async def test_stopped_and_started_again(tmp_path: Path) -> None:
    """1. Another takes over before what we told is recorded, and reports on. 2. Back at work we record nothing old."""
    town = town_with()
    outlets = Outlets(town, tmp_path)
    number, sha = town.open_pull()
    town.kube.put(town.presubmit("a", number, sha))
    engine = Engine(town.parts("crier", reports=outlets.reports(GitHubReporter)))
    assert engine.crier is not None
    async with anyio.create_task_group() as watching:
        for service in engine.watches().values():
            watching.start_soon(service)
        with anyio.move_on_after(5):
            await engine.crier.run()
        assert reported(town, "a") == {}
        advance(town, "a", "success", prev_report_states={"github-reporter": "success"})
        await passes(60)
        with anyio.move_on_after(60):
            await engine.crier.run()
        assert reported(town, "a") == {"github-reporter": "success"}
        assert len(town.github_faults.writes()) == 1
        town.kube.put(town.presubmit("b", number, sha, context="other"))
        with anyio.move_on_after(60):
            await engine.crier.run()
        assert reported(town, "b") == {"github-reporter": "triggered"}
        watching.cancel_scope.cancel()


@story
async def test_one_status_at_a_time_for_a_commit(tmp_path: Path) -> None:
    """1. A postsubmit's report is slow. 2. It is run again and passes at once. 3. The newer word is the last one."""
    town = town_with()
    outlets = Outlets(town, tmp_path)
    sha = town.github.push_branch(ORG, REPO, "main", ["a.py"], by="ann", now_s=town.clock.now())
    refs = Refs(ORG, REPO, base_ref="main", base_sha=sha)
    town.github_faults.fail("POST", "/statuses/", Fault("delay", delay_s=30))
    async with town.engine("crier", reports=outlets.reports(GitHubReporter)):
        town.kube.put(town.presubmit("old", type="postsubmit", refs=refs))
        advance(town, "old", "failure")
        await passes(5)
        town.kube.put(town.presubmit("new", type="postsubmit", refs=refs))
        advance(town, "new", "success")
        await passes(60)
        states = [s.state for s in town.github.statuses(ORG, REPO, sha)]
        assert states == ["success"]
        assert reported(town, "old") == {"github-reporter": "failure"}


@story
async def test_a_job_with_no_place_is_not_read(tmp_path: Path) -> None:
    """Where nothing is configured to be stored, that is recorded without a look at the whole job, for many at once."""
    town = Town(Config())
    outlets = Outlets(town, tmp_path)
    async with town.engine("crier", reports=outlets.reports(BlobReporter, PodReporter)):
        for name in ("a", "b"):
            with_pod(town, town.presubmit(name))
            advance(town, name, "pending")
            advance(town, name, "success")
        await settle()
    for name in ("a", "b"):
        assert reported(town, name) == dict.fromkeys(("gcsk8sreporter", "gcsreporter"), "success")
    read = [line for line in town.kube.faults.done if line.startswith("GET") and "/prowjobs/" in line]
    assert read == []


@story
async def test_a_controller_and_its_crier_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    """Each writes upon what the other wrote, though the watch of ProwJobs is slow to show it: no write meets a 409."""
    town = town_with()
    outlets = Outlets(town, tmp_path)
    number, sha = town.open_pull()
    town.kube.put(town.presubmit("a", number, sha))
    parts = outlets.reports(GitHubReporter, BlobReporter, PodReporter)
    async with town.engine("plank", "crier", reports=parts):
        await settle()
        held: list[bytes] = []
        holding = True

        def slow(line: bytes) -> list[bytes]:
            if b'"ProwJob"' not in line:  # a line of the pods' watch: what is held is not for it
                return [line]
            held.append(line)
            if holding:
                return []
            told = list(held)
            held.clear()
            return told

        town.kube.faults.watch_line = slow
        town.kube.pod_runs("a")
        await passes(20)
        assert set(reported(town, "a").values()) == {"pending"}
        town.kube.pod_ends("a")
        await settle()
        assert town.kube.job("a").status.state == "success"
        holding = False
        await passes(1200)  # until the watch is opened anew, if nothing else comes
        assert set(reported(town, "a").values()) == {"success"}
    assert [line for line in town.kube.faults.done if line.endswith(" 409")] == []
