"""What a resource is, and those served from the start. Custom ones come from definitions.

Schemas of built-in kinds name only what must hold; all else is taken as it comes. Services are kept and nothing more:
`kubectl cluster-info` asks for them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from prow_async.sandbox.kube import columns, events, kinds, pods, schema, status

Json = dict[str, Any]
Causes = list[status.Cause]

_NO_FIELDS: dict[str, str] = {}


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """One served resource of one API version."""

    group: str = ""
    version: str = "v1"
    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    custom: bool = False
    has_status: bool = False
    """Serves /status; status is then not writable through the object itself."""
    creates_on_update: bool = False
    shape: schema.Node | None = None
    source: Json | None = None
    """The schema as its definition writes it."""
    selectable: Mapping[str, tuple[str, ...]] = {}
    """Field selector label -> path of its value, beyond metadata.name and metadata.namespace."""
    cells: tuple[columns.Column, ...] = (columns.AGE,)
    """After the name, which comes first unless `name_last`."""
    name_last: bool = False
    """The row holds the name itself, where kubectl users expect it."""
    row: Callable[[Json, float], list[Any]] | None = None
    """Makes a table row without its name, where columns are more than values at paths."""
    prepare: Callable[[Json], None] | None = None
    """Fills in what the server adds to a new or changed object, in place."""
    check: Callable[[Json, Json | None], Causes] | None = None
    """Says what is wrong with a new object, or with a changed one (second argument: as it was)."""
    counts: tuple[str, ...] = ()
    """Top-level fields whose change raises metadata.generation; `*` is all but metadata."""
    name_rule: Callable[[str], str] = kinds.SUBDOMAIN
    stored: Callable[[Json], Json] | None = None
    """An alias' form -> the form stored."""
    shown: Callable[[Json], Json] | None = None
    """The form stored -> an alias' form."""
    of: "Resource | None" = None
    """What an alias stands for."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def base(self) -> "Resource":
        """The resource under which objects are stored."""
        return self.of or self

    def fields(self, content: Json) -> dict[str, str]:
        """Return what field selectors see of an object beyond its name and namespace."""
        if not self.selectable:
            return _NO_FIELDS
        found = {}
        for label, path in self.selectable.items():
            value: Any = content
            for step in path:
                value = value.get(step) if isinstance(value, dict) else None
            found[label] = "" if value is None else str(value)
        return found

    @property
    def known_fields(self) -> frozenset[str]:
        own = {"metadata.name", "metadata.namespace"} if self.namespaced else {"metadata.name"}
        return frozenset(own.union(self.selectable))


def _paths(*labels: str) -> dict[str, tuple[str, ...]]:
    return {label: tuple(label.split(".")) for label in labels}


_EVENTS = Resource(
    kind="Event",
    plural="events",
    singular="event",
    short_names=("ev",),
    creates_on_update=True,
    shape=schema.compile_schema(events.SCHEMA),
    selectable=_paths(*events.SELECTABLE) | {"source": ("source", "component")},
    cells=events.COLUMNS,
    row=events.row,
    name_last=True,
    prepare=events.prepare,
    check=events.check,
)


def built_in() -> tuple[Resource, ...]:
    """List the resources every world serves."""
    return _BUILT_IN


_BUILT_IN: tuple[Resource, ...] = (
    Resource(
        kind="Pod",
        plural="pods",
        singular="pod",
        short_names=("po",),
        categories=("all",),
        has_status=True,
        shape=schema.compile_schema(pods.SCHEMA),
        selectable=_paths(*pods.SELECTABLE),
        cells=columns.POD,
        row=columns.pod_row,
        prepare=pods.prepare,
        check=pods.check,
        counts=("spec",),
    ),
    Resource(
        kind="ConfigMap",
        plural="configmaps",
        singular="configmap",
        short_names=("cm",),
        shape=schema.compile_schema(kinds.CONFIG_MAP),
        cells=columns.CONFIG_MAP,
        row=columns.config_map_row,
        check=kinds.check_config_map,
    ),
    Resource(
        kind="Secret",
        plural="secrets",
        singular="secret",
        shape=schema.compile_schema(kinds.SECRET),
        selectable=_paths("type"),
        cells=columns.SECRET,
        row=columns.secret_row,
        prepare=kinds.prepare_secret,
        check=kinds.check_secret,
    ),
    Resource(
        kind="Namespace",
        plural="namespaces",
        singular="namespace",
        short_names=("ns",),
        namespaced=False,
        has_status=True,
        shape=schema.compile_schema(kinds.NAMESPACE),
        selectable=_paths("status.phase"),
        cells=columns.NAMESPACE,
        prepare=kinds.prepare_namespace,
        name_rule=kinds.LABEL_NAME,
    ),
    Resource(
        kind="ServiceAccount",
        plural="serviceaccounts",
        singular="serviceaccount",
        short_names=("sa",),
    ),
    Resource(
        kind="Service",
        plural="services",
        singular="service",
        short_names=("svc",),
        categories=("all",),
        has_status=True,
        shape=schema.compile_schema(kinds.NODE),
        name_rule=kinds.LABEL_NAME,
    ),
    Resource(
        kind="Node",
        plural="nodes",
        singular="node",
        short_names=("no",),
        namespaced=False,
        has_status=True,
        shape=schema.compile_schema(kinds.NODE),
        selectable=_paths("spec.unschedulable"),
    ),
    Resource(
        group="coordination.k8s.io",
        kind="Lease",
        plural="leases",
        singular="lease",
        creates_on_update=True,
        shape=schema.compile_schema(kinds.LEASE),
        cells=columns.LEASE,
        check=kinds.check_lease,
    ),
    _EVENTS,
    Resource(
        group="events.k8s.io",
        kind="Event",
        plural="events",
        singular="event",
        short_names=("ev",),
        creates_on_update=True,
        selectable=_EVENTS.selectable,
        cells=events.COLUMNS,
        row=events.row,
        name_last=True,
        stored=events.stored,
        shown=events.shown,
        of=_EVENTS,
    ),
)
