"""Trigger on comments: `/test`, `/retest`, `/ok-to-test` and their kin.

Code blocks are left out when looking for something to do and for help to give, but the jobs are chosen by the comment
as written, as upstream does.

Source: upstream pkg/plugins/trigger/generic-comment.go.
"""

from typing import Literal

import msgspec

from prow_async.api import names
from prow_async.api.actions import Action, ApproveRun, Decision, DeleteComment, RerunFailedJobs
from prow_async.api.github import Comment, GenericComment, PullRequest, Status, WorkflowRun
from prow_async.api.inrepo import NOT_ASKED, Answers
from prow_async.api.jobconfig import Presubmit
from prow_async.core import commands, filters, newjob, replies, trigger_jobs, trigger_texts, trust

Course = Literal["refuse", "cancel", "run"]
"""Not trusted; `/ok-to-test cancel`; look for jobs to run."""
_OF_PULLS = frozenset({"pull_request", "pull_request_target"})
"""Events that start a workflow for a pull request. The same commit may be pushed, or deployed, as well."""


class CommentFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything decide looks at. What the course does not need keeps its default."""

    origin: trigger_jobs.Origin
    comment: GenericComment
    presubmits: tuple[Presubmit, ...]
    bot_login: str
    commenter: trust.Verdict
    pull: trust.Verdict
    """Of the pull request. Equals `commenter` where that one is trusted: then nobody asked."""
    labels: tuple[str, ...]
    note: str = ""
    """Why the repository's own jobs are not among the presubmits; "" where they are, or it keeps none."""
    pr: PullRequest | None = None
    answers: Answers = NOT_ASKED
    """What patterns of the repository's own jobs say, where that was asked beforehand."""
    base_sha: str = ""
    statuses: tuple[Status, ...] = ()
    files: tuple[str, ...] = ()
    comments: tuple[Comment, ...] = ()
    waiting_runs: tuple[WorkflowRun, ...] = ()
    """GitHub Actions runs of the head that wait for approval; read where wants_approval says so."""
    failed_runs: tuple[WorkflowRun, ...] = ()
    """Those that failed; read where wants_rerun says so."""


def is_due(comment: GenericComment) -> bool:
    """True for a new comment on an open pull request: only there a command can stand."""
    return comment.action == "created" and comment.is_pr and comment.issue_state == "open"


def concerns(comment: GenericComment, presubmits: tuple[Presubmit, ...], answers: Answers = NOT_ASKED) -> bool:
    """True for a new comment on an open pull request that holds a command, or a job's own trigger."""
    return is_due(comment) and commands.concerns(visible(comment), presubmits, answers)


def visible(comment: GenericComment) -> str:
    """Return a comment as people see it: without its code blocks."""
    return commands.without_code(comment.body)


def course(facts: CommentFacts) -> Course:
    """Return which way the comment goes, from trust alone."""
    if not facts.commenter.trusted and not facts.pull.trusted:
        return "refuse"
    honoured = not facts.origin.settings.ignore_ok_to_test
    return "cancel" if honoured and commands.says(commands.OK_TO_TEST_CANCEL, visible(facts.comment)) else "run"


def request(facts: CommentFacts) -> filters.Request:
    """Read what the comment asks for."""
    failed = frozenset(status.context for status in facts.statuses if status.state in {"failure", "error"})
    seen = frozenset(status.context for status in facts.statuses)
    asked = commands.request_of(facts.comment.body, not facts.origin.settings.ignore_ok_to_test, failed, seen)
    return msgspec.structs.replace(asked, answers=facts.answers)


def wants_files(facts: CommentFacts) -> bool:
    """True when changed files decide which jobs run, or what a help reply has to list."""
    branch = _branch(facts)
    asked = request(facts)
    if filters.wants_files(asked, facts.presubmits, branch):
        return True
    chosen = sum(choice.runs for choice in filters.choose(asked, facts.presubmits, branch, ()))
    if commands.help_note(visible(facts.comment), chosen) is None:
        return False
    return filters.wants_files(filters.Request(test_all=True), facts.presubmits, branch)


def wants_comments(facts: CommentFacts) -> bool:
    """True when earlier help replies are to be taken away, unless this comment earns one itself."""
    return commands.says(commands.ANY_TEST, visible(facts.comment))


def outcome(facts: CommentFacts) -> filters.Outcome[Presubmit]:
    """Say of each presubmit whether the comment starts it, and why or why not."""
    match course(facts):
        case "refuse":
            return filters.nothing(facts.presubmits, f"{facts.commenter.why}; {facts.pull.why}")
        case "cancel" if facts.commenter.trusted:
            return filters.nothing(facts.presubmits, f"{facts.comment.user.login} revoked it; running jobs go on")
        case "cancel":
            return filters.nothing(facts.presubmits, f"revokes nothing: {facts.commenter.why}")
        case "run":
            return _judged(facts)


def _judged(facts: CommentFacts) -> filters.Outcome[Presubmit]:
    choices = filters.choose(request(facts), facts.presubmits, _branch(facts), facts.files)
    note = _help_note(facts, choices)
    if note is not None:
        return filters.nothing(facts.presubmits, note or "help asked for")
    if facts.pr is None or facts.pr.mergeable is False:
        return filters.nothing(facts.presubmits, "the pull request cannot be merged (GitHub says mergeable: false)")
    return filters.Outcome("", choices)


def _help_note(facts: CommentFacts, choices: tuple[filters.Choice[Presubmit], ...]) -> str | None:
    return commands.help_note(visible(facts.comment), sum(choice.runs for choice in choices))


def wants_approval(facts: CommentFacts) -> bool:
    """True when `/ok-to-test` lets runs of GitHub Actions begin as well."""
    return facts.origin.settings.trigger_github_workflows and _vouches(facts)


def wants_rerun(facts: CommentFacts) -> bool:
    """True when `/retest` and `/test all` start failed jobs of GitHub Actions again as well.

    Not where the comment earns a help reply: ask once the changed files are known.
    """
    text = visible(facts.comment)
    asked = commands.says(commands.RETEST, text) or commands.says(commands.TEST_ALL, text)
    if not facts.origin.settings.trigger_github_workflows or not asked:
        return False
    return _help_note(facts, filters.choose(request(facts), facts.presubmits, _branch(facts), facts.files)) is None


def _vouches(facts: CommentFacts) -> bool:
    honoured = not facts.origin.settings.ignore_ok_to_test
    return honoured and commands.says(commands.OK_TO_TEST, visible(facts.comment))


def _workflows(facts: CommentFacts) -> tuple[Action, ...]:
    """Approve and start again what runs of GitHub Actions were read for."""
    org, repo, who = facts.origin.org, facts.origin.repo.name, facts.comment.user.login
    approved = (
        ApproveRun(org=org, repo=repo, run_id=run.id, why=f"{run.name}: {who} vouches for it")
        for run in facts.waiting_runs
        if _is_of(facts.pr, run, _OF_PULLS)
    )
    again = (
        RerunFailedJobs(org=org, repo=repo, run_id=run.id, why=f"{run.name}: {who} asks for it again")
        for run in facts.failed_runs
        if _is_of(facts.pr, run, _OF_PULLS | {"workflow_call"})
    )
    return (*approved, *again)


def _is_of(pr: PullRequest | None, run: WorkflowRun, events: frozenset[str]) -> bool:
    return pr is not None and run.head_branch == pr.head.ref and run.event in events


def decide(facts: CommentFacts) -> Decision:
    """Return labels, then a reply, or the clean-up and the ProwJobs to create."""
    where = f"comment by {facts.comment.user.login} on {facts.origin.full_repo}#{facts.comment.number}"
    if facts.note:
        where = f"{where}\n{facts.note}"
    found = outcome(facts)
    match course(facts):
        case "refuse":
            reply = _reply(facts, trigger_texts.untrusted(facts.origin), facts.pull.why)
            return Decision((reply,), f"{where}\nstarts nothing: {found.why_not}")
        case "cancel":
            return Decision(_cancel(facts), f"{where}\n{found.why_not}")
        case "run":
            return _run(facts, where, found)


def _cancel(facts: CommentFacts) -> tuple[Action, ...]:
    if not facts.commenter.trusted:
        return (_reply(facts, trigger_texts.untrusted_cancel(), facts.commenter.why),)
    origin, number, why = facts.origin, facts.comment.number, f"{facts.comment.user.login} revoked it"
    actions: list[Action] = []
    if trust.has_label(facts.labels, trust.OK_TO_TEST):
        actions.append(trigger_jobs.remove_label(origin, number, trust.OK_TO_TEST, why))
    if not trust.has_label(facts.labels, trust.NEEDS_OK_TO_TEST):
        actions.append(trigger_jobs.add_label(origin, number, trust.NEEDS_OK_TO_TEST, why))
    return tuple(actions)


def _run(facts: CommentFacts, where: str, found: filters.Outcome[Presubmit]) -> Decision:
    branch, labels = _branch(facts), (*_labels(facts), *_workflows(facts))
    note = _help_note(facts, filters.choose(request(facts), facts.presubmits, branch, facts.files))
    if note is not None:
        offered = commands.offer(facts.presubmits, branch, facts.files, facts.answers)
        text = commands.help_text(note, offered, facts.origin.full_repo, branch)
        if facts.note:
            text += f"\n\n{trigger_texts.own_jobs(facts.note)}"
        if facts.origin.explain_in_help and not note:
            why = commands.why_text(facts.presubmits, branch, facts.files, facts.answers)
            text += "\n\n" + replies.folded(f"What starts by itself, and why:\n\n{why}")
        return Decision((*labels, _reply(facts, text, "help")), f"{where}\nstarts nothing: {found.why_not}")
    old_help = tuple(
        DeleteComment(
            org=facts.origin.org,
            repo=facts.origin.repo.name,
            comment_id=old.id,
            why="an earlier help reply is out of date",
        )
        for old in facts.comments
        if commands.HELP_MARKER in (old.body or "") and replies.wrote(old.user.login, facts.bot_login)
    )
    if found.why_not or facts.pr is None:
        return Decision((*labels, *old_help), f"{where}\nstarts nothing: {found.why_not}")
    refs = newjob.pull_refs(facts.origin.repo, facts.pr, facts.base_sha)
    extra = {names.RETEST_LABEL: "true"} if commands.wants_statuses(visible(facts.comment)) else {}
    creates = trigger_jobs.create_presubmits(facts.origin, refs, found.choices, extra)
    return Decision((*labels, *old_help, *creates), f"{where}\n{filters.explain(found.choices)}")


def _labels(facts: CommentFacts) -> tuple[Action, ...]:
    """Let `/ok-to-test` leave its label, and take away the one that asks for it."""
    present, given = facts.labels, _vouches(facts)
    had = trust.has_label(present, trust.OK_TO_TEST)
    origin, number = facts.origin, facts.comment.number
    actions: list[Action] = []
    if given and not had:
        why = f"{facts.comment.user.login} vouches for it"
        actions.append(trigger_jobs.add_label(origin, number, trust.OK_TO_TEST, why))
    if (given or had) and trust.has_label(present, trust.NEEDS_OK_TO_TEST):
        actions.append(trigger_jobs.remove_label(origin, number, trust.NEEDS_OK_TO_TEST, "somebody vouched for it"))
    return tuple(actions)


def _branch(facts: CommentFacts) -> str:
    return facts.pr.base.ref if facts.pr else ""


def _reply(facts: CommentFacts, text: str, why: str) -> Action:
    comment = facts.comment
    body = replies.reply(comment.user.login, text, comment.body, comment.html_url)
    return trigger_jobs.comment(facts.origin, comment.number, body, why)
