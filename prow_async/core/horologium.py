"""When a periodic runs, and under which key.

Two that decide at once, or one that decides again after a crash, arrive at the same key and so at the same ProwJob.

Source: upstream cmd/horologium/main.go, pkg/cron/cron.go.
"""

import msgspec

from prow_async.api.jobconfig import Periodic
from prow_async.api.views import JobView
from prow_async.core import cron, durations, identity, instants

CATCH_UP_S = 600.0
_RETRIES_LIMIT = 10
_FIRST_LOOK_BACK_S = 60.0


class Verdict(msgspec.Struct, frozen=True):
    """Whether to start a run. `key` and `retry` go into the ProwJob's name, `retry` (if not 0) into its label too."""

    start: bool
    why: str
    key: str = ""
    retry: int = 0


def decide(periodic: Periodic, last: JobView | None, last_tick_s: float | None, now_s: float) -> Verdict:
    """Decide on one periodic.

    Args:
        last: its run with the greatest start time, None when the cluster has none.
        last_tick_s: when it was asked before; a cron slot fires if it lies in (last_tick_s, now_s]. None: never,
            we have just started: then a slot of the last minutes, since its last run, counts as missed and fires.

    A cron whose slot comes while the last run goes on loses that slot. `@every` counts from the last run's start, so
    that a restart of horologium starts nothing by itself. Raises cron's and durations' errors for settings that the
    loader would have refused.
    """
    if periodic.cron:
        verdict = _cron(periodic.cron, last, _since(last, now_s) if last_tick_s is None else last_tick_s, now_s)
    elif periodic.minimum_interval:
        verdict = _minimum_interval(durations.parse_s(periodic.minimum_interval), last, now_s)
    else:
        verdict = _interval(durations.parse_s(periodic.interval), last, now_s)
    if verdict.start or last is None:
        return verdict
    return _retry(periodic, last, now_s) or verdict


def _interval(interval_s: float, last: JobView | None, now_s: float) -> Verdict:
    if last is None:
        return Verdict(True, "it has never run", identity.FIRST)
    if not last.complete:
        return Verdict(False, f"its last run {last.name} goes on")
    since_s = now_s - _started(last)
    if since_s > interval_s:
        return Verdict(True, f"its last run started {since_s:.0f} s ago (interval {interval_s:.0f} s)", last.uid)
    return Verdict(False, f"next in {interval_s - since_s:.0f} s, counted from the start of its last run")


def _minimum_interval(interval_s: float, last: JobView | None, now_s: float) -> Verdict:
    if last is None:
        return Verdict(True, "it has never run", identity.FIRST)
    if last.completion_s is None:
        return Verdict(False, f"its last run {last.name} goes on")
    since_s = now_s - last.completion_s
    if since_s > interval_s:
        return Verdict(True, f"its last run ended {since_s:.0f} s ago (minimum {interval_s:.0f} s)", last.uid)
    return Verdict(False, f"next in {interval_s - since_s:.0f} s, counted from the end of its last run")


def _cron(text: str, last: JobView | None, last_tick_s: float, now_s: float) -> Verdict:
    schedule = cron.parse(text)
    if schedule.every_s:
        return _interval(schedule.every_s, last, now_s)
    slot_s = _last_slot(schedule, last_tick_s, now_s)
    if slot_s is None:
        after_s = cron.next_after(schedule, now_s)
        return Verdict(False, "it never fires" if after_s is None else f"next at {instants.rfc3339(after_s)}")
    slot = instants.rfc3339(slot_s)
    if last is not None and not last.complete:
        return Verdict(False, f"the slot {slot} is lost: its last run {last.name} goes on")
    return Verdict(True, f"cron {text!r} fired at {slot}", slot)


def _since(last: JobView | None, now_s: float) -> float:
    """Return from when on slots count after a start of ours: a restart misses no slot, a long outage no burst."""
    return now_s if last is None else min(now_s, max(_started(last), now_s - CATCH_UP_S))


def _last_slot(schedule: cron.Schedule, after_s: float, until_s: float) -> float | None:
    """Return the latest slot in (after_s, until_s]; all but that one are lost.

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


def _retry(periodic: Periodic, last: JobView, now_s: float) -> Verdict | None:
    """Run once more before its time: after a failure, or always with run_all. The count sits on the last run."""
    retry = periodic.retry
    if retry is None:
        return None
    count = last.rerun + 1
    if count > min(retry.attempts, _RETRIES_LIMIT):
        return None
    if not retry.run_all and (not last.complete or last.state == "success"):
        return None
    since_s, wait_s = now_s - _started(last), durations.parse_s(retry.interval)
    if since_s <= wait_s:
        return None
    why = f"retry {count} of {min(retry.attempts, _RETRIES_LIMIT)}: {last.name} ended as {last.state or 'unknown'}"
    if retry.run_all:
        why = f"run {count} of {min(retry.attempts, _RETRIES_LIMIT)} that run_all asks for"
    return Verdict(True, why, last.uid, count)


def _started(job: JobView) -> float:
    return job.created_s if job.start_s is None else job.start_s
