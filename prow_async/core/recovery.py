"""Which deliveries GitHub is asked to send again, and which heads of pull requests nobody told us of.

GitHub keeps a log of what it sent to a webhook for three days and sends nothing again by itself. A delivery that
failed is asked for until the inbox has it, or somebody has taken it: a second hook with an inbox of its own, or
upstream's, may stand behind the same address. Where nobody else can, what GitHub holds for delivered and our inbox has
never seen is asked for too. What was sent before this inbox existed was for others to handle: it is counted, not asked
for.
"""

from collections.abc import Iterable, Mapping

import msgspec

from prow_async.api.github import HookDelivery, HookOf, PullRequest
from prow_async.core import instants

LOG_REACHES_S = 3 * 86400.0
IN_FLIGHT_S = 60.0
"""What is younger may still be on its way."""
WAITS_S = (0.0, 120.0, 900.0, 3600.0, 6 * 3600.0)
"""So long is waited before the first, second ... request for one and the same delivery; then it is given up."""
OPEN = 20_000
"""At most so many are remembered to be asked for; the oldest count."""
_HOPELESS = frozenset({400, 405, 413, 422})
"""What we, or a proxy, would answer again."""


class Lost(msgspec.Struct, frozen=True):
    """A delivery that is not known to be here: its newest try, and how many there have been."""

    guid: str
    delivery_id: int
    event: str
    first_s: float
    last_s: float
    tries: int
    asked: int = 0
    asked_s: float = 0.0
    taken: bool = False
    """Somebody has answered a try as if it were handled."""
    over: bool = False
    """It was given up. It is remembered while the log may name it, so that it is not taken for a new one."""


class Round(msgspec.Struct, frozen=True):
    """What is to be done now. `lost` is what is left for later rounds."""

    ask: tuple[Lost, ...]
    lost: dict[str, Lost]
    recovered: tuple[str, ...]
    """GUIDs that were asked for and have come now."""
    given_up: tuple[Lost, ...]


def add(lost: Mapping[str, Lost], log: Iterable[HookDelivery], since_s: float) -> dict[str, Lost]:
    """Take tries of a delivery log in, in any order. Pings, and what was sent before `since_s`, are passed over."""
    found = dict(lost)
    for one in log:
        at_s = sent_s(one)
        if not one.guid or one.event == "ping" or at_s < since_s or one.status_code in _HOPELESS:
            continue
        old, taken = found.get(one.guid), 200 <= one.status_code < 300
        if old is None:
            found[one.guid] = Lost(one.guid, one.id, one.event, at_s, at_s, 1, taken=taken)
        elif one.id > old.delivery_id:
            found[one.guid] = msgspec.structs.replace(
                old, delivery_id=one.id, last_s=at_s, tries=old.tries + 1, taken=old.taken or taken
            )
        elif (taken and not old.taken) or at_s < old.first_s:
            first_s = min(at_s, old.first_s)
            found[one.guid] = msgspec.structs.replace(old, first_s=first_s, taken=old.taken or taken)
    if len(found) > OPEN:
        found = dict(sorted(found.items(), key=lambda item: item[1].first_s)[:OPEN])
    return found


def decide(lost: Mapping[str, Lost], known: frozenset[str], now_s: float, limit: int, alone: bool) -> Round:
    """Choose what to ask for, oldest first.

    Args:
        known: GUIDs of `lost` that the inbox has.
        limit: ask for so many at most.
        alone: nobody else takes deliveries of this webhook.
    """
    here = known if alone else known | {one.guid for one in lost.values() if one.taken}
    left: dict[str, Lost] = {}
    ask: list[Lost] = []
    given_up: list[Lost] = []
    for one in sorted(lost.values(), key=lambda one: one.first_s):
        if one.guid in here:
            continue
        if one.over or one.asked >= len(WAITS_S) or now_s - one.first_s > LOG_REACHES_S:
            if not one.over:
                given_up.append(one)
            if now_s - max(one.last_s, one.asked_s) <= LOG_REACHES_S:
                left[one.guid] = msgspec.structs.replace(one, over=True)
        elif len(ask) < limit and now_s - max(one.last_s, one.asked_s) >= max(IN_FLIGHT_S, WAITS_S[one.asked]):
            ask.append(one)
            left[one.guid] = msgspec.structs.replace(one, asked=one.asked + 1, asked_s=now_s)
        else:
            left[one.guid] = one
    recovered = tuple(guid for guid, one in lost.items() if guid in here and one.asked)
    return Round(tuple(ask), left, recovered, tuple(given_up))


def sent_s(delivery: HookDelivery) -> float:
    """When a delivery was tried; 0 where the log does not say."""
    return instants.seconds(delivery.delivered_at) if delivery.delivered_at else 0.0


def ours(hook_id: int, url: str, wanted_url: str, seen: frozenset[int]) -> bool:
    """Say whether a webhook leads to this installation: by its address, else because deliveries have come from it."""
    return url == wanted_url if wanted_url else hook_id in seen


def described(hook: HookOf) -> str:
    """Name a webhook for people."""
    if not hook.org:
        return "the App's webhook"
    return f"webhook {hook.id} of {hook.org}" + (f"/{hook.repo}" if hook.repo else "")


class Head(msgspec.Struct, frozen=True):
    """The head of an open pull request, and what is known about it here."""

    pull: PullRequest
    contexts: frozenset[str]
    """Contexts that have a status on it."""
    shas: frozenset[str]
    """Heads of this pull request that have ProwJobs."""


def unseen(head: Head, contexts: frozenset[str]) -> bool:
    """Say whether nobody has looked at a head: no ProwJob of it, and no status of a context of ours.

    Args:
        contexts: of the presubmits that repository has.
    """
    sha = head.pull.head.sha
    return bool(sha and contexts) and sha not in head.shas and contexts.isdisjoint(head.contexts)
