"""How the parts of an object merge: which lists are maps by a key or sets, which maps are taken whole, what is unknown.

For built-in kinds from the client library's models and the rules below; for custom ones from their schema; for what
neither describes, maps merge by field and lists are taken whole.

Source: x-kubernetes-list-type, -list-map-keys, -map-type, -patch-merge-key and -patch-strategy of Kubernetes' OpenAPI.
"""

from typing import Any

import msgspec

from prow_async.sandbox.kube import models, resources, schema

Json = dict[str, Any]


class Rule(msgspec.Struct, frozen=True):
    """How one list or map field merges.

    Attributes:
        keys: the list is a map by these fields; `("",)` says it is a set.
        patch_key: the one field strategic merge patches go by; empty where such a patch replaces the list.
        patch_set: strategic merge patches join the list as a set.
        retain_keys: strategic merge patches may say which fields of an item stay.
        atomic: the map is taken whole by server-side apply.
    """

    keys: tuple[str, ...] = ()
    patch_key: str = ""
    patch_set: bool = False
    retain_keys: bool = False
    atomic: bool = False


SET = ("",)
_NO_RULE = Rule()
_ATOMIC = Rule(atomic=True)


def _by(key: str, *more: str, retain_keys: bool = False) -> Rule:
    return Rule((key, *more), key, retain_keys=retain_keys)


_CONTAINER = {
    "env": _by("name"),
    "ports": _by("containerPort", "protocol"),
    "volumeDevices": _by("devicePath"),
    "volumeMounts": _by("mountPath"),
}
_RULES: dict[str, dict[str, Rule]] = {
    "V1ObjectMeta": {
        "finalizers": Rule(SET, patch_set=True),
        "ownerReferences": _by("uid"),
    },
    "V1PodSpec": {
        "containers": _by("name"),
        "initContainers": _by("name"),
        "ephemeralContainers": _by("name"),
        "hostAliases": _by("ip"),
        "imagePullSecrets": _by("name"),
        "nodeSelector": _ATOMIC,
        "resourceClaims": _by("name", retain_keys=True),
        "schedulingGates": _by("name"),
        "topologySpreadConstraints": _by("topologyKey", "whenUnsatisfiable"),
        "volumes": _by("name", retain_keys=True),
    },
    "V1Container": _CONTAINER,
    "V1EphemeralContainer": _CONTAINER,
    "V1ResourceRequirements": {"claims": Rule(("name",))},
    "V1PodStatus": {
        "conditions": _by("type"),
        "hostIPs": Rule(patch_key="ip"),
        "podIPs": _by("ip"),
        "resourceClaimStatuses": _by("name", retain_keys=True),
    },
    "V1NamespaceStatus": {"conditions": _by("type")},
    "V1NodeSpec": {"podCIDRs": Rule(SET, patch_set=True)},
    "V1NodeStatus": {"addresses": _by("type"), "conditions": _by("type")},
    "V1ServiceSpec": {"ports": _by("port", "protocol"), "selector": _ATOMIC},
    "V1ServiceAccount": {"secrets": _by("name")},
    "V1CustomResourceDefinitionStatus": {"conditions": Rule(("type",))},
}
_ATOMIC_MODELS = frozenset(
    {
        "V1ConfigMapKeySelector",
        "V1LabelSelector",
        "V1LocalObjectReference",
        "V1NodeSelector",
        "V1NodeSelectorTerm",
        "V1ObjectFieldSelector",
        "V1ObjectReference",
        "V1OwnerReference",
        "V1ResourceFieldSelector",
        "V1SecretKeySelector",
        "V1TypedLocalObjectReference",
    }
)


class Layout:
    """What is known of one place in an object. This one knows nothing."""

    rule = _NO_RULE

    @property
    def is_atomic(self) -> bool:
        """Whether a map standing here is taken whole by server-side apply."""
        return self.rule.atomic

    @property
    def is_struct(self) -> bool:
        """Whether the fields here are named by the kind: a map of free keys owns its keys, a struct does not."""
        return False

    def has(self, name: str) -> bool:
        """Tell whether a field may stand here."""
        return True

    def child(self, name: str) -> "Layout":
        """Return the layout of a field."""
        return ANY

    def item(self) -> "Layout":
        """Return the layout of a list's items."""
        return ANY


ANY = Layout()
_PLAIN = frozenset({"str", "int", "bool", "float", "datetime"})


class _Typed(Layout):
    """A place of a built-in kind."""

    def __init__(self, type_: models.Type, rule: Rule = _NO_RULE) -> None:
        self._type = type_
        self.rule = rule

    @property
    def is_atomic(self) -> bool:
        return self.rule.atomic or (not self._type.form and self._type.name in _ATOMIC_MODELS)

    @property
    def is_struct(self) -> bool:
        return not self._type.form and self._type.is_model

    def has(self, name: str) -> bool:
        return not self.is_struct or name in models.fields(self._type.name)

    def child(self, name: str) -> Layout:
        if self._type.form == "map":
            return _typed(models.Type(self._type.name))
        if not self.is_struct:
            return ANY
        field = models.fields(self._type.name).get(name)
        return ANY if field is None else _typed(field.type, _RULES.get(self._type.name, {}).get(name, _NO_RULE))

    def item(self) -> Layout:
        return _typed(models.Type(self._type.name)) if self._type.form == "list" else ANY


def _typed(type_: models.Type, rule: Rule = _NO_RULE) -> Layout:
    return ANY if not type_.form and type_.name in _PLAIN else _Typed(type_, rule)


METADATA = _Typed(models.Type(models.META))


class _Schemed(Layout):
    """A place of a custom kind."""

    def __init__(self, node: schema.Node) -> None:
        self._node = node
        keys = SET if node.list_type == "set" else node.list_keys if node.list_type == "map" else ()
        self.rule = Rule(keys, atomic=node.map_type == "atomic")

    @property
    def is_struct(self) -> bool:
        return bool(self._node.properties)

    def child(self, name: str) -> Layout:
        node = self._node.properties.get(name, self._node.additional)
        return ANY if node is None else _Schemed(node)

    def item(self) -> Layout:
        return ANY if self._node.items is None else _Schemed(self._node.items)


class _Custom(_Schemed):
    """A whole custom object: its metadata is as everybody's."""

    def child(self, name: str) -> Layout:
        return METADATA if name == "metadata" else super().child(name)


def of(resource: resources.Resource) -> Layout:
    """Return the layout of a resource's objects."""
    root = models.ROOTS.get((resource.group, resource.kind))
    if root is not None and not resource.custom:
        return _Typed(models.Type(root))
    return _Custom(resource.shape or schema.Node())


def drop_unknown(layout: Layout, content: Any, path: str, dropped: list[str]) -> None:
    """Drop, in place, fields that may not stand where they stand; their paths go into `dropped`."""
    if isinstance(content, dict):
        for name in list(content):
            at = f"{path}.{name}" if path else name
            if layout.has(name):
                drop_unknown(layout.child(name), content[name], at, dropped)
            else:
                del content[name]
                dropped.append(at)
    elif isinstance(content, list):
        below = layout.item()
        for index, value in enumerate(content):
            drop_unknown(below, value, f"{path}[{index}]", dropped)
