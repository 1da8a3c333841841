"""Tables, the form in which kubectl asks for lists, single objects and watches.

Source: Kubernetes API concepts, "Receiving resources as Tables"; ages are words ("59s"), as the real server sends.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec

from prow_async.sandbox.kube import columns, jsonpath, store
from prow_async.sandbox.kube.resources import Resource

Json = dict[str, Any]
Include = Literal["None", "Metadata", "Object"]


def include_of(text: str) -> Include:
    """Read the query parameter includeObject."""
    if text == "None":
        return "None"
    return "Object" if text == "Object" else "Metadata"


def render(resource: Resource, entries: Iterable[store.Entry], metadata: Json, now_s: float, include: Include) -> Json:
    """Return the table of some objects.

    Args:
        metadata: of the list: its resourceVersion and where it goes on.
    """
    heads = _heads(resource)
    return _table(metadata, heads, [_row(resource, store.decode(entry.raw), now_s, include) for entry in entries])


def watch_render(resource: Resource, now: Callable[[], float], include: Include) -> Callable[[store.Entry], bytes]:
    """Return a function that shows each watched state as a table of one row; the first one has the column heads."""
    heads: list[Json] | None = _heads(resource)

    def show(entry: store.Entry) -> bytes:
        nonlocal heads
        content = store.decode(entry.raw)
        content.setdefault("metadata", {}).setdefault("name", "")
        row = _row(resource, content, now(), include)
        table = _table({"resourceVersion": str(entry.version)}, heads, [row])
        heads = None
        return store.encode(table)

    return show


def _heads(resource: Resource) -> list[Json]:
    own = [column.head() for column in resource.cells]
    return own if resource.name_last else [columns.NAME.head(), *own]


def _table(metadata: Json, heads: list[Json] | None, rows: list[Json]) -> Json:
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": heads,
        "rows": rows,
    }


def _row(resource: Resource, content: Json, now_s: float, include: Include) -> Json:
    cells: list[Any] = [] if resource.name_last else [content["metadata"]["name"]]
    if resource.row is not None:
        cells.extend(resource.row(content, now_s))
    else:
        cells.extend(_cell(column, content, now_s) for column in resource.cells)
    shown: Json | None = None
    if include == "Object":
        shown = content
    elif include == "Metadata":
        shown = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": content["metadata"]}
    return {"cells": cells, "object": shown}


def _cell(column: columns.Column, content: Json, now_s: float) -> Any:
    """Return a cell; of several values at the path only the first is shown, as the real server does."""
    found = jsonpath.find(column.path, content)
    if not found or found[0] is None:
        return None
    value = found[0]
    if column.type == "date":
        return columns.age(value, now_s) if isinstance(value, str) else None
    if column.type == "string":
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {"integer": numeric, "number": numeric, "boolean": isinstance(value, bool)}
    if not fits.get(column.type, True):
        return None
    return int(value) if column.type == "integer" else value
