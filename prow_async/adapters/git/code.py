"""Repositories' files from mirrors on disk; implements ports.code.RepoCode.

git runs in worker threads, for one repository in one thread at a time.
"""

import posixpath
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import structlog

from prow_async.adapters.git import mirror
from prow_async.adapters.git.command import Failed, Remote
from prow_async.adapters.git.mirror import Mirror
from prow_async.api.errors import Retry
from prow_async.api.inrepo import Wanted
from prow_async.ports.code import FileAt

log = structlog.get_logger()
THREADS = 8
T = TypeVar("T")


class MirroredCode:
    """Implements ports.code.RepoCode.

    Args:
        folder: of all mirrors, which in-repo configuration uses as well.
    """

    def __init__(self, folder: Path, remote: Remote) -> None:
        self._folder = folder
        self._remote = remote
        self._repos: dict[str, tuple[Mirror, anyio.Lock]] = {}
        self._threads = anyio.CapacityLimiter(THREADS)

    async def find(self, org: str, repo: str, sha: str, names: Collection[str], ends: str = "") -> tuple[FileAt, ...]:
        def ask(source: Mirror, tree: str) -> tuple[FileAt, ...]:
            return tuple(
                FileAt(entry.path, entry.id)
                for entry in source.below(tree)
                if entry.is_file
                and (posixpath.basename(entry.path) in names or (bool(ends) and entry.path.endswith(ends)))
            )

        return await self._with(org, repo, sha, ask)

    async def read(self, org: str, repo: str, sha: str, files: Sequence[FileAt], limit_bytes: int) -> list[bytes]:
        def ask(source: Mirror, tree: str) -> list[bytes]:
            return source.read([file.id for file in files], limit_bytes, tree)

        return await self._with(org, repo, sha, ask)

    async def depth(self, org: str, repo: str, sha: str) -> int:
        return await self._with(org, repo, sha, lambda source, _: source.depth(sha))

    async def _with(self, org: str, repo: str, sha: str, ask: Callable[[Mirror, str], T]) -> T:
        wanted = Wanted(org=org, repo=repo, base_sha=sha, heads=())
        mirror.check(wanted)
        name = wanted.full_name
        if name not in self._repos:
            path = self._folder / org / f"{repo}.git"
            self._repos[name] = (Mirror(path, self._remote, org, repo), anyio.Lock())
        source, lock = self._repos[name]
        async with lock:
            return await anyio.to_thread.run_sync(_asked, source, wanted, ask, limiter=self._threads)


def _asked(source: Mirror, wanted: Wanted, ask: Callable[[Mirror, str], T]) -> T:
    """Ask git. A mirror that turns out damaged is made anew, once."""

    def once() -> T:
        with source.locked():
            return ask(source, source.merged(wanted))

    try:
        return once()
    except Failed as error:
        log.warning("mirror of a repository is damaged; made anew", repo=wanted.full_name, why=str(error))
        source.forget()
    try:
        return once()
    except Failed as error:
        raise Retry(f"{wanted.full_name}: its mirror cannot be used: {error}") from error
