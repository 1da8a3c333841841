"""Whether requests have the form that GitHub's OpenAPI description gives them.

The fixture `github_form` watches the doors of all small GitHubs; a test whose requests GitHub does not know, or would
not understand, fails. Tests that send such requests on purpose say so: `@pytest.mark.odd_github_requests`.
"""

import functools
import json
import os
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import jsonschema_rs
import pytest

from prow_async.sandbox.github import witness
from prow_async.sandbox.github.call import Request
from tests.tools import openapi

Json = dict[str, Any]
API_VERSION = "2022-11-28"
_BY_NUMBER = re.compile(r"^/repositories/[^/]+")
"""How links to further pages name a repository."""


class Operation:
    """One method on one path of the description."""

    def __init__(self, listed: list[Any], schemas: Json) -> None:
        self.method, self.path, parameters, self.body, self.body_required = listed
        self._schemas = schemas
        self._path = {one["name"]: one for one in parameters if one["in"] == "path"}
        self.query = {one["name"]: one for one in parameters if one["in"] == "query"}
        pattern = re.sub(r"\{(\w+)\}", self._part, re.sub(r"([.+])", r"\\\1", self.path))
        self._pattern = re.compile(pattern)
        self.literal = len([part for part in self.path.split("/") if part and not part.startswith("{")])

    def _part(self, found: "re.Match[str]") -> str:
        one = self._path.get(found.group(1), {})
        if one.get("schema", {}).get("type") == "integer":
            return "[0-9]+"
        return ".*" if one.get("long") else "[^/]+"

    def fits(self, path: str) -> bool:
        return self._pattern.fullmatch(path) is not None

    @functools.cached_property
    def _validator(self) -> Any:
        return jsonschema_rs.Draft202012Validator({**self.body, "$defs": self._schemas})

    def problems(self, query: str, body: bytes) -> Iterator[str]:
        """Say what is wrong with a request of this operation."""
        given = parse_qsl(query, keep_blank_values=True)
        for name, text in given:
            if name not in self.query:
                yield f"there is no query parameter {name!r}"
            elif (why := _misfit(self.query[name]["schema"], text)) is not None:
                yield f"query parameter {name}={text!r}: {why}"
        missing = {name for name, one in self.query.items() if one["required"]} - {name for name, _ in given}
        yield from (f"query parameter {name!r} is missing" for name in sorted(missing))
        yield from self._body_problems(body)

    def _body_problems(self, body: bytes) -> Iterator[str]:
        if not body:
            if self.body_required:
                yield "the body is missing"
            return
        if self.body is None:
            yield "it takes no body"
            return
        try:
            content = json.loads(body)
        except ValueError:
            yield "the body is no JSON"
            return
        yield from (f"body {error.instance_path}: {error.message}" for error in self._validator.iter_errors(content))
        known = self.body.get("properties")
        if known and isinstance(content, dict) and not self.body.get("additionalProperties"):
            yield from (f"the body has no field {name!r}" for name in content if name not in known)


@functools.cache
def operations() -> dict[str, list[Operation]]:
    """Read the description: the operations of each method, those with more literal parts first."""
    index = json.loads(openapi.ensure().read_bytes())
    found: dict[str, list[Operation]] = {}
    for listed in index["operations"]:
        found.setdefault(listed[0], []).append(Operation(listed, index["schemas"]))
    for group in found.values():
        group.sort(key=lambda one: -one.literal)
    return found


def problems_of(request: Request) -> list[str]:
    """Say what GitHub would not understand of a request."""
    path, _, query = request.path.partition("?")
    version = request.headers.get("x-github-api-version", API_VERSION)
    found = [] if version == API_VERSION else [f"API version {version}"]
    if path == "/graphql":
        return found + ([] if b'"query"' in request.body else ["the body has no query"])
    path = _BY_NUMBER.sub("/repos/by/number", path)
    path += "/" if path.endswith("/contents") else ""
    operation = next((one for one in operations().get(request.method, []) if one.fits(path)), None)
    if operation is None:
        return [*found, "there is no such operation"]
    return [*found, *operation.problems(query, request.body)]


def _misfit(schema: Json, text: str) -> str | None:
    """Say how a query's text does not fit a schema."""
    values: list[Any] = [text]
    if re.fullmatch(r"-?[0-9]{1,18}", text):
        values.append(int(text))
    if text in ("true", "false"):
        values.append(text == "true")
    if schema.get("type") == "array":
        values.append(text.split(","))
    validator = jsonschema_rs.Draft202012Validator(schema)
    if any(validator.is_valid(value) for value in values):
        return None
    return f"expected {json.dumps(schema)}"


@pytest.fixture(autouse=True)
def github_form(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that has sent a small GitHub what GitHub would not understand."""
    if request.node.get_closest_marker("odd_github_requests") or os.environ.get(openapi.SKIP):
        yield
        return
    wrong: dict[str, None] = {}

    def look(sent: Request) -> None:
        if "authorization" in sent.headers:
            wrong.update((f"{sent.method} {sent.path}: {problem}", None) for problem in problems_of(sent))

    with witness.watching(look):
        yield
    assert not wrong, "requests that GitHub would not understand:\n  " + "\n  ".join(wrong)
