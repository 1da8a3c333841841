"""Plays the kubelet: gives every new pod a life of the kind its image names. It never errs, but machines may."""

import random
from collections import Counter

import anyio.abc
import msgspec

from prow_async.adapters.kube import collection
from prow_async.core import instants
from prow_async.ports.clock import Clock
from prow_async.sandbox.kube import exchange
from prow_async.sandbox.kube.world import World
from tests.lives.ledger import Json, Life, Seen
from tests.lives.setup import PODS_NAMESPACE

NODE = "node-1"


class Player:
    """One node of one cluster.

    Args:
        mischief: share of pods that the machine loses.
    """

    def __init__(self, world: World, clock: Clock, dice: random.Random, mischief: float) -> None:
        self._world = world
        self._clock = clock
        self._dice = dice
        self.mischief = mischief
        self.tasks: anyio.abc.TaskGroup | None = None
        self.fates: dict[tuple[str, str], str] = {}
        """How each attempt's pod ended by the player's own doing; `stuck` never began."""
        self.losses: Counter[str] = Counter()
        """How many pods of a ProwJob (by UID) were lost by the machine."""
        self.lost: set[str] = set()
        """UIDs of these pods."""
        self.removed: Counter[tuple[str, str]] = Counter()
        """How many pods of an attempt the machine took away without a trace."""
        self._leaving: set[str] = set()

    def told(self, life: Life, seen: Seen) -> None:
        """Take news of a pod."""
        assert self.tasks is not None
        if seen.kind == "ADDED":
            self.tasks.start_soon(self._run, life)
        elif seen.kind == "MODIFIED" and life.deleting and life.uid not in self._leaving:
            self._leaving.add(life.uid)
            self.tasks.start_soon(self._leave, life)

    async def _run(self, life: Life) -> None:
        dice = self._dice
        if dice.random() < self.mischief / 5:
            self._loses(life, "stuck")
            return
        await anyio.sleep(dice.choice([0.0, dice.uniform(0, 3), dice.uniform(0, 30)]))
        if dice.random() < 0.7:
            self._bind(life)
        start = instants.rfc3339(self._clock.now())
        if dice.random() < 0.3:
            waiting = {"name": "test", "state": {"waiting": {"reason": "ContainerCreating"}}}
            self._set(life, {"phase": "Pending", "startTime": start, "containerStatuses": [waiting]})
            await anyio.sleep(dice.uniform(0, 5))
        running = {"name": "test", "state": {"running": {"startedAt": start}}}
        self._set(life, {"phase": "Running", "startTime": start, "containerStatuses": [running]})
        await anyio.sleep(dice.choice([0.0, dice.uniform(0, 10), dice.uniform(0, 80)]))
        if life.gone or life.deleting:
            return
        if dice.random() < self.mischief:
            await self._lose(life)
            return
        fate = life.spec("containers")[0]["image"]
        failed = fate == "fail" or (fate == "flaky" and dice.random() < 0.4)
        self.fates[life.attempt] = "Failed" if failed else "Succeeded"
        self._set(life, {"phase": self.fates[life.attempt], "containerStatuses": [self._ended(1 if failed else 0)]})

    async def _lose(self, life: Life) -> None:
        """Let the machine lose a running pod, in one of the ways machines do."""
        way = self._dice.choice(["evicted", "deleted", "oom", "unknown"])
        self._loses(life, way)
        match way:
            case "evicted":
                self._set(life, {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."})
            case "deleted":
                self.removed[life.attempt] += 1
                self._ask("DELETE", life, {"kind": "DeleteOptions", "apiVersion": "v1"})
            case "oom":
                self._set(life, {"containerStatuses": [self._ended(137, "OOMKilled")]})
                await anyio.sleep(self._dice.uniform(0, 5))
                self._set(life, {"phase": "Failed"})
            case _:
                self._set(life, {"phase": "Unknown"})

    def _loses(self, life: Life, way: str) -> None:
        self.losses[life.attempt[0]] += 1
        self.lost.add(life.uid)
        self.fates[life.attempt] = way

    async def _leave(self, life: Life) -> None:
        """End a pod that is being deleted, within its grace period."""
        await anyio.sleep(self._dice.choice([0.0, self._dice.uniform(0, 25)]))
        if not life.gone:
            self._ask("DELETE", life, {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0})

    def _ended(self, code: int, reason: str = "") -> Json:
        now = instants.rfc3339(self._clock.now())
        ended = {"exitCode": code, "reason": reason or ("Error" if code else "Completed"), "finishedAt": now}
        return {"name": "test", "ready": False, "restartCount": 0, "state": {"terminated": ended}}

    def _bind(self, life: Life) -> None:
        """Put the pod on the node: from now on its deletion takes time."""
        if not life.gone:
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": life.name}, "target": target}
            self._ask("POST", life, binding, "/binding")

    def _set(self, life: Life, status: Json) -> None:
        if not life.gone:
            self._ask("PATCH", life, {"metadata": {"uid": life.uid}, "status": status}, "/status")

    def _ask(self, method: str, life: Life, body: Json, tail: str = "") -> None:
        kind = collection.MERGE_PATCH if method == "PATCH" else collection.JSON
        path = collection.PODS.path(PODS_NAMESPACE, life.name) + tail
        request = exchange.Request.parse(method, path, {"content-type": kind}, msgspec.json.encode(body))
        answer = self._world.handle(request, self._clock.now())
        assert isinstance(answer, exchange.Answer)
        assert answer.code < 300, answer.body
