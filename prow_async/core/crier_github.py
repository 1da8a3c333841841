"""The GitHub reporter: what it says of a job, and when it has said it.

A report has two parts. The status goes to the commit; the comment lists what fails on the pull request. A report that
is made again after a crash changes nothing on GitHub.

Source: upstream pkg/crier/reporters/github/reporter.go.
"""

from collections.abc import Iterable

import msgspec

from prow_async.api import names
from prow_async.api.actions import Decision, PostStatus
from prow_async.api.config import GitHubReporter
from prow_async.api.github import Comment, Status
from prow_async.api.views import JobView
from prow_async.core import report, report_comment

REPORTER = names.GITHUB_REPORTER
_HOPELESS = ("maximum number of statuses", '"message":"Not Found"', "No commit found for SHA")
_NEWER = "a newer run of this context speaks for it"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the two decisions look at."""

    job: JobView
    settings: GitHubReporter
    superseded: bool = False
    """A newer run of the context exists on the same commit: that one speaks."""
    siblings: tuple[JobView, ...] = ()
    """All ProwJobs of the pull request, this one included; read only for summary comments."""
    comments: tuple[Comment, ...] | None = None
    """The pull request's, oldest first; None when wants_comments says no."""
    outdated: bool = False
    """A newer run of the context exists on the pull request, be it on another commit: that one has the last word in
    the comment, whichever is reported first."""
    bot_login: str = ""
    extra: str = ""
    """What the report template made of the job; empty without one."""


def silence(job: JobView, agent: str = "") -> str | None:
    """Say why GitHub is told nothing about a job in its state, in words; None when it is.

    Args:
        agent: report only jobs of this agent; empty means all.
    """
    if not job.report:
        return "the job does not report"
    if job.gerrit:
        return "it is reported to Gerrit"
    if job.type not in {"presubmit", "postsubmit"}:
        return f"a {job.type} has no place on GitHub to report to"
    if agent and job.agent != agent:
        return f"agent {job.agent} is reported by another crier"
    if report.status_state(job.state) is None:
        return f"state {job.state or '(none)'} says nothing to GitHub"
    return None


def has_comment(job: JobView) -> bool:
    """True when the report of a job may touch comments: only a presubmit of one pull request has them."""
    return job.type == "presubmit" and len(job.pulls) == 1


def wants_siblings(facts: Facts) -> bool:
    """True when the repository wants one comment about all jobs of a pull request."""
    return facts.job.type == "presubmit" and _listed(facts.settings.summary_comment_repos, facts.job)


def wants_comments(facts: Facts) -> bool:
    """True when the pull request's comments have to be read. Ask with the siblings filled in."""
    if not has_comment(facts.job):
        return False
    if (facts.superseded or facts.outdated) and not wants_siblings(facts):
        return False  # of a summary this run may be the last that was waited for, whoever speaks for its context
    return bool(_commented(facts))


def decide_status(facts: Facts) -> Decision:
    """Return the status to post, if any. One at a time for each commit and context, or an old one may come last."""
    job = facts.job
    if facts.superseded:
        return Decision((), _NEWER)
    status = report.status_for(job) if _typed(job, facts.settings) else None
    if status is None:
        return Decision((), f"{job.state}: no status of this type of job is wanted")
    why = f"{job.job} is {job.state}"
    post = PostStatus(org=job.org, repo=job.repo, sha=report.status_sha(job), status=status, why=why)
    return Decision((post,), f"{job.state}: posts its status")


def decide_comment(facts: Facts) -> Decision:
    """Return the comments to write and to delete, in this order.

    One at a time for each pull request, or two of them write the table over each other.
    """
    comments = _comments(facts) if wants_comments(facts) else ()
    return Decision(comments, f"{len(comments)} changes to comments" if comments else "no comment to change")


def still_needed(decision: Decision, found: Iterable[Status]) -> Decision:
    """Return what is left of a status that was posted before: nothing, if it stands as it was told.

    Args:
        found: the commit's statuses. (Comments are compared by `decide_comment` in any case.)
    """
    standing = {_words(status) for status in found}
    left = [a for a in decision.actions if not (isinstance(a, PostStatus) and _words(a.status) in standing)]
    return Decision(tuple(left), f"told once more: {decision.why}")


def _words(status: Status) -> tuple[str, str, str, str]:
    return status.context, status.state, status.description or "", status.target_url or ""


def is_hopeless(why: str) -> bool:
    """True where repeating can never help: the commit is gone, or it holds as many statuses as GitHub allows."""
    return any(sign in why for sign in _HOPELESS)


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
        labelled = [sibling for sibling in facts.siblings if _labelled(sibling, job.pulls[0].number)]
        if not all(sibling.complete for sibling in labelled):
            return ()
        jobs = _newest(labelled)
    return tuple(one for one in jobs if _ended(one) and _typed(one, settings) and len(one.pulls) == 1)


def _labelled(job: JobView, pull: int) -> bool:
    """True when a job carries the pull request's label, which names the first pull of several."""
    return bool(job.pulls) and job.pulls[0].number == pull


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
