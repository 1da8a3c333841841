"""Commits and the refs that point at them."""

from collections.abc import Sequence

from prow_async.api.github import ChangedFile
from prow_async.sandbox.github import payloads
from prow_async.sandbox.github.payloads import NO_COMMIT
from prow_async.sandbox.github.records import Commit, FileChange, Repository
from prow_async.sandbox.github.refusal import Refusal
from prow_async.sandbox.github.triage import Triage

Files = Sequence[str | ChangedFile]
"""Changed files; a bare name is a file modified."""


class Branches(Triage):
    """Pushes, each told to the hooks."""

    def push_branch(self, org: str, repo: str, branch: str, files: Files = (), *, by: str, now_s: float) -> str:
        """Push one commit to a branch, making the branch from the default one if it is new; return the commit."""
        message = f"Change {branch}"
        return self.push_commit(self.repo(org, repo), branch, (message, changed(files)), by=by, now_s=now_s)

    def push_commit(
        self, repo: Repository, branch: str, what: tuple[str, tuple[FileChange, ...]], *, by: str, now_s: float
    ) -> str:
        """Push one commit, `what` being its message and files; see push_branch."""
        message, files = what
        login = self.add_user(by).login
        parent = repo.refs.get(f"heads/{branch}") or repo.refs[f"heads/{repo.default_branch}"]
        sha = self.commit(repo, message, login, (parent, files), now_s)
        self.move(repo, f"heads/{branch}", sha, login, now_s)
        return sha

    def set_ref(self, org: str, repo: str, ref: str, sha: str, *, by: str, now_s: float) -> None:
        """Point a ref (without `refs/`) at a known commit; an empty `sha` deletes it.

        Raises Refusal: 404, 422 for an unknown commit, a ref that is not there to delete, or the default branch.
        """
        found = self.repo(org, repo)
        self.check_ref(found, ref, sha)
        if sha and sha not in found.commits:
            raise Refusal(422, "Object does not exist")
        self.move(found, ref, sha, self.add_user(by).login, now_s)

    def check_ref(self, repo: Repository, ref: str, sha: str) -> None:
        """Refuse (422) to delete a ref that is not there, or the default branch."""
        if not sha and ref not in repo.refs:
            raise Refusal(422, "Reference does not exist")
        if not sha and ref == f"heads/{repo.default_branch}":
            raise Refusal(422, "Cannot delete the default branch")

    def commit(
        self, repo: Repository, message: str, author: str, onto: tuple[str, tuple[FileChange, ...]], now_s: float
    ) -> str:
        """Make a commit from its parent and changed files, which no ref points at yet."""
        parent, files = onto
        record = Commit(self.next_sha(repo, message), message, author, parent, now_s, files)
        repo.commits[record.sha] = record
        return record.sha

    def move(self, repo: Repository, ref: str, sha: str, by: str, now_s: float) -> None:
        """Point a ref at a commit (an empty `sha` deletes it) and tell of the push."""
        before = repo.refs.get(ref, NO_COMMIT)
        if sha:
            repo.refs[ref] = sha
        else:
            repo.refs.pop(ref, None)
        change = (before, sha or NO_COMMIT)
        self.tell(repo, "push", lambda: payloads.push(self, repo, f"refs/{ref}", change, by), now_s)


def changed(files: Files) -> tuple[FileChange, ...]:
    """Fill in bare names, and a line added to each that does not say how many."""
    named = (ChangedFile(f, "modified") if isinstance(f, str) else f for f in files)
    return tuple(
        FileChange(
            f.filename,
            f.status,
            f.previous_filename,
            f.additions or int(not f.deletions),
            f.deletions,
            NO_COMMIT,
        )
        for f in named
    )
