"""OpenAPI v3 as far as kubectl uses it: what may be patched how, that fields are checked here, and what fields mean.

`kubectl explain` reads the schemas; `kubectl apply` and `create` look for the fieldValidation parameter.
"""

from collections.abc import Iterable
from typing import Any

from prow_async.sandbox.kube import exchange, models
from prow_async.sandbox.kube.resources import Resource

Json = dict[str, Any]

_TITLE = {"title": "prow_async", "version": "1"}
_OLDER_ASKED = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
_OLDER = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
"""What comes is called otherwise than what is asked for, which is no media type."""
_REF = "#/components/schemas/"
_SCALARS: dict[str, Json] = {
    "str": {"type": "string"},
    "int": {"type": "integer", "format": "int32"},
    "bool": {"type": "boolean"},
    "float": {"type": "number"},
    "datetime": {"type": "string", "format": "date-time"},
    "object": {},
}


def answer(path: str, served: Iterable[Resource]) -> Json | None:
    """Return the list of documents, or one of them; None when there is no such one."""
    parts = path.strip("/").split("/")[2:]
    found = list(served)
    if not parts:
        roots = dict.fromkeys(_root(one) for one in found)
        return {"paths": {root: {"serverRelativeURL": f"/openapi/v3/{root}"} for root in roots}}
    wanted = "/".join(parts)
    listed = [one for one in found if _root(one) == wanted]
    return _document(listed) if listed else None


def older(request: exchange.Request) -> exchange.Answer:
    """Return the document of version 2, which says nothing: kubectl asks for it where version 3 does not know a kind.

    In protobuf nothing is an empty body.
    """
    if _OLDER_ASKED in request.headers.get("accept", ""):
        return exchange.Answer(200, b"", _OLDER)
    return exchange.Answer.of(200, {"swagger": "2.0", "info": _TITLE, "paths": {}})


def _root(one: Resource) -> str:
    return f"apis/{one.group}/{one.version}" if one.group else f"api/{one.version}"


def _document(served: list[Resource]) -> Json:
    paths: Json = {}
    schemas: Json = {}
    for one in served:
        base = f"/{_root(one)}{'/namespaces/{namespace}' if one.namespaced else ''}/{one.plural}"
        name = _schema(one, schemas)
        paths[base] = {"post": _operation(one, "post", name), "get": _operation(one, "list", name)}
        paths[f"{base}/{{name}}"] = {
            "get": _operation(one, "get", name),
            "put": _operation(one, "put", name),
            "patch": _operation(one, "patch", name),
        }
    return {"openapi": "3.0.0", "info": _TITLE, "paths": paths, "components": {"schemas": schemas}}


def _operation(one: Resource, action: str, name: str) -> Json:
    content = {"application/json": {"schema": {"$ref": _REF + name}}}
    operation: Json = {
        "responses": {"200": {"description": "OK", "content": content}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _kind(one),
    }
    if action in {"post", "put", "patch"}:
        operation["parameters"] = [
            {"name": parameter, "in": "query", "schema": {"type": "string"}}
            for parameter in ("dryRun", "fieldManager", "fieldValidation")
        ]
        operation["requestBody"] = {"content": content}
    if action == "patch":
        forms = ["json-patch+json", "merge-patch+json", *([] if one.custom else ["strategic-merge-patch+json"])]
        operation["requestBody"] = {
            "content": {f"application/{form}": {"schema": {}} for form in [*forms, "apply-patch+yaml"]}
        }
    return operation


def _kind(one: Resource) -> Json:
    return {"group": one.group, "version": one.version, "kind": one.kind}


def _schema(one: Resource, schemas: Json) -> str:
    """Put a kind's schema, and all it refers to, among the schemas; return its name."""
    model = "" if one.custom else models.ROOTS.get((one.group, one.kind), "")
    if model:
        _add(model, schemas)
        name = _name(model)
        schemas[name] = schemas[name] | {"x-kubernetes-group-version-kind": [_kind(one)]}
        return name
    _add(models.META, schemas)
    name = ".".join([*reversed(one.group.split(".")), one.version, one.kind])
    source = one.source or {"type": "object"}
    own = {
        "apiVersion": {"type": "string", "description": "The version of the API the object is written in."},
        "kind": {"type": "string", "description": "The kind of the object."},
        "metadata": {
            "description": "The object's metadata.",
            "allOf": [{"$ref": _REF + _name(models.META)}],
            "default": {},
        },
    }
    schemas[name] = source | {
        "properties": source.get("properties", {}) | own,
        "x-kubernetes-group-version-kind": [_kind(one)],
    }
    return name


def _add(model: str, schemas: Json) -> None:
    """Put a model and all it refers to among the schemas."""
    waiting = [model]
    while waiting:
        model = waiting.pop()
        if _name(model) in schemas:
            continue
        fields = models.fields(model)
        schemas[_name(model)] = {
            "type": "object",
            "properties": {field: _property(what) for field, what in fields.items()},
            "required": [field for field, what in fields.items() if what.required],
        }
        waiting += [what.type.name for what in fields.values() if what.type.is_model]


def _name(model: str) -> str:
    """Return a model's name as Kubernetes has it: the library puts the version before it."""
    return model.partition("V1")[2] or model


def _property(field: models.Field) -> Json:
    if field.type.is_model:
        inner: Json = {"allOf": [{"$ref": _REF + _name(field.type.name)}], "default": {}}
    else:
        inner = _SCALARS.get(field.type.name, {})
    if field.type.form == "list":
        inner = {"type": "array", "items": inner}
    elif field.type.form == "map":
        inner = {"type": "object", "additionalProperties": inner}
    return inner | {"description": field.description}
