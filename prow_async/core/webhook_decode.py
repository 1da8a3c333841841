"""From a webhook's JSON to typed events, and to the one shape of everything that carries commands.

GitHub's payloads are read leniently: unknown fields are passed over, null stands for the zero value, as in Go.
Source: upstream pkg/hook/server.go demuxEvent, pkg/hook/events.go, pkg/github/helpers.go GeneralizeComment.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import msgspec

from prow_async.api import github
from prow_async.api.errors import UserMistake

Event = (
    github.PullRequestEvent
    | github.IssuesEvent
    | github.IssueCommentEvent
    | github.ReviewEvent
    | github.ReviewCommentEvent
    | github.PushEvent
    | github.StatusEvent
    | github.GenericComment
)
GenericAction = Literal["created", "edited", "deleted"]
T = TypeVar("T")
TEXT_CHARS = 262_144
"""So much of a text is looked at for commands. GitHub takes texts of up to 65,536 characters, and makes none longer."""

_ACTIONS: dict[str, GenericAction] = {
    "created": "created",
    "opened": "created",
    "submitted": "created",
    "edited": "edited",
    "deleted": "deleted",
    "dismissed": "deleted",
}


class Parsed(msgspec.Struct, frozen=True):
    """What a delivery is about.

    `org` and `repo` are those plugins are looked up with: for pull requests the base repository's. The
    `repository` ones are those --github-enabled-org and its kin are checked with. Both may be empty.
    """

    org: str = ""
    repo: str = ""
    repository_org: str = ""
    repository_name: str = ""
    events: tuple[tuple[str, Event], ...] = ()
    """(kind, event), native events before the generic comment; empty for kinds no plugin handles."""
    full_name: str = ""
    """`org/repo` as the payload's own repository spells it; empty where it names none."""


_Talk = (
    github.PullRequestEvent
    | github.IssueCommentEvent
    | github.IssuesEvent
    | github.ReviewEvent
    | github.ReviewCommentEvent
)
_Thing = github.Issue | github.PullRequest
_Text = github.Issue | github.PullRequest | github.Comment | github.Review


class _AnyEvent(msgspec.Struct, frozen=True):
    repository: github.Repo = github.Repo()
    organization: github.User = github.User()


class _Number(msgspec.Struct, frozen=True, gc=False):
    number: int | None = None


class _FullName(msgspec.Struct, frozen=True, gc=False):
    full_name: str | None = None


class _Lane(msgspec.Struct, frozen=True, gc=False):
    repository: _FullName | None = None
    pull_request: _Number | None = None
    issue: _Number | None = None
    ref: str | None = None


_lane = msgspec.json.Decoder(_Lane)


def decode(event: str, body: bytes, guid: str) -> Parsed:
    """Decode a delivery.

    Args:
        event: the `X-GitHub-Event` header.

    Raises:
        UserMistake: the body is no JSON, or not of its event's shape; the text names the delivery.
    """
    reader = _READERS.get(event, _read_other)
    try:
        return reader(body, guid)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserMistake(f"delivery {guid}: {event} event cannot be read: {error}") from error


def lane(event: str, body: bytes) -> str:
    """Name what a delivery must keep its order with: a pull request or issue, or a branch. Empty when it names none.

    Never raises: what cannot be read has an order of its own.
    """
    try:
        names = _lane.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    full_name = (names.repository.full_name if names.repository else None) or ""
    if not full_name:
        return ""
    if event == "push":
        return f"{full_name}@{names.ref}" if names.ref else ""
    thing = names.pull_request or names.issue
    return f"{full_name}#{thing.number}" if thing is not None and thing.number is not None else ""


def lane_of(event: str, parsed: Parsed, body: bytes) -> str:
    """Name the same as `lane`, from what has been decoded already where that tells."""
    match parsed.events[0][1] if parsed.events else None:
        case github.PullRequestEvent() | github.ReviewEvent() | github.ReviewCommentEvent() as found:
            return _numbered(found.repository, found.pull_request.number)
        case github.IssuesEvent() | github.IssueCommentEvent() as found:
            return _numbered(found.repository, found.issue.number)
        case github.PushEvent(ref=ref, repository=repository):
            return f"{repository.full_name}@{ref}" if repository.full_name and ref else ""
        case _:
            return lane(event, body)


def _numbered(repository: github.Repo, number: int) -> str:
    return f"{repository.full_name}#{number}" if repository.full_name and number else ""


_DECODERS: dict[type[Any], msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind)
    for kind in (
        github.PullRequestEvent,
        github.IssuesEvent,
        github.IssueCommentEvent,
        github.ReviewEvent,
        github.ReviewCommentEvent,
        github.PushEvent,
        github.StatusEvent,
        _AnyEvent,
    )
}
"""Made once: to make one costs as much as to read a body."""


def _read(body: bytes, kind: type[T]) -> T:
    """Decode; when something is null that we hold to be there, once more with every null left out."""
    try:
        return _DECODERS[kind].decode(body)  # type: ignore[no-any-return]  # it is the kind's own
    except msgspec.ValidationError:
        return msgspec.json.decode(msgspec.json.encode(_without_nulls(msgspec.json.decode(body))), type=kind)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value if item is not None]
    return value


def _parsed(repository: github.Repo, home: github.Repo, *events: tuple[str, Event] | None) -> Parsed:
    return Parsed(
        home.owner.login,
        home.name,
        repository.owner.login,
        repository.name,
        tuple(event for event in events if event is not None),
        repository.full_name,
    )


def _read_other(body: bytes, guid: str) -> Parsed:
    event = _read(body, _AnyEvent)
    if not event.repository.owner.login:  # events of an organization are of no repository
        return Parsed(org=event.organization.login, repository_org=event.organization.login)
    return _parsed(event.repository, event.repository)


def _read_pull_request(body: bytes, guid: str) -> Parsed:
    event = _read(body, github.PullRequestEvent)
    pull = event.pull_request
    said = _said(event, pull, pull, guid)
    return _parsed(event.repository, _base(pull), ("pull_request", event), said)


def _read_issues(body: bytes, guid: str) -> Parsed:
    event = _read(body, github.IssuesEvent)
    said = _said(event, event.issue, event.issue, guid)
    return _parsed(event.repository, event.repository, ("issues", event), said)


def _read_issue_comment(body: bytes, guid: str) -> Parsed:
    event = _read(body, github.IssueCommentEvent)
    said = _said(event, event.issue, event.comment, guid)
    return _parsed(event.repository, event.repository, ("issue_comment", event), said)


def _read_review(body: bytes, guid: str) -> Parsed:
    event = _read(body, github.ReviewEvent)
    said = _said(event, event.pull_request, event.review, guid)
    return _parsed(event.repository, _base(event.pull_request), ("pull_request_review", event), said)


def _read_review_comment(body: bytes, guid: str) -> Parsed:
    event = _read(body, github.ReviewCommentEvent)
    said = _said(event, event.pull_request, event.comment, guid)
    return _parsed(event.repository, _base(event.pull_request), ("pull_request_review_comment", event), said)


def _read_status(body: bytes, guid: str) -> Parsed:
    event = _read(body, github.StatusEvent)
    return _parsed(event.repository, event.repository, ("status", event))


def _read_push(body: bytes, guid: str) -> Parsed:
    """Plugins are looked up by the owner's `name`, which only push events have, else by its login."""
    event = _read(body, github.PushEvent)
    owner = event.repository.owner
    repository = event.repository
    return Parsed(
        owner.name or owner.login,
        repository.name,
        owner.login,
        repository.name,
        (("push", event),),
        repository.full_name,
    )


def _base(pull: github.PullRequest) -> github.Repo:
    return pull.base.repo or github.Repo()


def _said(event: _Talk, thing: _Thing, text: _Text, guid: str) -> tuple[str, Event] | None:
    """Make the generic comment of an event: `text` was said on `thing`. None when the action is none of a comment's."""
    action = _ACTIONS.get(event.action)
    if action is None:
        return None
    on_review = isinstance(event, github.ReviewEvent | github.ReviewCommentEvent)
    return "generic_comment", github.GenericComment(
        action=action,
        is_pr=isinstance(thing, github.PullRequest) or thing.pull_request is not None,
        number=thing.number,
        body=(text.body or "")[:TEXT_CHARS],
        html_url=text.html_url,
        user=text.user,
        repo=event.repository,
        issue_author=thing.user,
        issue_state=thing.state,
        issue_title=thing.title,
        issue_html_url=thing.html_url,
        issue_body=(thing.body or "")[:TEXT_CHARS],
        assignees=thing.assignees,
        id=0 if on_review else thing.id,
        node_id=text.node_id if on_review else thing.node_id,
        comment_id=text.id if isinstance(text, github.Comment) else None,
        guid=guid,
    )


_READERS: dict[str, Callable[[bytes, str], Parsed]] = {
    "pull_request": _read_pull_request,
    "issues": _read_issues,
    "issue_comment": _read_issue_comment,
    "pull_request_review": _read_review,
    "pull_request_review_comment": _read_review_comment,
    "push": _read_push,
    "status": _read_status,
}
