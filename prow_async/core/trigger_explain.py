"""Trigger's decisions, kept and taken again: why every job did or did not run.

The same functions answer that decided: `outcome` of trigger, trigger_comment and trigger_push.
"""

import msgspec

from prow_async.api.explained import Answer, JobAnswer
from prow_async.api.github import Commit, PullRequest
from prow_async.api.jobconfig import Postsubmit, Presubmit
from prow_async.core import filters, trigger, trigger_comment, trigger_push

Facts = trigger.PullFacts | trigger_comment.CommentFacts | trigger_push.PushFacts


class Kept(msgspec.Struct, frozen=True):
    """Facts, ready to be stored."""

    kind: str
    org: str
    repo: str
    number: int
    occasion: str
    facts: bytes


def keep(facts: Facts) -> Kept:
    """Leave out of the facts what no choice of jobs looks at, above all what the jobs would run."""
    origin = facts.origin
    match facts:
        case trigger.PullFacts():
            event = msgspec.structs.replace(facts.event, pull_request=_slim(facts.event.pull_request))
            jobs = tuple(_presubmit(job) for job in facts.presubmits)
            slim: Facts = msgspec.structs.replace(facts, event=event, presubmits=jobs)
            kind, number = "pull_request", facts.event.number or facts.event.pull_request.number
        case trigger_comment.CommentFacts():
            pr = None if facts.pr is None else _slim(facts.pr)
            jobs = tuple(_presubmit(job) for job in facts.presubmits)
            slim = msgspec.structs.replace(facts, pr=pr, presubmits=jobs, comments=())
            kind, number = "comment", facts.comment.number
        case trigger_push.PushFacts():
            commits = tuple(_files_of(commit) for commit in facts.event.commits)
            posts = tuple(_postsubmit(job) for job in facts.postsubmits)
            pushed = msgspec.structs.replace(facts.event, commits=commits)
            slim = msgspec.structs.replace(facts, event=pushed, postsubmits=posts)
            kind, number = "push", 0
    return Kept(kind, origin.org, origin.repo.name, number, origin.occasion, msgspec.json.encode(slim))


def answer(kind: str, facts: bytes) -> Answer:
    """Decide again, job by job. Raises msgspec.DecodeError for facts that another version kept in another shape."""
    match kind:
        case "pull_request":
            pull = msgspec.json.decode(facts, type=trigger.PullFacts)
            return _presubmits(trigger.outcome(pull), pull.event.pull_request)
        case "comment":
            said = msgspec.json.decode(facts, type=trigger_comment.CommentFacts)
            return _presubmits(trigger_comment.outcome(said), said.pr)
        case "push":
            push = msgspec.json.decode(facts, type=trigger_push.PushFacts)
            found = trigger_push.outcome(push)
            jobs = tuple(JobAnswer(choice.job.name, choice.runs, choice.why) for choice in found.choices)
            return Answer(target=f"{push.event.after[:10]} on {push.event.ref}", why_not=found.why_not, jobs=jobs)
        case _:
            raise msgspec.DecodeError(f"no kind of facts is called {kind!r}")


def _presubmits(found: filters.Outcome[Presubmit], pr: PullRequest | None) -> Answer:
    target = "" if pr is None else f"{pr.head.sha[:10]} for {pr.base.ref}"
    jobs = tuple(JobAnswer(c.job.name, c.runs, c.why, c.job.rerun_command) for c in found.choices)
    return Answer(target=target, why_not=found.why_not, jobs=jobs)


def _slim(pr: PullRequest) -> PullRequest:
    return msgspec.structs.replace(pr, body=None)


def _files_of(commit: Commit) -> Commit:
    return msgspec.structs.replace(commit, message="")


def _presubmit(job: Presubmit) -> Presubmit:
    return Presubmit(
        name=job.name,
        always_run=job.always_run,
        optional=job.optional,
        trigger=job.trigger,
        rerun_command=job.rerun_command,
        skip_branches=job.skip_branches,
        branches=job.branches,
        run_if_changed=job.run_if_changed,
        skip_if_only_changed=job.skip_if_only_changed,
        context=job.context,
        skip_report=job.skip_report,
    )


def _postsubmit(job: Postsubmit) -> Postsubmit:
    return Postsubmit(
        name=job.name,
        always_run=job.always_run,
        skip_branches=job.skip_branches,
        branches=job.branches,
        run_if_changed=job.run_if_changed,
        skip_if_only_changed=job.skip_if_only_changed,
    )
