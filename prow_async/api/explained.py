"""Decisions of plugins, kept so that people can ask later why something did or did not happen."""

import msgspec

from prow_async.api.actions import Action


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """One decision as one object: what was looked at, which rule held, what came of it."""

    guid: str
    decided_s: float
    plugin: str
    org: str
    repo: str
    number: int
    """The pull request; 0 for a push."""
    occasion: str
    """What happened, in words."""
    kind: str
    """Which of the plugin's kinds of facts these are."""
    facts: msgspec.Raw
    """JSON, without what no decision looks at (job specs). The plugin decides from it again when asked."""
    why: str
    """The rule, in the words of the decision."""
    outcome: tuple[str, ...]
    """Each action in one line, in order; empty when nothing was to be done."""


class JobAnswer(msgspec.Struct, frozen=True):
    """Whether a job was started, and why or why not, in words that follow its name."""

    job: str
    runs: bool
    why: str
    command: str = ""
    """The comment that starts it; empty for jobs no comment starts."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A decision taken once more from its facts, job by job."""

    target: str
    """Commit and branch, in words."""
    why_not: str
    """Why nothing runs at all; "" when each job is judged for itself."""
    jobs: tuple[JobAnswer, ...]


def line(action: Action) -> str:
    """Put an action in one line."""
    return f"{type(action).__name__}: {action.why}"
