"""GitHub's search language for issues and pull requests, as far as Prow's queries go.

A query is words and quoted phrases, `key:value` terms and such terms with `-` before them. Several places (`repo:`,
`org:`), authors, bases and heads are alternatives, and so are values between commas (`label:"a","b"`); other terms are
all of.
Source: docs.github.com, searching issues and pull requests.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from prow_async.sandbox.github.records import IssueRecord, Repository
from prow_async.sandbox.github.refusal import Refusal
from prow_async.sandbox.github.world import World

_ALTERNATIVES = ("author", "base", "head")
"""Keys of what an issue has one of: more terms of such a key are alternatives."""
QUERY_LIMIT = 4096
RESULTS_LIMIT = 1000
"""So many results a search has, as on GitHub."""
_TERM = re.compile(r'(?P<no>-?)(?:(?P<key>[a-z-]+):)?(?P<value>(?:"[^"]*"|[^\s"])+)')


class Term(msgspec.Struct, frozen=True):
    """One term; `key` is empty for a word of text. Any of `values` fits."""

    key: str
    values: tuple[str, ...]
    negated: bool = False


class Found(msgspec.Struct, frozen=True):
    repo: Repository
    record: IssueRecord


def parse(query: str) -> list[Term]:
    """Split a query into terms. Raises Refusal (422) for one that is too long."""
    if len(query) > QUERY_LIMIT:
        raise Refusal(422, "The search is longer than 4096 characters.")
    terms = [_term(found) for found in _TERM.finditer(query)]
    alternatives: dict[str, tuple[str, ...]] = {}
    for term in terms:
        if term.key in _ALTERNATIVES and not term.negated:
            alternatives[term.key] = alternatives.get(term.key, ()) + term.values
    others = [term for term in terms if term.negated or term.key not in alternatives]
    return [*others, *(Term(key, values) for key, values in alternatives.items())]


def _term(found: "re.Match[str]") -> Term:
    key = found["key"] or ""
    raw = found["value"]
    pieces = re.findall(r'"[^"]*"|[^",]+', raw) if key in ("label", "author", "base") else [raw]
    return Term(key, tuple(piece.replace('"', "") for piece in pieces), bool(found["no"]))


def search(world: World, login: str, query: str) -> list[Found]:
    """Find issues and pull requests the asker may see, best first: as `sort:` says, else newest first.

    Raises Refusal (422): a key, or a value of a key, that the search does not know.
    """
    terms = parse(query)
    tests = [_test(world, term) for term in terms if term.key not in ("sort", "repo", "org", "user")]
    found = [
        one
        for repo in _repos(world, login, terms)
        for one in map(Found, [repo] * len(repo.issues), repo.issues.values())
        if all(fits(one) for fits in tests)
    ]
    return _sorted(found, [term for term in terms if term.key == "sort"])


def _repos(world: World, login: str, terms: Sequence[Term]) -> Iterator[Repository]:
    places = [term for term in terms if term.key in ("repo", "org", "user")]
    wanted = [term for term in places if not term.negated]

    def inside(repo: Repository, term: Term) -> bool:
        name = repo.full_name if term.key == "repo" else repo.org
        return name.lower() == term.values[0].lower()

    for repo in world.repositories.values():
        seen = not repo.private or world.permission(repo, login) is not None
        named = not wanted or any(inside(repo, term) for term in wanted)
        if seen and named and not any(inside(repo, term) for term in places if term.negated):
            yield repo


def _test(world: World, term: Term) -> Callable[[Found], bool]:
    make = _KEYS.get(term.key)
    if make is None:
        raise Refusal(422, f"The search does not know {term.key}:")
    fits = [make(world, value) for value in term.values]
    return lambda one: any(fit(one) for fit in fits) != term.negated


Make = Callable[[World, str], Callable[[Found], bool]]


def _text(world: World, value: str) -> Callable[[Found], bool]:
    wanted = value.lower()

    def fits(one: Found) -> bool:
        if wanted in f"{one.record.title}\n{one.record.body}".lower():
            return True
        part = one.record.pull
        if part is not None and len(wanted) >= 7 and part.head_sha.startswith(wanted):
            return True
        return any(wanted in said.body.lower() for said in one.record.comments)

    return fits


def _is(world: World, value: str) -> Callable[[Found], bool]:
    tests: dict[str, Callable[[Found], bool]] = {
        "pr": lambda one: one.record.pull is not None,
        "issue": lambda one: one.record.pull is None,
        "open": lambda one: one.record.closed_s is None,
        "closed": lambda one: one.record.closed_s is not None,
        "merged": lambda one: one.record.pull is not None and one.record.pull.merged,
        "unmerged": lambda one: one.record.pull is not None and not one.record.pull.merged,
        "draft": lambda one: one.record.pull is not None and one.record.pull.draft,
        "locked": lambda one: one.record.locked is not None,
        "unlocked": lambda one: one.record.locked is None,
        "public": lambda one: not one.repo.private,
        "private": lambda one: one.repo.private,
    }
    try:
        return tests[value.lower()]
    except KeyError:
        raise Refusal(422, f"The search does not know is:{value}") from None


def _sha(world: World, value: str) -> Callable[[Found], bool]:
    return lambda one: one.record.pull is not None and one.record.pull.head_sha.startswith(value.lower())


def _review(world: World, value: str) -> Callable[[Found], bool]:
    wanted = {"approved": "APPROVED", "changes_requested": "CHANGES_REQUESTED", "required": "REVIEW_REQUIRED"}
    if value not in (*wanted, "none"):
        raise Refusal(422, f"The search does not know review:{value}")

    def fits(one: Found) -> bool:
        if one.record.pull is None:
            return False
        if value == "none":
            return not one.record.pull.reviews
        return world.review_decision(one.repo, one.record) == wanted[value]

    return fits


def _milestone(world: World, value: str) -> Callable[[Found], bool]:
    def fits(one: Found) -> bool:
        found = one.repo.milestones.get(one.record.milestone or 0)
        return found is not None and found.title.lower() == value.lower()

    return fits


def _status(world: World, value: str) -> Callable[[Found], bool]:
    def fits(one: Found) -> bool:
        if one.record.pull is None:
            return False
        states = {status.state for status in world.newest_statuses(one.repo, one.record.pull.head_sha)}
        if value == "failure":
            return bool(states & {"failure", "error"})
        return states == {"success"} if value == "success" else not states or "pending" in states

    return fits


def _no(world: World, value: str) -> Callable[[Found], bool]:
    field = {"label": "labels", "milestone": "milestone", "assignee": "assignees"}.get(value)
    if field is None:
        raise Refusal(422, f"The search does not know no:{value}")
    return lambda one: not getattr(one.record, field)


def _time(read: Callable[[IssueRecord], float | None]) -> Make:
    def make(world: World, value: str) -> Callable[[Found], bool]:
        low, high = _span(value)

        def fits(one: Found) -> bool:
            at_s = read(one.record)
            return at_s is not None and low <= int(at_s) <= high

        return fits

    return make


def _span(value: str) -> tuple[float, float]:
    """Read `A..B` (a side may be *), `>A`, `>=A`, `<A`, `<=A` or a day or instant; both ends belong to it."""
    if ".." in value:
        low, _, high = value.partition("..")
        return (_begin(low) if low != "*" else 0), (_end(high) if high != "*" else float("inf"))
    for sign in (">=", "<=", ">", "<"):
        if value.startswith(sign):
            at = value.removeprefix(sign)
            begin = _begin(at) if sign == ">=" else _end(at) + 1
            end = _end(at) if sign == "<=" else _begin(at) - 1
            return (begin, float("inf")) if sign[0] == ">" else (0, end)
    return _begin(value), _end(value)


def _begin(text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise Refusal(422, f"{text} is not a recognized date/time format.") from None


def _end(text: str) -> float:
    return _begin(text) + (86_399 if "T" not in text else 0)


def _login(read: Callable[[IssueRecord], Sequence[str]]) -> Make:
    def make(world: World, value: str) -> Callable[[Found], bool]:
        wanted = value.lower().removeprefix("app/")
        return lambda one: wanted in [login.lower().removesuffix("[bot]") for login in read(one.record)]

    return make


def _yes(value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise Refusal(422, f"{value} is neither true nor false.")
    return value.lower() == "true"


def _anywhere(world: World, value: str) -> Callable[[Found], bool]:
    """Take `in:title`, `in:body`, `in:comments` for said: text is looked for in all three."""
    if any(place not in ("title", "body", "comments") for place in value.split(",")):
        raise Refusal(422, f"The search does not know in:{value}")
    return lambda one: True


_KEYS: dict[str, Make] = {
    "": _text,
    "is": _is,
    "type": _is,
    "state": _is,
    "in": _anywhere,
    "no": _no,
    "sha": _sha,
    "review": _review,
    "milestone": _milestone,
    "status": _status,
    "label": lambda world, value: lambda one: value.lower() in [name.lower() for name in one.record.labels],
    "base": lambda world, value: lambda one: one.record.pull is not None and one.record.pull.base_ref == value,
    "head": lambda world, value: lambda one: one.record.pull is not None and one.record.pull.head_ref == value,
    "archived": lambda world, value: lambda one: one.repo.settings["archived"] is _yes(value),
    "draft": lambda world, value: lambda one: one.record.pull is not None and one.record.pull.draft is _yes(value),
    "author": _login(lambda record: [record.author]),
    "assignee": _login(lambda record: record.assignees),
    "commenter": _login(lambda record: [said.author for said in record.comments]),
    "review-requested": _login(lambda record: record.pull.requested if record.pull else []),
    "involves": _login(lambda record: [record.author, *record.assignees, *(c.author for c in record.comments)]),
    "created": _time(lambda record: record.created_s),
    "updated": _time(lambda record: record.updated_s),
    "closed": _time(lambda record: record.closed_s),
    "merged": _time(lambda record: record.closed_s if record.pull and record.pull.merged else None),
}


def _sorted(found: list[Found], asked: Sequence[Term]) -> list[Found]:
    field, _, direction = (asked[-1].values[0] if asked else "created-desc").partition("-")
    keys: dict[str, Callable[[Found], float]] = {
        "created": lambda one: one.record.created_s,
        "updated": lambda one: one.record.updated_s,
        "comments": lambda one: len(one.record.comments),
    }
    if field not in keys or direction not in ("", "asc", "desc"):
        raise Refusal(422, f"The search cannot sort by {field}.")
    found.sort(key=lambda one: (keys[field](one), one.record.id), reverse=direction != "asc")
    return found
