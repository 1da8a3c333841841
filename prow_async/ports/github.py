"""GitHub, cut by need. Errors as everywhere: Retry (also rate limits, with the wait), Missing, Refused, Stale.

What a request is for, and how urgent it is, travels beside it: see ports/cause.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from prow_async.api.github import (
    ChangedFile,
    Comment,
    Hook,
    HookDeliveries,
    HookDeliveryWhole,
    HookOf,
    HookWanted,
    Issue,
    PullRequest,
    Repo,
    Status,
    Team,
    User,
    WorkflowRun,
)


class Trust(Protocol):
    """Who may start jobs."""

    async def bot_user(self) -> User:
        """The account we act as, as it stands in what we write. Read once, then remembered.

        A GitHub App acts as `SLUG[bot]`.
        """

    async def is_member(self, org: str, login: str) -> bool:
        """True for a member of the org, and for a user asking about the org of the same name; 302 means no."""

    async def is_collaborator(self, org: str, repo: str, login: str) -> bool: ...

    async def teams(self, org: str) -> tuple[Team, ...]: ...

    async def is_team_member(self, org: str, slug: str, login: str) -> bool:
        """True for an active member of the team, or of a team within it. False when there is no such team."""


class Pulls(Protocol):
    async def pull(self, org: str, repo: str, number: int) -> PullRequest: ...

    async def labels(self, org: str, repo: str, number: int) -> tuple[str, ...]: ...

    async def issue(self, org: str, repo: str, number: int) -> Issue:
        """An issue, or a pull request seen as one."""

    async def file_changes(self, org: str, repo: str, number: int) -> tuple[ChangedFile, ...]:
        """All files the pull request touches, all pages."""

    async def changed_files(self, org: str, repo: str, number: int) -> tuple[str, ...]:
        """Names of all files the pull request touches, all pages."""

    async def branch_sha(self, org: str, repo: str, branch: str) -> str:
        """The commit a branch points at. Missing when there is no such branch."""

    async def count_issues(self, org: str, query: str) -> int:
        """How many issues and pull requests a search finds. `org`: in whose name a GitHub App asks."""

    async def comments(self, org: str, repo: str, number: int) -> tuple[Comment, ...]:
        """All comments of an issue or pull request, oldest first."""


class Code(Protocol):
    """What is in a repository."""

    async def repo_labels(self, org: str, repo: str) -> tuple[str, ...]:
        """Names of the labels that a repository has, all pages."""

    async def file_content(self, org: str, repo: str, path: str, ref: str) -> bytes:
        """A file at a commit or branch (an empty `ref`: the default branch). Missing where there is none.

        Refused for a folder, and for more than 1 MB.
        """

    async def tree_sha(self, org: str, repo: str, commit: str) -> str:
        """The tree of a commit."""


class Statuses(Protocol):
    async def combined_status(self, org: str, repo: str, sha: str) -> tuple[Status, ...]:
        """The newest status of each context, all pages."""


class Repositories(Protocol):
    async def open_pulls(self, org: str, repo: str, since_s: float = 0.0) -> tuple[PullRequest, ...]:
        """Open pull requests changed at `since_s` (seconds since the epoch) or later, newest change first."""

    async def repo(self, org: str, repo: str) -> Repo: ...

    async def repos(self, org: str) -> tuple[Repo, ...]:
        """All repositories of an organization that we may see."""


class Workflows(Protocol):
    """GitHub's own Actions."""

    async def workflow_runs(self, org: str, repo: str, sha: str, status: str = "") -> tuple[WorkflowRun, ...]:
        """Runs for a commit, newest first; `status` is a status or conclusion, such as `failure`."""


class Apps(Protocol):
    async def app_installations(self) -> tuple[str, ...]:
        """Logins of everybody who has the App that we are, suspended installations aside."""


class Queries(Protocol):
    async def graphql(self, query: str, variables: Mapping[str, Any], org: str) -> Any:
        """The `data` of a GraphQL query. `org`: in whose name a GitHub App asks."""


class DeliveryLog(Protocol):
    """What GitHub has sent to a webhook and what came of it. It reaches back three days.

    Reading it takes administration of the repository or organization, or being the App: else Refused (403) or Missing.
    """

    async def hooks(self, org: str, repo: str = "") -> tuple[Hook, ...]:
        """All webhooks of a repository, or without `repo` of an organization."""

    async def hook_deliveries(self, hook: HookOf, cursor: str = "") -> HookDeliveries:
        """One page of a hook's log, newest first; `cursor` is that of the page before."""

    async def hook_delivery(self, hook: HookOf, delivery_id: int) -> HookDeliveryWhole:
        """One delivery with what was sent."""


class HookAdmin(DeliveryLog, Protocol):
    """Webhooks as a tool manages them. Takes administration of the repository or organization."""

    async def create_hook(self, org: str, repo: str, wanted: HookWanted) -> None: ...

    async def edit_hook(self, hook: HookOf, wanted: HookWanted) -> None: ...

    async def delete_hook(self, hook: HookOf) -> None:
        """A webhook that is gone counts as deleted."""


class Writes(Protocol):
    """Used by the executor alone."""

    async def post_status(self, org: str, repo: str, sha: str, status: Status) -> None: ...

    async def create_comment(self, org: str, repo: str, number: int, body: str) -> None: ...

    async def edit_comment(self, org: str, repo: str, comment_id: int, body: str) -> None:
        """Raises Stale for a comment that is gone: read again, and decide again."""

    async def delete_comment(self, org: str, repo: str, comment_id: int) -> None:
        """A comment that is gone already counts as deleted."""

    async def add_label(self, org: str, repo: str, number: int, label: str) -> None: ...

    async def assign(self, org: str, repo: str, number: int, logins: tuple[str, ...]) -> tuple[str, ...]:
        """Assign people; return those GitHub left out without a word (who cannot be assigned here)."""

    async def request_reviews(self, org: str, repo: str, number: int, logins: tuple[str, ...]) -> tuple[str, ...]:
        """Ask people for reviews; return those GitHub does not take (the author, and who may not read it)."""

    async def unassign(self, org: str, repo: str, number: int, logins: tuple[str, ...]) -> None: ...

    async def remove_label(self, org: str, repo: str, number: int, label: str) -> None:
        """A label that is not there counts as removed."""

    async def rerun_failed_jobs(self, org: str, repo: str, run_id: int) -> None:
        """Run the failed jobs of a workflow run again."""

    async def approve_run(self, org: str, repo: str, run_id: int) -> None:
        """Let a workflow run of a first-time contributor begin."""

    async def redeliver(self, hook: HookOf, delivery_id: int) -> None:
        """Ask GitHub to send a delivery of the log again, under its old GUID."""


class GitHubReads(Trust, Pulls, Code, Statuses, Workflows, Protocol):
    """What may be asked, by plugins too."""


class GitHub(GitHubReads, Repositories, Apps, Queries, HookAdmin, Writes, Protocol):
    """All of it, as one adapter provides it."""
