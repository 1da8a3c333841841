"""Answers why the jobs of a pull request did or did not run: from decisions on record, and from how it stands now."""

from collections.abc import Callable, Sequence

import msgspec

from prow_async.api.explained import Answer, Explained
from prow_async.api.github import PullRequestEvent
from prow_async.core import explain_pull
from prow_async.ports.explained import Decisions
from prow_async.ports.plugin import Plugin, Reads

SHOWN = 20


class Explainer:
    """Reads; decides nothing and writes nothing."""

    def __init__(self, plugins: Sequence[Plugin], decisions: Decisions, reads: Callable[[], Reads]) -> None:
        self._plugins = {plugin.name: plugin for plugin in plugins if plugin.explains is not None}
        self._decisions = decisions
        self._reads = reads

    async def pull(self, org: str, repo: str, number: int, job: str = "", live: bool = False) -> str:
        """Tell of a pull request's newest decisions; with `live` also what a push would start now.

        Raises Retry when nothing on record can be read; with `live` also what the GitHub port raises.
        """
        kept = await self._decisions.of_pull(org, repo, number, SHOWN)
        decided = [(one, self._again(one)) for one in kept]
        now = await self._now(org, repo, number) if live else None
        return explain_pull.text(f"{org}/{repo}#{number}", decided, now, job)

    def _again(self, one: Explained) -> Answer | None:
        plugin = self._plugins.get(one.plugin)
        if plugin is None or plugin.explains is None:
            return None
        try:
            return plugin.explains.answer(one.kind, bytes(one.facts))
        except msgspec.DecodeError:  # kept by another version: told in the words of then
            return None

    async def _now(self, org: str, repo: str, number: int) -> Answer | None:
        reads = self._reads()
        pull = await reads.github.pull(org, repo, number)
        event = PullRequestEvent(
            action="synchronize",
            number=number,
            pull_request=pull,
            repository=pull.base.repo or PullRequestEvent().repository,
            sender=pull.user,
        )
        for name in reads.snapshot.plugins.enabled(org, repo):
            plugin = self._plugins.get(name)
            if plugin is None or plugin.explains is None:
                continue
            facts = await plugin.gather(reads, event, "explain")
            if facts is not None:
                kept = plugin.explains.keep(facts)
                return plugin.explains.answer(kept.kind, kept.facts)
        return None
