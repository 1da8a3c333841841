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
    shallow: bool = False


def origin(folder: Path) -> str:
    """Return the URL of the working copy's origin; "" without one. Raises CannotStart when there is no repository."""
    _output(folder, "rev-parse", "--git-dir")
    return _output(folder, "config", "--get", "remote.origin.url", may_fail=True)


def take(folder: Path, into: Path, base_ref: str = "", pull_number: int = 0) -> Snapshot:
    """Make a bare repository at `into` that shows the working copy as a pull request.

    Args:
        into: must not be there yet.
        base_ref: the branch it is compared with; by default what origin has as its own, else the current one.

    Raises CannotStart with one line for a person.
    """
    head = _output(folder, "rev-parse", "--verify", "HEAD^{commit}", may_fail=True)
    if not head:
        _output(folder, "rev-parse", "--git-dir")
        raise CannotStart(f"{folder} has no commit yet: a job needs one to start from")
    if _output(folder, "rev-parse", "--is-bare-repository") == "true":
        raise CannotStart(f"{folder} is a bare repository, without a working copy: name a folder with one")
    top = Path(_output(folder, "rev-parse", "--show-toplevel"))
    base_ref = base_ref or _base_ref(folder)
    base_sha = _base_sha(folder, base_ref, head)
    _make(folder, into, base_ref)
    tree = _working_tree(folder, top, into)
    dirty = tree != _output(folder, "rev-parse", f"{head}^{{tree}}")
    if dirty:
        head = _output(into, "commit-tree", tree, "-p", head, "-m", "What is not committed yet", env=_WHO)
    _output(into, "update-ref", f"refs/heads/{base_ref}", base_sha)
    _output(into, "update-ref", f"refs/pull/{pull_number}/head", head)
    return Snapshot(into.as_uri(), base_ref, base_sha, head, dirty, (into / "shallow").is_file())


def _base_ref(folder: Path) -> str:
    known = _output(folder, "symbolic-ref", "--short", "refs/remotes/origin/HEAD", may_fail=True)
    current = _output(folder, "symbolic-ref", "--short", "HEAD", may_fail=True)
    return known.removeprefix("origin/") or current or "main"


def _base_sha(folder: Path, base_ref: str, head: str) -> str:
    for ref in (f"refs/remotes/origin/{base_ref}", f"refs/heads/{base_ref}"):
        found = _output(folder, "merge-base", head, ref, may_fail=True)
        if found:
            return found
    return head


def _make(folder: Path, into: Path, base_ref: str) -> None:
    """Make a repository with the objects of the working copy's."""
    into.parent.mkdir(parents=True, exist_ok=True)
    common = Path(_output(folder, "rev-parse", "--path-format=absolute", "--git-common-dir"))
    _output(into.parent, "init", "--quiet", "--bare", f"--initial-branch={base_ref}", str(into))
    try:
        shutil.copytree(common / "objects", into / "objects", copy_function=_link, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        raise CannotStart(f"{common}: its objects cannot be read: {error}") from error
    if (common / "shallow").is_file():
        shutil.copyfile(common / "shallow", into / "shallow")
    for key in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        _output(into, "config", key, "true")


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _working_tree(folder: Path, top: Path, into: Path) -> str:
    """Write the working copy as a tree: all that is tracked or could be, without what is ignored."""
    index = into / "index.working"
    own = Path(_output(folder, "rev-parse", "--path-format=absolute", "--git-path", "index"))
    if own.is_file():
        shutil.copyfile(own, index)  # knows what has not changed, which spares reading it
    env = {"GIT_INDEX_FILE": str(index), "GIT_OBJECT_DIRECTORY": str(into / "objects")}
    _output(top, "add", "--all", "--", ".", env=env)
    return _output(top, "write-tree", env=env)


def _output(folder: Path, *arguments: str, env: Mapping[str, str] = {}, may_fail: bool = False) -> str:
    """Run git as the person's own, with their configuration but without hooks; return what it printed.

    Raises CannotStart, unless it may fail: "" then.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    fixed = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    command = ["git", "-c", f"safe.directory={folder}", "-c", f"core.hooksPath={os.devnull}", *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            command,
            cwd=folder,
            env={**clean, **fixed, **env},
            stdin=subprocess.DEVNULL,
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
    if done.returncode and not may_fail:
        said = " ".join(done.stderr.decode(errors="replace").split()) or f"exit code {done.returncode}"
        raise CannotStart(f"{folder}: git {arguments[0]}: {said[:500]}")
    return done.stdout.decode(errors="surrogateescape").strip() if done.returncode == 0 else ""
