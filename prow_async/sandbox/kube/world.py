"""The small Kubernetes API server, a synchronous state machine: a request in; an answer, watch or log request out.

Time comes in with each request, identifiers come from `Ids`; there is no I/O here. The doors are direct and http.
"""

from typing import Any, Protocol

import msgspec

from prow_async.api import errors
from prow_async.ports import clock
from prow_async.sandbox.kube import (
    applying,
    bodies,
    collector,
    definitions,
    discovery,
    exchange,
    expiry,
    layouts,
    lists,
    managers,
    metadata,
    namespaces,
    openapi,
    podlogs,
    resources,
    reviews,
    status,
    store,
    watches,
    writes,
)

Json = dict[str, Any]
Outcome = exchange.Answer | watches.Watch | exchange.LogRequest

_TEXT = "text/plain; charset=utf-8"
MAX_BYTES = 1024 * 1024 * 1024
"""What all objects together may take; writes beyond are refused."""


class Keeper(Protocol):
    """Keeps the objects of a world somewhere safe. The doors wait for it."""

    def note(self, table: store.Table, event: store.Event) -> None:
        """Take a change in."""

    async def ready(self, world: "World") -> None:
        """Wait until a request may be handled. Raises Refusal (503) while what came before cannot be kept."""

    async def settled(self) -> None:
        """Wait until all that was taken in is safe: before an answer goes out. Raises Refusal (503)."""


class World:
    """All objects of one server.

    Attributes:
        keeper: None where objects live in memory alone.

    Args:
        ids: makes UIDs and the random part of generated names.
        history_limit: changes remembered per resource; watches and pages that start further back get 410.
        max_bytes: what all objects together may take.
    """

    def __init__(self, ids: clock.Ids, history_limit: int = 10_000, max_bytes: int = MAX_BYTES) -> None:
        self._now_s = 0.0
        self._store = store.Store(history_limit, max_bytes)
        self._writer = writes.Writer(self._store, ids)
        self._collector = collector.Collector(self._store, self._writer)
        self._expiry = expiry.Expiry(self._store, self._writer)
        self._reader = lists.Reader(self._store, lambda: self._now_s)
        self._namespaces = namespaces.Namespaces(self._store, self._writer)
        self._served: dict[tuple[str, str, str], resources.Resource] = {}
        self._serve([])
        self._begun = False
        self.keeper: Keeper | None = None

    @property
    def version(self) -> int:
        """The newest resourceVersion."""
        return self._store.version

    @property
    def open_watches(self) -> int:
        """How many watches are open: none is left when all askers have gone."""
        return sum(len(table.watchers) for table in self._store.tables())

    def compact(self) -> None:
        """Forget history: older watches, pages and exact lists get 410 when they are next asked for."""
        self._store.compact()

    @property
    def size_bytes(self) -> int:
        """What all objects take, about."""
        return self._store.size_bytes

    def stored(self) -> list[tuple[str, bytes]]:
        """Return all objects, each with its table's name."""
        tables = self._store.tables()
        return [(f"{table.plural}.{table.group}", entry.raw) for table in tables for entry in table.all()]

    def restore(self, objects: dict[str, list[bytes]], version: int, now_s: float) -> None:
        """Put back the objects of an earlier world into this new one, by their tables' names, and go on from there."""
        self._now_s = now_s
        own = f"{definitions.PLURAL}.{definitions.GROUP}"
        for name in sorted(objects, key=lambda one: one != own):
            stored = {f"{one.plural}.{one.group}": one for one in self._stored_resources()}
            resource = stored.get(name)
            if resource is None:
                continue  # its definition is gone: so are its objects
            table = self._writer.table(resource)
            for raw in objects[name]:
                content = store.decode(raw)
                number = int(content["metadata"]["resourceVersion"])
                entry = store.entry_of(content, raw, number, resource.fields(content))
                self._store.restore(table, entry)
                self._collector.restore(table, entry)
            if name == own:
                self._reload()
        self._store.begin_at(version)
        self._namespaces.restore()
        self._expiry.restore(now_s)

    def keep(self, keeper: Keeper) -> None:
        """Have all changes from now on kept."""
        self.keeper = keeper
        self._store.observers.append(keeper.note)

    def objects(self, plural: str, namespace: str | None = None) -> list[Json]:
        """Return all objects of a resource as they stand, in the order of a list. Changing them changes nothing."""
        for table in self._store.tables():
            if table.plural == plural:
                return [store.decode(entry.raw) for entry in table.all(namespace or "")]
        return []

    def install(self, definition: Json, now_s: float) -> None:
        """Serve a custom resource, as an operator's `kubectl replace -f` would, or `create -f` where it is not there.

        Raises:
            CannotStart: the definition is refused; the text says why.
        """
        path = f"/apis/{definitions.GROUP}/v1/{definitions.PLURAL}"
        headers = {"content-type": exchange.JSON}
        method, meta = "POST", definition["metadata"]
        there = self._writer.table(definitions.DEFINITIONS).entries.get(f"/{meta['name']}")
        if there is not None:
            method, path = "PUT", f"{path}/{meta['name']}"
        outcome = self.handle(exchange.Request(method, path, {}, headers, store.encode(definition)), now_s)
        if not isinstance(outcome, exchange.Answer) or outcome.code not in {200, 201}:
            why = outcome.body.decode() if isinstance(outcome, exchange.Answer) else "no answer"
            raise errors.CannotStart(f"the custom resource definition is refused: {why}")

    def handle(self, request: exchange.Request, now_s: float) -> Outcome:
        """Do what a request asks. Never raises for anything a request may hold.

        Args:
            now_s: wall-clock time, seconds since the epoch.
        """
        self._now_s = now_s
        if not self._begun:
            self._begun = True
            self._namespaces.begin(now_s)
        self._expiry.settle(now_s)
        try:
            return self._route(request)
        except status.Refusal as refusal:
            return exchange.Answer.no(refusal)
        except store.Full as error:
            return exchange.Answer.no(status.Refusal(507, "InsufficientStorage", str(error)))
        except RecursionError:
            return exchange.Answer.no(status.bad_request("the body is nested too deeply"))

    def _route(self, request: exchange.Request) -> Outcome:
        if request.path in discovery.HEALTH:
            return exchange.Answer(200, b"ok", _TEXT)
        if request.method == "GET":
            found = discovery.answer(request.path, self._served.values())
            if found is None and request.path.startswith("/openapi/v3"):
                found = openapi.answer(request.path, self._served.values())
            if found is not None:
                return exchange.Answer.of(200, found)
            if request.path == "/openapi/v2":
                return openapi.older(request)
        target = exchange.target_of(request.path)
        if target is None:
            return exchange.Answer(404, b"404 page not found\n", _TEXT)
        resource = self._served.get((target.group, target.version, target.plural))
        if resource is None:
            return reviews.answer(target, request) or self._unknown(target)
        if (target.namespace and not resource.namespaced) or (
            target.name and resource.namespaced and not target.namespace
        ):
            raise status.no_such_resource()
        if not target.name:
            return self._on_collection(resource, target, request)
        if target.subresource:
            return self._on_subresource(resource, target, request)
        return self._on_object(resource, target, request)

    def _unknown(self, target: exchange.Target) -> exchange.Answer:
        versions = {(group, version) for group, version, _ in self._served}
        if (target.group, target.version) in versions:
            raise status.no_such_resource()
        return exchange.Answer(404, b"404 page not found\n", _TEXT)

    def _on_collection(
        self, resource: resources.Resource, target: exchange.Target, request: exchange.Request
    ) -> Outcome:
        if request.method == "GET":
            options = exchange.ListOptions.read(request.query)
            if options.watch:
                return self._reader.watch(resource, target.namespace, options, request)
            return self._reader.list(resource, target.namespace, options, request)
        if resource.namespaced and not target.namespace:
            raise status.method_not_allowed()
        if request.method == "POST":
            return self._create(resource, target.namespace, bodies.read(resource, request), request)
        if request.method == "DELETE":
            return self._delete_all(resource, target, request)
        raise status.method_not_allowed()

    def _on_object(
        self, resource: resources.Resource, target: exchange.Target, request: exchange.Request
    ) -> exchange.Answer:
        entry = self._find(resource, target)
        if request.method == "PUT" and entry is None and resource.creates_on_update:
            return self._create_by_update(resource, target, request)
        if request.method not in {"GET", "PUT", "PATCH", "DELETE"}:
            raise status.method_not_allowed()
        if request.method == "PATCH" and bodies.is_apply(request):
            return self._apply(resource, target, entry, request)
        if entry is None:
            raise status.not_found(resource, target.name)
        if request.method == "GET":
            return self._reader.get(resource, entry, request)
        if request.method == "DELETE":
            options = exchange.DeleteOptions.read(request)
            if resource.plural == namespaces.PLURAL:
                content = self._namespaces.delete(resource, entry, options, self._now_s, self._stored_resources())
            else:
                content = self._writer.delete(resource, entry, options, self._now_s)
            self._settle(resource)
            return exchange.Answer.of(200, content)
        return self._change(resource, entry, request, "")

    def _on_subresource(
        self, resource: resources.Resource, target: exchange.Target, request: exchange.Request
    ) -> Outcome:
        entry = self._find(resource, target)
        if entry is None:
            raise status.not_found(resource, target.name)
        is_pod = resource.plural == "pods" and not resource.group
        if is_pod and target.subresource == "log" and request.method == "GET":
            return podlogs.read(entry, request)
        if is_pod and target.subresource == "binding" and request.method == "POST":
            node = podlogs.node_of(bodies.read(resource, request, "Binding"))
            self._writer.bind(resource, entry, node, self._call(request))
            return exchange.Answer.of(
                201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
            )
        if target.subresource != "status" or not resource.has_status:
            raise status.not_found(resource, target.name) if resource.custom else status.no_such_resource()
        if request.method == "GET":
            return self._reader.get(resource, entry, request)
        if request.method == "PATCH" and bodies.is_apply(request):
            return self._apply(resource, target, entry, request)
        if request.method in {"PUT", "PATCH"}:
            return self._change(resource, entry, request, "status")
        raise status.method_not_allowed()

    def _find(self, resource: resources.Resource, target: exchange.Target) -> store.Entry | None:
        return self._writer.table(resource).entries.get(f"{target.namespace}/{target.name}")

    def _call(self, request: exchange.Request) -> writes.Call:
        query = request.query
        agent = request.headers.get("user-agent", "")
        if not query:
            return writes.Call(self._now_s, is_patch=request.method == "PATCH", agent=agent)
        dry_run = [query["dryRun"]] if query.get("dryRun") else []
        causes = exchange.dry_run_causes(dry_run)
        named = query.get("fieldManager", "")
        if len(named) > 128:
            causes.append(status.Cause("FieldValueTooLong", "Too long: may not be more than 128 bytes", "fieldManager"))
        if causes:
            raise status.invalid(_OPTIONS.get(request.method, "CreateOptions"), "meta.k8s.io", "", causes)
        strict = query.get("fieldValidation", "")
        return writes.Call(
            self._now_s,
            dry_run=bool(dry_run),
            strict="Strict" if strict == "Strict" else "Ignore" if strict == "Ignore" else "Warn",
            is_patch=request.method == "PATCH",
            checks_fields=bool(strict),
            named=named,
            agent=agent,
        )

    def _create(
        self, resource: resources.Resource, namespace: str, content: Json, request: exchange.Request
    ) -> exchange.Answer:
        if resource.stored is not None:
            content = resource.stored(content)
        return self._store_new(resource, namespace, content, self._call(request))

    def _store_new(
        self, resource: resources.Resource, namespace: str, content: Json, call: writes.Call
    ) -> exchange.Answer:
        self._namespaces.check_open(resource, namespace, content)
        raw = self._writer.create(resource.base, namespace, content, call)
        self._settle(resource)
        return _written(201, resource, raw, call)

    def _apply(
        self,
        resource: resources.Resource,
        target: exchange.Target,
        entry: store.Entry | None,
        request: exchange.Request,
    ) -> exchange.Answer:
        """Apply on the server's side; an object that is not there is created."""
        call = self._call(request)
        call.is_applied = True
        if not call.named:
            why = "is required for apply patch"
            raise status.invalid("PatchOptions", "meta.k8s.io", "", [status.required("fieldManager", why)])
        wanted = bodies.applied(resource, target.name, entry is None, request)
        metadata.check_namespace(metadata.read(resource, wanted["metadata"]), target.namespace)
        if resource.stored is not None:
            wanted = resource.stored(wanted)
        base, force = resource.base, exchange.flag(request.query, "force")
        if resource.has_status:
            wanted = _part(wanted, target.subresource)
        who = managers.Manager(call.named, managers.APPLY, resource.api_version, target.subresource)
        live = None if entry is None else store.decode(entry.raw)
        if live is None and wanted["metadata"].get("uid"):
            raise status.conflict(base.plural, base.group, target.name, "there is no object with this UID")
        content = applying.apply(layouts.of(base), live, wanted, who, force, self._now_s)
        if entry is None:
            return self._store_new(resource, target.namespace, content, call)
        raw = self._writer.update(base, entry, content, target.subresource, call)
        self._settle(resource)
        return _written(200, resource, raw, call)

    def _create_by_update(
        self, resource: resources.Resource, target: exchange.Target, request: exchange.Request
    ) -> exchange.Answer:
        content = bodies.read(resource, request)
        meta = content.setdefault("metadata", {})
        if isinstance(meta, dict):
            if meta.setdefault("name", target.name) != target.name:
                why = f"the name of the object ({meta['name']}) does not match the name on the URL ({target.name})"
                raise status.bad_request(why)
            meta.pop("resourceVersion", None)
        return self._create(resource, target.namespace, content, request)

    def _change(
        self, resource: resources.Resource, entry: store.Entry, request: exchange.Request, subresource: str
    ) -> exchange.Answer:
        if request.method == "PUT":
            content = bodies.read(resource, request)
        else:
            content = bodies.patched(resource, entry, request)
        if resource.stored is not None:
            content = resource.stored(content)
        call = self._call(request)
        try:
            raw = self._writer.update(resource.base, entry, content, subresource, call)
        except metadata.Unreadable as error:
            raise (error.of_patch() if call.is_patch else error) from error
        self._settle(resource)
        return _written(200, resource, raw, call)

    def _delete_all(
        self, resource: resources.Resource, target: exchange.Target, request: exchange.Request
    ) -> exchange.Answer:
        """Delete what a selector finds; answer with what was found."""
        delete_options = exchange.DeleteOptions.read(request)
        options = exchange.ListOptions.read(request.query)
        admits = lists.selection(resource, options, "")
        table = self._writer.table(resource)
        page = table.page(target.namespace, self._store.version, "", options.limit, admits)
        for entry in page.entries:
            self._writer.delete(resource.base, entry, delete_options, self._now_s)
        self._settle(resource)
        meta = {"resourceVersion": str(self._store.version)}
        return exchange.Answer(200, lists.listed(resource, meta, [entry.raw for entry in page.entries]))

    def _settle(self, resource: resources.Resource) -> None:
        """After a write: serve what definitions now say; finish what waits for a namespace to be empty."""
        if resource.plural == definitions.PLURAL and resource.group == definitions.GROUP:
            self._reload()
        self._collector.settle(self._now_s)
        self._namespaces.settle()

    def _stored_resources(self) -> list[resources.Resource]:
        return [one for one in self._served.values() if one.of is None]

    def _serve(self, custom: list[resources.Resource]) -> None:
        every = [*resources.built_in(), definitions.DEFINITIONS, *custom]
        self._served = {(one.group, one.version, one.plural): one for one in every}
        self._collector.serve(every)

    def _reload(self) -> None:
        before = {(one.base.group, one.base.plural) for one in self._served.values() if one.custom}
        custom: list[resources.Resource] = []
        for entry in self._writer.table(definitions.DEFINITIONS).all():
            custom.extend(definitions.serve(store.decode(entry.raw)))
        self._serve(custom)
        for group, plural in sorted(before - {(one.base.group, one.base.plural) for one in custom}):
            self._store.drop(self._store.table(plural, group))


def _written(code: int, resource: resources.Resource, raw: bytes, call: writes.Call) -> exchange.Answer:
    headers = {}
    if call.warnings:
        told = ", ".join(f"299 - {msgspec.json.encode(text).decode()}" for text in call.warnings[:20])
        headers["warning"] = "".join(letter if " " <= letter <= "~" else "?" for letter in told)
    return exchange.Answer(code, lists.shown(resource, raw), headers=headers)


_OPTIONS = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions"}


def _part(wanted: Json, subresource: str) -> Json:
    """Return what an applier may say through this door: the status, or all else."""
    if not subresource:
        return {name: value for name, value in wanted.items() if name != "status"}
    return {name: value for name, value in wanted.items() if name in {"apiVersion", "kind", "metadata", "status"}}
