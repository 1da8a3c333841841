"""A world to ask, and short ways of asking it."""

import itertools
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from prow_async.sandbox.kube import exchange, watches, world

Json = dict[str, Any]

NOW_S = 1_700_000_000.0
PODS = "/api/v1/namespaces/default/pods"
JOBS = "/apis/prow.k8s.io/v1/namespaces/default/prowjobs"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


class CountedIds:
    """Identifiers in a row, the same in every run."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def uuid4(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, str(next(self._numbers))))

    def build_id(self) -> str:
        return str(next(self._numbers))


class StoppedClock:
    def now(self) -> float:
        return NOW_S


def definition(**version: Any) -> Json:
    """Return a small ProwJob definition; `version` overrides parts of its version."""
    spec = {
        "type": "object",
        "required": ["job", "type"],
        "properties": {
            "job": {"type": "string"},
            "agent": {"type": "string", "default": "kubernetes"},
            "type": {"type": "string", "enum": ["presubmit", "periodic"]},
            "max_concurrency": {"type": "integer", "minimum": 0},
            "pod_spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "pulls": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["number"],
                    "properties": {"number": {"type": "integer"}},
                },
            },
        },
    }
    state = {
        "type": "object",
        "properties": {
            "state": {"type": "string", "enum": ["triggered", "success", "aborted"]},
            "startTime": {"type": "string", "format": "date-time", "nullable": True},
            "completionTime": {"type": "string", "format": "date-time"},
        },
        "anyOf": [
            {"not": {"properties": {"state": {"enum": ["success"]}}}},
            {"required": ["completionTime"]},
        ],
    }
    column = {"name": "Pulls", "type": "string", "jsonPath": ".spec.pulls[*].number"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "prowjobs.prow.k8s.io",
            "annotations": {"api-approved.kubernetes.io": "https://example.com/approved"},
        },
        "spec": {
            "group": "prow.k8s.io",
            "names": {"kind": "ProwJob", "plural": "prowjobs", "singular": "prowjob"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": [
                        {"name": "Job", "type": "string", "jsonPath": ".spec.job"},
                        column,
                        {"name": "StartTime", "type": "date", "jsonPath": ".status.startTime"},
                    ],
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": state}}},
                }
                | version
            ],
        },
    }


def job(name: str = "a", **parts: Any) -> Json:
    return {
        "apiVersion": "prow.k8s.io/v1",
        "kind": "ProwJob",
        "metadata": {"name": name} | parts.pop("metadata", {}),
        "spec": {"job": "x", "type": "periodic"} | parts.pop("spec", {}),
    } | parts


def pod(name: str = "a", **parts: Any) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name} | parts.pop("metadata", {}),
        "spec": {"containers": [{"name": "c", "image": "i"}]} | parts.pop("spec", {}),
    } | parts


class Asker:
    """A world with the ProwJob definition installed."""

    def __init__(self, history_limit: int = 10_000) -> None:
        self.world = world.World(CountedIds(), history_limit)
        self.now_s = NOW_S
        self.world.install(definition(), NOW_S)

    def ask(
        self, method: str, target: str, body: Any = None, media: str = "application/json", accept: str = ""
    ) -> tuple[int, Any]:
        """Ask; return the status and the decoded answer."""
        answer = self.answer(method, target, body, {"Content-Type": media, "Accept": accept})
        return answer.code, msgspec.json.decode(answer.body)

    def answer(self, method: str, target: str, body: Any = None, headers: Mapping[str, str] = {}) -> exchange.Answer:
        raw = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        outcome = self.world.handle(exchange.Request.parse(method, target, headers, raw), self.now_s)
        assert isinstance(outcome, exchange.Answer)
        return outcome

    def do(self, method: str, target: str, body: Any = None, media: str = "application/json") -> Any:
        """Ask for what must succeed; return the decoded answer."""
        code, content = self.ask(method, target, body, media)
        assert code < 300, content
        return content

    def merge(self, target: str, patch: Json) -> Any:
        return self.do("PATCH", target, patch, MERGE)

    def watch(self, target: str, accept: str = "") -> watches.Watch:
        outcome = self.world.handle(exchange.Request.parse("GET", target, {"accept": accept}), self.now_s)
        assert isinstance(outcome, watches.Watch)
        return outcome


def told(watch: watches.Watch) -> list[tuple[str, Any]]:
    """Return type and object of the lines that wait in a watch."""
    events = [msgspec.json.decode(line) for line in watch.take()]
    return [(event["type"], event["object"]) for event in events]


def names(watch: watches.Watch) -> list[tuple[str, str]]:
    return [(kind, content.get("metadata", {}).get("name", "")) for kind, content in told(watch)]
