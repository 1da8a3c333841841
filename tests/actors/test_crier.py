"""What GitHub is told of jobs: statuses, the comment, once each, and exactly what is missing after a restart."""

from typing import Any

import pytest

from prow_async.actors.reporters.github import GitHubReporter
from prow_async.actors.reporters.reads import Reports
from prow_async.api.config import Config, Plank
from prow_async.api.config import GitHubReporter as Settings
from prow_async.api.github import Status
from prow_async.api.prowjob import Refs
from prow_async.core import enablement, instants
from prow_async.sandbox.faults import Fault
from tests.actors.script import DROP
from tests.actors.worlds import BOT, ORG, REPO, Town, passes, settle, story

Json = dict[str, Any]
REPORTER = "github-reporter"


def complete(town: Town, name: str, state: str, **more: Any) -> None:
    at = instants.rfc3339(town.clock.now())
    town.kube.set_status(name, state=state, completionTime=at, description=f"Job {state}.", **more)


def statuses(town: Town, sha: str) -> dict[str, str]:
    return {status.context: status.state for status in town.github.statuses(ORG, REPO, sha)}


def reported(town: Town, name: str) -> str | None:
    return town.kube.job(name).status.prev_report_states.get(REPORTER)


def reports(town: Town, number: int) -> list[str]:
    """Return the bot's comments."""
    return [said.body or "" for said in town.github.comments(ORG, REPO, number) if said.user.login == BOT]


def posted(town: Town) -> int:
    return sum("/statuses/" in line for line in town.github_faults.done)


@story
async def test_from_pending_to_success() -> None:
    """1. Triggered, pending: told at once; of these the last is recorded. 2. Success. 3. No comment; silence after."""
    town = Town()
    number, sha = town.open_pull()
    town.kube.put(town.presubmit("a", number, sha))
    async with town.engine("crier"):
        assert statuses(town, sha) == {"unit": "pending"}
        assert reported(town, "a") is None
        town.kube.set_status("a", state="pending", url="https://ci.example/1", description="Job triggered.")
        await settle()
        assert reported(town, "a") == "pending"
        complete(town, "a", "success")
        await settle()
        (status,) = town.github.statuses(ORG, REPO, sha)
        assert (status.state, status.target_url) == ("success", "https://ci.example/1")
        assert (status.description or "").startswith("Job success.")
        assert reported(town, "a") == "success"
        assert reports(town, number) == []
        quiet = posted(town)
        await passes(3600)
        assert posted(town) == quiet == 3
    assert town.metrics.total("crier_reporting_results", result="SUCCESS") == 3


@story
async def test_the_failure_comment() -> None:
    """1. Two jobs fail: one comment, a row each. 2. One passes: its row goes. 3. The other too: the comment goes."""
    town = Town()
    number, sha = town.open_pull()
    for name in ("unit", "lint"):
        town.kube.put(town.presubmit(name, number, sha, job=name, context=name, rerun_command=f"/test {name}"))
    async with town.engine("crier"):
        complete(town, "unit", "failure", url="https://ci.example/1")
        complete(town, "lint", "failure", url="https://ci.example/2")
        await settle()
        (text,) = reports(town, number)
        assert "@ann: The following tests **failed**" in text
        assert f"unit | {sha} | [link](https://ci.example/1) | unknown | `/test unit`" in text
        assert "lint | " in text
        await passes(5)
        town.kube.put(town.presubmit("unit-2", number, sha))
        complete(town, "unit-2", "success")
        await settle()
        (text,) = reports(town, number)
        assert ("unit | " in text, "lint | " in text) == (False, True)
        town.kube.put(town.presubmit("lint-2", number, sha, job="lint", context="lint"))
        complete(town, "lint-2", "success")
        await settle()
        assert reports(town, number) == []
        assert statuses(town, sha) == {"unit": "success", "lint": "success"}


@story
async def test_many_failures_at_once_make_one_table() -> None:
    """Twenty jobs of one pull request fail in one moment: one comment with all rows, none written over another."""
    town = Town()
    number, sha = town.open_pull()
    for n in range(20):
        town.kube.put(town.presubmit(f"j{n}", number, sha, job=f"j{n}", context=f"ctx-{n:02}"))
    async with town.engine("crier"):
        for n in range(20):
            complete(town, f"j{n}", "failure")
        await passes(5)
        (text,) = reports(town, number)
        assert [f"ctx-{n:02} | " in text for n in range(20)] == [True] * 20


@story
async def test_a_postsubmit() -> None:
    """A postsubmit's status is on the pushed commit; it has no comment."""
    town = Town()
    sha = town.github.push_branch(ORG, REPO, "main", ["a.py"], by="ann", now_s=town.clock.now())
    job = town.presubmit("a")
    assert job.spec.refs is not None
    refs = type(job.spec.refs)(ORG, REPO, base_ref="main", base_sha=sha)
    town.kube.put(town.presubmit("a", type="postsubmit", refs=refs, context="post", rerun_command=""))
    async with town.engine("crier"):
        complete(town, "a", "failure")
        await settle()
        assert statuses(town, sha) == {"post": "failure"}


@pytest.mark.parametrize(
    ("spec", "state"),
    [
        ({"report": False}, "failure"),
        ({"type": "periodic"}, "failure"),
        ({"type": "batch"}, "failure"),
        ({}, "scheduling"),
    ],
)
@story
async def test_silence(spec: Json, state: str) -> None:
    """What has no place on GitHub, or no words yet, is neither reported nor recorded."""
    town = Town()
    number, sha = town.open_pull()
    town.kube.put(town.presubmit("a", number, sha, **spec))
    if state == "failure":
        complete(town, "a", state)
    else:
        town.kube.set_status("a", state=state)
    async with town.engine("crier"):
        await passes(60)
        assert town.github_faults.asked == []
        assert town.kube.faults.writes() == []


@story
async def test_a_superseded_run_stays_silent() -> None:
    """1. A second run of one context on one commit. 2. The first ends in failure. 3. Only the second speaks."""
    town = Town()
    number, sha = town.open_pull()
    town.kube.put(town.presubmit("old", number, sha))
    async with town.engine("crier"):
        await passes(10)
        town.kube.put(town.presubmit("new", number, sha))
        await settle()
        complete(town, "new", "success")
        await settle()
        complete(town, "old", "failure")
        await settle()
        assert statuses(town, sha) == {"unit": "success"}
        assert reports(town, number) == []
        assert (reported(town, "old"), reported(town, "new")) == ("failure", "success")


@story
async def test_a_restart_with_an_old_and_a_new_run() -> None:
    """1. Nobody reported while two runs ended. 2. A new process tells the newer one's end alone, whatever the order."""
    town = Town()
    number, sha = town.open_pull()
    for name, state in (("z-old", "failure"), ("a-new", "success")):
        town.kube.put(town.presubmit(name, number, sha))
        complete(town, name, state)
        await passes(10)
    async with town.engine("crier"):
        assert statuses(town, sha) == {"unit": "success"}
        assert posted(town) == 1
        assert (reported(town, "z-old"), reported(town, "a-new")) == ("failure", "success")


@story
async def test_a_restart_reports_what_is_missing() -> None:
    """1. Of four jobs one is reported, one was at an older state, one never was, one is silent. 2. Two reports."""
    town = Town()
    number, sha = town.open_pull()
    for name in ("told", "older", "never"):
        town.kube.put(town.presubmit(name, number, sha, job=name, context=name))
        complete(town, name, "success")
    town.kube.put(town.presubmit("silent", number, sha, report=False))
    town.kube.set_status("told", prev_report_states={REPORTER: "success"})
    town.kube.set_status("older", prev_report_states={REPORTER: "pending"})
    async with town.engine("crier"):
        assert statuses(town, sha) == {"older": "success", "never": "success"}
        assert posted(town) == 2
    async with town.engine("crier"):
        assert posted(town) == 2


@pytest.mark.parametrize("write", [1, 2, 3])
@story
async def test_killed_in_the_middle_of_a_report(write: int) -> None:
    """1. The reporter dies after posting, commenting or recording. 2. The next makes it whole, and nothing double."""
    town = Town()
    number, sha = town.open_pull()
    town.kube.put(town.presubmit("a", number, sha))
    complete(town, "a", "failure")
    faults = town.kube.faults if write == 3 else town.github_faults
    faults.stop_after_write(1 if write == 3 else write)
    async with town.engine("crier"):
        await faults.stopped.wait()
    faults.renew()
    async with town.engine("crier"):
        await passes(5)
        assert statuses(town, sha) == {"unit": "failure"}
        assert len(reports(town, number)) == 1
        assert reported(town, "a") == "failure"


@story
async def test_github_away() -> None:
    """1. GitHub is away for ten minutes while jobs end. 2. Back again, the last states are told; nothing is lost."""
    town = Town()
    number, sha = town.open_pull()
    town.kube.put(town.presubmit("a", number, sha))
    town.github_faults.fail("POST", "", DROP, times=-1)
    async with town.engine("crier"):
        await passes(300)
        complete(town, "a", "success")
        await passes(300)
        assert reported(town, "a") is None
        town.github_faults.heal()
        await passes(400)
        assert statuses(town, sha) == {"unit": "success"}
        assert reported(town, "a") == "success"
    assert town.metrics.total("crier_reporting_results", result="ERROR") >= 1


@story
async def test_the_commit_is_gone() -> None:
    """GitHub does not know the commit: hopeless, so recorded as told after one try, and never tried again."""
    town = Town()
    number, _ = town.open_pull()
    town.kube.put(town.presubmit("a", number, "f" * 40))
    async with town.engine("crier"):
        await passes(3600)
        assert reported(town, "a") == "triggered"
        assert posted(town) == 1
        assert reports(town, number) == []


@story
async def test_too_many_statuses() -> None:
    """The commit holds as many statuses of the context as GitHub takes: recorded as told, never tried again."""
    town = Town()
    number, sha = town.open_pull()
    for _ in range(1000):
        town.github.post_status(ORG, REPO, sha, Status("pending", context="unit"), by="ann", now_s=town.clock.now())
    town.kube.put(town.presubmit("a", number, sha))
    complete(town, "a", "success")
    async with town.engine("crier"):
        await passes(3600)
        assert reported(town, "a") == "success"
        assert posted(town) == 1


@story
async def test_the_repository_is_gone() -> None:
    """GitHub answers 404: there is nothing to report to, and so it is recorded."""
    town = Town()
    refs = town.presubmit("x").spec.refs
    assert refs is not None
    gone = type(refs)(ORG, "gone", base_ref="main", base_sha="b" * 40, pulls=refs.pulls)
    town.kube.put(town.presubmit("a", refs=gone))
    async with town.engine("crier"):
        await passes(3600)
        assert reported(town, "a") == "triggered"
        assert posted(town) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("status", "tries"), [(404, 1), (410, 3), (422, 3)])
@story
async def test_a_refusal_is_parked(status: int, tries: int) -> None:
    """1. GitHub refuses for good. 2. After a few tries that state counts as told, and an event says so. 3. The next
    state is tried."""
    town = Town()
    number, sha = town.open_pull()
    town.github_faults.fail("POST", "/statuses/", Fault("answer", status=status), times=-1)
    town.kube.put(town.presubmit("a", number, sha))
    async with town.engine("crier"):
        await passes(600)
        assert reported(town, "a") == "triggered"
        (event,) = town.kube.event_texts()
        assert event.startswith("Warning ReportRefused: github-reporter cannot report state triggered")
        assert str(status) in event
        await passes(7200)
        assert sum("/statuses/" in line for line in town.github_faults.asked) == tries
        town.github_faults.heal()
        complete(town, "a", "success")
        await settle()
        assert statuses(town, sha) == {"unit": "success"}
        assert reported(town, "a") == "success"


@pytest.mark.slow
@pytest.mark.parametrize("status", [401, 451])
@story
async def test_refused_for_a_reason_somebody_may_mend(status: int) -> None:
    """1. The token may not report. 2. Ten tries, then rest and one event; nothing is recorded. 3. A restart tries."""
    town = Town()
    number, sha = town.open_pull()
    town.github_faults.fail("POST", "/statuses/", Fault("answer", status=status), times=-1)
    town.kube.put(town.presubmit("a", number, sha))
    async with town.engine("crier"):
        await passes(1800)
        assert len(town.kube.event_texts()) == 1
        await passes(7200)
        assert sum("/statuses/" in line for line in town.github_faults.asked) == 10
        assert reported(town, "a") is None
    town.github_faults.renew()
    async with town.engine("crier"):
        assert statuses(town, sha) == {"unit": "pending"}


@pytest.mark.slow
@story
async def test_one_pull_requests_trouble_is_its_own() -> None:
    """1. GitHub refuses to answer for a pull request with many jobs. 2. Another's report does not wait for them."""
    town = Town()
    (one, sha), (two, other) = town.open_pull(), town.open_pull()
    town.github_faults.fail("POST", sha, Fault("delay", delay_s=100), times=-1)
    for n in range(600):
        town.kube.put(town.presubmit(f"a{n}", one, sha, context=f"c{n}"))
    town.kube.put(town.presubmit("b", two, other))
    async with town.engine("crier"):
        await passes(40)
        assert reported(town, "b") == "triggered"
        assert reported(town, "a0") is None


@story
async def test_agents_and_types_as_configured() -> None:
    """Only jobs of the asked agent; a type that is not to be reported gets no status, but its record."""
    town = Town(Config(github_reporter=Settings(job_types_to_report=("postsubmit",))))
    number, sha = town.open_pull()
    town.kube.put(town.presubmit("a", number, sha))
    town.kube.put(town.presubmit("b", number, sha, agent="jenkins"))
    async with town.engine("crier", reports=Reports(reporters=(GitHubReporter,), agent="kubernetes")):
        await passes(40)
        assert statuses(town, sha) == {}
        assert (reported(town, "a"), reported(town, "b")) == ("triggered", None)


@pytest.mark.parametrize(("extra", "told"), [((), False), ((Refs("p", "lib"),), True)])
@story
async def test_not_enabled_here(extra: tuple[Refs, ...], told: bool) -> None:
    """Jobs of repositories that the flags leave out are another process's, unless one of their refs is enabled."""
    town = Town()
    number, sha = town.open_pull()
    town.kube.put(town.presubmit("a", number, sha, extra_refs=extra))
    async with town.engine("crier", enablement=enablement.parse((), (), (ORG,), ())):
        await passes(60)
        assert statuses(town, sha) == ({"unit": "pending"} if told else {})


@story
async def test_the_report_template() -> None:
    """The template's text stands in the comment, executed on the whole job; one that does not execute says so."""
    town = Town(Config(plank=Plank(report_templates={"o/r": "[logs](https://x/{{.Spec.Job}})", "*": "{{.Nope"})))
    number, sha = town.open_pull()
    town.kube.put(town.presubmit("a", number, sha))
    async with town.engine("crier"):
        complete(town, "a", "failure")
        await settle()
        assert "[logs](https://x/unit)" in reports(town, number)[0]
        plank = Plank(report_template="{{.Nope")
        town.config.change(plank=plank)
        town.kube.put(town.presubmit("b", number, sha, context="other"))
        complete(town, "b", "failure")
        await settle()
        assert "(the report template does not execute: " in reports(town, number)[-1]


@story
async def test_dry_run() -> None:
    """A reporter on dry run reads and writes nothing."""
    town = Town()
    number, sha = town.open_pull()
    town.kube.put(town.presubmit("a", number, sha))
    complete(town, "a", "failure")
    async with town.engine("crier", dry_run=True):
        await passes(60)
        assert statuses(town, sha) == {}
        assert reported(town, "a") is None


@story
async def test_a_job_deleted_while_it_is_reported() -> None:
    """1. The ProwJob goes between the status and the record. 2. Nobody will ask again: no error, no retries."""
    town = Town()
    number, sha = town.open_pull()
    town.kube.put(town.presubmit("a", number, sha))
    town.kube.faults.fail("PATCH", "/prowjobs/a", Fault("delay", delay_s=10))
    async with town.engine("crier") as engine:
        town.kube.delete_job("a")
        await passes(60)
        assert statuses(town, sha) == {"unit": "pending"}
        assert engine.idle
        assert town.metrics.total("crier_reporting_results", result="ERROR") == 0


@pytest.mark.parametrize("status", [201, 422])
@story
async def test_nothing_is_kept_of_a_job_that_goes_while_it_is_reported(status: int) -> None:
    """1. The ProwJob goes while its status is under way, which is then taken or refused. 2. No trace is left of it."""
    town = Town()
    _, sha = town.open_pull()
    async with town.engine("crier") as engine:
        town.github_faults.fail("POST", "/statuses/", Fault("delay", delay_s=10))
        if status != 201:
            town.github_faults.fail("POST", "/statuses/", Fault("answer", status=status), done=True)
        refs = Refs(org=ORG, repo=REPO, base_ref="main", base_sha=sha)
        town.kube.put(town.presubmit("a", type="postsubmit", refs=refs))
        await settle()
        town.kube.delete_job("a")
        await passes(3600)
        assert engine.idle
        assert engine.crier is not None
        assert len(engine.crier) == 0
        assert town.kube.event_texts() == []


@story
async def test_a_comment_that_is_replaced_while_it_is_edited() -> None:
    """1. A row is to go. 2. A late writer puts another comment in its place. 3. The row goes from that."""
    town = Town()
    number, sha = town.open_pull()
    for name in ("unit", "lint"):
        town.kube.put(town.presubmit(name, number, sha, job=name, context=name))
    async with town.engine("crier"):
        complete(town, "unit", "failure")
        complete(town, "lint", "failure")
        await settle()
        (old,) = [comment for comment in town.github.comments(ORG, REPO, number) if comment.user.login == BOT]
        town.github_faults.fail("PATCH", "/issues/comments/", Fault("delay", delay_s=5))
        await passes(5)
        town.kube.put(town.presubmit("unit-2", number, sha))
        complete(town, "unit-2", "success")
        await settle()
        now_s = town.clock.now()
        town.github.comment(ORG, REPO, number, BOT, old.body or "", now_s=now_s)
        town.github.delete_comment(ORG, REPO, old.id, by=BOT, now_s=now_s)
        await passes(60)
        (text,) = reports(town, number)
        assert ("unit | " in text, "lint | " in text) == (False, True)
        assert town.kube.event_texts() == []
