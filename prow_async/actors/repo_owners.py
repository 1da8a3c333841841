"""OWNERS of repositories at a commit; what files say is remembered by their contents, not by the commit."""

from collections import OrderedDict

from prow_async.core import owners
from prow_async.core.owners import Owners
from prow_async.ports.code import FileAt, RepoCode
from prow_async.ports.config import Snapshot

ROOM = 50
LIMIT_BYTES = 16 << 20
Known = tuple[tuple[FileAt, ...], Owners]


class RepoOwners:
    """Reads and remembers, for the 50 repositories asked about last."""

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
        known = self._known.get(full)
        if known is None or known[0] != files:
            contents = await self._code.read(org, repo, sha, files, LIMIT_BYTES) if files else []
            texts = {file.path: data for file, data in zip(files, contents, strict=True)}
            known = files, owners.of_files(texts, names.owners, names.owners_aliases)
            self._known[full] = known
        self._known.move_to_end(full)
        if len(self._known) > ROOM:
            self._known.popitem(last=False)
        return known[1]
