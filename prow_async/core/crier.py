"""The GitHub reporter: what it says of a job, and when it has said it.

A job is reported whenever its state differs from the one recorded in prev_report_states; the record is written last,
so that a crash in between repeats the report, which changes nothing on GitHub.

Source: upstream pkg/crier/controller.go, pkg/crier/reporters/github/reporter.go.
"""

from collections.abc import Iterable

import msgspec

from prow_async.api import names
from prow_async.api.actions import Action, Decision, PatchProwJob, PostStatus
from prow_async.api.config import GitHubReporter
from prow_async.api.github import Comment, Status
from prow_async.api.views import JobView
from prow_async.core import report, report_comment

REPORTER = names.GITHUB_REPORTER
_HOPELESS = ("maximum number of statuses", '"message":"Not Found"', "No commit found for SHA")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything decide looks at."""

    job: JobView
    settings: GitHubReporter
    agent: str = ""
    """Report only jobs of this agent; empty means all."""
    siblings: tuple[JobView, ...] = ()
    """All ProwJobs labelled with the same org, repo and pull, this one included; read only for summary comments."""
    comments: tuple[Comment, ...] | None = None
    """The pull request's, oldest first; None when wants_comments says no."""
    outdated: bool = False
    """A newer run of the context exists on the pull request, be it on another commit: that one has the last word in
    the comment, whichever is reported first."""
    bot_login: str = ""
    extra: str = ""
    """What the report template made of the job; empty without one."""


def silence(facts: Facts) -> str | None:
    """Say why there is nothing to report, in words; None when there is."""
    job = facts.job
    why = _not_ours(job, facts.agent)
    if why is None and report.status_state(job.state) is None:
        why = f"state {job.state or '(none)'} says nothing to GitHub"
    if why is None and job.reported.get(REPORTER) == job.state:
        why = f"state {job.state} is reported already"
    return why


def _not_ours(job: JobView, agent: str) -> str | None:
    if not job.report:
        return "the job does not report"
    if job.gerrit:
        return "it is reported to Gerrit"
    if job.type not in {"presubmit", "postsubmit"}:
        return f"a {job.type} has no place on GitHub to report to"
    if agent and job.agent != agent:
        return f"agent {job.agent} is reported by another crier"
    return None


def wants_siblings(facts: Facts) -> bool:
    """True when the repository wants one comment about all jobs of a pull request."""
    return facts.job.type == "presubmit" and _listed(facts.settings.summary_comment_repos, facts.job)


def wants_comments(facts: Facts) -> bool:
    """True when the pull request's comments have to be read. Ask with the siblings filled in."""
    if facts.outdated and not wants_siblings(facts):
        return False
    return silence(facts) is None and bool(_commented(facts))


def decide(facts: Facts) -> Decision:
    """Return the status to post, comments to delete and write, and the record that it was done, in this order.

    One report at a time for each pull request, or two of them write the table over each other.
    """
    why = silence(facts)
    if why is not None:
        return Decision((), why)
    job = facts.job
    posts: tuple[PostStatus, ...] = ()
    status = report.status_for(job) if _typed(job, facts.settings) else None
    if status is not None:
        why = f"{job.job} is {job.state}"
        posts = (PostStatus(org=job.org, repo=job.repo, sha=report.status_sha(job), status=status, why=why),)
    comments = _comments(facts)
    words = f"{job.state}: {'posts its status' if posts else 'no status of this type of job is wanted'}"
    words += f"; {len(comments)} changes to comments" if comments else "; no comment to change"
    return Decision((*posts, *comments, record(job)), words)


def still_needed(decision: Decision, found: Iterable[Status], recorded: bool) -> Decision:
    """Return what is left of a report that was made before: what does not stand as it was told.

    Args:
        found: the commit's statuses. (With comments `decide` has compared already.)
        recorded: the job's state is recorded as reported.
    """
    standing = {_words(status) for status in found}
    left: tuple[Action, ...] = tuple(
        action
        for action in decision.actions
        if not (isinstance(action, PostStatus) and _words(action.status) in standing)
        and not (isinstance(action, PatchProwJob) and recorded)
    )
    return Decision(left, f"told once more: {decision.why}")


def _words(status: Status) -> tuple[str, str, str, str]:
    return status.context, status.state, status.description or "", status.target_url or ""


def after_refusal(facts: Facts, why: str) -> Decision | None:
    """Say what to do when GitHub refused the report.

    Where repeating can never help (the commit is gone, or it holds as many statuses as GitHub allows) the job counts
    as reported and comments are left alone. None: it stays unreported and is tried again.
    """
    if not any(sign in why for sign in _HOPELESS):
        return None
    return Decision((record(facts.job),), f"GitHub will never take this report: {why}")


def record(job: JobView) -> PatchProwJob:
    """Record the state as reported, on condition that the job is as we know it: a record that arrives late, after
    another crier has told a newer state, must not bring the older one back.
    """
    return PatchProwJob(
        namespace=job.namespace,
        name=job.name,
        resource_version=job.resource_version,
        patch={"status": {"prev_report_states": {REPORTER: job.state}}},
        why=f"state {job.state} was reported to GitHub",
    )


def _typed(job: JobView, settings: GitHubReporter) -> bool:
    return job.report and job.type in settings.job_types_to_report


def _listed(repos: Iterable[str], job: JobView) -> bool:
    return any(entry in {job.org, job.full_name} for entry in repos)


def _commented(facts: Facts) -> tuple[JobView, ...]:
    """Return the jobs that a comment would be about; none means no comment is touched."""
    job, settings = facts.job, facts.settings
    if len(job.pulls) != 1 or _listed(settings.no_comment_repos, job):
        return ()
    jobs: tuple[JobView, ...] = (job,)
    if wants_siblings(facts):
        if not all(sibling.complete for sibling in facts.siblings):
            return ()
        jobs = _newest(facts.siblings)
    return tuple(one for one in jobs if _ended(one) and _typed(one, settings) and len(one.pulls) == 1)


def _ended(job: JobView) -> bool:
    """An aborted job's state is reported once, maybe before it is complete: its row has to go now or never."""
    return job.complete or job.state == "aborted"


def _newest(jobs: Iterable[JobView]) -> tuple[JobView, ...]:
    """Keep the newest reporting run of each job, by creation."""
    newest: dict[str, JobView] = {}
    for job in sorted(jobs, key=lambda j: (j.created_s, j.name)):
        if job.report:
            newest[job.job] = job
    return tuple(newest.values())


def _comments(facts: Facts) -> tuple[report_comment.CommentAction, ...]:
    jobs = _commented(facts)
    if facts.comments is None or not jobs:
        return ()
    must = wants_siblings(facts) and not any(one.state == "aborted" for one in jobs)
    return report_comment.plan_comment(jobs, facts.comments, facts.bot_login, facts.extra, must)
