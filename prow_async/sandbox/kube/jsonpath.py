"""The JSONPath subset that printer columns use: `.a.b`, `.a[0]`, `.a[*].b`, `['a.b']`, `.a[?(@.k=="v")].b`.

Source: Kubernetes, "JSONPath Support" and "Additional printer columns".
"""

import re
from typing import Any

import msgspec


class BadPath(Exception):
    """The path does not parse. Its text goes into a 422 answer for the definition."""


class Where(msgspec.Struct, frozen=True):
    """Keep list items whose field equals a value."""

    path: tuple[str, ...]
    value: Any


Step = str | int | Where | None
"""A field, an index, a filter, or None for all items."""

_STEP = re.compile(
    r"""\.(?P<field>(?:[^.\[\]\\\s]|\\.)+)
      | \[(?P<index>-?\d{1,9})\]
      | \[(?P<all>\*)\]
      | \['(?P<quoted>[^']*)'\]
      | \[\?\(@(?P<left>(?:\.[\w/-]+)+)\s*==\s*(?P<right>"[^"]*"|'[^']*'|true|false|-?\d+)\)\]
    """,
    re.VERBOSE,
)


def parse(text: str) -> tuple[Step, ...]:
    """Parse a path. Raises BadPath."""
    steps: list[Step] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            raise BadPath(f"cannot read {text[at:]!r} of the path {text!r}")
        at = found.end()
        if found["field"] is not None:
            name = re.sub(r"\\(.)", r"\1", found["field"])
            steps.append(None if name == "*" else name)
        elif found["index"] is not None:
            steps.append(int(found["index"]))
        elif found["quoted"] is not None:
            steps.append(found["quoted"])
        elif found["all"] is not None:
            steps.append(None)
        else:
            literal = found["right"]
            value = literal[1:-1] if literal[0] in "\"'" else msgspec.json.decode(literal)
            steps.append(Where(tuple(found["left"][1:].split(".")), value))
    if not steps:
        raise BadPath("the path is empty")
    return tuple(steps)


def find(steps: tuple[Step, ...], content: Any) -> list[Any]:
    """Return what stands at a path, in order; empty when nothing does."""
    nodes = [content]
    for step in steps:
        nodes = [below for node in nodes for below in _below(node, step)]
    return nodes


def _below(node: Any, step: Step) -> list[Any]:
    if isinstance(step, str):
        return [node[step]] if isinstance(node, dict) and step in node else []
    if step is None and isinstance(node, dict):
        return list(node.values())
    if not isinstance(node, list):
        return []
    if step is None:
        return node
    if isinstance(step, int):
        return [node[step]] if -len(node) <= step < len(node) else []
    return [item for item in node if find(step.path, item) == [step.value]]
