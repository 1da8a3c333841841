"""Pull requests: from a contributor's fork, or from a branch of the repository itself."""

from collections.abc import Mapping

import msgspec

from prow_async.sandbox.github.branches import Branches, Files, changed
from prow_async.sandbox.github.records import FileChange, IssueRecord, PullPart, Repository
from prow_async.sandbox.github.refusal import Refusal, invalid, missing
from prow_async.sandbox.github.shapes import Json


class PullForm(msgspec.Struct, frozen=True):
    """What a person fills in. An empty `base` is the default branch."""

    title: str
    branch: str
    body: str = ""
    base: str = ""
    draft: bool = False


class Pulls(Branches):
    """Changes to pull requests, each told to the hooks."""

    def open_pull(  # noqa: PLR0913 - the fields of GitHub's own form; grouping them would only hide the names
        self,
        org: str,
        repo: str,
        author: str,
        title: str,
        branch: str,
        files: Files,
        body: str = "",
        draft: bool = False,
        base: str = "",
        *,
        now_s: float,
    ) -> IssueRecord:
        """Open a pull request from `branch` of the author's fork onto `base` (the default branch if empty).

        The fork itself is not kept: its new commit, with `files`, is put into the repository, as refs/pull/N/head.
        Raises Refusal: 404, or 422 when the base branch is not there or the title is empty.
        """
        found = self.repo(org, repo)
        record = self._new_pull(found, author, PullForm(title, branch, body, base, draft), now_s)
        self._commit_to_pull(found, record, files, now_s)
        self.changed(found, record, "opened", author, now_s)
        return record

    def open_pull_of_branch(self, org: str, repo: str, author: str, form: PullForm, *, now_s: float) -> IssueRecord:
        """Open a pull request from a branch of the repository itself; pushes to the branch move its head.

        Raises Refusal: 404, or 422 when a branch is not there, brings nothing new or has a pull request already.
        """
        found = self.repo(org, repo)
        sha, _ = self.check_pull_of_branch(found, form)
        record = self.new_pull_of_branch(found, author, form, now_s)
        self.begin_pull_of_branch(found, record, sha, now_s)
        return record

    def check_pull_of_branch(self, repo: Repository, form: PullForm, fork: Repository | None = None) -> tuple[str, str]:
        """Return the head commit and the base branch of a new pull request, maybe from a fork. Raises Refusal (422)."""
        sha = (fork or repo).refs.get(f"heads/{form.branch}")
        base_ref = form.base or repo.default_branch
        if sha is None:
            raise invalid("PullRequest", "head", "invalid")
        if f"heads/{base_ref}" not in repo.refs:
            raise invalid("PullRequest", "base", "invalid")
        if sha == repo.refs[f"heads/{base_ref}"]:
            raise invalid("PullRequest", "head", "custom", f"No commits between {base_ref} and {form.branch}")
        of = fork.full_name if fork else ""
        same = (r.pull for r in repo.issues.values() if r.pull and r.closed_s is None and r.pull.head_repo == of)
        if any(part.head_ref == form.branch and (part.within or fork is not None) for part in same):
            already = f"A pull request already exists for {(fork or repo).org}:{form.branch}."
            raise invalid("PullRequest", "head", "custom", already)
        return sha, base_ref

    def new_pull_of_branch(
        self, repo: Repository, author: str, form: PullForm, now_s: float, fork: Repository | None = None
    ) -> IssueRecord:
        """Take the next number for a checked form, telling nobody yet."""
        record = self._new_pull(repo, author, form, now_s)
        part = pull_part(record)
        part.within, part.head_repo = fork is None, fork.full_name if fork else ""
        return record

    def follow(self, repo: Repository, record: IssueRecord, sha: str, by: str, now_s: float) -> None:
        """Let a pull request's head be another commit, and tell of it."""
        before = pull_part(record).head_sha
        self._follow_branch(repo, record, sha)
        self._synchronized(repo, record, before, by, now_s)

    def begin_pull_of_branch(self, repo: Repository, record: IssueRecord, sha: str, now_s: float) -> None:
        """Give a new pull request its head, and tell of it."""
        self._follow_branch(repo, record, sha)
        self.changed(repo, record, "opened", record.author, now_s)

    def push_to_pull(self, org: str, repo: str, number: int, files: Files = (), *, by: str = "", now_s: float) -> str:
        """Push a new commit to a pull request's branch; return it. Files join those changed before.

        A closed one takes the commit silently. Raises Refusal (404).
        """
        found, record = self.repo(org, repo), self.pull_record(org, repo, number)
        part = pull_part(record)
        if part.within:
            return self.push_branch(org, repo, part.head_ref, files, by=by or record.author, now_s=now_s)
        before = part.head_sha
        after = self._commit_to_pull(found, record, files, now_s)
        self._synchronized(found, record, before, by or record.author, now_s)
        return after

    def edit(self, org: str, repo: str, number: int, fields: Mapping[str, str], *, by: str, now_s: float) -> None:
        """Change fields of an issue or pull request: `title`, `body`, or `base`, the branch it goes to.

        Raises Refusal: 404, or 422 for a base branch that is not there.
        """
        found, record = self.repo(org, repo), self.issue(org, repo, number)
        changes: Json = {}
        for name in ("title", "body"):
            if name in fields and fields[name] != getattr(record, name):
                changes[name] = {"from": getattr(record, name)}
                setattr(record, name, fields[name])
        if record.pull and fields.get("base", record.pull.base_ref) != record.pull.base_ref:
            ref = fields["base"]
            if f"heads/{ref}" not in found.refs:
                raise invalid("PullRequest", "base", "invalid")
            changes["base"] = {"ref": {"from": record.pull.base_ref}, "sha": {"from": record.pull.base_sha}}
            record.pull.base_ref, record.pull.base_sha = ref, found.refs[f"heads/{ref}"]
            self.take_compared(found, record, record.pull.head_sha)
        if changes:
            self.changed(found, record, "edited", by, now_s, {"changes": changes})

    def set_draft(self, org: str, repo: str, number: int, draft: bool, *, by: str, now_s: float) -> None:
        """Make a pull request a draft, or ready for review."""
        record = self.pull_record(org, repo, number)
        part = pull_part(record)
        if part.draft != draft:
            part.draft = draft
            action = "converted_to_draft" if draft else "ready_for_review"
            self.changed(self.repo(org, repo), record, action, by, now_s)

    def set_mergeable(self, org: str, repo: str, number: int, mergeable: bool | None) -> None:
        """Say whether it merges cleanly; None is `not computed yet`. GitHub tells nobody."""
        pull_part(self.pull_record(org, repo, number)).mergeable = mergeable

    def merge(self, org: str, repo: str, number: int, *, by: str, now_s: float, sha: str = "") -> str:
        """Merge a pull request into its base branch; return the merge commit.

        Raises Refusal: 405 when it cannot be merged, 409 when `sha` is given and no longer its head.
        """
        found, record = self.repo(org, repo), self.pull_record(org, repo, number)
        part = pull_part(record)
        before = self.check_merge(found, record, sha)
        part.merged, record.closed_s = True, now_s
        message = f"Merge pull request #{number} from {record.author}/{part.head_ref}\n\n{record.title}"
        login = self.add_user(by).login
        part.merge_sha = self.commit(found, message, login, (before, tuple(part.files.values())), now_s)
        self.move(found, f"heads/{part.base_ref}", part.merge_sha, login, now_s)
        self.changed(found, record, "closed", by, now_s)
        return part.merge_sha

    def check_merge(self, repo: Repository, record: IssueRecord, sha: str) -> str:
        """Return the tip that a pull request would be merged onto. Raises Refusal as `merge` does."""
        part = pull_part(record)
        before = repo.refs.get(f"heads/{part.base_ref}")
        if record.closed_s is not None or part.draft or part.mergeable is False or before is None:
            raise Refusal(405, "Pull Request is not mergeable")
        if sha and sha != part.head_sha:
            raise Refusal(409, "Head branch was modified. Review and try the merge again.")
        return before

    def mark_merged(self, repo: Repository, record: IssueRecord, sha: str, *, by: str, now_s: float) -> None:
        """Note that the base branch has all commits of a pull request: a push has merged it."""
        part = pull_part(record)
        part.merged, record.closed_s, part.merge_sha = True, now_s, sha
        self.changed(repo, record, "closed", by, now_s)

    def take_compared(self, repo: Repository, record: IssueRecord, sha: str) -> bool:
        """Apply what git knows of a pull request's head; False when nothing was looked up for that head."""
        compared = repo.compared.pop(record.number, None)
        if compared is None or compared.head_sha != sha:
            return False
        part = pull_part(record)
        part.base_sha, part.commits, part.merge_sha = compared.base_sha, compared.commits, compared.merge_sha
        part.mergeable = bool(compared.merge_sha)
        part.files.clear()
        self._set_head(repo, record, sha, compared.files)
        if compared.merge_sha:
            repo.refs[f"pull/{record.number}/merge"] = compared.merge_sha
        else:
            repo.refs.pop(f"pull/{record.number}/merge", None)
        return True

    def move(self, repo: Repository, ref: str, sha: str, by: str, now_s: float) -> None:
        """Move a ref; the open pull requests of that branch follow, and are closed with it."""
        super().move(repo, ref, sha, by, now_s)
        for record in self._open_pulls_within(repo):
            part = pull_part(record)
            if f"heads/{part.head_ref}" != ref:
                continue
            if sha:
                before = part.head_sha
                self._follow_branch(repo, record, sha)
                self._synchronized(repo, record, before, by, now_s)
            else:
                self.close(repo.org, repo.name, record.number, by=by, now_s=now_s)

    def pull_record(self, org: str, repo: str, number: int) -> IssueRecord:
        """Find a pull request. Raises Refusal (404), also for an issue of that number."""
        record = self.issue(org, repo, number)
        if record.pull is None:
            raise missing()
        return record

    def _new_pull(self, repo: Repository, author: str, form: PullForm, now_s: float) -> IssueRecord:
        base_ref = form.base or repo.default_branch
        base_sha = repo.refs.get(f"heads/{base_ref}")
        if base_sha is None:
            raise invalid("PullRequest", "base", "invalid")
        record = self.new_issue(repo, author, form.title, form.body, now_s)
        record.pull = PullPart(form.branch, "", base_ref, base_sha, {}, draft=form.draft)
        return record

    def _commit_to_pull(self, repo: Repository, record: IssueRecord, files: Files, now_s: float) -> str:
        part = pull_part(record)
        new = changed(files)
        sha = self.commit(repo, record.title, record.author, (part.head_sha or part.base_sha, new), now_s)
        self._set_head(repo, record, sha, new)
        return sha

    def _follow_branch(self, repo: Repository, record: IssueRecord, sha: str) -> None:
        if self.take_compared(repo, record, sha):
            return
        files: dict[str, FileChange] = {}
        at = sha
        while at in repo.commits and at != pull_part(record).base_sha:
            files = {f.filename: f for f in repo.commits[at].files} | files
            at = repo.commits[at].parent
        pull_part(record).files.clear()
        self._set_head(repo, record, sha, tuple(files.values()))

    def _set_head(self, repo: Repository, record: IssueRecord, sha: str, files: tuple[FileChange, ...]) -> None:
        part = pull_part(record)
        part.head_sha = sha
        part.files.update({f.filename: f for f in files})
        repo.refs[f"pull/{record.number}/head"] = sha

    def _synchronized(self, repo: Repository, record: IssueRecord, before: str, by: str, now_s: float) -> None:
        part = pull_part(record)
        if record.closed_s is None:
            more = {"before": before, "after": part.head_sha}
            self.changed(repo, record, "synchronize", by, now_s, more)

    @staticmethod
    def _open_pulls_within(repo: Repository) -> list[IssueRecord]:
        return [r for r in repo.issues.values() if r.pull and r.pull.within and r.closed_s is None]


def pull_part(record: IssueRecord) -> PullPart:
    """Return the pull request's own part of a record that was found as a pull request."""
    assert record.pull is not None, "looked up as a pull request"
    return record.pull
