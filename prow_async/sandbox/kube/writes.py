"""Creating, changing and deleting objects: the rules every kind shares.

Nothing is stored before everything is checked; every method either raises Refusal and leaves no trace, or is done.
"""

from typing import Any, Literal

import msgspec

from prow_async.ports import clock
from prow_async.sandbox.kube import (
    exchange,
    layouts,
    managers,
    metadata,
    pods,
    schema,
    status,
    store,
    validation,
    words,
)
from prow_async.sandbox.kube.resources import Resource

Json = dict[str, Any]


class Call(msgspec.Struct):
    """How a write is to be done, and what there is to tell about it."""

    now_s: float
    dry_run: bool = False
    strict: Literal["Strict", "Warn", "Ignore"] = "Warn"
    is_patch: bool = False
    warnings: list[str] = []
    checks_fields: bool = False
    """Drop unknown fields of built-in kinds and metadata too: only for those who say how strict to be."""
    dropped: list[str] = []
    """Paths of unknown fields that have been dropped."""
    named: str = ""
    """The fieldManager given: its fields are told of from now on."""
    agent: str = ""
    """What the writer's program calls itself, for objects whose managers are told already."""
    is_applied: bool = False
    """The metadata has the managedFields that server-side apply has made."""


class Writer:
    """Writes to a store. Objects come in and go out in the form they are stored in."""

    def __init__(self, objects: store.Store, ids: clock.Ids) -> None:
        self._store = objects
        self._ids = ids

    def table(self, resource: Resource) -> store.Table:
        return self._store.table(resource.base.plural, resource.base.group)

    def create(self, resource: Resource, namespace: str, content: Json, call: Call) -> bytes:
        """Store a new object; return it as stored."""
        self._drop_unknown(resource, content, call)
        meta = metadata.read(resource, content.get("metadata"))
        metadata.check_namespace(meta, namespace)
        if meta.get("resourceVersion") not in {None, "", "0"}:
            raise status.Refusal(500, "", "resourceVersion should not be set on objects to be created")
        table = self.table(resource)
        self._name(resource, namespace, meta, table)
        metadata.stamp_new(meta, namespace, self._ids, call.now_s)
        if not call.is_applied:
            meta.pop("managedFields", None)
        if resource.has_status and resource.plural != "nodes":
            content = {key: value for key, value in content.items() if key != "status"}
        content = self._finish(resource, content, meta, None, call)
        if resource.counts:
            meta["generation"] = 1
        if f"{namespace}/{meta['name']}" in table.entries:
            raise status.already_exists(resource, meta["name"])
        _track(resource, None, content, call)
        return self._write(table, resource, content, call)

    def _name(self, resource: Resource, namespace: str, meta: Json, table: store.Table) -> None:
        """Settle the name. Raises Refusal."""
        if not meta.get("name") and meta.get("generateName"):
            for _ in range(8):
                meta["name"] = metadata.generated_name(meta["generateName"], self._ids)
                if f"{namespace}/{meta['name']}" not in table.entries:
                    break
        name = meta.get("name", "")
        cause = None
        if not name:
            cause = status.required("metadata.name", "name or generateName is required")
        elif why := resource.name_rule(name):
            cause = status.bad_value("metadata.name", name, why)
        if cause is not None:
            raise status.invalid(resource.kind, resource.group, name, [cause])

    def _finish(self, resource: Resource, content: Json, meta: Json, old: Json | None, call: Call) -> Json:
        """Prune, fill in and check a new state; return it with its identity first. Raises Refusal."""
        rest = {key: value for key, value in content.items() if key not in {"apiVersion", "kind", "metadata"}}
        shape = resource.shape
        if shape is not None:
            schema.prune(shape, rest, "", call.dropped)
        self._tell_unknown(resource, call)
        if shape is not None:
            schema.fill(shape, rest)
        content = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta} | rest
        causes = words.check_metadata(meta, resource.custom)
        if "ownerReferences" in meta:
            causes += metadata.check_owners(meta)
        if old is not None:
            causes += metadata.check_finalizers(meta, old["metadata"])
        if shape is not None:
            wrong = validation.check(shape, rest)
            if wrong and not resource.custom:
                raise metadata.unreadable(resource, "; ".join(f"{one.field}: {one.message}" for one in wrong))
            causes += wrong
        if resource.prepare is not None:
            resource.prepare(content)
        if resource.check is not None and not causes:
            causes += resource.check(content, old)
        if causes:
            raise status.invalid(resource.kind, resource.group, meta["name"], causes)
        return content

    @staticmethod
    def _drop_unknown(resource: Resource, content: Json, call: Call) -> None:
        """Drop unknown fields that no schema here tells of: those of metadata, and those of built-in kinds."""
        if not call.checks_fields:
            return
        if resource.custom:
            layouts.drop_unknown(layouts.METADATA, content.get("metadata"), "metadata", call.dropped)
        else:
            layouts.drop_unknown(layouts.of(resource), content, "", call.dropped)

    @staticmethod
    def _tell_unknown(resource: Resource, call: Call) -> None:
        if not call.dropped or call.strict == "Ignore":
            return
        told = [f'unknown field "{path}"' for path in call.dropped]
        if call.strict == "Strict":
            raise metadata.unreadable(resource, f"strict decoding error: {', '.join(told)}")
        call.warnings.extend(told)

    def update(self, resource: Resource, entry: store.Entry, content: Json, subresource: str, call: Call) -> bytes:
        """Replace an object's state (or with `status`, that part of it); return it as stored."""
        old = store.decode(entry.raw)
        self._drop_unknown(resource, content, call)
        meta = metadata.read(resource, content.get("metadata"))
        metadata.check_same(resource, meta, old["metadata"], call.is_patch)
        metadata.carry_over(meta, old["metadata"])
        _carry_managers(meta, old["metadata"])
        if resource.has_status:
            content = self._only(resource, content, old, subresource)
        if subresource and resource.custom:
            meta = dict(old["metadata"])
        content = self._finish(resource, content, meta, old, call)
        if content == old:
            return entry.raw
        _track(resource, old, content, call, subresource)
        if _counted(resource, content) != _counted(resource, old):
            meta["generation"] = meta.get("generation", 0) + 1
        if _is_gone(meta):
            raw = store.encode(content)
            if not call.dry_run:
                self._remove(resource, content)
            return raw
        return self._write(self.table(resource), resource, content, call)

    @staticmethod
    def _only(resource: Resource, content: Json, old: Json, subresource: str) -> Json:
        """Keep what this door may not write as it was."""
        if subresource:
            changed = {key: value for key, value in old.items() if key != "status"}
            source = content
        else:
            changed = {key: value for key, value in content.items() if key != "status"}
            source = old
        if source.get("status") is not None:
            changed["status"] = source["status"]
        elif not resource.custom:
            changed["status"] = {}
        return changed

    def _write(self, table: store.Table, resource: Resource, content: Json, call: Call) -> bytes:
        if call.dry_run:
            return store.encode(content)
        return self._store.write(table, content, resource.fields(content)).raw

    def rewrite(self, resource: Resource, content: Json) -> None:
        """Store a state that the server itself has made; an object that nothing keeps any more goes."""
        if _is_gone(content["metadata"]):
            self._remove(resource, content)
        else:
            self._store.write(self.table(resource), content, resource.fields(content), is_own=True)

    def _remove(self, resource: Resource, content: Json) -> store.Entry:
        return self._store.remove(self.table(resource), content, resource.fields(content))

    def delete(self, resource: Resource, entry: store.Entry, options: exchange.DeleteOptions, now_s: float) -> Json:
        """Delete an object, or mark it as being deleted; return the answer's content."""
        content = store.decode(entry.raw)
        meta = content["metadata"]
        check_preconditions(resource, meta, options.preconditions or {})
        dry_run = options.is_dry_run
        graceful = resource.plural == "pods" and not resource.group
        asked = options.grace_period_seconds
        followed = metadata.follow_policy(meta, options.policy)
        if "deletionTimestamp" in meta:
            if not _shorten(meta, asked) and not followed:
                return content
        else:
            grace_s = pods.grace_s(content, asked) if graceful else 0
            if not grace_s and not graceful and not meta.get("finalizers"):
                if not dry_run:
                    self._remove(resource, content)
                return status.success(resource, entry.name, entry.uid)
            meta["deletionTimestamp"] = metadata.timestamp(now_s + grace_s)
            meta["deletionGracePeriodSeconds"] = grace_s
            if "generation" in meta:
                meta["generation"] += 1
        if not dry_run:
            self._store.write(self.table(resource), content, resource.fields(content), is_own=True)
            if _is_gone(meta):
                self._remove(resource, content)
        return content

    def expire(self, resource: Resource, entry: store.Entry) -> None:
        """Delete an object whose time is up."""
        self._remove(resource, store.decode(entry.raw))

    def bind(self, resource: Resource, entry: store.Entry, node: str, call: Call) -> None:
        """Put a pod on a node, once. Raises Refusal."""
        content = store.decode(entry.raw)
        taken = content["spec"].get("nodeName")
        if taken:
            why = f'pod {entry.name} is already assigned to node "{taken}"'
            raise status.conflict("pods/binding", "", entry.name, why)
        content["spec"]["nodeName"] = node
        since = metadata.timestamp(call.now_s)
        scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": since}
        content["status"].setdefault("conditions", []).append(scheduled)
        if not call.dry_run:
            self._store.write(self.table(resource), content, resource.fields(content))


def _carry_managers(meta: Json, old: Json) -> None:
    """Take over who manages what, unless the writer says it anew. Raises Refusal (422)."""
    told = meta.pop("managedFields", None)
    if told is None:
        told = old.get("managedFields")
    elif told != old.get("managedFields"):
        told = managers.read(told)
    if told:
        meta["managedFields"] = told


def _track(resource: Resource, old: Json | None, content: Json, call: Call, subresource: str = "") -> None:
    """Write down who changed what, on objects that tell of it."""
    if call.is_applied or not (call.named or "managedFields" in content["metadata"]):
        return
    name = call.named or call.agent.partition("/")[0][:128] or "unknown"
    who = managers.Manager(name, managers.UPDATE, resource.api_version, subresource)
    managers.track(layouts.of(resource), old, content, who, call.now_s)


def _counted(resource: Resource, content: Json) -> Json:
    """Return the part of an object whose changes count as generations."""
    if resource.counts == ("*",):
        out = {"metadata", "status"} if resource.has_status else {"metadata"}
        return {key: value for key, value in content.items() if key not in out}
    return {key: content.get(key) for key in resource.counts}


def _is_gone(meta: Json) -> bool:
    """Tell whether nothing keeps an object that is being deleted."""
    return "deletionTimestamp" in meta and not meta.get("finalizers") and not meta.get("deletionGracePeriodSeconds")


def _shorten(meta: Json, asked: int | None) -> bool:
    """Shorten a deletion that is under way; False when there is nothing to shorten."""
    left: int = meta.get("deletionGracePeriodSeconds", 0)
    if asked is None or asked >= left or not left:
        return False
    grace_s = max(asked, 0)
    end_s = metadata.seconds(meta["deletionTimestamp"]) - left + grace_s
    meta["deletionTimestamp"] = metadata.timestamp(end_s)
    meta["deletionGracePeriodSeconds"] = grace_s
    return True


def check_preconditions(resource: Resource, meta: Json, wanted: dict[str, str | None]) -> None:
    """Check that an object is the one, in the state, that the asker means. Raises Refusal (409)."""
    name = meta["name"]
    uid, version = wanted.get("uid"), wanted.get("resourceVersion")
    why = ""
    if uid is not None and uid != meta["uid"]:
        why = (
            f"the UID in the precondition ({uid}) does not match the UID in record ({meta['uid']})."
            " The object might have been deleted and then recreated"
        )
    elif version is not None and version != meta["resourceVersion"]:
        why = (
            f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record"
            f" ({meta['resourceVersion']}). The object might have been modified"
        )
    if why:
        raise status.conflict(resource.kind, resource.group, name, why)
