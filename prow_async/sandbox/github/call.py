"""One REST request on its way through the world: what was asked, and how to answer it."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote, urlencode

import msgspec

from prow_async.sandbox.github.records import App, Repository
from prow_async.sandbox.github.refusal import invalid
from prow_async.sandbox.github.steps import Steps
from prow_async.sandbox.github.world import World

T = TypeVar("T")


class Request(msgspec.Struct, frozen=True):
    """A request as it came in. `path` has its query string; header names are lower-case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


class Answer(msgspec.Struct, frozen=True):
    """What goes back. Header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Content(msgspec.Struct, frozen=True):
    """What a handler answers: a status, JSON content (None for no body) and headers beside the usual ones.

    `raw` is a body that is not JSON; `headers` then names its type.
    """

    status: int
    content: Any = None
    headers: dict[str, str] = {}
    raw: bytes | None = None


class Call:
    """A request whose route is known and whose asker has been recognised."""

    def __init__(
        self, world: World, login: str, now_s: float, params: Mapping[str, str], request: tuple[str, Mapping[str, str]]
    ) -> None:
        self.world = world
        self.login = login
        self.now_s = now_s
        self.params = params
        self.path, self.query = request
        self.app: App | None = None
        """The App that asks as itself."""
        self.scope: tuple[App, str] | None = None
        """The App and the organization whose installation asks."""
        self.accept = ""
        """The Accept header."""
        self.content: Any = None
        """The decoded JSON body; None when there was none."""

    @property
    def org(self) -> str:
        return self.params["org"]

    @property
    def repo_name(self) -> str:
        return self.params["repo"]

    @property
    def repo(self) -> Repository:
        return self.world.repo(self.org, self.repo_name)

    @property
    def number(self) -> int:
        return int(self.params["number"])

    def has(self, field: str) -> bool:
        """Say whether the body names this field."""
        return isinstance(self.content, dict) and self.content.get(field) is not None

    def text(self, field: str, default: str = "") -> str:
        """Read a text field of the body. Raises Refusal (422) when it is something else."""
        if not self.has(field):
            return default
        value = self.content[field]
        if not isinstance(value, str):
            raise invalid("Request", field, "invalid", f"{field} is not a string.")
        return value

    def texts(self, field: str) -> list[str]:
        """Read a list of texts from a field, or from a body that is the list itself; also {"name": ...} entries."""
        value = self.content.get(field) if isinstance(self.content, dict) else self.content
        if not isinstance(value, list):
            raise invalid("Request", field, "invalid", f"{field} is not an array.")
        entries = [entry.get("name") if isinstance(entry, dict) else entry for entry in value]
        names = [entry for entry in entries if isinstance(entry, str)]
        if len(names) < len(entries):
            raise invalid("Request", field, "invalid", f"{field} must hold strings.")
        return names

    def page(self, records: Sequence[T], render: Callable[[T], Any]) -> Content:
        """Answer one page of a list, with the links to the others."""
        shown, headers = self.slice(records)
        return Content(200, [render(record) for record in shown], headers)

    def slice(self, records: Sequence[T]) -> tuple[Sequence[T], dict[str, str]]:
        """Cut the page that `per_page` (30, at most 100) and `page` ask for; return it with its Link header."""
        size, page = self.wanted_page()
        last = max(1, -(-len(records) // size))
        relations = []
        if page > 1:
            relations.append(("prev", min(page - 1, last)))
        if page < last:
            relations += [("next", page + 1), ("last", last)]
        if page > 1:
            relations.append(("first", 1))
        link = ", ".join(f'<{self._url_of_page(number)}>; rel="{name}"' for name, number in relations)
        return records[(page - 1) * size : page * size], {"link": link} if link else {}

    def wanted_page(self) -> tuple[int, int]:
        """Return how many entries a page has, and which is asked for."""
        size = min(_positive(self.query.get("per_page", ""), 30), 100)
        return size, _positive(self.query.get("page", ""), 1)

    def newest(self, records: Sequence[T], number: Callable[[T], int], render: Callable[[T], Any]) -> Content:
        """Answer a page of a list that is asked for by `cursor`: newest first, older ones behind the link.

        `number` grows from each record to the next, oldest first.
        """
        size, before = self.wanted_page()[0], _positive(self.query.get("cursor", "").removeprefix("v1_"), 0)
        older = [record for record in reversed(records) if not before or number(record) < before]
        shown = older[:size]
        cursor = urlencode({**self.query, "cursor": f"v1_{number(shown[-1])}"}) if len(older) > size else ""
        headers = {"link": f'<{self.world.address}{self.path}?{cursor}>; rel="next"'} if cursor else {}
        return Content(200, [render(record) for record in shown], headers)

    def link_to_next(self, page: int) -> dict[str, str]:
        """Return the Link header of a page that is not the last, where nobody counted them."""
        return {"link": f'<{self._url_of_page(page + 1)}>; rel="next"'}

    def _url_of_page(self, page: int) -> str:
        return f"{self.world.address}{self.path}?{urlencode({**self.query, 'page': str(page)})}"


Handler = Callable[[Call], Content | Steps[Content]]
"""Answers a call, at once or (see `steps`) after blocking work."""


class Route:
    """A method and a path pattern: `{name}` is one segment, `{name:int}` digits, `{name:path}` the rest."""

    def __init__(self, method: str, pattern: str, handler: Handler) -> None:
        self.method = method
        self.pattern = pattern
        self.handler = handler
        kinds = {"": "[^/]+", "int": "[0-9]{1,18}", "path": ".+"}
        expression = re.sub(r"\{(\w+)(?::(\w+))?\}", lambda m: f"(?P<{m.group(1)}>{kinds[m.group(2) or '']})", pattern)
        self._expression = re.compile(expression)

    def match(self, path: str) -> dict[str, str] | None:
        """Return the decoded parts of a path that fits."""
        found = self._expression.fullmatch(path)
        return {name: unquote(part) for name, part in found.groupdict().items()} if found else None


def _positive(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text) > 0 else default
