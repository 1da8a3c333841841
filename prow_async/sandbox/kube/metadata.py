"""Object metadata: what is read of it, what the server owns, what may change."""

import datetime
import uuid
from typing import Any

import msgspec

from prow_async.ports import clock
from prow_async.sandbox.kube import status, store
from prow_async.sandbox.kube.resources import Resource

Json = dict[str, Any]


class ObjectMeta(msgspec.Struct, rename="camel", omit_defaults=True):
    """The fields served. Others (selfLink, unknown ones) are dropped."""

    name: str = ""
    generate_name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    generation: int | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[Json] | None = None
    finalizers: list[str] | None = None
    managed_fields: Any = None


SERVER_OWNED = (
    "uid",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "resourceVersion",
)


def timestamp(now_s: float) -> str:
    """Write a time as Kubernetes does: UTC, whole seconds."""
    return datetime.datetime.fromtimestamp(int(now_s), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


def read(resource: Resource, raw: Any) -> Json:
    """Check the types of metadata and drop what is not served. Raises Refusal (400)."""
    try:
        meta = msgspec.convert({} if raw is None else raw, ObjectMeta)
    except msgspec.ValidationError as error:
        raise unreadable(resource, f"metadata: {error}") from error
    content: Json = msgspec.to_builtins(meta)
    for name in ("labels", "annotations", "ownerReferences", "finalizers"):
        if not content.get(name, True):
            del content[name]
    return content


class Unreadable(status.Refusal):
    """What was sent, or what a patch made of the object, has fields of wrong types."""

    def of_patch(self) -> status.Refusal:
        """Say it of a patch's outcome: 422, as the real server does."""
        cause = status.Cause("FieldValueInvalid", f"Invalid value: {self.message}", "patch")
        return status.invalid("", "", "", [cause])


def unreadable(resource: Resource, why: str) -> Unreadable:
    kind = resource.kind
    return Unreadable(400, "BadRequest", f'{kind} in version "{resource.version}" cannot be handled as a {kind}: {why}')


_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"


def generated_name(prefix: str, ids: clock.Ids) -> str:
    """Return `prefix` with five random characters, cut to 63 in all."""
    number = uuid.UUID(ids.uuid4()).int & 0xFFFFFFFFFFFF
    letters = []
    for _ in range(5):
        number, index = divmod(number, len(_SUFFIX))
        letters.append(_SUFFIX[index])
    return prefix[:58] + "".join(letters)


def stamp_new(content: Json, namespace: str, ids: clock.Ids, now_s: float) -> None:
    """Set what the server owns on a new object, whatever the asker wrote there."""
    for field in SERVER_OWNED:
        content.pop(field, None)
    if namespace:
        content["namespace"] = namespace
    content["uid"] = ids.uuid4()
    content["creationTimestamp"] = timestamp(now_s)


def check_same(resource: Resource, new: Json, old: Json, is_patch: bool) -> None:
    """Check that a change is meant for this object in this state. Raises Refusal."""
    name = old["name"]
    if not new.get("name"):
        why = f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
        raise status.bad_request(why)
    if new["name"] != name:
        why = f"the name of the object ({new['name']}) does not match the name on the URL ({name})"
        raise status.bad_request(why)
    check_namespace(new, old.get("namespace", ""))
    version = new.get("resourceVersion") or ""
    if resource.custom and (version == "0" or not (version or is_patch)):
        cause = status.Cause("FieldValueInvalid", "Invalid value: 0: must be specified for an update", _VERSION)
        raise status.invalid(resource.plural, resource.group, name, [cause])
    if version not in {"", "0", old["resourceVersion"]}:
        raise status.modified(resource, name)
    fixed = [field for field in _FIXED if field in new and new[field] != old.get(field)]
    if fixed:
        causes = [status.bad_value(f"metadata.{field}", new[field], "field is immutable") for field in fixed]
        raise status.invalid(resource.kind, resource.group, name, causes)
    uid = new.get("uid") or old["uid"]
    if uid != old["uid"]:
        if is_patch:
            cause = status.bad_value("metadata.uid", uid, "field is immutable")
            raise status.invalid(resource.kind, resource.group, name, [cause])
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['uid']}"
        raise status.conflict(resource.plural, resource.group, name, why)


_VERSION = "metadata.resourceVersion"
_FIXED = ("deletionTimestamp", "deletionGracePeriodSeconds")


def check_namespace(new: Json, namespace: str) -> None:
    if (new.get("namespace") or namespace) != namespace:
        raise status.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def carry_over(new: Json, old: Json) -> None:
    """Put what the server owns from the old metadata into the new."""
    new["name"] = old["name"]
    for field in (*SERVER_OWNED, "namespace"):
        if field in old:
            new[field] = old[field]
        else:
            new.pop(field, None)


def check_finalizers(new: Json, old: Json) -> list[status.Cause]:
    """An object that is being deleted takes no new finalizers."""
    if "deletionTimestamp" not in old:
        return []
    added = [one for one in new.get("finalizers", ()) if one not in old.get("finalizers", ())]
    if not added:
        return []
    listed = ", ".join(f'"{one}"' for one in added)
    why = f"no new finalizers can be added if the object is being deleted, found new finalizers []string{{{listed}}}"
    return [status.forbidden_field("metadata.finalizers", why)]


def check_owners(meta: Json) -> list[status.Cause]:
    """Every owner reference names its owner in full; one owner at most is the controller."""
    causes = []
    references = meta.get("ownerReferences", ())
    for index, one in enumerate(references):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not isinstance(one.get(field), str) or not one[field]:
                why = "must not be empty"
                causes.append(status.bad_value(f"metadata.ownerReferences[{index}].{field}", one.get(field), why))
    if sum(one.get("controller") is True for one in references) > 1:
        why = "Only one reference can have Controller set to true"
        causes.append(status.bad_value("metadata.ownerReferences", len(references), why))
    return causes


def follow_policy(meta: Json, policy: str | None) -> bool:
    """Put the garbage collector's finalizers as a deletion asks for; tell whether that changed them."""
    if policy is None:
        return False
    wanted = {"Foreground": [store.FOREGROUND], "Orphan": [store.ORPHAN]}.get(policy, [])
    before = meta.get("finalizers", [])
    kept = [one for one in before if one not in {store.FOREGROUND, store.ORPHAN} or one in wanted]
    after = [*kept, *(one for one in wanted if one not in kept)]
    if after == before:
        return False
    if after:
        meta["finalizers"] = after
    else:
        del meta["finalizers"]
    return True
