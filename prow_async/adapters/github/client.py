"""GitHub as the engine needs it, over REST.

Source: upstream pkg/github/client.go for the calls and what their statuses mean.
"""

import base64
from typing import Any, cast
from urllib.parse import urlencode

import msgspec

from prow_async.adapters.github import paths
from prow_async.adapters.github.credentials import Credentials
from prow_async.adapters.github.requests import Options, Requests
from prow_async.api.errors import Missing, Refused
from prow_async.api.github import (
    ChangedFile,
    Comment,
    CommitOf,
    FileContent,
    GitRef,
    Hook,
    HookDeliveries,
    HookDelivery,
    HookDeliveryWhole,
    HookOf,
    Issue,
    Label,
    Membership,
    PullRequest,
    Status,
    Team,
    User,
)
from prow_async.ports.clock import Clock
from prow_async.ports.metrics import Metrics
from prow_async.ports.transport import Transport

LABEL_GONE = "Label does not exist"
_FILE_OR_FOLDER = cast("type[FileContent | list[Any]]", FileContent | list[Any])


class Client:
    """Implements ports/github `GitHub`.

    Reads repeat themselves a few times (`Options.read_retries`); writes are sent once.

    Args:
        transport: adds authentication; adapters/github/session, or the door of an embedded world.
        credentials: the same that the transport uses: for metrics, and to keep the token out of error texts.
    """

    def __init__(
        self,
        transport: Transport,
        credentials: Credentials,
        metrics: Metrics,
        clock: Clock,
        options: Options = Options(),  # noqa: B008 - an immutable value
    ) -> None:
        self._requests = Requests(transport, credentials, metrics, clock, options)
        self._bot: User | None = None

    async def bot_user(self) -> User:
        """Return the account we act as, asking GitHub the first time only."""
        if self._bot is None:
            self._bot = await self._requests.item("/user", User)
        return self._bot

    async def is_member(self, org: str, login: str) -> bool:
        """Ask whether `login` is a member; a membership we may not see counts as none."""
        if org.lower() == login.lower():
            return True
        return await self._requests.exists(paths.make("orgs", org, "members", login))

    async def is_collaborator(self, org: str, repo: str, login: str) -> bool:
        return await self._requests.exists(paths.make("repos", org, repo, "collaborators", login))

    async def pull(self, org: str, repo: str, number: int) -> PullRequest:
        return await self._requests.item(paths.make("repos", org, repo, "pulls", number), PullRequest)

    async def labels(self, org: str, repo: str, number: int) -> tuple[str, ...]:
        found = await self._requests.items(paths.make("repos", org, repo, "issues", number, "labels"), Label)
        return tuple(label.name for label in found)

    async def issue(self, org: str, repo: str, number: int) -> Issue:
        return await self._requests.item(paths.make("repos", org, repo, "issues", number), Issue)

    async def file_changes(self, org: str, repo: str, number: int) -> tuple[ChangedFile, ...]:
        return tuple(await self._requests.items(paths.make("repos", org, repo, "pulls", number, "files"), ChangedFile))

    async def changed_files(self, org: str, repo: str, number: int) -> tuple[str, ...]:
        return tuple(changed.filename for changed in await self.file_changes(org, repo, number))

    async def repo_labels(self, org: str, repo: str) -> tuple[str, ...]:
        found = await self._requests.items(paths.make("repos", org, repo, "labels"), Label)
        return tuple(label.name for label in found)

    async def file_content(self, org: str, repo: str, path: str, ref: str) -> bytes:
        where = paths.make("repos", org, repo, "contents", *path.split("/"))
        found = await self._requests.item(f"{where}?{urlencode({'ref': ref})}", _FILE_OR_FOLDER)
        if not isinstance(found, FileContent) or found.type != "file" or found.encoding != "base64":
            raise Refused(f"{path} of {org}/{repo} at {ref} is no file that GitHub shows: a folder, a link, or too big")
        return base64.b64decode(found.content)

    async def tree_sha(self, org: str, repo: str, commit: str) -> str:
        path = paths.make("repos", org, repo, "commits", commit)
        return (await self._requests.item(path, CommitOf)).commit.tree.sha

    async def teams(self, org: str) -> tuple[Team, ...]:
        return tuple(await self._requests.items(paths.make("orgs", org, "teams"), Team))

    async def is_team_member(self, org: str, slug: str, login: str) -> bool:
        path = paths.make("orgs", org, "teams", slug, "memberships", login)
        try:
            return (await self._requests.item(path, Membership)).state == "active"
        except Missing:
            return False

    async def branch_sha(self, org: str, repo: str, branch: str) -> str:
        path = paths.make("repos", org, repo, "git", "ref", "heads", *branch.split("/"))
        return (await self._requests.item(path, GitRef)).object.sha

    async def comments(self, org: str, repo: str, number: int) -> tuple[Comment, ...]:
        path = paths.make("repos", org, repo, "issues", number, "comments")
        return tuple(await self._requests.items(path, Comment))

    async def combined_status(self, org: str, repo: str, sha: str) -> tuple[Status, ...]:
        path = paths.make("repos", org, repo, "commits", sha, "status")
        return tuple(await self._requests.items(path, Status, key="statuses"))

    async def hooks(self, org: str, repo: str = "") -> tuple[Hook, ...]:
        return tuple(await self._requests.items(paths.make(*_owner(org, repo), "hooks"), Hook))

    async def hook_deliveries(self, hook: HookOf, cursor: str = "") -> HookDeliveries:
        path, query = _log(hook), {"per_page": "100"} | ({"cursor": cursor} if cursor else {})
        found, following = await self._requests.page(path, query, HookDelivery)
        return HookDeliveries(tuple(found), following.get("cursor", ""))

    async def hook_delivery(self, hook: HookOf, delivery_id: int) -> HookDeliveryWhole:
        return await self._requests.item(f"{_log(hook)}/{delivery_id}", HookDeliveryWhole)

    async def redeliver(self, hook: HookOf, delivery_id: int) -> None:
        await self._requests.post(f"{_log(hook)}/{delivery_id}/attempts", data=b"")

    async def post_status(self, org: str, repo: str, sha: str, status: Status) -> None:
        path = paths.make("repos", org, repo, "statuses", sha)
        await self._requests.post(path, data=msgspec.to_builtins(status))

    async def create_comment(self, org: str, repo: str, number: int, body: str) -> None:
        await self._requests.post(paths.make("repos", org, repo, "issues", number, "comments"), data={"body": body})

    async def edit_comment(self, org: str, repo: str, comment_id: int, body: str) -> None:
        path = paths.make("repos", org, repo, "issues", "comments", comment_id)
        await self._requests.patch(path, data={"body": body})

    async def delete_comment(self, org: str, repo: str, comment_id: int) -> None:
        """Delete a comment; one that is gone already counts as deleted."""
        try:
            await self._requests.delete(paths.make("repos", org, repo, "issues", "comments", comment_id))
        except Missing:
            return

    async def add_label(self, org: str, repo: str, number: int, label: str) -> None:
        path = paths.make("repos", org, repo, "issues", number, "labels")
        await self._requests.post(path, data={"labels": [label]})

    async def assign(self, org: str, repo: str, number: int, logins: tuple[str, ...]) -> tuple[str, ...]:
        path = paths.make("repos", org, repo, "issues", number, "assignees")
        answer = await self._requests.post(path, data={"assignees": list(logins)})
        assigned = {user.login.lower() for user in msgspec.convert(answer, Issue).assignees}
        return tuple(login for login in logins if login.lower() not in assigned)

    async def request_reviews(self, org: str, repo: str, number: int, logins: tuple[str, ...]) -> tuple[str, ...]:
        """Ask all at once; where GitHub refuses that, one by one."""
        path = paths.make("repos", org, repo, "pulls", number, "requested_reviewers")
        try:
            await self._requests.post(path, data={"reviewers": list(logins)})
        except Refused as refused:
            if refused.status != 422:
                raise
        else:
            return ()
        left_out = []
        for login in logins:
            try:
                await self._requests.post(path, data={"reviewers": [login]})
            except Refused as refused:
                if refused.status != 422:
                    raise
                left_out.append(login)
        return tuple(left_out)

    async def unassign(self, org: str, repo: str, number: int, logins: tuple[str, ...]) -> None:
        path = paths.make("repos", org, repo, "issues", number, "assignees")
        await self._requests.delete(path, data={"assignees": list(logins)})

    async def remove_label(self, org: str, repo: str, number: int, label: str) -> None:
        """Take a label off; one that is not there counts as removed. A missing issue is still Missing."""
        try:
            await self._requests.delete(paths.make("repos", org, repo, "issues", number, "labels", label))
        except Refused as refused:
            if not (isinstance(refused, Missing) and LABEL_GONE in refused.why):
                raise


def _owner(org: str, repo: str) -> tuple[str, ...]:
    return ("repos", org, repo) if repo else ("orgs", org)


def _log(hook: HookOf) -> str:
    """Return where a webhook's deliveries are listed."""
    if not hook.org:
        return paths.make("app", "hook", "deliveries")
    return paths.make(*_owner(hook.org, hook.repo), "hooks", hook.id, "deliveries")
