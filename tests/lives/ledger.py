"""What a small API server saw, written down as it happens: every state of every ProwJob and pod that ever was."""

import itertools
from collections.abc import Callable
from typing import Any

import msgspec

from prow_async.api import names
from prow_async.core import instants
from prow_async.ports.clock import Clock
from prow_async.sandbox.kube import exchange, watches
from prow_async.sandbox.kube.world import World

Json = dict[str, Any]
_order = itertools.count()


class Seen(msgspec.Struct, frozen=True):
    """One state of one object. `kind` is ADDED, MODIFIED or DELETED."""

    at_s: float
    kind: str
    content: Json
    order: int
    """Counts everything that is seen: much happens in one moment of virtual time."""


class Life(msgspec.Struct):
    """All states of one object, from its creation to its deletion or to now."""

    name: str
    uid: str
    states: list[Seen]

    @property
    def last(self) -> Json:
        return self.states[-1].content

    @property
    def gone(self) -> bool:
        return self.states[-1].kind == "DELETED"

    @property
    def created_s(self) -> float:
        return instants.seconds(self.last["metadata"]["creationTimestamp"])

    def status(self, field: str) -> str:
        return str(self.last.get("status", {}).get(field) or "")

    def spec(self, field: str) -> Any:
        return self.last["spec"].get(field)

    def annotation(self, name: str) -> str:
        return str((self.last["metadata"].get("annotations") or {}).get(name, ""))

    @property
    def complete(self) -> bool:
        return bool(self.status("completionTime"))

    @property
    def deleting(self) -> bool:
        return "deletionTimestamp" in self.last["metadata"]

    @property
    def attempt(self) -> tuple[str, str]:
        """Of a pod: the UID of its ProwJob and which pod of it this is."""
        return self.annotation(names.OWNER_UID), self.annotation(names.ATTEMPT)

    @property
    def finished(self) -> bool:
        """Of a pod: it has run to its end."""
        return self.status("phase") in {"Succeeded", "Failed"}


class Ledger:
    """Follows one resource of a world from its beginning, synchronously and without a door in between.

    Args:
        told: called with each state and the life it belongs to.
    """

    def __init__(self, world: World, clock: Clock, path: str, told: Callable[[Life, Seen], None]) -> None:
        self.lives: dict[str, Life] = {}
        """By UID, in order of creation."""
        self._clock = clock
        self._told = told
        request = exchange.Request.parse("GET", f"{path}?watch=true&resourceVersion={world.version}")
        watch = world.handle(request, clock.now())
        assert isinstance(watch, watches.Watch), watch
        self._watch = watch
        watch.on_ready = self._read

    def _read(self) -> None:
        for line in self._watch.take():
            event: Json = msgspec.json.decode(line)
            content: Json = event["object"]
            meta = content["metadata"]
            seen = Seen(self._clock.now(), event["type"], content, next(_order))
            life = self.lives.get(meta["uid"])
            if life is None:
                life = self.lives[meta["uid"]] = Life(meta["name"], meta["uid"], [])
            life.states.append(seen)
            self._told(life, seen)
