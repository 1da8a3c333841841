"""A repository's mirror on disk: commits and trees of what was asked for, and of blobs only those that were read.

Blocks; for one thread at a time. It outlives the process: what was fetched once is not fetched again.
"""

import contextlib
import fcntl
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from prow_async.adapters.git.command import LONGEST_BYTES, REMOTE_TIMEOUT_S, Failed, Git, Remote, TooMuch, version
from prow_async.api.errors import Refused, Retry
from prow_async.api.inrepo import Wanted

MERGE_TREE = (2, 38)
"""The first version of git that merges without a work tree."""
SEEN = "refs/prow/seen/"
KEPT_COMMITS = 500
_GC_EVERY = 50
_FETCH = (
    *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-gc", "--no-recurse-submodules"),
    "--filter=blob:none",
)
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)
_ORG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*", re.ASCII)
_REPO = re.compile(r"(?!\.\.?$)[A-Za-z0-9._-]+", re.ASCII)
"""A repository may be called `.github`, or `-`; what git is told of it never begins with its name."""


class Entry(msgspec.Struct, frozen=True):
    """One file or folder of a tree. `mode` is git's: 040000 a folder, 100644 and 100755 files, others neither."""

    path: str
    mode: str
    id: str

    @property
    def is_file(self) -> bool:
        return self.mode in {"100644", "100755"}

    @property
    def is_folder(self) -> bool:
        return self.mode == "040000"


def check(wanted: Wanted) -> None:
    """Raise Refused for names that no repository and no commit can have: what is left cannot mislead git."""
    for name, shape in ((wanted.org, _ORG), (wanted.repo, _REPO)):
        if not shape.fullmatch(name) or name.endswith(".git"):
            raise Refused(f"{wanted.full_name!r} is no repository's name")
    for sha in (wanted.base_sha, *wanted.heads):
        if not _SHA.fullmatch(sha):
            raise Refused(f"{sha!r} is no commit of {wanted.full_name}: 40 or 64 hexadecimal digits are")


class Mirror:
    """The mirror of one repository.

    Args:
        folder: its own; made at first use.
    """

    def __init__(self, folder: Path, remote: Remote, org: str, repo: str) -> None:
        self._folder = folder
        self._url = remote.url(org, repo)
        self._name = f"{org}/{repo}"
        self._git = Git(folder, remote, org)
        self._fetches = 0

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out, and have the mirror there. Raises Retry where the disk has no place for it."""
        if version() < MERGE_TREE:
            have, need = ".".join(map(str, version())), ".".join(map(str, MERGE_TREE))
            raise Refused(f"reading repositories takes git {need} or newer, this is {have}: install a newer one")
        with contextlib.ExitStack() as held:
            try:
                self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock = held.enter_context(open(self._folder.with_suffix(".lock"), "w"))
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._open()
            except OSError as error:
                raise self._no_place(error) from error
            yield

    def _no_place(self, error: OSError) -> Retry:
        return Retry(f"{self._name}: its mirror cannot be kept at {self._folder}: {error.strerror or error}")

    def _open(self) -> None:
        """Make the mirror, or make it anew where it is damaged; have it follow its origin to another address."""
        ready = self._folder / "prow-async-mirror"
        if ready.exists():
            if ready.read_text(errors="replace") != self._url:
                self._git.run("config", "remote.origin.url", self._url)
                ready.write_text(self._url)
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        self._git.run("init", "--quiet", "--bare", str(self._folder))
        for key, value in (
            ("core.repositoryFormatVersion", "1"),
            ("extensions.partialClone", "origin"),
            ("remote.origin.url", self._url),
            ("remote.origin.promisor", "true"),
            ("remote.origin.partialCloneFilter", "blob:none"),
            ("protocol.version", "2"),
            ("gc.autoDetach", "false"),
            ("gc.auto", "2000"),
            ("gc.autoPackLimit", "20"),
        ):
            self._git.run("config", key, value)
        ready.write_text(self._url)

    def forget(self) -> None:
        """Give the mirror up; the next use makes it anew."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def merged(self, wanted: Wanted) -> str:
        """Fetch what is missing of a state and return the id of its tree.

        Raises: Refused when the heads cannot be merged, or a commit is not there; Retry for trouble on the way.
        """
        self._have(wanted)
        tree, commit = "", wanted.base_sha
        for number, head in enumerate(wanted.heads):
            tree = self._merge(commit, head)
            if number + 1 < len(wanted.heads):
                commit = self._text("commit-tree", tree, "-p", commit, "-p", head, "-m", "merge")
        return tree or self._text("rev-parse", "--verify", "--quiet", f"{commit}^{{tree}}")

    def _merge(self, base: str, head: str) -> str:
        """Merge two commits without a work tree. Blobs that both sides changed are fetched by git itself."""
        try:
            code, out = self._git.run(
                "merge-tree", "--write-tree", "--no-messages", base, head, ok=(0, 1), timeout_s=REMOTE_TIMEOUT_S
            )
        except Failed as error:
            raise error.as_refusal(f"{self._name}: {head} cannot be merged into {base}") from error
        if code == 1:
            raise Refused(f"{self._name}: {head} cannot be merged into {base}: they conflict")
        return out.split(b"\n", 1)[0].decode()

    def _have(self, wanted: Wanted) -> None:
        every = dict.fromkeys((wanted.base_sha, *wanted.heads))
        missing = [sha for sha in every if not self._is_here(sha)]
        if not missing:
            return
        try:
            refspecs = [f"+{sha}:{SEEN}{sha}" for sha in missing]
            self._git.run(*_FETCH, "origin", *refspecs, timeout_s=REMOTE_TIMEOUT_S)
        except Failed as error:
            raise error.as_refusal(f"{self._url} does not give {', '.join(missing)}") from error
        self._fetches += 1
        if self._fetches % _GC_EVERY == 1:  # the first of a process among them: it may not live to see many
            self._tidy()

    def _is_here(self, sha: str) -> bool:
        """Say whether a commit was fetched. A look at its ref alone: asking for the object would fetch it."""
        code, _ = self._git.run("rev-parse", "--verify", "--quiet", f"{SEEN}{sha}", ok=(0, 1))
        return code == 0

    def _tidy(self) -> None:
        """Forget the oldest commits beyond the bound, and let git pack what has come together."""
        listed = self._text("for-each-ref", "--sort=-committerdate", "--format=%(refname)", SEEN).splitlines()
        gone = "".join(f"delete {name}\n" for name in listed[KEPT_COMMITS:])
        self._git.run("update-ref", "--stdin", input=gone.encode())
        self._git.run("gc", "--auto", "--quiet", timeout_s=REMOTE_TIMEOUT_S)

    def depth(self, sha: str) -> int:
        """Count a commit that was fetched and all that it stands on."""
        return int(self._text("rev-list", "--count", sha))

    def entries(self, tree: str, *paths: str) -> list[Entry]:
        """List those of `paths` that stand in a tree, by the id of the tree."""
        return self._listed("ls-tree", "-z", tree, "--", *paths)

    def below(self, tree: str, limit_bytes: int = LONGEST_BYTES) -> list[Entry]:
        """List everything in a tree that is no folder, at any depth, in git's order.

        Raises: Refused when the list is longer than `limit_bytes`.
        """
        return self._listed("ls-tree", "-r", "-z", tree, limit_bytes=limit_bytes)

    def _listed(self, *arguments: str, limit_bytes: int = LONGEST_BYTES) -> list[Entry]:
        try:
            _, out = self._git.run(*arguments, limit_bytes=limit_bytes)
        except TooMuch as error:
            raise Refused(f"{self._name}: the list of its files is larger than {limit_bytes} bytes") from error
        entries = []
        for line in out.split(b"\0"):
            if line:
                facts, _, path = line.partition(b"\t")
                mode, _, id_ = facts.decode().split(" ")
                entries.append(Entry(path.decode(errors="backslashreplace"), mode, id_))
        return entries

    def read(self, ids: Sequence[str], limit_bytes: int, tree: str = "") -> list[bytes]:
        """Read blobs.

        Args:
            limit_bytes: of all together.
            tree: the folder they stand in: what was never read of it is fetched in one go, else file by file.

        Raises: Refused when they are larger, or one is no file; Retry for trouble on the way; Failed when the mirror
            lacks one.
        """
        if not ids:
            return []
        try:
            if tree:
                self._fetch_blobs(tree, ids)
            asked = "".join(f"{id_}\n" for id_ in ids).encode()
            bound = limit_bytes + 200 * len(ids)
            _, out = self._git.run("cat-file", "--batch", input=asked, timeout_s=REMOTE_TIMEOUT_S, limit_bytes=bound)
        except Failed as error:
            raise error.as_refusal(f"{self._url}: files cannot be read") from error
        except TooMuch as error:
            raise Refused(f"{self._name}: what is read of it is larger than {limit_bytes} bytes") from error
        found, rest = [], memoryview(out)
        for id_ in ids:
            head = bytes(rest[:200]).partition(b"\n")[0]
            words = head.split(b" ")
            if words[1:] == [b"missing"]:  # a tree names it, and its origin would have given it
                raise Failed("cat-file", 0, f"{id_} is missing")
            if len(words) != 3 or words[1] != b"blob":
                raise Refused(f"{self._url}: {id_} is no file that it has")
            start = len(head) + 1
            end = start + int(words[2])
            found.append(bytes(rest[start:end]))
            rest = rest[end + 1 :]
        return found

    def _fetch_blobs(self, tree: str, ids: Sequence[str]) -> None:
        """Fetch those blobs of a folder that are not here; rev-list tells which, and itself fetches nothing."""
        _, out = self._git.run("rev-list", "--objects", "--missing=print", tree)
        absent = {line[1:] for line in out.decode(errors="replace").splitlines() if line.startswith("?")}
        missing = [id_ for id_ in ids if id_ in absent]
        if missing:
            self._git.run(
                *("-c", "fetch.negotiationAlgorithm=noop", *_FETCH, "--stdin", "origin"),
                input="".join(f"{id_}\n" for id_ in missing).encode(),
                timeout_s=REMOTE_TIMEOUT_S,
            )

    def _text(self, *arguments: str) -> str:
        return self._git.run(*arguments)[1].decode().strip()
