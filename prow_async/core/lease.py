"""Who may act: what one replica knows of a Lease, and what it does next.

Pure: Leases as they were read and two clocks come in, one step comes out. Another's claim is timed on our own
monotonic clock, from the moment we first saw the Lease as it stands, for as long as the Lease itself says; the times
written in it are for people. So clocks may differ between replicas as they like, as long as they run about equally
fast. Each write carries the resourceVersion it is based on: who has seen less than another cannot win.

Source: client-go tools/leaderelection (shape of the record, transitions, release); the deviations are rows of
docs/parity.md.
"""

import math
from typing import Any

import msgspec

from prow_async.core import instants

Json = dict[str, Any]
RELEASED_DURATION_S = 1
"""What a released Lease says, as the API wants a positive number."""


class Timing(msgspec.Struct, frozen=True):
    """How long a claim holds.

    `duration_s` (whole seconds) is written into the Lease: so long others wait after the last renewal they saw. Whoever
    has not renewed for `renew_deadline_s` writes no more and steps down; the difference is what a write may take and
    two clocks may run apart. A renewal is due every `retry_s`.
    """

    duration_s: int = 8
    renew_deadline_s: float = 6.0
    retry_s: float = 2.0

    @property
    def again_s(self) -> float:
        """Wait after a try that failed."""
        return self.retry_s / 4


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """What one replica knows. Monotonic seconds throughout."""

    name: str
    identity: str
    timing: Timing = Timing()
    known: bool = False
    """False: the Lease has to be read before anything can be said."""
    lease: Json | None = None
    """As last seen; None while there is none."""
    holder: str = ""
    claim_until_s: float = -math.inf
    """Until then the holder's claim counts, whatever becomes of the object."""
    renewed_s: float | None = None
    """When our last write that worked was sent; None while we do not lead."""
    tried_s: float = -math.inf
    """When the last write was sent."""


class Look(msgspec.Struct, frozen=True, tag=True):
    """Read the Lease."""


class Write(msgspec.Struct, frozen=True, tag=True):
    """Create the Lease, or replace it on condition of its resourceVersion."""

    body: Json
    create: bool
    why: str


class Wait(msgspec.Struct, frozen=True, tag=True):
    """Nothing to do before `until_s`, unless the Lease changes."""

    until_s: float
    why: str


class StepDown(msgspec.Struct, frozen=True, tag=True):
    """Stop acting."""

    why: str


Step = Look | Write | Wait | StepDown


def held(lock: Lock, now_s: float) -> bool:
    """True while we lead and our last renewal is young enough for another write."""
    return lock.renewed_s is not None and now_s < lock.renewed_s + lock.timing.renew_deadline_s


def decide(lock: Lock, now_s: float, wall_s: float) -> Step:
    """Return the next step. `wall_s` goes into the Lease, for people."""
    if lock.renewed_s is not None:
        return _leading(lock, lock.renewed_s, now_s, wall_s)
    if not lock.known:
        return Look()
    if lock.holder not in {"", lock.identity} and now_s < lock.claim_until_s:
        return Wait(lock.claim_until_s, f"held by {lock.holder}")
    if now_s < lock.tried_s + lock.timing.again_s:
        return Wait(lock.tried_s + lock.timing.again_s, "the last try failed")
    why = f"{lock.holder} has not renewed it in time" if lock.holder else "nobody holds it"
    return _write(lock, wall_s, why)


def _leading(lock: Lock, renewed_s: float, now_s: float, wall_s: float) -> Step:
    if not held(lock, now_s):
        return StepDown(f"not renewed for {now_s - renewed_s:.1f} s")
    if lock.known and lock.holder != lock.identity and lock.lease is not None:
        return StepDown(f"{lock.holder or 'somebody'} has taken it" if lock.holder else "somebody has released it")
    due_s = renewed_s + lock.timing.retry_s
    if lock.tried_s > renewed_s:
        due_s = max(due_s, lock.tried_s + lock.timing.again_s)
    if now_s < due_s:
        return Wait(due_s, "leading")
    return _write(lock, wall_s, "renewal") if lock.known else Look()


def _write(lock: Lock, wall_s: float, why: str) -> Write:
    now = _micro(wall_s)
    spec = {
        "holderIdentity": lock.identity,
        "leaseDurationSeconds": lock.timing.duration_s,
        "acquireTime": now,
        "renewTime": now,
        "leaseTransitions": 0,
    }
    if lock.lease is None:
        meta = {"name": lock.name}
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}
        return Write(body, True, why)
    old = _spec(lock.lease)
    spec["leaseTransitions"] = transitions(lock.lease)
    if lock.holder == lock.identity:
        spec["acquireTime"] = old.get("acquireTime") or now
    else:
        spec["leaseTransitions"] = transitions(lock.lease) + 1
    return Write({**lock.lease, "spec": {**old, **spec}}, False, why)


def release(lock: Lock, wall_s: float) -> Json | None:
    """Return the Lease with no holder, to be replaced on condition of its resourceVersion; None: it is not ours."""
    if not lock.known or lock.lease is None or lock.holder != lock.identity:
        return None
    now = _micro(wall_s)
    free = {
        "holderIdentity": "",
        "leaseDurationSeconds": RELEASED_DURATION_S,
        "acquireTime": now,
        "renewTime": now,
    }
    return {**lock.lease, "spec": {**_spec(lock.lease), **free}}


def observe(lock: Lock, lease: Json | None, now_s: float) -> Lock:
    """Take in the Lease as it stands, None when there is none.

    A Lease that is deleted frees nobody's place before its time: its holder may still be at work.
    """
    if lease is None:
        return msgspec.structs.replace(lock, known=True, lease=None)
    if lock.lease is not None and version(lease) == version(lock.lease):
        return msgspec.structs.replace(lock, known=True)
    spec = _spec(lease)
    holder = spec.get("holderIdentity")
    holder = holder if isinstance(holder, str) else ""
    until_s = now_s + _duration_s(spec, lock.timing) if holder else -math.inf
    return msgspec.structs.replace(lock, known=True, lease=lease, holder=holder, claim_until_s=until_s)


def tried(lock: Lock, sent_s: float) -> Lock:
    """A write is sent at `sent_s`: unless `wrote` follows, the Lease may stand either way and has to be read."""
    return msgspec.structs.replace(lock, tried_s=sent_s, known=False)


def wrote_ever(lock: Lock) -> bool:
    """True when a Lease may be there that we wrote."""
    return lock.tried_s > -math.inf


def wrote(lock: Lock, stored: Json, sent_s: float) -> Lock:
    """A write that was sent at `sent_s` worked: from then on our claim counts."""
    return msgspec.structs.replace(
        lock,
        known=True,
        lease=stored,
        holder=lock.identity,
        claim_until_s=sent_s + lock.timing.duration_s,
        renewed_s=sent_s,
        tried_s=sent_s,
    )


def stepped_down(lock: Lock) -> Lock:
    """We no longer lead, and look again."""
    return msgspec.structs.replace(lock, renewed_s=None, known=False)


def version(lease: Json) -> str:
    """Return a Lease's resourceVersion."""
    return str((lease.get("metadata") or {}).get("resourceVersion", ""))


def transitions(lease: Json) -> int:
    """Return how often the Lease went from one holder to another."""
    count = _spec(lease).get("leaseTransitions")
    return count if isinstance(count, int) else 0


def check(timing: Timing) -> str:
    """Say what is wrong with a timing, in words; empty when nothing is."""
    if timing.duration_s < 1:
        return "the lease duration must be at least 1 s"
    if timing.renew_deadline_s >= timing.duration_s:
        return "the renew deadline must be shorter than the lease duration"
    if timing.retry_s <= 0 or timing.retry_s * 1.2 >= timing.renew_deadline_s:
        return "the retry period must be longer than 0 and, times 1.2, shorter than the renew deadline"
    return ""


def _spec(lease: Json) -> Json:
    spec = lease.get("spec")
    return spec if isinstance(spec, dict) else {}


def _duration_s(spec: Json, timing: Timing) -> float:
    told = spec.get("leaseDurationSeconds")
    return float(told) if isinstance(told, int) and told > 0 else float(timing.duration_s)


def _micro(wall_s: float) -> str:
    """Render an instant as metav1.MicroTime does: `2026-01-02T03:04:05.000006Z`."""
    whole = math.floor(wall_s)
    return f"{instants.rfc3339(whole)[:-1]}.{math.floor((wall_s - whole) * 1e6):06d}Z"
