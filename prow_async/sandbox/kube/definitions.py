"""Custom resources: from a CustomResourceDefinition to the resources it makes served.

Source: Kubernetes, "Extend the Kubernetes API with CustomResourceDefinitions"; answers compared with 1.34.
"""

import functools
from typing import Any

import msgspec

from prow_async.sandbox.kube import columns, jsonpath, resources, schema, status, words

Json = dict[str, Any]
GROUP = "apiextensions.k8s.io"
PLURAL = "customresourcedefinitions"
APPROVED = "api-approved.kubernetes.io"


class _Names(msgspec.Struct, rename="camel"):
    plural: str
    kind: str
    singular: str = ""
    short_names: list[str] = []
    categories: list[str] = []


class _Column(msgspec.Struct, rename="camel"):
    name: str
    type: str
    json_path: str
    description: str = ""
    format: str = ""
    priority: int = 0


class _Schema(msgspec.Struct):
    root: Json | None = msgspec.field(default=None, name="openAPIV3Schema")


class _Subresources(msgspec.Struct):
    status: Json | None = None


class _Version(msgspec.Struct, rename="camel"):
    name: str
    served: bool
    storage: bool
    schema: _Schema | None = None
    subresources: _Subresources | None = None
    additional_printer_columns: list[_Column] = []


class _Spec(msgspec.Struct):
    group: str
    names: _Names
    scope: str
    versions: list[_Version]


class BadDefinition(Exception):
    """The definition cannot be served."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


def prepare(content: Json) -> None:
    """Fill in names and say at once that they are accepted."""
    spec = content.get("spec")
    if not isinstance(spec, dict) or not isinstance(spec.get("names"), dict):
        return
    names, metadata = spec["names"], content["metadata"]
    kind = str(names.get("kind", ""))
    names.setdefault("singular", kind.lower())
    names.setdefault("listKind", f"{kind}List")
    spec.setdefault("conversion", {"strategy": "None"})
    since = metadata.get("creationTimestamp", "")
    listed = [("NamesAccepted", "NoConflicts"), ("Established", "InitialNamesAccepted")]
    versions = spec.get("versions")
    listed_versions = versions if isinstance(versions, list) else []
    stored = [one.get("name") for one in listed_versions if isinstance(one, dict) and one.get("storage")]
    content["status"] = {
        "conditions": [
            {"type": word, "status": "True", "lastTransitionTime": since, "reason": why, "message": ""}
            for word, why in listed
        ],
        "acceptedNames": names,
        "storedVersions": stored,
    }


def check(content: Json, old: Json | None) -> list[status.Cause]:
    """Say what is wrong with a definition."""
    try:
        serve(content)
    except BadDefinition as error:
        return [status.Cause("FieldValueInvalid", f"Invalid value: {error.why}", error.field)]
    spec, metadata = content["spec"], content["metadata"]
    wanted = f"{spec['names']['plural']}.{spec['group']}"
    causes = []
    if metadata["name"] != wanted:
        causes.append(status.bad_value("metadata.name", metadata["name"], 'must be spec.names.plural+"."+spec.group'))
    protected = spec["group"].endswith((".k8s.io", ".kubernetes.io")) or spec["group"] in {"k8s.io", "kubernetes.io"}
    if protected and not metadata.get("annotations", {}).get(APPROVED):
        field = f"metadata.annotations[{APPROVED}]"
        causes.append(status.required(field, "protected groups must have approval annotation"))
    if old is not None and old["spec"]["scope"] != spec["scope"]:
        causes.append(status.bad_value("spec.scope", spec["scope"], "field is immutable"))
    return causes


def serve(content: Json) -> tuple[resources.Resource, ...]:
    """Return the resources a definition makes served, one a version. Raises BadDefinition."""
    return _serve(msgspec.json.encode(content.get("spec")))


@functools.lru_cache(maxsize=16)
def _serve(raw_spec: bytes) -> tuple[resources.Resource, ...]:
    """Compile a definition's spec; remembered, for thousands of worlds with the same definitions."""
    try:
        spec = msgspec.json.decode(raw_spec, type=_Spec)
    except msgspec.ValidationError as error:
        raise BadDefinition("spec", str(error)) from error
    if spec.scope not in {"Namespaced", "Cluster"}:
        raise BadDefinition("spec.scope", f'Unsupported value: "{spec.scope}": use "Cluster" or "Namespaced"')
    if words.wrong_with_subdomain(spec.group) or "." not in spec.group:
        raise BadDefinition("spec.group", "should be a domain with at least one dot")
    for word, text in (("plural", spec.names.plural), ("kind", spec.names.kind.lower())):
        if words.wrong_with_label_name(text):
            raise BadDefinition(f"spec.names.{word}", words.BAD_LABEL_NAME)
    storing = [one for one in spec.versions if one.storage]
    if len(storing) != 1:
        raise BadDefinition("spec.versions", "must have exactly one version marked as storage version")
    base = _resource(spec, storing[0])
    others = [_alias(_resource(spec, one), base) for one in spec.versions if one.served and not one.storage]
    return tuple([base, *others] if storing[0].served else others)


def _resource(spec: _Spec, version: _Version) -> resources.Resource:
    field = f"spec.versions[{version.name}]"
    source = version.schema.root if version.schema else None
    if source is None:
        raise BadDefinition(f"{field}.schema.openAPIV3Schema", "schemas are required")
    if source.get("type") != "object":
        raise BadDefinition(f"{field}.schema.openAPIV3Schema.type", "must be object at the root")
    try:
        shape = schema.compile_schema(source)
        cells = tuple(_column(one) for one in version.additional_printer_columns)
    except schema.BadSchema as error:
        raise BadDefinition(f"{field}.schema", str(error)) from error
    except jsonpath.BadPath as error:
        raise BadDefinition(f"{field}.additionalPrinterColumns", str(error)) from error
    has_status = version.subresources is not None and version.subresources.status is not None
    return resources.Resource(
        group=spec.group,
        version=version.name,
        kind=spec.names.kind,
        plural=spec.names.plural,
        singular=spec.names.singular,
        short_names=tuple(spec.names.short_names),
        categories=tuple(spec.names.categories),
        namespaced=spec.scope == "Namespaced",
        custom=True,
        has_status=has_status,
        shape=shape,
        source=source,
        cells=cells or (columns.AGE,),
        counts=("*",),
    )


def _column(one: _Column) -> columns.Column:
    description = one.description or f"Custom resource definition column (in JSONPath format): {one.json_path}"
    path = jsonpath.parse(one.json_path)
    return columns.Column(one.name, one.type, description, one.format, one.priority, path)


def _alias(other: resources.Resource, base: resources.Resource) -> resources.Resource:
    """Serve a version that is not the stored one: the same objects under another apiVersion."""

    def stored(content: Json) -> Json:
        return content | {"apiVersion": base.api_version}

    def shown(content: Json) -> Json:
        return content | {"apiVersion": other.api_version}

    return msgspec.structs.replace(other, stored=stored, shown=shown, of=base)


DEFINITIONS = resources.Resource(
    group=GROUP,
    kind="CustomResourceDefinition",
    plural=PLURAL,
    singular="customresourcedefinition",
    short_names=("crd", "crds"),
    namespaced=False,
    cells=(columns.Column("Created At", "date", "When it was created.", path=("metadata", "creationTimestamp")),),
    prepare=prepare,
    check=check,
    counts=("spec",),
)
