"""Questions about who one is and may do: whoever holds the token is the administrator and may do everything."""

from typing import Any

from prow_async.sandbox.kube import bodies, exchange

Json = dict[str, Any]

_ALL: Json = {
    "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    "incomplete": False,
}
_STATUS: dict[tuple[str, str], tuple[str, Json]] = {
    ("authorization.k8s.io", "selfsubjectaccessreviews"): ("SelfSubjectAccessReview", {"allowed": True}),
    ("authorization.k8s.io", "selfsubjectrulesreviews"): ("SelfSubjectRulesReview", _ALL),
    ("authentication.k8s.io", "selfsubjectreviews"): (
        "SelfSubjectReview",
        {"userInfo": {"username": "admin", "groups": ["system:masters", "system:authenticated"]}},
    ),
}
VERSION = "v1"


def groups() -> list[str]:
    return list(dict.fromkeys(group for group, _ in _STATUS))


def entries(group_version: str) -> list[Json]:
    """Return what discovery lists of a group."""
    return [
        {"name": plural, "singularName": kind.lower(), "namespaced": False, "kind": kind, "verbs": ["create"]}
        for (group, plural), (kind, _) in _STATUS.items()
        if group_version == f"{group}/{VERSION}"
    ]


def answer(target: exchange.Target, request: exchange.Request) -> exchange.Answer | None:
    """Answer a question; None when it is none. Raises Refusal (400, 415) for one that does not read."""
    found = _STATUS.get((target.group, target.plural))
    if found is None or target.version != VERSION or request.method != "POST":
        return None
    kind, status = found
    asked: Json = {"kind": kind, "apiVersion": f"{target.group}/{VERSION}"} | bodies.decode(request, kind)
    return exchange.Answer.of(201, asked | {"status": status})
