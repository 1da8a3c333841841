"""The folder of bare repositories: made, found, and locked for one writer at a time."""

from collections.abc import Mapping
from pathlib import Path

import anyio

from prow_async.sandbox.github.git import names, reading, writing
from prow_async.sandbox.github.git.command import Git
from prow_async.sandbox.github.records import Signature
from prow_async.sandbox.github.refusal import invalid

PUSH_LIMIT_BYTES = 1024 * 1024 * 1024


class Repositories:
    """Bare repositories `ORG/REPO.git` below a folder, lower-case, so that names differing in case are one.

    Args:
        folder: theirs alone; made when needed.
        push_limit_bytes: a larger push is refused.
    """

    def __init__(self, folder: Path, push_limit_bytes: int = PUSH_LIMIT_BYTES) -> None:
        self.folder = folder
        self.push_limit_bytes = push_limit_bytes
        self._locks: dict[str, anyio.Lock] = {}

    def at(self, org: str, name: str) -> Git:
        """Return git on a repository. Raises Refusal (422) for names no repository can have."""
        for part in (org, name):
            if not names.is_name(part):
                raise invalid("Repository", "name", "invalid")
        return Git(self.folder / org.lower() / f"{name.lower()}.git")

    def lock(self, org: str, name: str) -> anyio.Lock:
        """Return the lock that whoever moves refs of a repository holds."""
        return self._locks.setdefault(f"{org}/{name}".lower(), anyio.Lock())

    def make(self, org: str, name: str, branch: str, files: Mapping[str, bytes], by: Signature) -> dict[str, str]:
        """Make a repository with one commit on `branch`, or find the one that is there. Blocks. Returns its refs.

        Refs of pull requests of an earlier world are taken away: their numbers are given anew.
        """
        git = self.at(org, name)
        if not names.is_ref(branch):
            raise invalid("Repository", "default_branch", "invalid")
        if not (git.folder / "HEAD").is_file():
            git.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            git.run("init", "--quiet", "--bare", f"--initial-branch={branch}")
        found = reading.refs(git)
        old = [writing.RefMove(ref, "") for ref in found if ref.startswith("pull/")]
        writing.move(git, old)
        if f"heads/{branch}" not in found:
            sha = writing.commit_files(git, "", files, "Initial commit", by)
            writing.move(git, [writing.RefMove(f"heads/{branch}", sha, writing.NOTHING)])
        git.run("symbolic-ref", "HEAD", f"refs/heads/{branch}")
        return {ref: sha for ref, sha in reading.refs(git).items() if not ref.startswith("pull/")}

    def copy(self, source: tuple[str, str], target: tuple[str, str], branch: str) -> dict[str, str]:
        """Copy a repository's branches and tags into a new one. Blocks. Returns its refs."""
        old, new = self.at(*source), self.at(*target)
        new.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        new.run("init", "--quiet", "--bare", f"--initial-branch={branch}")
        both = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-gc")
        new.run("-c", "protocol.file.allow=always", "fetch", *options, str(old.folder), *both)
        return reading.refs(new)
