"""What is written to GitHub. Each write is sent once."""

import msgspec

from prow_async.adapters.github import hooks, paths
from prow_async.adapters.github.requests import Requests, answer_as
from prow_async.api.errors import Missing, Refused, Retry, Stale
from prow_async.api.github import HookOf, Issue, Status

LABEL_GONE = "Label does not exist"


class Writes:
    """Implements ports/github `Writes`."""

    _requests: Requests

    async def post_status(self, org: str, repo: str, sha: str, status: Status) -> None:
        await self._requests.write("POST", paths.make("repos", org, repo, "statuses", sha), status)

    async def create_comment(self, org: str, repo: str, number: int, body: str) -> None:
        path = paths.make("repos", org, repo, "issues", number, "comments")
        await self._requests.write("POST", path, {"body": body})

    async def edit_comment(self, org: str, repo: str, comment_id: int, body: str) -> None:
        """Edit a comment. Raises Stale when it is gone: somebody has deleted it since it was read."""
        path = paths.make("repos", org, repo, "issues", "comments", comment_id)
        try:
            await self._requests.write("PATCH", path, {"body": body})
        except Missing as error:
            raise Stale(f"comment {comment_id} is gone: {error.why}") from error

    async def delete_comment(self, org: str, repo: str, comment_id: int) -> None:
        """Delete a comment; one that is gone already counts as deleted."""
        try:
            await self._requests.write("DELETE", paths.make("repos", org, repo, "issues", "comments", comment_id))
        except Missing:
            return

    async def add_label(self, org: str, repo: str, number: int, label: str) -> None:
        path = paths.make("repos", org, repo, "issues", number, "labels")
        await self._requests.write("POST", path, {"labels": [label]})

    async def remove_label(self, org: str, repo: str, number: int, label: str) -> None:
        """Take a label off; one that is not there counts as removed. A missing issue is still Missing."""
        try:
            await self._requests.write("DELETE", paths.make("repos", org, repo, "issues", number, "labels", label))
        except Refused as refused:
            if not (isinstance(refused, Missing) and LABEL_GONE in refused.why):
                raise

    async def assign(self, org: str, repo: str, number: int, logins: tuple[str, ...]) -> tuple[str, ...]:
        path = paths.make("repos", org, repo, "issues", number, "assignees")
        answer = await self._requests.write("POST", path, {"assignees": list(logins)})
        if answer is None:
            return ()
        try:
            there = {user.login.lower() for user in answer_as(Issue, answer).assignees}
        except msgspec.ValidationError as error:
            raise Retry(f"GitHub's answer to POST {path} does not read as expected: {error}") from error
        return tuple(login for login in logins if login.lower() not in there)

    async def unassign(self, org: str, repo: str, number: int, logins: tuple[str, ...]) -> None:
        path = paths.make("repos", org, repo, "issues", number, "assignees")
        await self._requests.write("DELETE", path, {"assignees": list(logins)})

    async def request_reviews(self, org: str, repo: str, number: int, logins: tuple[str, ...]) -> tuple[str, ...]:
        """Ask all at once; where GitHub refuses that, one by one."""
        path = paths.make("repos", org, repo, "pulls", number, "requested_reviewers")
        if len(logins) != 1 and await self._asked(path, logins):
            return ()
        return tuple([login for login in logins if not await self._asked(path, (login,))])

    async def _asked(self, path: str, logins: tuple[str, ...]) -> bool:
        try:
            await self._requests.write("POST", path, {"reviewers": list(logins)})
        except Refused as refused:
            if refused.status != 422:
                raise
            return False
        return True

    async def rerun_failed_jobs(self, org: str, repo: str, run_id: int) -> None:
        path = paths.make("repos", org, repo, "actions", "runs", run_id, "rerun-failed-jobs")
        await self._requests.write("POST", path)

    async def approve_run(self, org: str, repo: str, run_id: int) -> None:
        await self._requests.write("POST", paths.make("repos", org, repo, "actions", "runs", run_id, "approve"))

    async def redeliver(self, hook: HookOf, delivery_id: int) -> None:
        await self._requests.write("POST", f"{hooks.log_of(hook)}/{delivery_id}/attempts")
