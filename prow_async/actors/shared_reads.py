"""What the plugins of one delivery read of GitHub: each fact once, whoever asks, and nothing that the payload tells.

Two plugins that ask the same at the same time wait for one answer. A delivery that is tried again, and a plugin that
has waited for something, begin afresh.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

import anyio

from prow_async.actors.trust_cache import TrustCache
from prow_async.api.github import ChangedFile, Comment, Issue, PullRequest, Status, Team, User, WorkflowRun
from prow_async.core.payload import Known
from prow_async.ports.github import GitHubReads

T = TypeVar("T")


class _Slot:
    """One question under way, or answered."""

    def __init__(self) -> None:
        self.settled = anyio.Event()
        self.answer: Any = None
        self.error: Exception | None = None
        self.left = False
        """Whoever asked was cancelled before the answer came: the next in line asks again."""


class SharedReads:
    """Reads of one delivery.

    Args:
        known: what the payload says; taken for reads of that object.
    """

    def __init__(self, github: GitHubReads, trust: TrustCache, known: Known) -> None:
        self._github = github
        self._trust = trust
        self._known = known
        self._slots: dict[tuple[object, ...], _Slot] = {}

    async def _once(self, key: tuple[object, ...], read: Callable[[], Awaitable[T]]) -> T:
        while True:
            slot = self._slots.get(key)
            if slot is None:
                return await self._ask(key, read)
            await slot.settled.wait()
            if slot.left:
                continue
            if slot.error is not None:
                raise slot.error
            return cast("T", slot.answer)

    async def _ask(self, key: tuple[object, ...], read: Callable[[], Awaitable[T]]) -> T:
        slot = self._slots[key] = _Slot()
        try:
            slot.answer = answer = await read()
        except Exception as error:
            slot.error = error
            raise
        except BaseException:
            slot.left = True
            del self._slots[key]
            raise
        finally:
            slot.settled.set()
        return answer

    async def bot_user(self) -> User:
        return await self._github.bot_user()

    async def is_member(self, org: str, login: str) -> bool:
        async def read() -> bool:
            return await self._trust.ask(org, ("member", login), lambda: self._github.is_member(org, login))

        return await self._once(("is_member", org, login), read)

    async def is_collaborator(self, org: str, repo: str, login: str) -> bool:
        async def read() -> bool:
            question = ("collaborator", repo, login)
            return await self._trust.ask(org, question, lambda: self._github.is_collaborator(org, repo, login))

        return await self._once(("is_collaborator", org, repo, login), read)

    async def teams(self, org: str) -> tuple[Team, ...]:
        return await self._once(("teams", org), lambda: self._github.teams(org))

    async def is_team_member(self, org: str, slug: str, login: str) -> bool:
        async def read() -> bool:
            question = ("team", slug, login)
            return await self._trust.ask(org, question, lambda: self._github.is_team_member(org, slug, login))

        return await self._once(("is_team_member", org, slug, login), read)

    async def pull(self, org: str, repo: str, number: int) -> PullRequest:
        """Read it; a payload does not do, for it does not say whether the pull request can be merged."""
        return await self._once(("pull", org, repo, number), lambda: self._github.pull(org, repo, number))

    async def labels(self, org: str, repo: str, number: int) -> tuple[str, ...]:
        if self._known.labels is not None and self._known.of(org, repo, number):
            return self._known.labels
        return await self._once(("labels", org, repo, number), lambda: self._github.labels(org, repo, number))

    async def issue(self, org: str, repo: str, number: int) -> Issue:
        return await self._once(("issue", org, repo, number), lambda: self._github.issue(org, repo, number))

    async def file_changes(self, org: str, repo: str, number: int) -> tuple[ChangedFile, ...]:
        return await self._once(("files", org, repo, number), lambda: self._github.file_changes(org, repo, number))

    async def changed_files(self, org: str, repo: str, number: int) -> tuple[str, ...]:
        return tuple(changed.filename for changed in await self.file_changes(org, repo, number))

    async def repo_labels(self, org: str, repo: str) -> tuple[str, ...]:
        return await self._once(("repo labels", org, repo), lambda: self._github.repo_labels(org, repo))

    async def file_content(self, org: str, repo: str, path: str, ref: str) -> bytes:
        key = ("content", org, repo, path, ref)
        return await self._once(key, lambda: self._github.file_content(org, repo, path, ref))

    async def tree_sha(self, org: str, repo: str, commit: str) -> str:
        return await self._once(("tree", org, repo, commit), lambda: self._github.tree_sha(org, repo, commit))

    async def branch_sha(self, org: str, repo: str, branch: str) -> str:
        return await self._once(("branch", org, repo, branch), lambda: self._github.branch_sha(org, repo, branch))

    async def count_issues(self, org: str, query: str) -> int:
        return await self._once(("count", org, query), lambda: self._github.count_issues(org, query))

    async def comments(self, org: str, repo: str, number: int) -> tuple[Comment, ...]:
        return await self._once(("comments", org, repo, number), lambda: self._github.comments(org, repo, number))

    async def combined_status(self, org: str, repo: str, sha: str) -> tuple[Status, ...]:
        return await self._once(("status", org, repo, sha), lambda: self._github.combined_status(org, repo, sha))

    async def workflow_runs(self, org: str, repo: str, sha: str, status: str = "") -> tuple[WorkflowRun, ...]:
        key = ("runs", org, repo, sha, status)
        return await self._once(key, lambda: self._github.workflow_runs(org, repo, sha, status))
