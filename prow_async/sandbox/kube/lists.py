"""Reading many objects: lists in pages of one snapshot, tables, watches."""

from collections.abc import Callable
from typing import Any

from prow_async.core import selectors
from prow_async.sandbox.kube import exchange, status, store, table, watches, words
from prow_async.sandbox.kube.resources import Resource

Json = dict[str, Any]

_OLD_LIST = "The resourceVersion for the provided list is too old."
_OLD_PAGE = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without"
    " the continue parameter, or use the continue token in this response to retrieve the remainder of the results."
    " Continuing with the provided token results in an inconsistent list - objects that were created, modified, or"
    " deleted between the time the first chunk was returned and now may show up in the list."
)


def selection(resource: Resource, options: exchange.ListOptions, namespace: str) -> store.Admits | None:
    """Return the test an object must pass, None when all pass. Raises Refusal (400)."""
    try:
        labels = selectors.parse_labels(options.label_selector, words.wrong_with_key, words.wrong_with_value)
        fields = selectors.parse_fields(options.field_selector, resource.known_fields)
    except selectors.BadSelector as error:
        raise status.bad_request(str(error)) from error
    if not (labels or fields or namespace):
        return None

    def admits(entry: store.Entry) -> bool:
        if namespace and entry.namespace != namespace:
            return False
        if labels and not selectors.holds(labels, entry.labels):
            return False
        if not fields:
            return True
        seen = {"metadata.name": entry.name, "metadata.namespace": entry.namespace} | entry.fields
        return selectors.holds(fields, seen)

    return admits


class Reader:
    """Reads a store. Answers carry the bytes the objects were written with."""

    def __init__(self, objects: store.Store, now: Callable[[], float]) -> None:
        self._store = objects
        self._now = now

    def _table_of(self, resource: Resource) -> store.Table:
        return self._store.table(resource.base.plural, resource.base.group)

    def get(self, resource: Resource, entry: store.Entry, request: exchange.Request) -> exchange.Answer:
        """Answer with one object."""
        if exchange.wants_table(request.headers.get("accept", "")):
            metadata: Json = {"resourceVersion": str(entry.version)}
            include = table.include_of(request.query.get("includeObject", ""))
            return exchange.Answer.of(200, table.render(resource, [entry], metadata, self._now(), include))
        return exchange.Answer(200, shown(resource, entry.raw))

    def list(
        self, resource: Resource, namespace: str, options: exchange.ListOptions, request: exchange.Request
    ) -> exchange.Answer:
        """Answer with a page of a list."""
        admits = selection(resource, options, "")
        version, start = self._snapshot(options)
        try:
            page = self._table_of(resource).page(namespace, version, start, options.limit, admits)
        except store.TooOld as error:
            raise self._expired(options) from error
        metadata: Json = {"resourceVersion": str(version)}
        if page.next_start:
            going_on = -1 if self._is_loose(options) else version
            metadata["continue"] = exchange.ContinueToken(going_on, page.next_start).encode()
            if not options.label_selector and not options.field_selector:
                metadata["remainingItemCount"] = page.remaining
        if exchange.wants_table(request.headers.get("accept", "")):
            include = table.include_of(request.query.get("includeObject", ""))
            return exchange.Answer.of(200, table.render(resource, page.entries, metadata, self._now(), include))
        return exchange.Answer(200, listed(resource, metadata, [entry.raw for entry in page.entries]))

    @staticmethod
    def _is_loose(options: exchange.ListOptions) -> bool:
        return bool(options.continue_) and exchange.ContinueToken.decode(options.continue_).rv == -1

    def _snapshot(self, options: exchange.ListOptions) -> tuple[int, str]:
        """Return the version to read and the key to start at. Raises Refusal."""
        current, asked = self._store.version, options.resource_version or 0
        if options.continue_:
            if asked:
                raise status.bad_request("specifying resource version is not allowed when using continue")
            token = exchange.ContinueToken.decode(options.continue_)
            version = current if token.rv == -1 else token.rv
            if version > current:
                raise status.too_new(version, current)
            return version, token.start
        if asked > current:
            raise status.too_new(asked, current)
        exact = options.match == "Exact" or (not options.match and options.limit and asked)
        return (asked if exact else current), ""

    def _expired(self, options: exchange.ListOptions) -> status.Refusal:
        if not options.continue_:
            return status.too_old(_OLD_LIST)
        refusal = status.too_old(_OLD_PAGE)
        start = exchange.ContinueToken.decode(options.continue_).start
        refusal.metadata["continue"] = exchange.ContinueToken(-1, start).encode()
        return refusal

    def watch(
        self, resource: Resource, namespace: str, options: exchange.ListOptions, request: exchange.Request
    ) -> watches.Watch:
        """Open a watch. One that starts too far back tells so in its stream, as the real server does."""
        rows = self._table_of(resource)
        admits = selection(resource, options, namespace)
        current, asked = self._store.version, options.resource_version or 0
        from_start = (not asked) if options.initial_events is None else options.initial_events
        if from_start and asked > current:
            raise status.too_new(asked, current)
        watch = watches.Watch((resource.api_version, resource.kind), rows, options.timeout_s, options.bookmarks)
        watch.select(admits, self._render(resource, request))
        if from_start:
            for entry in rows.all(namespace):
                if admits is None or admits(entry):
                    watch.initial(entry)
            if options.initial_events and options.bookmarks:
                watch.bookmark(current, end_of_initial=True)
        try:
            watch.start(current if from_start or not asked else asked)
        except store.TooOld as error:
            watch.refuse(status.too_old(str(error)))
        return watch

    def _render(self, resource: Resource, request: exchange.Request) -> watches.Render | None:
        if exchange.wants_table(request.headers.get("accept", "")):
            include = table.include_of(request.query.get("includeObject", ""))
            return table.watch_render(resource, self._now, include)
        if resource.shown is None:
            return None
        return lambda entry: shown(resource, entry.raw)


def shown(resource: Resource, raw: bytes) -> bytes:
    """Return a stored object in the form of the resource it was asked through."""
    if resource.shown is None:
        return raw
    return store.encode(resource.shown(store.decode(raw)))


def listed(resource: Resource, metadata: Json, raws: list[bytes]) -> bytes:
    """Return a list object. As on the real server, items of built-in kinds do not repeat apiVersion and kind."""
    if not resource.custom:
        # Every stored object starts with these two (see writes).
        repeated = len(store.encode({"apiVersion": resource.api_version, "kind": resource.kind}))
        raws = [b"{" + shown(resource, raw)[repeated:] for raw in raws]
    elif resource.shown is not None:
        raws = [shown(resource, raw) for raw in raws]
    head = store.encode({"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": metadata})
    return b'%b,"items":[%b]}' % (head[:-1], b",".join(raws))
