"""Which waiting ProwJobs may start: limits of a job, of a queue and of all together, the oldest first.

An index of what was observed: who holds a slot, and who stands in line for one. How many are taken is always the size
of a set of names, so it cannot drift from what the names stand for. Standing in line costs nothing: each change is
answered in about the logarithm of the number of those who wait.

Whoever waits for something else leaves the slots he does not need yet to younger ones. Within one line (a job's, on
one queue and one cluster) nobody overtakes.

Source: upstream pkg/plank/reconciler.go, canExecuteConcurrently; deviations are rows of docs/parity.md.
"""

import heapq
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypeAlias

import msgspec

from prow_async.api.views import JobView

Pod = Literal["there", "absent", "unknown"]
"""Whether a job's pod exists, as far as anybody here knows; unknown while its cluster has not been listed."""
Role = Literal["holds", "waits", "out"]
Group: TypeAlias = tuple[str, str]
"""`("job", name)`, `("queue", name)` or `("cluster", alias)`."""
_Line: TypeAlias = tuple[str, str, str]
_Entry: TypeAlias = tuple[float, str, int, _Line]
_SHOWN = 5


def role(job: JobView, pod: Pod) -> Role:
    """Say what a job is to the slots. In doubt it holds one: a pod that may exist may run."""
    if job.complete or job.agent != "kubernetes":
        return "out"
    match job.state:
        case "pending":
            return "holds"
        case "triggered" if pod == "absent":
            return "out" if job.deleting else "waits"
        case "aborted" if pod == "absent":
            return "out"
        case "triggered" | "aborted":
            return "holds"
        case _:
            return "out"


class Limits(msgspec.Struct, frozen=True):
    """Plank's part of the configuration."""

    total: int = 0
    """0: none."""
    queues: Mapping[str, int] = {}
    """Capacities. Below 0: none. 0, or a queue that is not there: closed."""


NO_LIMITS = Limits()


class Claim(msgspec.Struct, frozen=True):
    """What one job needs. `limit` is its own max_concurrency, 0 for none; `queue` is empty for none."""

    created_s: float
    name: str
    job: str
    queue: str
    cluster: str
    limit: int

    @property
    def groups(self) -> tuple[Group, ...]:
        """Everything that may hold it up, beside the limit of all together."""
        own = (("job", self.job),) if self.limit > 0 else ()
        return (("cluster", self.cluster), *own, *((("queue", self.queue),) if self.queue else ()))

    @property
    def line(self) -> _Line:
        return (self.job if self.limit > 0 else "", self.queue, self.cluster)


def claim_of(job: JobView) -> Claim:
    return Claim(job.created_s, job.name, job.job, job.job_queue_name, job.cluster, max(job.max_concurrency, 0))


class Standing(msgspec.Struct, frozen=True):
    """Where a job stands in line: `place` of `of` among those who wait for the same, counted from 1."""

    place: int
    of: int
    why: str


class _Waiters:
    """One line: those in it, and a heap of them that may hold names which have left."""

    __slots__ = ("_heap", "claims", "ticket")

    def __init__(self) -> None:
        self.claims: dict[str, Claim] = {}
        self._heap: list[tuple[float, str]] = []
        self.ticket = 0

    def add(self, claim: Claim) -> None:
        self.claims[claim.name] = claim
        if len(self._heap) > 2 * len(self.claims) + 16:
            self._heap = [(one.created_s, one.name) for one in self.claims.values()]
            heapq.heapify(self._heap)
        else:
            heapq.heappush(self._heap, (claim.created_s, claim.name))

    def head(self) -> Claim:
        while True:
            created_s, name = self._heap[0]
            claim = self.claims.get(name)
            if claim is not None and claim.created_s == created_s:
                return claim
            heapq.heappop(self._heap)


class Slots:
    """Who holds slots and who waits. Nothing moves but in `grant`."""

    def __init__(self, limits: Limits = NO_LIMITS) -> None:
        self.limits = limits
        self._shut: set[str] = set()
        self._held: dict[str, Claim] = {}
        self._holders: dict[Group, set[str]] = {}
        self._lines: dict[_Line, _Waiters] = {}
        self._line_of: dict[str, _Line] = {}
        self._ready: list[_Entry] = []
        self._blocked: dict[Group, list[_Entry]] = {}
        self._tickets = itertools.count(1)

    def holds(self, name: str) -> bool:
        return name in self._held

    def waits(self, name: str) -> bool:
        return name in self._line_of

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._line_of)

    def counts(self, claim: Claim) -> bool:
        """True when somebody must count before a job may start; otherwise it need not stand in line."""
        return bool(self.limits.total > 0 or claim.limit or claim.queue or claim.cluster in self._shut)

    def hold(self, claim: Claim) -> None:
        """Note that a job holds its slots, whatever the limits say: it was seen to."""
        if self._held.get(claim.name) == claim:
            return
        self.drop(claim.name)
        self._held[claim.name] = claim
        self._holders.setdefault(("job", claim.job), set()).add(claim.name)
        if claim.queue:
            self._holders.setdefault(("queue", claim.queue), set()).add(claim.name)

    def wait(self, claim: Claim) -> None:
        """Put a job in line; what it held is free."""
        line = self._line_of.get(claim.name)
        if line is not None and self._lines[line].claims[claim.name] == claim:
            return
        self.drop(claim.name)
        waiters = self._lines.setdefault(claim.line, _Waiters())
        waiters.add(claim)
        self._line_of[claim.name] = claim.line
        if waiters.head() is claim:
            self._place(claim.line)

    def drop(self, name: str) -> None:
        """Forget a job: it is over, or gone."""
        line = self._line_of.pop(name, None)
        if line is not None:
            self._leave(line, name)
        claim = self._held.pop(name, None)
        if claim is None:
            return
        for group in (("job", claim.job), ("queue", claim.queue)):
            holders = self._holders.get(group)
            if holders is not None:
                holders.discard(name)
                if not holders:
                    del self._holders[group]
                self._reopen(group)

    def shut(self, cluster: str, shut: bool) -> None:
        """Say whether anything can be started in a cluster. What holds slots there goes on holding them."""
        if shut:
            self._shut.add(cluster)
        elif cluster in self._shut:
            self._shut.discard(cluster)
            self._reopen(("cluster", cluster))

    def limit(self, limits: Limits) -> None:
        """Take new limits. Nobody loses a slot he holds."""
        if limits != self.limits:
            self.limits = limits
            for line in self._lines:
                self._place(line)

    def grant(self) -> list[str]:
        """Give the free slots to those who wait, the oldest first; return their names. They hold them from now on."""
        granted = []
        while self._ready and self._any_left():
            *_, ticket, line = heapq.heappop(self._ready)
            waiters = self._lines.get(line)
            if waiters is None or waiters.ticket != ticket:
                continue
            claim = waiters.head()
            full = next((group for group in claim.groups if not self._room(group, claim)), None)
            if full is None:
                self.hold(claim)
                granted.append(claim.name)
            else:
                self._push(self._blocked.setdefault(full, []), waiters, line)
            if claim.queue:
                self._reopen(("queue", claim.queue))
        return granted

    def standing(self, name: str) -> Standing | None:
        """Work out where a job stands in line, and what it waits for. None: it does not wait. Costs a look at all."""
        line = self._line_of.get(name)
        if line is None:
            return None
        claim = self._lines[line].claims[name]
        full = [group for group in claim.groups if not self._room(group, claim)]
        whys = [self._say(group, claim) for group in full]
        if not self._any_left():
            whys.append(f"plank.max_concurrency is {self.limits.total}, and {self._names(self._held)}")
        rivals = [one for one in self._everybody() if not full or full[0] in one.groups]
        order = (claim.created_s, claim.name)
        place = 1 + sum((one.created_s, one.name) < order for one in rivals)
        if not whys:
            older = self._lines[line].head()
            whys = ["a slot is free for it" if older is claim else f"{older.name} stands before it in line"]
        return Standing(place, len(rivals), "; ".join(whys))

    def overview(self) -> list[str]:
        """Say of every limit that somebody waits for how many hold it and how many wait. Costs a look at all."""
        waiting: dict[Group, int] = {}
        some: dict[Group, Claim] = {}
        for claim in self._everybody():
            for group in claim.groups:
                if not self._room(group, claim):
                    waiting[group] = waiting.get(group, 0) + 1
                    some[group] = claim
        lines = [f"in line {count}: {self._say(group, some[group])}" for group, count in sorted(waiting.items())]
        of = f" of {self.limits.total}" if self.limits.total > 0 else ""
        return [f"slots held: {len(self._held)}{of}; jobs that wait: {self.waiting}", *lines]

    def _everybody(self) -> Iterator[Claim]:
        for waiters in self._lines.values():
            yield from waiters.claims.values()

    def _any_left(self) -> bool:
        return self.limits.total <= 0 or len(self._held) < self.limits.total

    def _room(self, group: Group, claim: Claim) -> bool:
        kind, name = group
        if kind == "cluster":
            return name not in self._shut
        taken = len(self._holders.get(group, ()))
        if kind == "job":
            return taken < claim.limit
        capacity = self.limits.queues.get(name, 0)
        return capacity < 0 or taken < capacity

    def _leave(self, line: _Line, name: str) -> None:
        waiters = self._lines[line]
        first = waiters.head().name == name
        del waiters.claims[name]
        if not waiters.claims:
            del self._lines[line]
            if line[1]:  # the line may have been the one let in to look at its queue: the next has its turn
                self._reopen(("queue", line[1]))
        elif first:
            self._place(line)

    def _place(self, line: _Line) -> None:
        """Have a line looked at in the next `grant`."""
        self._push(self._ready, self._lines[line], line)

    def _push(self, heap: list[_Entry], waiters: _Waiters, line: _Line) -> None:
        """Enter a line in one of the heaps; what it was entered in before holds no longer."""
        waiters.ticket = next(self._tickets)
        head = waiters.head()
        heapq.heappush(heap, (head.created_s, head.name, waiters.ticket, line))
        if len(heap) > 2 * len(self._lines) + 64:
            heap[:] = [entry for entry in heap if self._holds_still(entry)]
            heapq.heapify(heap)

    def _holds_still(self, entry: _Entry) -> bool:
        waiters = self._lines.get(entry[3])
        return waiters is not None and waiters.ticket == entry[2]

    def _reopen(self, group: Group) -> None:
        """Let those who were held up by a group be looked at anew: of a queue's the oldest, as long as it has room."""
        heap = self._blocked.get(group)
        while heap:
            *_, line = entry = heap[0]
            if self._holds_still(entry):
                if group[0] == "queue" and not self._room(group, self._lines[line].head()):
                    return
                heapq.heappop(heap)
                self._place(line)
                if group[0] == "queue":
                    break
            else:
                heapq.heappop(heap)
        if not heap:
            self._blocked.pop(group, None)

    def _say(self, group: Group, claim: Claim) -> str:
        kind, name = group
        if kind == "cluster":
            return f"cluster {name} does not answer"
        if kind == "queue" and name not in self.limits.queues:
            return f"its queue {name} is not in plank.job_queue_capacities"
        limit = claim.limit if kind == "job" else self.limits.queues[name]
        if limit == 0:
            return f"its queue {name} is closed: its capacity is 0"
        what = f"max_concurrency of job {name}" if kind == "job" else f"the capacity of queue {name}"
        return f"{what} is {limit}, and {self._names(self._holders.get(group, ()))}"

    def _names(self, holders: Iterable[str]) -> str:
        found = sorted((self._held[name].created_s, name) for name in holders)
        rest = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        verb = "holds" if len(found) == 1 else "hold"
        return f"{', '.join(name for _, name in found[:_SHOWN])}{rest} {verb} slots"
