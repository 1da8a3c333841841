"""What a plugin is: help, a gathering half that reads, a deciding half that is pure.

`apps` registers plugins explicitly; there is no import side effect. A plugin never writes: it returns actions.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec

from prow_async.api.actions import Decision
from prow_async.api.explained import Answer
from prow_async.api.plugin_config import PluginConfig
from prow_async.core.owners import Owners
from prow_async.core.webhook_decode import Event
from prow_async.ports.clock import Clock
from prow_async.ports.code import RepoCode
from prow_async.ports.config import Snapshot
from prow_async.ports.github import GitHubReads
from prow_async.ports.inbox import ActionState
from prow_async.ports.inrepo import InRepo

__all__ = ["Command", "Event", "Explains", "Help", "JobsOf", "Kept", "Plugin", "Reads"]


DEADLINE_S = 600.0


class Command(msgspec.Struct, frozen=True):
    """One command line for people, as `/plugin-help` lists it."""

    usage: str
    description: str
    who_can_use: str
    examples: tuple[str, ...] = ()
    featured: bool = False


class Help(msgspec.Struct, frozen=True):
    """What a plugin says of itself."""

    description: str
    commands: tuple[Command, ...] = ()
    config: Callable[[PluginConfig, Sequence[str]], dict[str, str]] | None = None
    """Say in words what the configuration means, by `org/repo` of those where the plugin is on, or under "" for all;
    whoever reads it has no access to the configuration, so no secrets. None: there is nothing to configure."""
    snippet: str = ""
    """An example of its section in plugins.yaml; empty where there is none."""


class JobsOf(msgspec.Struct, frozen=True):
    """Names and resource versions of unfinished ProwJobs, read from the reflector's store."""

    name: str
    namespace: str
    resource_version: str
    job: str
    guid: str = ""
    """The delivery that started it."""
    sha: str = ""
    """The head that it tests."""
    created_s: float = 0.0


class Reads(msgspec.Struct, frozen=True):
    """What a plugin may read while it gathers. No port here can write.

    The plugins of one delivery share what they read: ask for what is needed, it costs one request whoever asks.
    """

    github: GitHubReads
    snapshot: Snapshot
    clock: Clock
    unfinished_presubmits: Callable[[str, str, int], Awaitable[list[JobsOf]]]
    """Unfinished presubmit ProwJobs of (org, repo, pull number)."""
    inrepo: InRepo | None
    """Jobs that repositories keep themselves; None where this process has no way to them."""
    installation: str
    """First part of every derived name (core/identity)."""
    owners: Callable[[str, str, str], Awaitable[Owners]] | None
    """OWNERS of (org, repo, commit); None where this process has no way to repositories."""
    again: Callable[[], GitHubReads]
    """Makes reads that begin afresh: for a plugin that has waited for GitHub to change its mind."""
    explain_in_help: bool = False
    """Whether `/test ?` is answered with reasons, as --explain-in-help says."""
    code: RepoCode | None = None
    """Repositories' files at a commit; None where this process has no way to repositories."""
    late: bool = False
    """The delivery came long after it was written, and maybe behind newer ones of its pull request."""


class Kept(Protocol):
    """Facts of a decision, ready to be stored. `number` is the pull request's, 0 for a push."""

    @property
    def kind(self) -> str: ...
    @property
    def org(self) -> str: ...
    @property
    def repo(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def occasion(self) -> str: ...
    @property
    def facts(self) -> bytes: ...


class Explains(msgspec.Struct, frozen=True):
    """How a plugin's decisions are kept for people who ask why."""

    keep: Callable[[Any], Kept]
    """Of the facts, what a decision rests upon; JSON."""
    answer: Callable[[str, bytes], Answer]
    """Decide again from (kind, facts). Raises msgspec.DecodeError for facts of another version."""


class Plugin(msgspec.Struct, frozen=True):
    """One plugin.

    `gather(reads, event, guid)` returns the facts, or None when the event is none of its business.
    `decide(facts)` is pure and synchronous.
    """

    name: str
    help: Help
    events: frozenset[str]
    """Of `pull_request`, `issues`, `issue_comment`, `pull_request_review`, `pull_request_review_comment`, `push`,
    `status`, and `generic_comment`: what was said, wherever it was."""
    gather: Callable[[Reads, Event, str], Awaitable[Any]]
    decide: Callable[[Any], Decision]
    after: Callable[[Decision, tuple[ActionState, ...]], Decision | None] | None = None
    """React to what became of the actions: `done` or `refused`, one for each, in their order. Pure, as `decide`; None
    and a decision without actions do nothing more. Called with the decision as it was recorded, also after a crash; of
    several events of one delivery only the first `kept` is there."""
    explains: Explains | None = None
    deadline_s: float = DEADLINE_S
    """Longest time for one delivery, from reading to the last action; then it is cut off and counts as failed."""
