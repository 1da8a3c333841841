"""The small GitHub: one object that people (and REST requests, see `rest`) change, and that tells its webhooks.

Synchronous and without a clock: every change takes the time it happens at. One thread uses it.
Source: docs.github.com for the rules; what is left out answers 404.
"""

import msgspec

from prow_async.api.github import Comment, PullRequest, Status
from prow_async.sandbox.github import payloads, shapes
from prow_async.sandbox.github.records import Repository, StatusRecord
from prow_async.sandbox.github.refusal import Refusal, invalid
from prow_async.sandbox.github.reviews import Reviews

STATUS_LIMIT = 1000
"""Statuses of one context on one commit."""


class World(Reviews):
    """All of the small GitHub. People who act are made accounts if unknown; organizations and repositories are not."""

    def post_status(self, org: str, repo: str, sha: str, status: Status, *, by: str, now_s: float) -> StatusRecord:
        """Post a commit status. Raises Refusal: 404, and 422 by GitHub's rules for state, description and number."""
        found = self.repo(org, repo)
        if sha not in found.commits:
            raise Refusal(422, f"No commit found for SHA: {sha}")
        _check_status(status)
        context = status.context or "default"
        history = found.statuses.setdefault(sha, [])
        if sum(old.context == context for old in history) >= STATUS_LIMIT:
            raise invalid(
                "Status", "context", "custom", "This SHA and context has reached the maximum number of statuses."
            )
        record = StatusRecord(
            self.next_id(), status.state, context, self.add_user(by).login, now_s, status.target_url, status.description
        )
        history.append(record)
        self.tell(found, "status", lambda: payloads.status(self, found, sha, record), now_s)
        return record

    def newest_statuses(self, repo: Repository, sha: str) -> list[StatusRecord]:
        """Return the newest status of each context, contexts in the order they first came."""
        newest = {record.context: record for record in repo.statuses.get(sha, ())}
        return list(newest.values())

    def statuses(self, org: str, repo: str, sha: str) -> tuple[Status, ...]:
        """Return the newest status of each context on a commit."""
        return tuple(
            Status(r.state, r.target_url, r.description, r.context)
            for r in self.newest_statuses(self.repo(org, repo), sha)
        )

    def comments(self, org: str, repo: str, number: int) -> tuple[Comment, ...]:
        """Return all comments of an issue or pull request, oldest first."""
        found, record = self.repo(org, repo), self.issue(org, repo, number)
        return tuple(msgspec.convert(shapes.comment(self, found, record, said), Comment) for said in record.comments)

    def pull(self, org: str, repo: str, number: int) -> PullRequest:
        """Return a pull request as the API shows it. Raises Refusal (404)."""
        record = self.pull_record(org, repo, number)
        return msgspec.convert(shapes.pull(self, self.repo(org, repo), record), PullRequest)


def _check_status(status: Status) -> None:
    if status.state not in ("pending", "success", "failure", "error"):
        raise invalid("Status", "state", "custom", "state is not included in the list")
    for field, limit in (("description", 140), ("context", 255)):
        if len(getattr(status, field) or "") > limit:
            raise invalid("Status", field, "custom", f"{field} is too long (maximum is {limit} characters)")
    if status.target_url and not status.target_url.startswith(("http://", "https://")):
        raise invalid("Status", "target_url", "custom", "target_url must use http(s) scheme")
