"""What a webhook's own payload says of its pull request or issue, while that can be relied upon.

GitHub sends most of what plugins would ask for. It may be taken as it came only while it is fresh and nothing newer
is known of the same object: a delivery that waited, was sent again or was replayed tells of the past.
"""

import msgspec

from prow_async.api.github import (
    IssueCommentEvent,
    IssuesEvent,
    PullRequestEvent,
    Repo,
    ReviewCommentEvent,
    ReviewEvent,
)
from prow_async.core import instants
from prow_async.core.webhook_decode import Event

FRESH_S = 30.0


class Known(msgspec.Struct, frozen=True):
    """Facts of one object; None where the payload does not say, or is not to be relied upon."""

    org: str = ""
    repo: str = ""
    number: int = 0
    labels: tuple[str, ...] | None = None
    late: bool = False
    """The event of a pull request came long after it was written: it may have come behind newer ones."""

    def of(self, org: str, repo: str, number: int) -> bool:
        """True when these facts are of that pull request or issue; GitHub's names ignore case."""
        same = (self.org.lower(), self.repo.lower()) == (org.lower(), repo.lower())
        return same and self.number == number


NOTHING = Known()


def known(events: tuple[tuple[str, Event], ...], received_s: float, now_s: float) -> Known:
    """Return what the events of a delivery say of their object, if they are under 30 s old.

    Args:
        received_s: when the delivery came, seconds since the epoch. The payload's own `updated_at` counts as well: a
            redelivery comes long after what it tells.
    """
    for _, event in events:
        match event:
            case PullRequestEvent() | ReviewEvent() | ReviewCommentEvent():
                pull = event.pull_request
                if _old(pull.updated_at, received_s, now_s):
                    return NOTHING
                labels = tuple(label.name for label in pull.labels)
                return _known(event.repository, pull.number, labels)
            case IssueCommentEvent():
                spoken = max(event.issue.updated_at, event.comment.updated_at)
                if _old(spoken, received_s, now_s):
                    return NOTHING
                labels = tuple(label.name for label in event.issue.labels)
                return _known(event.repository, event.issue.number, labels)
            case IssuesEvent():
                if _old(event.issue.updated_at, received_s, now_s):
                    return NOTHING
                labels = tuple(label.name for label in event.issue.labels)
                return _known(event.repository, event.issue.number, labels)
            case _:
                continue
    return NOTHING


def came_late(events: tuple[tuple[str, Event], ...], received_s: float) -> bool:
    """True for an event of a pull request that was received 30 s after it was written or later; False if unknown."""
    for _, event in events:
        if isinstance(event, PullRequestEvent):
            try:
                return received_s - instants.seconds(event.pull_request.updated_at) >= FRESH_S
            except ValueError:
                return False
    return False


def _known(repo: Repo, number: int, labels: tuple[str, ...]) -> Known:
    return Known(repo.owner.login, repo.name, number, labels)


def _old(updated_at: str, received_s: float, now_s: float) -> bool:
    """True when a payload is too old, or does not say how old it is."""
    try:
        told_s = instants.seconds(updated_at)
    except ValueError:
        return True
    return now_s - min(received_s, told_s) >= FRESH_S
