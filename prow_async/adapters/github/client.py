"""GitHub as the engine needs it, over REST.

Source: upstream pkg/github/client.go for the calls and what their statuses mean.
"""

import base64
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlencode

import msgspec

from prow_async.adapters.github import paths
from prow_async.adapters.github.credentials import Credentials
from prow_async.adapters.github.hooks import Hooks
from prow_async.adapters.github.people import People
from prow_async.adapters.github.requests import Requests
from prow_async.adapters.github.wire import Options, Wire
from prow_async.adapters.github.writes import Writes
from prow_async.api.errors import Refused
from prow_async.api.github import (
    ChangedFile,
    Comment,
    CommitOf,
    FileContent,
    GitRef,
    Issue,
    Label,
    PullRequest,
    Repo,
    Status,
    WorkflowRun,
)
from prow_async.core import instants
from prow_async.ports.clock import Clock
from prow_async.ports.metrics import Metrics
from prow_async.ports.transport import Transport

_FILE_OR_FOLDER = cast("type[FileContent | list[Any]]", FileContent | list[Any])


class _Found(msgspec.Struct):
    total_count: int = 0


class Client(People, Hooks, Writes):
    """Implements ports/github `GitHub`. Made by `on`, or by `apps` where the credentials are an App's."""

    async def pull(self, org: str, repo: str, number: int) -> PullRequest:
        return await self._requests.item(paths.make("repos", org, repo, "pulls", number), PullRequest)

    async def labels(self, org: str, repo: str, number: int) -> tuple[str, ...]:
        found = await self._requests.items(paths.make("repos", org, repo, "issues", number, "labels"), Label)
        return tuple(label.name for label in found)

    async def issue(self, org: str, repo: str, number: int) -> Issue:
        return await self._requests.item(paths.make("repos", org, repo, "issues", number), Issue)

    async def file_changes(self, org: str, repo: str, number: int) -> tuple[ChangedFile, ...]:
        return tuple(await self._requests.items(paths.make("repos", org, repo, "pulls", number, "files"), ChangedFile))

    async def open_pulls(self, org: str, repo: str, since_s: float = 0.0) -> tuple[PullRequest, ...]:
        def recent(pull: PullRequest) -> bool:
            return not pull.updated_at or instants.seconds(pull.updated_at) >= since_s

        path = paths.make("repos", org, repo, "pulls")
        newest_first = {"state": "open", "sort": "updated", "direction": "desc"}
        found = await self._requests.items(
            path, PullRequest, query=newest_first, enough=lambda page: not all(map(recent, page))
        )
        return tuple(filter(recent, found))

    async def changed_files(self, org: str, repo: str, number: int) -> tuple[str, ...]:
        return tuple(changed.filename for changed in await self.file_changes(org, repo, number))

    async def branch_sha(self, org: str, repo: str, branch: str) -> str:
        path = paths.make("repos", org, repo, "git", "ref", "heads", *branch.split("/"))
        return (await self._requests.item(path, GitRef, question=True)).object.sha

    async def count_issues(self, org: str, query: str) -> int:
        path = f"/search/issues?{urlencode({'q': query, 'per_page': '1'})}"
        return (await self._requests.item(path, _Found, org=org)).total_count

    async def comments(self, org: str, repo: str, number: int) -> tuple[Comment, ...]:
        path = paths.make("repos", org, repo, "issues", number, "comments")
        return tuple(await self._requests.items(path, Comment))

    async def repo(self, org: str, repo: str) -> Repo:
        return await self._requests.item(paths.make("repos", org, repo), Repo)

    async def repos(self, org: str) -> tuple[Repo, ...]:
        return tuple(await self._requests.items(paths.make("orgs", org, "repos"), Repo))

    async def repo_labels(self, org: str, repo: str) -> tuple[str, ...]:
        found = await self._requests.items(paths.make("repos", org, repo, "labels"), Label)
        return tuple(label.name for label in found)

    async def file_content(self, org: str, repo: str, path: str, ref: str) -> bytes:
        where = paths.make("repos", org, repo, "contents", *path.split("/")) + paths.query(ref=ref)
        found = await self._requests.item(where, _FILE_OR_FOLDER, question=True)
        if not isinstance(found, FileContent) or found.type != "file" or found.encoding != "base64":
            raise Refused(f"{path} of {org}/{repo} at {ref} is no file that GitHub shows: a folder, a link, or too big")
        return base64.b64decode(found.content)

    async def tree_sha(self, org: str, repo: str, commit: str) -> str:
        path = paths.make("repos", org, repo, "commits", commit)
        return (await self._requests.item(path, CommitOf)).commit.tree.sha

    async def combined_status(self, org: str, repo: str, sha: str) -> tuple[Status, ...]:
        path = paths.make("repos", org, repo, "commits", sha, "status")
        return tuple(await self._requests.items(path, Status, key="statuses"))

    async def workflow_runs(self, org: str, repo: str, sha: str, status: str = "") -> tuple[WorkflowRun, ...]:
        path, query = paths.make("repos", org, repo, "actions", "runs"), {"head_sha": sha}
        wanted = query | ({"status": status} if status else {})
        return tuple(await self._requests.items(path, WorkflowRun, key="workflow_runs", query=wanted))

    async def graphql(self, query: str, variables: Mapping[str, Any], org: str) -> Any:
        return await self._requests.graphql(query, variables, org)


def on(
    transport: Transport,
    credentials: Credentials,
    metrics: Metrics,
    clock: Clock,
    options: Options = Options(),  # noqa: B008 - an immutable value
) -> Client:
    """Make a client whose token is at hand. `transport` adds no authentication: requests carry it."""
    return Client(Requests(Wire(transport, metrics, clock, options), credentials, metrics), metrics)
