"""Trigger on pull request events: which jobs start, which are aborted, and what untrusted people are told.

Comments are in trigger_comment, pushes in trigger_push; what all three share is in trigger_jobs.

Source: upstream pkg/plugins/trigger/pull-request.go.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from prow_async.api.actions import AbortProwJob, AddLabel, CreateComment, Decision, RemoveLabel
from prow_async.api.github import PullRequestEvent
from prow_async.api.inrepo import NOT_ASKED, Answers
from prow_async.api.jobconfig import Presubmit
from prow_async.core import filters, instants, newjob, trigger_jobs, trigger_texts, trust

ABORTED = "Aborted by trigger plugin."
LGTM = "lgtm"

Build = Literal["no", "author", "pull", "distrusted", "human"]
"""When to run what runs by itself: never; if the author is trusted (else welcome them); if the pull request is
trusted; if it is not (a review stands in for trust); if it was not the bot who sent the event."""


class Plan(msgspec.Struct, frozen=True):
    """What an event calls for, before any fact is known."""

    abort: bool
    build: Build

    @property
    def asks_trust(self) -> bool:
        return self.build in {"author", "pull", "distrusted"}


class Unfinished(msgspec.Struct, frozen=True):
    """An unfinished presubmit of the pull request, as the cluster shows it."""

    namespace: str
    name: str
    job: str
    sha: str = ""
    """The head that it tests."""
    created_s: float = 0.0


class PullFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything decide looks at. What the plan does not ask for keeps its default."""

    origin: trigger_jobs.Origin
    event: PullRequestEvent
    plan: Plan
    presubmits: tuple[Presubmit, ...]
    note: str = ""
    """Why the repository's own jobs are not among them; "" where they are, or it keeps none."""
    answers: Answers = NOT_ASKED
    """What patterns of the repository's own jobs say, where that was asked beforehand."""
    bot_login: str = ""
    author: trust.Verdict = trust.Verdict(False, "nobody asked who the author is")
    labels: tuple[str, ...] | None = None
    """None when they were not read."""
    unfinished: tuple[Unfinished, ...] = ()
    base_sha: str = ""
    files: tuple[str, ...] = ()
    merged_count: int = 0
    """The author's merged pull requests in the organization; read where wants_merged_count says so."""
    overtaken: str = ""
    """The newest head, where an event of an older one came late: its jobs run already, so nothing is to be done."""


def newer_heads(event: PullRequestEvent, running: Iterable[Unfinished]) -> frozenset[str]:
    """Return the other heads for which jobs have been started since an event was written.

    One of them may be the newest: webhooks that were lost are asked for again, and come behind newer ones.
    """
    pull = event.pull_request
    try:
        told_s = instants.seconds(pull.updated_at)
    except ValueError:
        return frozenset()
    return frozenset(job.sha for job in running if job.created_s > told_s and job.sha not in {"", pull.head.sha})


def plan_for(event: PullRequestEvent) -> Plan | None:
    """Return what the event calls for; None when trigger does not care about it."""
    match event.action:
        case "opened":
            return Plan(abort=False, build="author")
        case "reopened" | "ready_for_review":
            return Plan(abort=False, build="pull")
        case "edited":
            return Plan(abort=False, build="pull") if _base_changed(event) else None
        case "synchronize":
            return Plan(abort=True, build="pull")
        case "closed" | "converted_to_draft":
            return Plan(abort=True, build="no")
        case "labeled":
            return _plan_label(event.label.name if event.label else "")
        case _:
            return None


def _base_changed(event: PullRequestEvent) -> bool:
    base = event.changes.base if event.changes else None
    return base is not None and any(old is not None and old.from_ for old in (base.ref, base.sha))


def _plan_label(label: str) -> Plan | None:
    if label == LGTM:
        return Plan(abort=False, build="distrusted")
    if label == trust.OK_TO_TEST:
        return Plan(abort=False, build="human")
    return None


def refusal(facts: PullFacts) -> str | None:
    """Say why nothing is built, in words; None when jobs are to be chosen (and need the base and the files)."""
    event, why = facts.event, None
    match facts.plan.build:
        case "no":
            why = f"a pull request that is {event.action} starts nothing"
        case "author":
            why = None if facts.author.trusted else facts.author.why
        case "pull":
            pull = trust.judge_pull(facts.author, facts.labels or ())
            why = None if pull.trusted else pull.why
        case "distrusted":
            pull = trust.judge_pull(facts.author, facts.labels or ())
            why = f"{pull.why}: its jobs have run already" if pull.trusted else None
        case "human":
            own = trigger_jobs.by_bot(event.sender, facts.bot_login)
            why = "the bot set the label after a command, and the command starts the jobs" if own else None
    if why is None and facts.overtaken:
        return f"too late: {facts.overtaken[:10]} is the newest commit, and its jobs run"
    if why is None and event.pull_request.draft:
        return "it is a draft"
    if why is None and event.pull_request.mergeable is False:
        return "it cannot be merged (GitHub says mergeable: false)"
    return why


def wants_labels(facts: PullFacts) -> bool:
    """True when the labels decide as well: only where the author is not trusted."""
    if facts.author.trusted or not facts.plan.asks_trust:
        return False
    return facts.plan.build != "author" or not facts.origin.settings.ignore_ok_to_test


def wants_merged_count(facts: PullFacts) -> bool:
    """True when the welcome may invite the author to join the organization."""
    settings, author = facts.origin.settings, facts.event.pull_request.user
    welcomes = facts.plan.build == "author" and not facts.author.trusted and not settings.ignore_ok_to_test
    return welcomes and not settings.org_invite.prominent.disabled and author.type != "Bot"


def request(answers: Answers = NOT_ASKED) -> filters.Request:
    """What an event asks for by itself."""
    return filters.Request(test_all=True, answers=answers)


def outcome(facts: PullFacts) -> filters.Outcome[Presubmit]:
    """Say of each presubmit whether the event starts it, and why or why not."""
    why_not = refusal(facts)
    if why_not is not None:
        return filters.nothing(facts.presubmits, why_not)
    base = facts.event.pull_request.base.ref
    return filters.Outcome("", filters.choose(request(facts.answers), facts.presubmits, base, facts.files))


def decide(facts: PullFacts) -> Decision:
    """Return the aborts, labels and comments, and ProwJobs to create, in this order."""
    event, build = facts.event, facts.plan.build
    aborts = tuple(_abort(job, event) for job in facts.unfinished) if facts.plan.abort else ()
    words = [f"pull request {facts.origin.full_repo}#{event.number} {event.action}"]
    if facts.note:
        words.append(facts.note)
    if aborts:
        words.append(f"aborts: {', '.join(sorted({job.job for job in facts.unfinished}))}")
    found = outcome(facts)
    if found.why_not:
        words.append(f"starts nothing: {found.why_not}")
        replies = _welcome(facts) if build == "author" else ()
        return Decision((*aborts, *replies, *_cleared(facts)), "\n".join(words))
    refs = newjob.pull_refs(facts.origin.repo, event.pull_request, facts.base_sha)
    creates = trigger_jobs.create_presubmits(facts.origin, refs, found.choices, {})
    words.append(filters.explain(found.choices))
    return Decision((*aborts, *_cleared(facts), *creates), "\n".join(words))


def _abort(job: Unfinished, event: PullRequestEvent) -> AbortProwJob:
    return AbortProwJob(
        namespace=job.namespace,
        name=job.name,
        description=ABORTED,
        why=f"{job.job}: the pull request was {event.action}, so this run no longer counts",
    )


def _cleared(facts: PullFacts) -> tuple[RemoveLabel, ...]:
    """Take needs-ok-to-test off a trusted pull request, where the labels were looked at anyway."""
    if facts.plan.build != "pull" or facts.labels is None:
        return ()
    trusted = trust.judge_pull(facts.author, facts.labels).trusted
    if not trusted or not trust.has_label(facts.labels, trust.NEEDS_OK_TO_TEST):
        return ()
    return (trigger_jobs.remove_label(facts.origin, facts.event.number, trust.NEEDS_OK_TO_TEST, "it is trusted now"),)


def _welcome(facts: PullFacts) -> tuple[CreateComment | AddLabel, ...]:
    """Answer an opened pull request whose jobs do not start: a trusted author's draft, or an author not trusted."""
    origin, number = facts.origin, facts.event.number
    if facts.author.trusted:
        if not facts.event.pull_request.draft:
            return ()
        return (trigger_jobs.comment(origin, number, trigger_texts.draft(), "drafts are not tested"),)
    prominent = origin.settings.org_invite.prominent
    invited = wants_merged_count(facts) and facts.merged_count >= prominent.merged_pr_threshold
    text = trigger_texts.welcome(origin, facts.event.pull_request.user, invited)
    welcome = trigger_jobs.comment(origin, number, text, facts.author.why)
    if origin.settings.ignore_ok_to_test or trust.has_label(facts.labels or (), trust.OK_TO_TEST):
        return (welcome,)
    return (welcome, trigger_jobs.add_label(origin, number, trust.NEEDS_OK_TO_TEST, facts.author.why))
