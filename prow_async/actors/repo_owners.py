"""OWNERS of repositories at a commit; what files say is remembered by their contents, not by the commit."""

from collections import OrderedDict
from typing import NamedTuple

from prow_async.core import owners
from prow_async.core.owners import Owners
from prow_async.ports.code import FileAt, RepoCode
from prow_async.ports.config import Snapshot

ROOM = 50
BATCH = 200
LIMIT_BYTES = 64 << 20
"""Of the files of one batch: of Markdown only the headers are kept, but all is read."""


class Known(NamedTuple):
    files: tuple[FileAt, ...]
    owners: Owners
    texts: "_Texts"


_Key = tuple[str, bool]
"""A content, and whether it is read as Markdown: the same may stand in files of both kinds."""
_Texts = dict[_Key, bytes]
"""What counts of each file."""


class RepoOwners:
    """Reads and remembers, for the 50 repositories asked about last. A new commit costs the files that it changes."""

    def __init__(self, code: RepoCode) -> None:
        self._code = code
        self._known: OrderedDict[str, Known] = OrderedDict()

    async def at(self, snapshot: Snapshot, org: str, repo: str, sha: str) -> Owners:
        """Return the OWNERS of a commit. Raises what ports/code raises."""
        full = f"{org}/{repo}"
        names = snapshot.plugins.owners_filenames(org, repo)
        ends = ".md" if snapshot.plugins.md_yaml_enabled(org, repo) else ""
        files = await self._code.find(org, repo, sha, {names.owners, names.owners_aliases}, ends)
        denylist = snapshot.config.owners_dir_denylist
        files = tuple(file for file in files if not owners.is_denied(file.path, denylist, full))
        known = self._known.get(full, _NOTHING)
        if full not in self._known or known.files != files:
            texts = await self._texts(org, repo, sha, files, known.texts)
            found = owners.of_files(
                {file.path: texts[_key(file)] for file in files}, names.owners, names.owners_aliases
            )
            known = self._known[full] = Known(files, found, texts)
        self._known.move_to_end(full)
        if len(self._known) > ROOM:
            self._known.popitem(last=False)
        return known.owners

    async def _texts(self, org: str, repo: str, sha: str, files: tuple[FileAt, ...], known: _Texts) -> _Texts:
        texts = {_key(file): known[_key(file)] for file in files if _key(file) in known}
        new = [file for file in files if _key(file) not in known]
        for begin in range(0, len(new), BATCH):
            batch = new[begin : begin + BATCH]
            contents = await self._code.read(org, repo, sha, batch, LIMIT_BYTES)
            texts |= {_key(file): owners.counts(file.path, data) for file, data in zip(batch, contents, strict=True)}
        return texts


def _key(file: FileAt) -> _Key:
    return file.id, file.path.endswith(".md")


_NOTHING = Known((), Owners(), {})
