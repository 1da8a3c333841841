"""What maintainers do to issues and pull requests beside talking: assign, plan, lock, and keep the labels."""

from collections.abc import Mapping

from prow_async.sandbox.github import shapes
from prow_async.sandbox.github.conversation import Conversation
from prow_async.sandbox.github.records import (
    CommentRecord,
    IssueRecord,
    LabelRecord,
    MilestoneRecord,
    Reaction,
    Repository,
)
from prow_async.sandbox.github.refusal import invalid, missing

REACTIONS = ("+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes")
ASSIGNEES_LIMIT = 10


class Triage(Conversation):
    """Changes to what surrounds a conversation; each that GitHub tells of is told to the hooks."""

    def assign(self, repo: Repository, record: IssueRecord, logins: list[str], *, by: str, now_s: float) -> None:
        """Assign people. Those who may not be assigned, and more than ten, are left out silently, as on GitHub."""
        for login in logins:
            if not self.may_be_assigned(repo, login) or len(record.assignees) >= ASSIGNEES_LIMIT:
                continue
            spelled = self.account(login).login
            if spelled not in record.assignees:
                record.assignees.append(spelled)
                self.changed(repo, record, "assigned", by, now_s, {"assignee": shapes.user(self, spelled)})

    def unassign(self, repo: Repository, record: IssueRecord, logins: list[str], *, by: str, now_s: float) -> None:
        """Take people off; those who are not on are passed over."""
        lowered = {login.lower() for login in logins}
        for spelled in [name for name in record.assignees if name.lower() in lowered]:
            record.assignees.remove(spelled)
            self.changed(repo, record, "unassigned", by, now_s, {"assignee": shapes.user(self, spelled)})

    def may_be_assigned(self, repo: Repository, login: str) -> bool:
        """Say whether a person may be assigned: who may at least read as a member or collaborator."""
        return self.permission(repo, login) is not None

    def set_milestone(
        self, repo: Repository, record: IssueRecord, number: int | None, *, by: str, now_s: float
    ) -> None:
        """Plan an issue for a milestone, or for none. Raises Refusal (422) for one that is not there."""
        if number == record.milestone:
            return
        if number is not None and number not in repo.milestones:
            raise invalid("Issue", "milestone", "invalid")
        old, record.milestone = record.milestone, number
        if old is not None:
            gone = shapes.milestone(self, repo, repo.milestones[old])
            self.changed(repo, record, "demilestoned", by, now_s, {"milestone": gone})
        if number is not None:
            new = shapes.milestone(self, repo, repo.milestones[number])
            self.changed(repo, record, "milestoned", by, now_s, {"milestone": new})

    def lock(self, repo: Repository, record: IssueRecord, reason: str | None, *, by: str, now_s: float) -> None:
        """Lock a conversation for a reason, which may be empty; None unlocks it."""
        if (record.locked is None) == (reason is None):
            return
        record.locked = reason
        self.changed(repo, record, "unlocked" if reason is None else "locked", by, now_s)

    def react(self, to: IssueRecord | CommentRecord, content: str, *, by: str, now_s: float) -> tuple[Reaction, bool]:
        """React; return the reaction and whether it is new. GitHub tells nobody. Raises Refusal (422)."""
        if content not in REACTIONS:
            raise invalid("Reaction", "content", "invalid")
        for old in to.reactions:
            if (old.login.lower(), old.content) == (by.lower(), content):
                return old, False
        made = Reaction(self.next_id(), self.add_user(by).login, content, now_s)
        to.reactions.append(made)
        return made, True

    def make_label(self, repo: Repository, name: str, color: str = "ededed", description: str = "") -> LabelRecord:
        """Make a label of the repository. Raises Refusal (422) when it is there already, or cannot be called so."""
        if name.lower() in repo.labels:
            raise invalid("Label", "name", "already_exists")
        _check_label(name, color, description)
        made = repo.labels[name.lower()] = LabelRecord(name, color.lower(), description)
        return made

    def change_label(self, repo: Repository, name: str, fields: Mapping[str, str]) -> LabelRecord:
        """Change a label's `name`, `color`, `description`; issues follow. Raises Refusal (404, 422)."""
        label = self.label(repo, name)
        new = fields.get("name", label.name)
        _check_label(new, fields.get("color", label.color), fields.get("description", label.description))
        if new.lower() != label.name.lower() and new.lower() in repo.labels:
            raise invalid("Label", "name", "already_exists")
        del repo.labels[label.name.lower()]
        for record in repo.issues.values():
            record.labels = [new if on == label.name else on for on in record.labels]
        label.name = new
        label.color = fields.get("color", label.color).lower()
        label.description = fields.get("description", label.description)
        repo.labels[new.lower()] = label
        return label

    def delete_label(self, repo: Repository, name: str) -> None:
        """Delete a label; it comes off all issues silently. Raises Refusal (404)."""
        label = self.label(repo, name)
        del repo.labels[label.name.lower()]
        for record in repo.issues.values():
            if label.name in record.labels:
                record.labels.remove(label.name)

    def label(self, repo: Repository, name: str) -> LabelRecord:
        """Find a label of the repository. Raises Refusal (404)."""
        try:
            return repo.labels[name.lower()]
        except KeyError:
            raise missing() from None

    def make_milestone(self, repo: Repository, title: str, description: str = "", *, by: str, now_s: float) -> int:
        """Make a milestone; return its number. Raises Refusal (422) without a title, or for one that is taken."""
        if not title.strip():
            raise invalid("Milestone", "title", "missing_field")
        if any(old.title == title for old in repo.milestones.values()):
            raise invalid("Milestone", "title", "already_exists")
        number = max(repo.milestones, default=0) + 1
        login = self.add_user(by).login
        repo.milestones[number] = MilestoneRecord(self.next_id(), number, title, login, now_s, description)
        return number


def _check_label(name: str, color: str, description: str) -> None:
    if not name.strip() or len(name) > 50:
        raise invalid("Label", "name", "invalid")
    if len(color) != 6 or any(c not in "0123456789abcdefABCDEF" for c in color):
        raise invalid("Label", "color", "invalid")
    if len(description) > 100:
        raise invalid("Label", "description", "invalid", "description is too long (maximum is 100 characters)")
