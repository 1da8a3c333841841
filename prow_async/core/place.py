"""An issue or pull request, and what may be done to it: the actions that plugins return, named by where they happen."""

import msgspec

from prow_async.api import actions
from prow_async.api.github import GenericComment, Repo
from prow_async.core import replies


class Place(msgspec.Struct, frozen=True):
    org: str
    repo: str
    number: int

    @property
    def full_repo(self) -> str:
        return f"{self.org}/{self.repo}"

    def comment(self, body: str, why: str) -> actions.CreateComment:
        return actions.CreateComment(org=self.org, repo=self.repo, number=self.number, body=body, why=why)

    def delete_comment(self, comment_id: int, why: str) -> actions.DeleteComment:
        return actions.DeleteComment(org=self.org, repo=self.repo, comment_id=comment_id, why=why)

    def add_label(self, label: str, why: str) -> actions.AddLabel:
        return actions.AddLabel(org=self.org, repo=self.repo, number=self.number, label=label, why=why)

    def remove_label(self, label: str, why: str) -> actions.RemoveLabel:
        return actions.RemoveLabel(org=self.org, repo=self.repo, number=self.number, label=label, why=why)

    def assign(self, logins: tuple[str, ...], why: str) -> actions.Assign:
        return actions.Assign(org=self.org, repo=self.repo, number=self.number, logins=logins, why=why)

    def request_reviews(self, logins: tuple[str, ...], why: str) -> actions.RequestReviews:
        return actions.RequestReviews(org=self.org, repo=self.repo, number=self.number, logins=logins, why=why)


def of(repo: Repo, number: int) -> Place:
    """Return the place of an event about a repository's issue or pull request."""
    return Place(repo.owner.login or repo.owner.name, repo.name, number)


def answer(comment: GenericComment, text: str, why: str) -> actions.CreateComment:
    """Answer whoever wrote a comment, with their words quoted under a fold."""
    body = replies.reply(comment.user.login, text, comment.body, comment.html_url)
    return of(comment.repo, comment.number).comment(body, why)
