"""The built-in kinds' fields, as the installed Kubernetes client library lists them: names, types, what they mean.

The library's generated model files are read as text: importing them takes a second and 70 MB. They are read the first
time somebody asks for what needs them (`kubectl explain`, strategic merge, server-side apply, strict checks).
"""

import functools
import importlib.util
import pathlib
import re

import msgspec

_PACKAGE = "kubernetes_asyncio"
_SNAKE = (re.compile(r"(.)([A-Z][a-z]+)"), re.compile(r"([a-z0-9])([A-Z])"))
_TABLE = re.compile(r"^    (openapi_types|attribute_map) = \{(.*?)^    \}", re.MULTILINE | re.DOTALL)
_PAIR = re.compile(r"'([^']+)': '([^']+)'")
_GETTER = re.compile(
    r'    @property\n    def (\w+)\(self\):\n        """Gets the \w+ of this [^\n]*\n\n        (.*?)  # noqa', re.DOTALL
)
_REQUIRED = re.compile(r"Invalid value for `(\w+)`, must not be `None`")
_LIST = re.compile(r"list\[(.+)\]")
_MAP = re.compile(r"dict\(str, (.+)\)")

ROOTS = {
    ("", "Pod"): "V1Pod",
    ("", "ConfigMap"): "V1ConfigMap",
    ("", "Secret"): "V1Secret",
    ("", "Namespace"): "V1Namespace",
    ("", "ServiceAccount"): "V1ServiceAccount",
    ("", "Service"): "V1Service",
    ("", "Node"): "V1Node",
    ("", "Event"): "CoreV1Event",
    ("events.k8s.io", "Event"): "EventsV1Event",
    ("coordination.k8s.io", "Lease"): "V1Lease",
    ("apiextensions.k8s.io", "CustomResourceDefinition"): "V1CustomResourceDefinition",
}
META = "V1ObjectMeta"


class Type(msgspec.Struct, frozen=True):
    """A field's type. `name` is a model, or str, int, bool, float, datetime, object (anything)."""

    name: str
    form: str = ""
    """`list` or `map` of it, else empty."""

    @property
    def is_model(self) -> bool:
        return self.name[0].isupper()


class Field(msgspec.Struct, frozen=True):
    type: Type
    description: str
    required: bool


Model = dict[str, Field]


def type_of(text: str) -> Type:
    """Read a type as the library writes it; what nests deeper than one list or map counts as anything."""
    for form, pattern in (("list", _LIST), ("map", _MAP)):
        if found := pattern.fullmatch(text):
            inner = found.group(1)
            return Type(inner if inner.isidentifier() else "object", form)
    return Type(text)


@functools.cache
def fields(model: str) -> Model:
    """Return a model's fields by their JSON names; empty when the library does not know it."""
    folder = _folder()
    path = folder / f"{_file_name(model)}.py" if folder else None
    if path is None or not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8")
    tables = {name: dict(_PAIR.findall(pairs)) for name, pairs in _TABLE.findall(text)}
    told = dict(_GETTER.findall(text))
    required = set(_REQUIRED.findall(text))
    return {
        name: Field(type_of(tables["openapi_types"][attribute]), told.get(attribute, ""), attribute in required)
        for attribute, name in tables.get("attribute_map", {}).items()
    }


def _file_name(model: str) -> str:
    for pattern in _SNAKE:
        model = pattern.sub(r"\1_\2", model)
    return model.lower()


@functools.cache
def _folder() -> pathlib.Path | None:
    found = importlib.util.find_spec(_PACKAGE)
    places = found.submodule_search_locations if found else None
    return pathlib.Path(next(iter(places))) / "client" / "models" if places else None
