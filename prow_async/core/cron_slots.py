"""Which slots of a cron schedule are run: those that were missed, and how much later each job runs than its slot."""

import hashlib
from typing import Literal

import msgspec

from prow_async.api import names
from prow_async.api.jobconfig import Periodic
from prow_async.core import cron, durations

Missed = Literal["skip", "latest", "all"]
CATCH_UP_S = 600.0
_POLICIES: dict[str, Missed] = {"skip": "skip", "latest": "latest", "all": "all"}
_FIRST_LOOK_BACK_S = 60.0
_LONGEST_S = 30 * 86400.0


class Rules(msgspec.Struct, frozen=True):
    """What becomes of slots that nobody looked at in time, and how far jobs of one slot are spread.

    `skip`: they are lost. `latest`: of those missed the last one runs. `all`: each runs, one after the other.
    """

    missed: Missed = "latest"
    window_s: float = CATCH_UP_S
    """Slots that were missed longer ago are lost."""
    jitter_s: float = 0.0
    """Each job runs later than its slot, by a part of this that its name chooses."""


def rules(missed: str, window_s: float, jitter_s: float) -> Rules:
    """Make rules of what a person said. Raises ValueError, for that person."""
    if missed not in _POLICIES:
        raise ValueError(f"missed slots: {missed!r} is none of {', '.join(_POLICIES)}")
    for what, seconds in (("the window of missed slots", window_s), ("jitter", jitter_s)):
        if not 0 <= seconds <= _LONGEST_S:
            raise ValueError(
                f"{what} is {durations.format_s(seconds)}: not from 0s to {durations.format_s(_LONGEST_S)}"
            )
    return Rules(_POLICIES[missed], window_s, jitter_s)


def rules_of(periodic: Periodic, default: Rules) -> tuple[Rules, str]:
    """Return a job's rules, by its annotations; and what is wrong with these, if anything: then the default holds."""
    said = periodic.annotations
    missed, window, jitter = (said.get(name) for name in (names.MISSED_SLOTS, names.MISSED_SLOTS_WINDOW, names.JITTER))
    if missed is None and window is None and jitter is None:
        return default, ""
    try:
        window_s = default.window_s if window is None else durations.parse_s(window)
        jitter_s = default.jitter_s if jitter is None else durations.parse_s(jitter)
        return rules(default.missed if missed is None else missed, window_s, jitter_s), ""
    except (ValueError, durations.DurationError) as error:
        return default, str(error)


def delay_s(job: str, rules: Rules) -> float:
    """Return how much later than its slot a job runs: whole seconds from 0 to below the jitter, always the same."""
    if rules.jitter_s < 1:
        return 0.0
    dice = int.from_bytes(hashlib.sha256(job.encode()).digest()[:8])
    return float(dice * int(rules.jitter_s) >> 64)


def slots_after(rules: Rules, done_s: float | None, looked_s: float | None, now_s: float) -> float:
    """Return after when a slot counts; all times are the job's own, which its delay has set back.

    Args:
        done_s: the latest slot that has run or, where none is known of, when the last run started; None: it never ran,
            or somebody has been looking all the time.
        looked_s: when it was asked about before; None: never, we have just started.
    """
    if looked_s is not None and rules.missed != "all":
        after_s = looked_s
    elif rules.missed == "skip" or (done_s is None and looked_s is None):
        after_s = now_s
    elif done_s is None:
        after_s = looked_s if looked_s is not None else now_s
    else:
        after_s = max(done_s, now_s - rules.window_s)
    return min(now_s, after_s if done_s is None else max(after_s, done_s))


def slot_to_run(schedule: cron.Schedule, rules: Rules, after_s: float, until_s: float) -> float | None:
    """Return the slot in (after_s, until_s] that is to be run next, None when there is none."""
    if rules.missed != "all":
        return _last_slot(schedule, after_s, until_s)
    first_s = cron.next_after(schedule, after_s)
    return first_s if first_s is not None and first_s <= until_s else None


def _last_slot(schedule: cron.Schedule, after_s: float, until_s: float) -> float | None:
    """Return the latest slot in (after_s, until_s].

    It looks back over ever longer spans, so that a long absence costs few steps.
    """
    span_s = _FIRST_LOOK_BACK_S
    while True:
        start_s = max(after_s, until_s - span_s)
        found: float | None = None
        next_s = cron.next_after(schedule, start_s)
        while next_s is not None and next_s <= until_s:
            found = next_s
            next_s = cron.next_after(schedule, next_s)
        if found is not None or start_s <= after_s:
            return found
        span_s *= 4
