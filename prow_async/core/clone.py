"""Which commands clone a job's code.

A plan is a list of commands to run one after another, until one fails: first those that bring the base, then, once the
time of its commit is known, those that merge the pulls and fetch submodules.

Source: upstream pkg/pod-utils/clone/clone.go.
"""

import base64
import posixpath
from collections.abc import Sequence
from typing import Literal

import msgspec

from prow_async.api.clonerecords import Record
from prow_async.api.prowjob import Pull, Refs
from prow_async.core import podenv

WAITS_S = (0.1, 0.2, 0.4, 0.8, 2.0, 5.0, 10.0, 15.0, 30.0)
"""Seconds to wait before each further try of a fetch."""
_BLOBLESS = "--filter=blob:none"
_HTTP = ("https://", "http://")

Step = Literal["prepare", "fetch", "checkout", "merge", "submodules"]
Variables = tuple[tuple[str, str], ...]


class Command(msgspec.Struct, frozen=True):
    """One command: what to run, where, and with which variables beside those of the process."""

    argv: tuple[str, ...]
    cwd: str
    env: Variables = ()
    step: Step = "prepare"
    pull: Pull | None = None
    """The pull that a fetch or a merge is for; None is the base."""

    def __str__(self) -> str:
        """Show it as records do."""
        return f"PWD={self.cwd} {' '.join(f'{name}={value}' for name, value in self.env)} {' '.join(self.argv)}"


class Who(msgspec.Struct, frozen=True):
    """Whom merges are made by, and how web servers know us. "" leaves each to git."""

    name: str = ""
    email: str = ""
    cookie_path: str = ""


class Plan(msgspec.Struct, frozen=True):
    """Where one repository's code comes from and goes to, and what all its commands know of the environment."""

    refs: Refs
    folder: str
    uri: str
    env: Variables = ()

    def base(self, who: Who) -> list[Command]:
        """Return the commands up to the base being checked out on its branch."""
        refs, sparse = self.refs, bool(self.refs.sparse_checkout_files)
        commands = [Command(("mkdir", "-p", self.folder), "/", self.env), self._git("init")]
        commands += [
            self._git("config", key, value)
            for key, value in (("user.name", who.name), ("user.email", who.email))
            if value
        ]
        if who.cookie_path and refs.skip_submodules:
            commands.append(self._git("config", "http.cookiefile", who.cookie_path))
        if sparse:
            commands.append(self._git("sparse-checkout", "init"))
        depth = 1 if sparse else refs.clone_depth
        how = [
            *(("--depth", str(depth)) if depth > 0 else ()),
            *((_BLOBLESS,) if refs.blobless_fetch or sparse else ()),
        ]
        if not (refs.skip_fetch_head or sparse):
            commands.append(self._fetch(*how, self.uri, "--tags", "--prune"))
        if sparse:
            how.append("--no-tags")
        commands.append(self._fetch(*how, self.uri, refs.base_sha or refs.base_ref))
        if sparse:
            commands.append(self._git("sparse-checkout", "set", *refs.sparse_checkout_files))
        # The branch may be the one that stands checked out, which cannot be moved: the commit is checked out first.
        target = refs.base_sha or "FETCH_HEAD"
        commands += [
            self._git("checkout", target, step="checkout"),
            self._git("branch", "--force", refs.base_ref, target, step="checkout"),
            self._git("checkout", refs.base_ref, step="checkout"),
        ]
        return commands

    def pulls(self, base_time_s: int) -> list[Command]:
        """Return the commands that merge the pulls in their order and fetch submodules.

        Args:
            base_time_s: when the base was committed, as a Unix time. Each merge is dated a second after the one before,
                so that the same base and pulls give the same commit whenever they are merged.
        """
        refs = self.refs
        filters = (_BLOBLESS,) if refs.blobless_fetch else ()
        commands = []
        for second, pull in enumerate(refs.pulls, base_time_s + 1):
            wanted = pull.ref or pull.sha or f"pull/{pull.number}/head"
            commands.append(self._fetch(*filters, self.uri, wanted, pull=pull))
            dates = (("GIT_AUTHOR_DATE", str(second)), ("GIT_COMMITTER_DATE", str(second)))
            merge = ("git", "merge", "--no-ff", pull.sha or "FETCH_HEAD")
            commands.append(Command(merge, self.folder, (*self.env, *dates), "merge", pull))
        if not refs.skip_submodules and not refs.sparse_checkout_files:
            commands.append(self._git("submodule", "update", "--init", "--recursive", step="submodules"))
        return commands

    def base_time(self) -> Command:
        """Return the command that prints when the base was committed, as a Unix time."""
        return self._git("show", "-s", "--format=format:%ct", "HEAD")

    def final_sha(self) -> Command:
        """Return the command that prints the commit that is checked out."""
        return self._git("rev-parse", "HEAD")

    def conflicts(self) -> Command:
        """Return the command that prints the paths in conflict, a NUL after each."""
        return self._git("diff", "--name-only", "--diff-filter=U", "-z")

    def _git(self, *arguments: str, step: Step = "prepare") -> Command:
        return Command(("git", *arguments), self.folder, self.env, step)

    def _fetch(self, *arguments: str, pull: Pull | None = None) -> Command:
        return Command(("git", "fetch", *arguments), self.folder, self.env, "fetch", pull)


def folder_for(refs: Refs, src_root: str) -> str:
    """Return where a repository is cloned to: below its path alias, its link without the scheme, or github.com."""
    below = refs.path_alias or refs.repo_link.rpartition("://")[2] or f"github.com/{refs.org}/{refs.repo}"
    joined = posixpath.normpath(f"{src_root}/src/{below}")
    return f"/{joined.lstrip('/')}" if joined.startswith("/") else joined


def uri_for(refs: Refs) -> str:
    """Return the address to fetch from."""
    if refs.clone_uri:
        return refs.clone_uri
    return f"{refs.repo_link}.git" if refs.repo_link else f"https://github.com/{refs.org}/{refs.repo}.git"


def authorized(uri: str, user: str, token: str) -> tuple[str, Variables]:
    """Return an address without any user in it, and git settings (key, value) that send a token there and only there.

    The settings belong into git's environment, never into arguments or files. A token as such, without a user, is sent
    as the user's name, as GitHub's personal tokens want it. Addresses that are not http or https stay as they are.
    """
    scheme, separator, rest = uri.partition("://")
    if not token or not uri.lower().startswith(_HTTP):
        return uri, ()
    authority, slash, path = rest.partition("/")
    bare = f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"
    pair = f"{user}:{token}" if user else f"{token}:x-oauth-basic"
    encoded = base64.b64encode(pair.encode()).decode()
    return bare, ((f"http.{bare}.extraHeader", f"Authorization: Basic {encoded}"),)


def shown(refs: Refs) -> str:
    """Return refs on one line, as logs show them: `org/repo=main:sha,12:sha`."""
    return f"{refs.full_name}={podenv.refs_text(refs)}"


def encode(records: Sequence[Record]) -> bytes:
    """Write the records file, as Go's encoding/json does."""
    return f"[{','.join(podenv.go_json(record) for record in records)}]".encode()


def exit_code(records: Sequence[Record], fail: bool) -> int:
    """Return how clonerefs ends: 0 even when a clone failed, since initupload tells of that, unless `fail` is asked."""
    return 1 if fail and any(record.failed for record in records) else 0
