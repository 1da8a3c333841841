"""Label and field selectors: from query text to a test.

Source: Kubernetes "Labels and Selectors", "Field Selectors".
"""

import re
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from prow_async.core import labels

Operator = Literal["in", "notin", "exists", "absent", "gt", "lt"]


class BadSelector(Exception):
    """The selector does not parse. Its text goes into a 400 answer."""


class Requirement(msgspec.Struct, frozen=True):
    """One condition. `=` is `in` with one value, `!=` is `notin` with one value."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def holds(self, values: Mapping[str, str]) -> bool:
        """Test; a missing key satisfies `notin`, as in Kubernetes."""
        value = values.get(self.key)
        if self.operator == "in":
            return value is not None and value in self.values
        if self.operator == "notin":
            return value is None or value not in self.values
        if self.operator == "gt" or self.operator == "lt":
            return value is not None and _is_past(value, next(iter(self.values)), self.operator == "gt")
        return (value is not None) == (self.operator == "exists")


Selector = tuple[Requirement, ...]


def _is_past(value: str, bound: str, above: bool) -> bool:
    try:
        return int(value) > int(bound) if above else int(value) < int(bound)
    except ValueError:
        return False


_TOKEN = re.compile(r"\s*(?:(?P<op>==|!=|=|!|,|\(|\)|<|>)|(?P<word>[^\s=!,()<>]+))")


class _Tokens:
    """The words of a label selector, read one after another."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        at = 0
        text = text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise BadSelector(f"unable to parse requirement: found '{text[at:]}', expected: identifier")
            self._tokens.append(found["op"] or found["word"])
            at = found.end()
        self._at = 0

    def peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self._at += 1
        return token

    def word(self, expected: str = "identifier") -> str:
        token = self.take()
        if not token or not (token[0].isalnum() or token[0] in "-_./"):
            raise BadSelector(f"unable to parse requirement: found '{token}', expected: {expected}")
        return token


Judge = Callable[[str], str]
"""Says what is wrong with a text; empty when nothing is."""


def _wrong_key(text: str) -> str:
    return "" if labels.is_key(text) else "no label name"


def _wrong_value(text: str) -> str:
    return "" if labels.is_value(text) else "no label value"


def parse_labels(text: str, wrong_key: Judge = _wrong_key, wrong_value: Judge = _wrong_value) -> Selector:
    """Parse `a=b,c!=d,e in (f,g),h notin (i),j,!k`.

    Args:
        wrong_key, wrong_value: judge names and values where another wording is wanted.

    Raises BadSelector.
    """
    tokens = _Tokens(text)
    found: list[Requirement] = []
    while tokens.peek():
        found.append(_requirement(tokens))
        if tokens.peek() and tokens.take() != ",":
            raise BadSelector("unable to parse requirement: found more than one condition without a comma")
        if found and not tokens.peek() and text.rstrip().endswith(","):
            raise BadSelector("unable to parse requirement: found '', expected: identifier after ','")
    for one in found:
        _check(one, wrong_key, wrong_value)
    return tuple(found)


def _requirement(tokens: _Tokens) -> Requirement:
    if tokens.peek() == "!":
        tokens.take()
        return Requirement(tokens.word(), "absent")
    key = tokens.word()
    follows = tokens.peek()
    if follows in {"", ","}:
        return Requirement(key, "exists")
    tokens.take()
    if follows in {"=", "==", "!="}:
        value = "" if tokens.peek() in {"", ","} else tokens.word()
        return Requirement(key, "notin" if follows == "!=" else "in", frozenset({value}))
    if follows == "in" or follows == "notin":
        return Requirement(key, "in" if follows == "in" else "notin", _values(tokens))
    if follows in {">", "<"}:
        bound = tokens.word()
        if not bound.removeprefix("-").isdigit():
            raise BadSelector(f"unable to parse requirement: for 'Gt', 'Lt' operators, '{bound}' must be an integer")
        return Requirement(key, "gt" if follows == ">" else "lt", frozenset({bound}))
    raise BadSelector(f"unable to parse requirement: found '{follows}', expected: in, notin, =, ==, !=, gt, lt")


def _values(tokens: _Tokens) -> frozenset[str]:
    if tokens.take() != "(":
        raise BadSelector("unable to parse requirement: expected: '(' after in or notin")
    values: set[str] = set()
    while True:
        values.add("" if tokens.peek() in {",", ")"} else tokens.word())
        separator = tokens.take()
        if separator == ")":
            return frozenset(values)
        if separator != ",":
            raise BadSelector(f"unable to parse requirement: found '{separator}', expected: ',' or ')'")


def _check(one: Requirement, wrong_key: Judge, wrong_value: Judge) -> None:
    if why := wrong_key(one.key):
        raise BadSelector(f'unable to parse requirement: key: Invalid value: "{one.key}": {why}')
    for value in sorted(one.values):
        if why := wrong_value(value):
            raise BadSelector(f'unable to parse requirement: values: Invalid value: "{value}": {why}')


_FIELD = re.compile(r"((?:[^\\=!,]|\\.)+?)(==|!=|=)((?:[^\\,=]|\\.)*)")


def parse_fields(text: str, known: frozenset[str]) -> Selector:
    """Parse `a=b,c!=d` over the fields a resource can be selected by. Raises BadSelector."""
    found = []
    for term in re.findall(r"(?:[^\\,]|\\.)+", text):
        match = _FIELD.fullmatch(term)
        if match is None:
            raise BadSelector(f"invalid selector: '{text}'; can't understand '{term}'")
        key, operator, value = match.groups()
        if key not in known:
            raise BadSelector(f"field label not supported: {key}")
        plain = re.sub(r"\\(.)", r"\1", value)
        found.append(Requirement(key, "notin" if operator == "!=" else "in", frozenset({plain})))
    return tuple(found)


def holds(selector: Selector, values: Mapping[str, str]) -> bool:
    return all(one.holds(values) for one in selector)
