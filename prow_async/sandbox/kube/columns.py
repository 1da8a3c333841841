"""Table columns, and the cells of the built-in kinds as kubectl users know them."""

import datetime
from typing import Any

import msgspec

from prow_async.sandbox.kube import jsonpath

Json = dict[str, Any]
NONE = "<none>"


class Column(msgspec.Struct, frozen=True):
    """One column. `path` says where its value stands; a column without one is filled by the resource's `row`."""

    name: str
    type: str
    description: str = ""
    format: str = ""
    priority: int = 0
    path: tuple[jsonpath.Step, ...] = ()

    def head(self) -> Json:
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


_CREATED = ("metadata", "creationTimestamp")
NAME = Column("Name", "string", "The name of the object, unique in its namespace.", "name")
AGE = Column("Age", "date", "The time since the object was created.", path=_CREATED)
_AGE_LAST = Column("Age", "string", AGE.description)

POD = (
    Column("Ready", "string", "Containers that are ready, of all."),
    Column("Status", "string", "The state of the pod's containers in one word."),
    Column("Restarts", "string", "How often containers have been restarted."),
    _AGE_LAST,
    Column("IP", "string", "The pod's address.", priority=1),
    Column("Node", "string", "Where the pod runs.", priority=1),
    Column("Nominated Node", "string", "Where the pod shall run once there is room.", priority=1),
    Column("Readiness Gates", "string", "Further conditions for being ready.", priority=1),
)
CONFIG_MAP = (Column("Data", "string", "The number of keys."), _AGE_LAST)
SECRET = (Column("Type", "string", "What it is for."), *CONFIG_MAP)
NAMESPACE = (Column("Status", "string", "Active or Terminating.", path=("status", "phase")), AGE)
LEASE = (Column("Holder", "string", "Who holds the lease.", path=("spec", "holderIdentity")), AGE)


def age(timestamp: Any, now_s: float) -> str:
    """Return the time since an RFC 3339 timestamp as kubectl shows it."""
    if not timestamp:
        return "<unknown>"
    try:
        then = datetime.datetime.fromisoformat(str(timestamp))
    except ValueError:
        return "<invalid>"
    return duration(now_s - then.timestamp())


def duration(seconds: float) -> str:
    """Return a span in at most two units.

    Source: Kubernetes' HumanDuration (apimachinery/pkg/util/duration).
    """
    if seconds <= -2:
        return "<invalid>"
    total = max(0, int(seconds))
    minutes, hours, days = total // 60, total // 3600, total // 86400
    years = days // 365
    if total < 120:
        return f"{total}s"
    if minutes < 10:
        return _two(minutes, "m", total % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if years < 2:
        return f"{days}d"
    if years < 8:
        return _two(years, "y", days % 365, "d")
    return f"{years}y"


def _two(first: int, unit: str, second: int, small: str) -> str:
    return f"{first}{unit}{second}{small}" if second else f"{first}{unit}"


def _created(content: Json, now_s: float) -> str:
    return age(content["metadata"].get("creationTimestamp"), now_s)


def config_map_row(content: Json, now_s: float) -> list[Any]:
    keys = len(content.get("data", {})) + len(content.get("binaryData", {}))
    return [keys, _created(content, now_s)]


def secret_row(content: Json, now_s: float) -> list[Any]:
    return [content.get("type", ""), len(content.get("data", {})), _created(content, now_s)]


def pod_row(content: Json, now_s: float) -> list[Any]:
    spec, state = content.get("spec", {}), content.get("status", {})
    statuses = state.get("containerStatuses", ())
    ready = sum(1 for one in statuses if one.get("ready") and "running" in one.get("state", {}))
    restarts = sum(one.get("restartCount", 0) for one in statuses)
    return [
        f"{ready}/{len(spec.get('containers', ()))}",
        pod_word(content),
        str(restarts),
        _created(content, now_s),
        state.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        state.get("nominatedNodeName") or NONE,
        NONE,
    ]


def pod_word(content: Json) -> str:
    """Say a pod's state in one word, as kubectl's STATUS column does."""
    spec, state = content.get("spec", {}), content.get("status", {})
    word = str(state.get("reason") or state.get("phase") or "Unknown")
    starting = _init_word(spec, state)
    if starting:
        word = starting
    else:
        for one in reversed(state.get("containerStatuses", ())):
            word = _container_word(one.get("state", {})) or word
    if content["metadata"].get("deletionTimestamp"):
        return "Unknown" if state.get("reason") == "NodeLost" else "Terminating"
    return word


def _init_word(spec: Json, state: Json) -> str:
    for index, one in enumerate(state.get("initContainerStatuses", ())):
        inner = one.get("state", {})
        ended = inner.get("terminated")
        if ended is not None and ended.get("exitCode") == 0:
            continue
        if ended is not None:
            return f"Init:{_container_word(inner)}"
        reason = inner.get("waiting", {}).get("reason", "")
        if reason and reason != "PodInitializing":
            return f"Init:{reason}"
        return f"Init:{index}/{len(spec.get('initContainers', ()))}"
    return ""


def _container_word(state: Json) -> str:
    waiting, ended = state.get("waiting"), state.get("terminated")
    if waiting is not None:
        return str(waiting.get("reason", ""))
    if ended is None:
        return ""
    if ended.get("reason"):
        return str(ended["reason"])
    if ended.get("signal"):
        return f"Signal:{ended['signal']}"
    return f"ExitCode:{ended.get('exitCode', 0)}"
