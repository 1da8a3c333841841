"""Trigger on pushes: the postsubmits of a branch or tag.

Source: upstream pkg/plugins/trigger/push.go.
"""

import msgspec

from prow_async.api.actions import Decision
from prow_async.api.github import PushEvent
from prow_async.api.inrepo import NOT_ASKED, Answers
from prow_async.api.jobconfig import Postsubmit
from prow_async.core import filters, newjob, trigger_jobs

_NO_COMMIT = "0" * 40


class PushFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything decide looks at. The payload itself names the changed files."""

    origin: trigger_jobs.Origin
    event: PushEvent
    postsubmits: tuple[Postsubmit, ...]
    answers: Answers = NOT_ASKED
    """What patterns of the repository's own jobs say, where that was asked beforehand."""
    note: str = ""
    """Why the repository's own jobs are not among them; "" where they are, or it keeps none."""


def concerns(event: PushEvent) -> bool:
    """True unless the push deletes a branch or tag."""
    return not event.deleted and event.after != _NO_COMMIT


def changed_files(event: PushEvent) -> tuple[str, ...]:
    """Return every file that the pushed commits touch, in order of first mention."""
    lists = (names for commit in event.commits for names in (commit.added, commit.removed, commit.modified))
    return tuple(dict.fromkeys(name for names in lists for name in names))


def outcome(facts: PushFacts) -> filters.Outcome[Postsubmit]:
    """Say of each postsubmit whether the push starts it, and why or why not."""
    files = changed_files(facts.event)
    branch = facts.event.branch
    return filters.Outcome("", filters.choose_postsubmits(facts.postsubmits, branch, files, facts.answers))


def decide(facts: PushFacts) -> Decision:
    """Return the postsubmits to create."""
    event = facts.event
    choices = outcome(facts).choices
    creates = trigger_jobs.create_postsubmits(facts.origin, newjob.push_refs(event), choices)
    words = (f"push of {event.after} to {event.ref}", facts.note, filters.explain(choices))
    return Decision(creates, "\n".join(filter(None, words)))
