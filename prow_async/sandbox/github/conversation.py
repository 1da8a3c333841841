"""What people say and stick on issues and pull requests: titles, comments, labels, open and closed."""

from prow_async.sandbox.github import payloads
from prow_async.sandbox.github.hooks import Hooks
from prow_async.sandbox.github.records import CommentRecord, HappenedRecord, IssueRecord, LabelRecord, Repository
from prow_async.sandbox.github.refusal import Refusal, invalid, missing
from prow_async.sandbox.github.shapes import Json, label

BODY_LIMIT = 65536
"""Characters of a comment or description."""


class Conversation(Hooks):
    """Changes to issues; each is told to the hooks. `now_s` is the time of the change."""

    def issue(self, org: str, repo: str, number: int) -> IssueRecord:
        """Find an issue or pull request. Raises Refusal (404)."""
        try:
            return self.repo(org, repo).issues[number]
        except KeyError:
            raise missing() from None

    def open_issue(self, org: str, repo: str, author: str, title: str, body: str = "", *, now_s: float) -> IssueRecord:
        """Open an issue. Raises Refusal (422) without a title."""
        found = self.repo(org, repo)
        record = self.new_issue(found, author, title, body, now_s)
        self.tell(found, "issues", lambda: payloads.issues(self, found, record, "opened", author), now_s)
        return record

    def new_issue(self, repo: Repository, author: str, title: str, body: str, now_s: float) -> IssueRecord:
        """Take the next number, telling nobody yet."""
        if not title.strip():
            raise invalid("Issue", "title", "missing_field")
        _check_length(body)
        number = len(repo.issues) + 1
        login = self.add_user(author).login
        record = IssueRecord(self.next_id(), number, login, title, body, now_s, now_s)
        repo.issues[number] = record
        return record

    def comment(self, org: str, repo: str, number: int, author: str, body: str, *, now_s: float) -> CommentRecord:
        """Write a comment. Raises Refusal: 404, 403 in a locked conversation, 422 for an empty or overlong body."""
        found, record = self.repo(org, repo), self.issue(org, repo, number)
        if record.locked is not None and not self.may_push(found, author):
            raise Refusal(403, "Unable to create comment because issue is locked.")
        _check_body(body)
        said = CommentRecord(self.next_id(), number, self.add_user(author).login, body, now_s, now_s)
        record.comments.append(said)
        record.updated_s = now_s
        found.comments[said.id] = (record, said)
        where = (record, said)
        self.tell(found, "issue_comment", lambda: payloads.issue_comment(self, found, where, "created", author), now_s)
        return said

    def edit_comment(self, org: str, repo: str, comment_id: int, body: str, *, by: str, now_s: float) -> CommentRecord:
        """Change a comment's text. Raises Refusal: 404, 422, or 403 for somebody else's comment without triage."""
        found = self.repo(org, repo)
        record, said = self._comment_for(found, comment_id, by)
        _check_body(body)
        old, said.body, said.updated_s = said.body, body, now_s

        def edited() -> Json:
            event = payloads.issue_comment(self, found, (record, said), "edited", by)
            return event | {"changes": {"body": {"from": old}}}

        self.tell(found, "issue_comment", edited, now_s)
        return said

    def delete_comment(self, org: str, repo: str, comment_id: int, *, by: str, now_s: float) -> None:
        """Delete a comment. Raises Refusal as edit_comment does."""
        found = self.repo(org, repo)
        record, said = self._comment_for(found, comment_id, by)
        record.comments.remove(said)
        del found.comments[comment_id]
        where = (record, said)
        self.tell(found, "issue_comment", lambda: payloads.issue_comment(self, found, where, "deleted", by), now_s)

    def add_label(self, org: str, repo: str, number: int, name: str, *, by: str, now_s: float) -> None:
        """Put a label on; one the repository does not know is made. One that is on already changes nothing."""
        found, record = self.repo(org, repo), self.issue(org, repo, number)
        if not name or len(name) > 50:
            raise invalid("Label", "name", "invalid", "name is too long (maximum is 50 characters)" if name else "")
        spelled = found.labels.setdefault(name.lower(), LabelRecord(name)).name
        if spelled in record.labels:
            return
        record.labels.append(spelled)
        self._labelled(found, record, ("labeled", spelled, by), now_s)

    def remove_label(self, org: str, repo: str, number: int, name: str, *, by: str, now_s: float) -> None:
        """Take a label off. Raises Refusal (404 `Label does not exist`) when it is not on."""
        found, record = self.repo(org, repo), self.issue(org, repo, number)
        known = found.labels.get(name.lower())
        spelled = known.name if known else name
        if spelled not in record.labels:
            raise Refusal(404, "Label does not exist")
        record.labels.remove(spelled)
        self._labelled(found, record, ("unlabeled", spelled, by), now_s)

    def close(self, org: str, repo: str, number: int, *, by: str, now_s: float) -> None:
        """Close an issue, or a pull request without merging it. A closed one stays as it is."""
        record = self.issue(org, repo, number)
        if record.closed_s is None:
            record.closed_s = now_s
            record.happened.append(HappenedRecord(self.next_id(), "closed", by, now_s))
            self.changed(self.repo(org, repo), record, "closed", by, now_s)

    def reopen(self, org: str, repo: str, number: int, *, by: str, now_s: float) -> None:
        """Open a closed one again. Raises Refusal (422) for a merged pull request."""
        record = self.issue(org, repo, number)
        if record.pull and record.pull.merged:
            raise invalid("PullRequest", "state", "custom", "state cannot be changed. The pull request was merged.")
        if record.closed_s is not None:
            record.closed_s = None
            record.happened.append(HappenedRecord(self.next_id(), "reopened", by, now_s))
            self.changed(self.repo(org, repo), record, "reopened", by, now_s)

    def changed(
        self, repo: Repository, record: IssueRecord, action: str, by: str, now_s: float, more: Json | None = None
    ) -> None:
        """Tell that something about an issue or pull request changed. `more` joins the payload."""
        record.updated_s = now_s
        self.add_user(by)
        if record.pull:
            event, render = "pull_request", payloads.pull_request
        else:
            event, render = "issues", payloads.issues
        self.tell(repo, event, lambda: render(self, repo, record, action, by) | (more or {}), now_s)

    def _labelled(self, repo: Repository, record: IssueRecord, what: tuple[str, str, str], now_s: float) -> None:
        action, name, by = what
        record.happened.append(HappenedRecord(self.next_id(), action, self.add_user(by).login, now_s, name))
        self.changed(repo, record, action, by, now_s, {"label": label(self, repo, name)})

    def _comment_for(self, repo: Repository, comment_id: int, by: str) -> tuple[IssueRecord, CommentRecord]:
        if comment_id not in repo.comments:
            raise missing()
        record, said = repo.comments[comment_id]
        if said.author.lower() != by.lower() and not self.may_triage(repo, by):
            raise Refusal(403, "Must have admin rights to Repository.")
        return record, said


def _check_body(body: str) -> None:
    if not body.strip():
        raise invalid("IssueComment", "body", "missing_field")
    _check_length(body)


def _check_length(body: str) -> None:
    if len(body) > BODY_LIMIT:
        raise invalid("IssueComment", "data", "unprocessable", f"Body is too long (maximum is {BODY_LIMIT} characters)")
