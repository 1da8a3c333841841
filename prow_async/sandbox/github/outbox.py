"""Webhook deliveries: queued per hook in order, signed, tried once each, and kept in a log with what came of them.

As GitHub, the world does not send a failed one again by itself.
Source: docs.github.com, webhook headers and `handling failed deliveries`.
"""

import hmac
from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from prow_async.ports.clock import Ids
from prow_async.sandbox.github.records import Hook
from prow_async.sandbox.github.refusal import missing


class Outcome(msgspec.Struct, frozen=True):
    """What came of one try. `status` 0 means that no answer came; `error` says why, in words."""

    status: int
    at_s: float
    error: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class Delivery(msgspec.Struct):
    id: int
    guid: str
    hook: Hook
    event: str
    action: str
    body: bytes
    queued_s: float
    redelivery: bool = False
    outcome: Outcome | None = None
    """None until it has been tried."""

    def headers(self) -> dict[str, str]:
        """Return what GitHub sends along, signatures included (names in GitHub's spelling)."""
        target = "repository" if self.hook.repo else "organization" if self.hook.org else "integration"
        headers = {
            "Accept": "*/*",
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/prow-async",
            "X-GitHub-Delivery": self.guid,
            "X-GitHub-Event": self.event,
            "X-GitHub-Hook-ID": str(self.hook.id),
            "X-GitHub-Hook-Installation-Target-ID": str(self.hook.target_id),
            "X-GitHub-Hook-Installation-Target-Type": target,
        }
        if self.hook.secret:
            for name, algorithm in (("X-Hub-Signature", "sha1"), ("X-Hub-Signature-256", "sha256")):
                headers[name] = f"{algorithm}={hmac.new(self.hook.secret, self.body, algorithm).hexdigest()}"
        return headers


class Outbox:
    """All deliveries of one world.

    Args:
        log_limit: so many deliveries that have been tried are remembered; the oldest are forgotten.
    """

    def __init__(self, ids: Ids, log_limit: int) -> None:
        self.on_queued: Callable[[], None] = _nothing
        """Called after each queued delivery, so that whoever sends them wakes up."""
        self._ids = ids
        self._next_id = 1
        self._waiting: dict[int, deque[Delivery]] = {}
        self._log: deque[Delivery] = deque(maxlen=log_limit)

    def add(self, hook: Hook, event: str, action: str, body: bytes, now_s: float) -> Delivery:
        """Queue one event for one hook."""
        return self._queue(Delivery(self._take_id(), self._ids.uuid4(), hook, event, action, body, now_s))

    def redeliver(self, guid: str, now_s: float) -> Delivery:
        """Queue a delivery of the log again: same GUID, same body, a new id.

        Raises Refusal (404) for a GUID that is not, or no longer, in the log.
        """
        for old in self._log:
            if old.guid == guid:
                return self._queue(
                    Delivery(self._take_id(), guid, old.hook, old.event, old.action, old.body, now_s, redelivery=True)
                )
        raise missing()

    def hooks_waiting(self) -> list[int]:
        """Ids of the hooks that have deliveries waiting."""
        return [hook_id for hook_id, queue in self._waiting.items() if queue]

    def take(self, hook_id: int) -> Delivery | None:
        """Take the oldest waiting delivery of a hook; it is in the log from now on."""
        queue = self._waiting.get(hook_id)
        if not queue:
            return None
        delivery = queue.popleft()
        self._log.append(delivery)
        return delivery

    def log(self, hook_id: int | None = None) -> list[Delivery]:
        """Deliveries taken so far, oldest first."""
        return [d for d in self._log if hook_id in (None, d.hook.id)]

    def waiting(self) -> list[Delivery]:
        """Deliveries not yet taken, oldest first."""
        return sorted((d for queue in self._waiting.values() for d in queue), key=lambda d: d.id)

    def next_number(self) -> int:
        """Return the id the next delivery will have."""
        return self._next_id

    def restore(self, next_number: int, tried: Iterable[Delivery], waiting: Iterable[Delivery]) -> None:
        """Take over the deliveries of an earlier outbox; those that wait are sent. One in flight then has failed."""
        self._next_id = next_number
        for delivery in tried:
            delivery.outcome = delivery.outcome or Outcome(0, delivery.queued_s, "the sender was stopped")
            self._log.append(delivery)
        for delivery in waiting:
            self._queue(delivery)

    def _queue(self, delivery: Delivery) -> Delivery:
        self._waiting.setdefault(delivery.hook.id, deque()).append(delivery)
        self.on_queued()
        return delivery

    def _take_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1


def _nothing() -> None:
    return None
