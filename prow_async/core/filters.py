"""Which jobs run: branches, changed files, and what a person or an event asked for.

Changed files cost a request, so every question comes twice: whether the answer depends on them, and the answer itself.

Source: upstream pkg/config/jobs.go (ShouldRun), pkg/pjutil/filter.go. Patterns are RE2 and not anchored.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from prow_async.api.inrepo import NOT_ASKED, Answers
from prow_async.api.jobconfig import Postsubmit, Presubmit
from prow_async.core import patterns

J = TypeVar("J", Presubmit, Postsubmit)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for. An event that runs jobs by itself asks for `test_all`."""

    body: str = ""
    """Text that each job's trigger is tried on; empty names no job."""
    test_all: bool = False
    retest: bool = False
    retest_required: bool = False
    test_manual_required: bool = False
    failed: frozenset[str] = frozenset()
    """Contexts whose newest status is failure or error. Only retests read it."""
    seen: frozenset[str] = frozenset()
    """All contexts that have a status."""
    answers: Answers = NOT_ASKED
    """What patterns say of the body and the changed files, as far as it is known."""


class Verdict(msgspec.Struct, frozen=True):
    """What the first matching filter says of a job."""

    matches: bool
    why: str
    forced: bool = False
    """The job runs whatever files changed."""
    default: bool = False
    """The job runs even if its changed files do not ask for it."""


class Choice(msgspec.Struct, Generic[J], frozen=True):
    """One job, whether it runs, and why or why not, in words that follow its name."""

    job: J
    runs: bool
    why: str


class Outcome(msgspec.Struct, Generic[J], frozen=True):
    """What comes of an occasion for every job looked at, in the order of the configuration."""

    why_not: str
    """Why nothing runs at all; "" when each job is judged for itself."""
    choices: tuple[Choice[J], ...]


def nothing(jobs: Iterable[J], why: str) -> Outcome[J]:
    """Return the outcome of an occasion that runs none of the jobs, whatever they are."""
    return Outcome(why, tuple(Choice(job, False, why) for job in jobs))


def branch_allows(job: Presubmit | Postsubmit, branch: str) -> bool:
    """True when the job may run on the branch: not skipped, and named if it names any. Lists match unanchored."""
    if job.skip_branches and _matches("|".join(job.skip_branches), branch):
        return False
    return not job.branches or _matches("|".join(job.branches), branch)


def has_change_matcher(job: Presubmit | Postsubmit) -> bool:
    """True when changed files decide whether the job runs."""
    return bool(job.run_if_changed or job.skip_if_only_changed)


def changes_ask(job: Presubmit | Postsubmit, files: Iterable[str], answers: Answers = NOT_ASKED) -> bool:
    """True when the changed files ask for the job. No files at all never do."""
    runs, skips = job.run_if_changed, job.skip_if_only_changed
    known = answers.runs.get(runs) if runs else answers.skips.get(skips)
    if known is not None:
        return known
    if runs:
        return any(_matches(runs, name) for name in files)
    return any(not _matches(skips, name) for name in files)


def named(job: Presubmit, text: str, known: Mapping[str, bool]) -> bool:
    """True when a text holds the job's trigger. `known`: what triggers are known to say of it."""
    if not text or not job.trigger:
        return False
    found = known.get(job.trigger)
    return _matches(job.trigger, text) if found is None else found


def needs_explicit_trigger(job: Presubmit) -> bool:
    """True when only a command that names the job runs it."""
    return not job.always_run and not has_change_matcher(job)


def context_required(job: Presubmit) -> bool:
    """True when the job's status must be green before a merge."""
    return not job.optional and not job.skip_report


def judge(request: Request, job: Presubmit) -> Verdict:
    """Ask the filters in upstream's order; the first that matches decides."""
    if named(job, request.body, request.answers.body):
        return Verdict(True, "asked for by name", forced=True, default=True)
    if request.retest or (request.retest_required and not job.optional):
        if job.context in request.failed:
            return Verdict(True, f"its last run ({job.context}) failed", default=True)
        if not needs_explicit_trigger(job) and job.context not in request.seen:
            return Verdict(True, "it has no result yet")
    if request.test_manual_required and not job.optional and needs_explicit_trigger(job):
        return Verdict(True, "all required jobs that need a command were asked for", forced=True)
    if request.test_all and not needs_explicit_trigger(job):
        return Verdict(True, "it runs by itself")
    return Verdict(False, _unasked(request, job))


def wants_files(request: Request, jobs: Iterable[Presubmit], branch: str) -> bool:
    """True when the choice depends on the changed files."""
    for job in jobs:
        if job.always_run or not has_change_matcher(job):
            continue
        verdict = judge(request, job)
        if verdict.matches and not verdict.forced and not verdict.default and branch_allows(job, branch):
            return True
    return False


def choose(
    request: Request, jobs: Iterable[Presubmit], branch: str, files: Sequence[str]
) -> tuple[Choice[Presubmit], ...]:
    """Decide on each presubmit, in the order given. `files` may be empty where wants_files says no."""
    return tuple(_choice(request, job, branch, files) for job in jobs)


def _choice(request: Request, job: Presubmit, branch: str, files: Sequence[str]) -> Choice[Presubmit]:
    verdict = judge(request, job)
    if not verdict.matches:
        return Choice(job, False, verdict.why)
    if not branch_allows(job, branch):
        return Choice(job, False, _off_branch(branch))
    if job.always_run or verdict.forced:
        return Choice(job, True, verdict.why)
    if has_change_matcher(job) and changes_ask(job, files, request.answers):
        return Choice(job, True, f"{verdict.why}, and {_matcher(job)} asks for it")
    if verdict.default:
        return Choice(job, True, verdict.why)
    return Choice(job, False, f"{_matcher(job)} does not ask for it")


def choose_postsubmits(
    jobs: Iterable[Postsubmit], branch: str, files: Sequence[str], answers: Answers = NOT_ASKED
) -> tuple[Choice[Postsubmit], ...]:
    """Decide on each postsubmit after a push to the branch. `answers`: what is known of the files."""
    return tuple(_postsubmit(job, branch, files, answers) for job in jobs)


def _postsubmit(job: Postsubmit, branch: str, files: Sequence[str], answers: Answers) -> Choice[Postsubmit]:
    if not branch_allows(job, branch):
        return Choice(job, False, _off_branch(branch))
    if has_change_matcher(job):
        asks = changes_ask(job, files, answers)
        return Choice(job, asks, f"{_matcher(job)} {'asks' if asks else 'does not ask'} for it")
    if job.always_run is False:
        return Choice(job, False, "always_run is false, and no push can ask for it")
    return Choice(job, True, "it runs on every push")


def explain(choices: Iterable[Choice[J]]) -> str:
    """Say in one line per reason which jobs run and which do not."""
    groups: dict[tuple[bool, str], list[str]] = {}
    for choice in choices:
        groups.setdefault((choice.runs, choice.why), []).append(choice.job.name)
    ordered = sorted(groups.items(), key=lambda item: not item[0][0])
    return "\n".join(f"{'runs' if key[0] else 'does not run'}: {', '.join(found)} ({key[1]})" for key, found in ordered)


def _matches(pattern: str, text: str) -> bool:
    return bool(patterns.compile(pattern).search(text))


def _matcher(job: Presubmit | Postsubmit) -> str:
    """Name the change matcher, as the job's configuration spells it."""
    if job.run_if_changed:
        return f"run_if_changed {job.run_if_changed!r}"
    return f"skip_if_only_changed {job.skip_if_only_changed!r}"


def _off_branch(branch: str) -> str:
    return f"its branches leave out {branch!r}"


def _unasked(request: Request, job: Presubmit) -> str:
    if needs_explicit_trigger(job):
        return "it runs only when a command names it"
    if request.retest or request.retest_required:
        return "its last run did not fail, or it is optional and only required jobs were asked for"
    return "no command names it"
