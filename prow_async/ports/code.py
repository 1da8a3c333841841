"""A repository's files at a commit, as git has them."""

from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec


class FileAt(msgspec.Struct, frozen=True):
    """A file of a commit. Equal ids are equal contents, whatever the commit and the path."""

    path: str
    id: str


class RepoCode(Protocol):
    async def find(self, org: str, repo: str, sha: str, names: Collection[str], ends: str = "") -> tuple[FileAt, ...]:
        """List a commit's files of these names (and those whose names end so), in any folder, in git's order.

        Raises: Retry for trouble on the way; Refused when there is no such commit.
        """

    async def read(self, org: str, repo: str, sha: str, files: Sequence[FileAt], limit_bytes: int) -> list[bytes]:
        """Return the contents of files that `find` has listed, in their order.

        Raises: Retry for trouble on the way; Refused when all together are larger than the limit.
        """

    async def depth(self, org: str, repo: str, sha: str) -> int:
        """Count a commit and all that it stands on: more than for any of these.

        Raises: Retry for trouble on the way; Refused when there is no such commit.
        """
