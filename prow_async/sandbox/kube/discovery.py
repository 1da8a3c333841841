"""What clients ask first: which groups, versions and resources there are.

Only the plain form is served; asked for the aggregated one, clients take the plain answer and ask on.
"""

from collections.abc import Iterable
from typing import Any

from prow_async.sandbox.kube import reviews
from prow_async.sandbox.kube.resources import Resource

Json = dict[str, Any]

VERSION: Json = {
    "major": "1",
    "minor": "34",
    "gitVersion": "v1.34.0+prow-async",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}
_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
HEALTH = frozenset({"/healthz", "/livez", "/readyz"})


def answer(path: str, served: Iterable[Resource]) -> Json | None:
    """Return the answer to a discovery path, None when it is none."""
    parts = path.strip("/").split("/")
    found = list(served)
    if parts == ["version"]:
        return VERSION
    if parts == ["api"]:
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if parts == ["apis"]:
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name, found) for name in _groups(found)]}
    if parts[0] == "apis" and len(parts) == 2 and parts[1] in _groups(found):
        return {"kind": "APIGroup", "apiVersion": "v1"} | _group(parts[1], found)
    if (parts[0] == "api" and len(parts) == 2) or (parts[0] == "apis" and len(parts) == 3):
        return _resources("/".join(parts[1:]), found)
    return None


def _groups(served: list[Resource]) -> list[str]:
    return list(dict.fromkeys([*(one.group for one in served if one.group), *reviews.groups()]))


def _group(name: str, served: list[Resource]) -> Json:
    versions = list(dict.fromkeys(one.version for one in served if one.group == name)) or ["v1"]
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _resources(group_version: str, served: list[Resource]) -> Json | None:
    entries: list[Json] = []
    for one in served:
        if one.api_version == group_version:
            entries.extend(_entries(one))
    entries.extend(reviews.entries(group_version))
    if not entries:
        return None
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": entries}


def _entries(one: Resource) -> list[Json]:
    main: Json = {
        "name": one.plural,
        "singularName": one.singular,
        "namespaced": one.namespaced,
        "kind": one.kind,
        "verbs": _VERBS,
    }
    if one.short_names:
        main["shortNames"] = list(one.short_names)
    if one.categories:
        main["categories"] = list(one.categories)
    parts = {"status": ["get", "patch", "update"]} if one.has_status else {}
    if one.plural == "pods":
        parts |= {"binding": ["create"], "log": ["get"]}
    kinds = {"binding": "Binding"}
    return [
        main,
        *(
            {
                "name": f"{one.plural}/{part}",
                "singularName": "",
                "namespaced": one.namespaced,
                "kind": kinds.get(part, one.kind),
                "verbs": verbs,
            }
            for part, verbs in parts.items()
        ),
    ]
