"""What a repository holds: refs, commits, differences. Every function blocks and takes the repository's `Git`."""

from collections.abc import Iterator, Sequence

import msgspec

from prow_async.sandbox.github.git import names
from prow_async.sandbox.github.git.command import Failed, Git
from prow_async.sandbox.github.records import Commit, FileChange, Signature

COMMITS_LIMIT = 250
"""So many commits of a comparison or pull request are shown."""
FILES_LIMIT = 3000
"""So many files of a difference are shown."""
_FORMAT = "%H%n%T%n%P%n%an%n%ae%n%at%n%cn%n%ce%n%ct%n%B"
_STATUS = {"A": "added", "D": "removed", "M": "modified", "T": "changed", "R": "renamed", "C": "copied"}


def refs(git: Git) -> dict[str, str]:
    """Return all refs, without `refs/`, and what they point at (for an annotated tag its tag object)."""
    out = git.run("for-each-ref", "--format=%(objectname) %(refname)").decode(errors="surrogateescape")
    pairs = (line.partition(" ") for line in out.splitlines())
    return {ref.removeprefix("refs/"): sha for sha, _, ref in pairs}


def resolve(git: Git, revision: str) -> str | None:
    """Return the commit that a full or short object name, branch, tag or ref means; None when there is none."""
    if not names.is_ref(revision):
        return None
    for candidate in (revision, f"refs/{revision}", f"refs/heads/{revision}", f"refs/tags/{revision}"):
        code, out = git.run_coded(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{candidate}^{{commit}}", ok=(0, 1, 128)
        )
        if code == 0:
            return out.decode().strip()
    return None


def kind(git: Git, sha: str) -> str:
    """Return `commit`, `tree`, `blob` or `tag`; empty when there is no such object."""
    code, out = git.run_coded("cat-file", "-t", sha, ok=(0, 1, 128))
    return out.decode().strip() if code == 0 else ""


def commit(git: Git, sha: str) -> Commit | None:
    """Read one commit with its files; None when there is none."""
    if not names.is_sha(sha) or kind(git, sha) != "commit":
        return None
    return commits(git, [sha], 1)[0]


def commits(git: Git, revisions: Sequence[str], limit: int, *, path: str = "", skip: int = 0) -> list[Commit]:
    """Read the commits that revisions of ours (object names and `^`names) reach, newest first, with their files."""
    options = [f"--max-count={limit}", f"--skip={skip}", "--date-order", "-z", f"--format={_FORMAT}"]
    out = git.run("log", *options, *revisions, "--", *([path] if path else []))
    found = [_commit(entry) for entry in out.decode(errors="replace").split("\0") if entry]
    return _with_files(git, found)


def _commit(entry: str) -> Commit:
    sha, tree, parents, author, email, at, committer, committer_email, committed, message = entry.split("\n", 9)
    return Commit(
        sha,
        message.rstrip("\n"),
        author,
        (parents.split() or [""])[0],
        float(committed or 0),
        tree=tree,
        more_parents=tuple(parents.split()[1:]),
        written=Signature(author, email, float(at or 0)),
        committed=Signature(committer, committer_email, float(committed or 0)),
    )


def _with_files(git: Git, found: list[Commit]) -> list[Commit]:
    """Add the files each commit changed against its first parent."""
    if not found:
        return []
    files: dict[str, list[FileChange]] = {}
    options = ("--diff-merges=first-parent", "-r", "-z", "--raw", "--no-abbrev", "--root", "-M", "--no-ext-diff")
    asked = "".join(f"{c.sha}\n" for c in found).encode()
    at: list[FileChange] = []
    fields = iter(git.run("diff-tree", "--stdin", *options, input=asked).decode(errors="replace").split("\0"))
    for field in fields:
        if names.is_sha(field):
            at = files.setdefault(field, [])
        elif field.startswith(":"):
            at.append(_raw(field, fields))
    return [msgspec.structs.replace(c, files=tuple(files.get(c.sha, [])[:FILES_LIMIT])) for c in found]


def _raw(field: str, fields: Iterator[str]) -> FileChange:
    """Read one entry of the raw format, whose first field is here and whose paths follow."""
    _, _, _, sha, letter = field.split(" ")
    status = _STATUS.get(letter[0], "changed")
    first = next(fields)
    if letter[0] in "RC":
        return FileChange(next(fields), status, first, sha=sha)
    return FileChange(first, status, sha=sha)


def difference(git: Git, base: str, head: str) -> tuple[FileChange, ...]:
    """Compare two commits or trees, renames found; at most FILES_LIMIT files."""
    options = ("-r", "-z", "--raw", "--numstat", "--no-abbrev", "-M", "--no-ext-diff")
    out = git.run("diff-tree", *options, base, head).decode(errors="replace")
    found: dict[str, FileChange] = {}
    fields = iter(out.split("\0"))
    for field in fields:
        if field.startswith(":"):
            changed = _raw(field, fields)
            found[changed.filename] = changed
        elif field:
            added, removed, name = field.split("\t", 2)
            if not name:
                next(fields)
                name = next(fields)
            numbers = [0 if n == "-" else int(n) for n in (added, removed)]
            found[name] = msgspec.structs.replace(found[name], additions=numbers[0], deletions=numbers[1])
    return tuple(found.values())[:FILES_LIMIT]


def merge_base(git: Git, one: str, other: str) -> str | None:
    """Return the commit two histories have in common; None when there is none."""
    code, out = git.run_coded("merge-base", one, other, ok=(0, 1))
    return out.decode().split("\n")[0] if code == 0 else None


def is_ancestor(git: Git, old: str, new: str) -> bool:
    """Say whether `new` has `old` in its history."""
    code, _ = git.run_coded("merge-base", "--is-ancestor", old, new, ok=(0, 1, 128))
    return code == 0


def count(git: Git, base: str, head: str) -> tuple[int, int]:
    """Return by how many commits `head` is ahead of and behind `base`."""
    behind, ahead = git.text("rev-list", "--left-right", "--count", f"{base}...{head}").split()
    return int(ahead), int(behind)


class TreeEntry(msgspec.Struct, frozen=True):
    """One entry of a tree. `kind` is blob, tree or commit (a submodule)."""

    mode: str
    kind: str
    sha: str
    size_bytes: int | None
    path: str


def tree(git: Git, treeish: str, *, recursive: bool = False) -> list[TreeEntry] | None:
    """List a tree, paths from its root; None when there is no such tree. `treeish` is ours or checked."""
    options = ["-r", "-t"] if recursive else []
    try:
        out = git.run("ls-tree", "-z", "--long", *options, treeish)
    except Failed:
        return None
    found = []
    for line in out.decode(errors="replace").split("\0")[:-1]:
        about, _, path = line.partition("\t")
        mode, of, sha, size = about.split()
        found.append(TreeEntry(mode, of, sha, None if size == "-" else int(size), path))
    return found


def blob(git: Git, sha: str, limit_bytes: int = 100 * 1024 * 1024) -> bytes | None:
    """Read a file's content; None when there is no such blob. Raises Refusal (422) for a larger one."""
    if not names.is_sha(sha) or kind(git, sha) != "blob":
        return None
    return git.run("cat-file", "blob", sha, limit_bytes=limit_bytes)


def patch(git: Git, base: str, head: str, *, mail: bool = False) -> bytes:
    """Return a comparison as text: one difference, or with `mail` a patch for each commit."""
    if mail:
        return git.run("format-patch", "--stdout", "--no-signature", f"{base}..{head}")
    return git.run("diff", "--no-ext-diff", "--no-textconv", base, head)
