"""A person at the small GitHub, who does what people do there through its REST API."""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from prow_async.api.errors import Refused
from prow_async.ports.transport import Transport


class Person:
    """Somebody with an account. Every method raises Refused when GitHub says no.

    Args:
        door: carries requests with the person's token.
    """

    def __init__(self, door: Transport) -> None:
        self._door = door

    async def push(self, org: str, repo: str, branch: str, message: str, files: Mapping[str, bytes]) -> None:
        """Commit files to a branch, one commit each; a new branch begins at the default one."""
        found = await self.ask("GET", f"/repos/{org}/{repo}")
        ref = f"/repos/{org}/{repo}/git/ref"
        if (await self._send("GET", f"{ref}/heads/{quote(branch)}"))[0] == 404:
            start = await self.ask("GET", f"{ref}/heads/{quote(found['default_branch'])}")
            await self.ask("POST", f"{ref}s", {"ref": f"refs/heads/{branch}", "sha": start["object"]["sha"]})
        for path, content in files.items():
            where = f"/repos/{org}/{repo}/contents/{quote(path)}"
            put: dict[str, Any] = {"message": message, "branch": branch, "content": base64.b64encode(content).decode()}
            status, old = await self._send("GET", f"{where}?ref={quote(branch, safe='')}")
            if status == 200:
                put["sha"] = old["sha"]
            await self.ask("PUT", where, put)

    async def open_pull(self, org: str, repo: str, title: str, branch: str) -> int:
        """Open a pull request from a branch (of a fork: `OWNER:BRANCH`) onto the default one; return its number."""
        found = await self.ask("GET", f"/repos/{org}/{repo}")
        form = {"title": title, "head": branch, "base": found["default_branch"]}
        number: int = (await self.ask("POST", f"/repos/{org}/{repo}/pulls", form))["number"]
        return number

    async def fork(self, org: str, repo: str) -> str:
        """Fork a repository; return the fork's `OWNER/REPO`."""
        full_name: str = (await self.ask("POST", f"/repos/{org}/{repo}/forks"))["full_name"]
        return full_name

    async def comment(self, org: str, repo: str, number: int, body: str) -> None:
        await self.ask("POST", f"/repos/{org}/{repo}/issues/{number}/comments", {"body": body})

    async def merge(self, org: str, repo: str, number: int, method: str = "merge") -> str:
        """Merge a pull request; return the commit its base is at then."""
        answer = await self.ask("PUT", f"/repos/{org}/{repo}/pulls/{number}/merge", {"merge_method": method})
        sha: str = answer["sha"]
        return sha

    async def ask(self, method: str, path: str, content: Any = None) -> Any:
        """Send one request; return the decoded answer."""
        status, answer = await self._send(method, path, content)
        if status >= 400:
            said = answer.get("message", "") if isinstance(answer, dict) else ""
            raise Refused(f"{method} {path.partition('?')[0]}: {status} {said}")
        return answer

    async def _send(self, method: str, path: str, content: Any = None) -> tuple[int, Any]:
        body = b"" if content is None else msgspec.json.encode(content)
        async with self._door.send(method, path, {}, body) as reply:
            data = await reply.read()
            return reply.status, msgspec.json.decode(data) if data else None
