"""Making commits and moving refs. Every function blocks and takes the repository's `Git`; none needs a work tree."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from prow_async.sandbox.github.git.command import Failed, Git
from prow_async.sandbox.github.records import Signature
from prow_async.sandbox.github.refusal import Refusal

NOTHING = "0" * 40
Method = Literal["merge", "squash", "rebase"]


class RefMove(msgspec.Struct, frozen=True):
    """A ref (without `refs/`) to be moved. `old` is where it must be now: NOTHING when it must be new, None any."""

    ref: str
    new: str
    old: str | None = None


def move(git: Git, moves: Sequence[RefMove]) -> bool:
    """Move all refs or none; an empty or NOTHING `new` deletes. Returns False when one was not where it had to be."""
    if not moves:
        return True
    lines = []
    for one in moves:
        old = "" if one.old is None else one.old
        if one.new in ("", NOTHING):
            lines.append(f"delete refs/{one.ref}\0{old}\0")
        else:
            lines.append(f"update refs/{one.ref}\0{one.new}\0{old}\0")
    try:
        git.run("update-ref", "--stdin", "-z", input="".join(lines).encode())
    except Failed as failed:
        if failed.code == 128:
            return False
        raise
    return True


def who(person: Signature, prefix: str = "") -> dict[str, str]:
    """Return the environment that makes a person author and committer; with `prefix` one of the two."""
    found = {}
    for role in (prefix,) if prefix else ("AUTHOR", "COMMITTER"):
        found[f"GIT_{role}_NAME"] = _plain(person.name)
        found[f"GIT_{role}_EMAIL"] = _plain(person.email)
        found[f"GIT_{role}_DATE"] = f"@{max(0, int(person.at_s))} +0000"
    return found


def _plain(text: str) -> str:
    """Leave out what a signature cannot hold."""
    return "".join(c for c in text if c.isprintable() and c not in "<>").strip() or "unknown"


def commit_files(git: Git, parent: str, files: Mapping[str, bytes | None], message: str, by: Signature) -> str:
    """Commit files on top of a commit (or of nothing); None takes a file away. No ref moves. Returns the commit."""
    with tempfile.TemporaryDirectory(prefix="prow-async-") as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
        git.run("read-tree", parent or "--empty", env=env)
        lines = b""
        for path, content in files.items():
            if content is None:
                lines += f"0 {NOTHING}\t{path}\0".encode()
            else:
                sha = _write_blob(git, content)
                lines += f"{_mode(git, parent, path)} {sha}\t{path}\0".encode()
        git.run("update-index", "-z", "--replace", "--index-info", input=lines, env=env)
        tree = git.text("write-tree", env=env)
    return commit_tree(git, tree, [parent] if parent else [], message, who(by))


def _write_blob(git: Git, content: bytes) -> str:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        return git.run("hash-object", "-w", "--stdin", input=file).decode().strip()


def _mode(git: Git, parent: str, path: str) -> str:
    """Keep the mode of a file that is there."""
    found = git.text("ls-tree", parent, "--", path).split(" ")[0] if parent else ""
    return found if found in ("100644", "100755") else "100644"


def commit_tree(git: Git, tree: str, parents: Sequence[str], message: str, env: Mapping[str, str]) -> str:
    """Make a commit of a tree; `env` says by whom (see who)."""
    above = [word for parent in parents for word in ("-p", parent)]
    return git.text("commit-tree", tree, *above, input=(message.strip("\n") + "\n").encode(), env=env)


def merged_tree(git: Git, base: str, head: str) -> str | None:
    """Merge two commits in memory; return the tree, or None where they conflict or share no history."""
    try:
        code, out = git.run_coded("merge-tree", "--write-tree", "--no-messages", base, head, ok=(0, 1))
    except Failed:
        return None
    return out.decode().split("\n")[0].strip() if code == 0 else None


def merge(git: Git, base: str, head: str, how: tuple[Method, str], by: Signature) -> str | None:
    """Bring `head` into `base`; return the new tip, or None where they conflict. No ref moves.

    Args:
        how: the method and the message (unused by rebase, whose commits keep theirs).
    """
    method, message = how
    if method == "rebase":
        return _rebase(git, base, head, by)
    tree = merged_tree(git, base, head)
    if tree is None:
        return None
    return commit_tree(git, tree, [base] if method == "squash" else [base, head], message, who(by))


def _rebase(git: Git, base: str, head: str, by: Signature) -> str | None:
    listed = git.text("rev-list", "--reverse", "--topo-order", "--no-merges", f"{base}..{head}").split()
    if len(listed) > 250:
        raise Refusal(405, "This branch can't be rebased: it has too many commits.")
    at = base
    for sha in listed:
        # A commit made for the purpose, with the tip's tree and the picked commit's parent, makes that parent the
        # merge base: so the merge is the cherry-pick.
        parents = git.text("rev-list", "--parents", "-n", "1", sha).split()[1:]
        stand_in = commit_tree(git, f"{at}^{{tree}}", parents, "pick", who(by))
        tree = merged_tree(git, stand_in, sha)
        if tree is None:
            return None
        name, email, date, message = git.run("log", "-1", "--format=%an%n%ae%n%at%n%B", sha).decode().split("\n", 3)
        env = who(by, "COMMITTER") | who(Signature(name, email, float(date)), "AUTHOR")
        at = commit_tree(git, tree, [at], message, env)
    return at
