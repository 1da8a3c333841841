"""GitHub, cut by need. Errors as everywhere: Retry (also rate limits, with the wait), Missing, Refused, Stale."""

from typing import Protocol

from prow_async.api.github import Comment, PullRequest, Status, User


class Trust(Protocol):
    """Who may start jobs."""

    async def bot_user(self) -> User:
        """The account we act as. Read once, then remembered."""

    async def is_member(self, org: str, login: str) -> bool:
        """True for a member of the org, and for a user asking about the org of the same name; 302 means no."""

    async def is_collaborator(self, org: str, repo: str, login: str) -> bool: ...


class Pulls(Protocol):
    async def pull(self, org: str, repo: str, number: int) -> PullRequest: ...

    async def labels(self, org: str, repo: str, number: int) -> tuple[str, ...]: ...

    async def changed_files(self, org: str, repo: str, number: int) -> tuple[str, ...]:
        """Names of all files the pull request touches, all pages."""

    async def branch_sha(self, org: str, repo: str, branch: str) -> str:
        """The commit a branch points at. Missing when there is no such branch."""

    async def comments(self, org: str, repo: str, number: int) -> tuple[Comment, ...]:
        """All comments of an issue or pull request, oldest first."""


class Statuses(Protocol):
    async def combined_status(self, org: str, repo: str, sha: str) -> tuple[Status, ...]:
        """The newest status of each context, all pages."""


class Writes(Protocol):
    """Used by the executor alone."""

    async def post_status(self, org: str, repo: str, sha: str, status: Status) -> None: ...

    async def create_comment(self, org: str, repo: str, number: int, body: str) -> None: ...

    async def edit_comment(self, org: str, repo: str, comment_id: int, body: str) -> None: ...

    async def delete_comment(self, org: str, repo: str, comment_id: int) -> None:
        """A comment that is gone already counts as deleted."""

    async def add_label(self, org: str, repo: str, number: int, label: str) -> None: ...

    async def remove_label(self, org: str, repo: str, number: int, label: str) -> None:
        """A label that is not there counts as removed."""


class GitHubReads(Trust, Pulls, Statuses, Protocol):
    """What may be asked, by plugins too."""


class GitHub(GitHubReads, Writes, Protocol):
    """All of it, as one adapter provides it."""
