"""A person's working copy as a repository that a job can clone, with what is not committed yet. Blocks.

Nothing is written to the working copy or its repository. Objects, which never change, are linked where the file system
allows it and copied elsewhere: a pod may not see the working copy itself.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

from prow_async.api.errors import CannotStart

_TIMEOUT_S = 600.0
_BRANCHES, _ORIGIN = "refs/heads/", "refs/remotes/origin/"
_SERVED = """
[uploadpack]
	allowFilter = true
	allowAnySHA1InWant = true
[pack]
	window = 0
	compression = 0
"""
"""Who fetches is on this machine: making what is sent small costs more than it spares."""
_HEX = frozenset("0123456789abcdef")
_WHO = {
    name: value
    for who in ("AUTHOR", "COMMITTER")
    for name, value in ((f"GIT_{who}_NAME", "prow-async"), (f"GIT_{who}_EMAIL", "prow-async@localhost"))
}


class Snapshot(msgspec.Struct, frozen=True):
    """What was taken.

    `url` serves `base_ref` at `base_sha`, the commit at which the work left it, and `head_sha` as the head of each
    pull request asked for. `dirty`: `head_sha` holds changes that are committed nowhere else. `shallow`: history ends
    before its beginning, and only a fetch that asks for a depth says so to the clone.
    """

    url: str
    base_ref: str
    base_sha: str
    head_sha: str
    dirty: bool
    origin: str = ""
    """The URL of the working copy's origin; "" without one."""
    shallow: bool = False


class _Copy(msgspec.Struct, frozen=True):
    """What git tells of a working copy."""

    top: Path
    common: Path
    """Its repository, which other working copies may share."""
    index: Path
    head: str
    tree: str
    """The one of the commit that is checked out."""
    branch: str
    """`refs/heads/NAME`; "" when none is checked out."""
    default: str
    """The branch that origin has as its own; "" when that is not known."""


def origin(folder: Path) -> str:
    """Return the URL of the working copy's origin; "" without one, or where there is no repository."""
    return _output(folder, "config", "--get", "remote.origin.url", may_fail=True)


def take(folder: Path, into: Path, base_ref: str = "", pull_number: int = 0) -> Snapshot:
    """Make a bare repository at `into` that shows the working copy as a pull request.

    Each git costs a run some milliseconds: as few as possible are started.

    Args:
        into: must not be there yet.
        base_ref: the branch it is compared with; by default what origin has as its own, else the current one.

    Raises CannotStart with one line for a person.
    """
    copy = _look_at(folder)
    base_ref = base_ref or copy.default or copy.branch.removeprefix(_BRANCHES) or "main"
    base_sha = _base_sha(folder, copy, base_ref)
    _make(copy, into, base_ref)
    tree, head = _working_tree(copy, into), copy.head
    dirty = tree != copy.tree
    if dirty:
        head = _output(into, "commit-tree", tree, "-p", head, "-m", "What is not committed yet", env=_WHO)
    refs = {f"{_BRANCHES}{base_ref}": base_sha, f"refs/pull/{pull_number}/head": head}
    created = "".join(f"create {name}\0{sha}\0" for name, sha in refs.items())
    _output(into, "update-ref", "-z", "--stdin", text=created)
    return Snapshot(into.as_uri(), base_ref, base_sha, head, dirty, origin(folder), (into / "shallow").is_file())


def _look_at(folder: Path) -> _Copy:
    paths = ("--path-format=absolute", "--show-toplevel", "--git-common-dir", "--git-path", "index")
    commits = ("HEAD^{commit}", "HEAD^{tree}", "--symbolic-full-name", "HEAD", f"{_ORIGIN}HEAD")
    done = _run(folder, "rev-parse", "--revs-only", "--is-bare-repository", *paths, *commits)
    bare, *found = done.stdout.decode(errors="surrogateescape").splitlines() or [""]
    if bare == "true":
        raise CannotStart(f"{folder} is a bare repository, without a working copy: name a folder with one")
    _check(folder, "rev-parse", done)
    if len(found) < 5:
        raise CannotStart(f"{folder} has no commit yet: a job needs one to start from")
    top, common, index, head, tree, *names = found
    if not {*head, *tree} <= _HEX:
        raise CannotStart(f"{folder}: its path has a line break, which is not supported: move it")
    branch = next((name for name in names if name.startswith(_BRANCHES)), "")
    default = next((name.removeprefix(_ORIGIN) for name in names if name.startswith(_ORIGIN)), "")
    return _Copy(Path(top), Path(common), Path(index), head, tree, branch, default)


def _base_sha(folder: Path, copy: _Copy, base_ref: str) -> str:
    for ref in (f"{_ORIGIN}{base_ref}", f"{_BRANCHES}{base_ref}"):
        found = copy.head if ref == copy.branch else _output(folder, "merge-base", copy.head, ref, may_fail=True)
        if found:
            return found
    return copy.head


def _make(copy: _Copy, into: Path, base_ref: str) -> None:
    """Make a repository with the objects of the working copy's."""
    into.parent.mkdir(parents=True, exist_ok=True)
    _output(into.parent, "init", "--quiet", "--bare", "--template=", f"--initial-branch={base_ref}", str(into))
    with (into / "config").open("a") as config:
        config.write(_SERVED)
    common = copy.common
    try:
        shutil.copytree(common / "objects", into / "objects", copy_function=_link, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        raise CannotStart(f"{common}: its objects cannot be read: {error}") from error
    if (common / "shallow").is_file():
        shutil.copyfile(common / "shallow", into / "shallow")


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _working_tree(copy: _Copy, into: Path) -> str:
    """Write the working copy as a tree: all that is tracked or could be, without what is ignored."""
    index = into / "index.working"
    if copy.index.is_file():
        shutil.copyfile(copy.index, index)  # knows what has not changed, which spares reading it
    env = {"GIT_INDEX_FILE": str(index), "GIT_OBJECT_DIRECTORY": str(into / "objects")}
    _output(copy.top, "add", "--all", "--", ".", env=env)
    return _output(copy.top, "write-tree", env=env)


def _output(folder: Path, *arguments: str, env: Mapping[str, str] = {}, text: str = "", may_fail: bool = False) -> str:
    """Run git on a text; return what it printed. Raises CannotStart, unless it may fail: "" then."""
    done = _run(folder, *arguments, env=env, text=text)
    if not may_fail:
        _check(folder, arguments[0], done)
    return done.stdout.decode(errors="surrogateescape").strip() if done.returncode == 0 else ""


def _check(folder: Path, verb: str, done: "subprocess.CompletedProcess[bytes]") -> None:
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split()) or f"exit code {done.returncode}"
        raise CannotStart(f"{folder}: git {verb}: {said[:500]}")


def _run(
    folder: Path, *arguments: str, env: Mapping[str, str] = {}, text: str = ""
) -> "subprocess.CompletedProcess[bytes]":
    """Run git as the person's own, with their configuration but without hooks. Raises CannotStart if that cannot be."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    fixed = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    command = ["git", "-c", f"safe.directory={folder}", "-c", f"core.hooksPath={os.devnull}", *arguments]
    try:
        return subprocess.run(  # noqa: S603 - no shell
            command,
            cwd=folder,
            env={**clean, **fixed, **env},
            input=os.fsencode(text),
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as error:
        missing = "git is not there: install it" if Path(folder).is_dir() else f"{folder}: no such folder"
        raise CannotStart(missing) from error
    except NotADirectoryError as error:
        raise CannotStart(f"{folder} is no folder") from error
    except subprocess.TimeoutExpired as error:
        raise CannotStart(f"git {arguments[0]} in {folder} did not end within {_TIMEOUT_S:.0f} s") from error
