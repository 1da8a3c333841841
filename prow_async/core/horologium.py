"""When a periodic runs, and under which key.

Two that decide at once, or one that decides again after a crash, arrive at the same key and so at the same ProwJob.

Source: upstream cmd/horologium/main.go, pkg/cron/cron.go.
"""

from collections.abc import Iterable

import msgspec

from prow_async.api.jobconfig import Periodic
from prow_async.api.views import JobView
from prow_async.core import cron, durations, identity, instants
from prow_async.core.cron_slots import Rules, delay_s, slot_to_run, slots_after

_RETRIES_LIMIT = 10


class Known(msgspec.Struct, frozen=True):
    """What is known of a periodic's runs."""

    last: JobView | None = None
    """Its newest run (see `newest`), None when the cluster has none."""
    slot: str = ""
    """The latest cron slot that has a run; empty when none of its runs names one."""
    looked_s: float | None = None
    """When it was asked about before; None: never, we have just started."""


def newest(runs: Iterable[JobView]) -> JobView | None:
    """Return the run that the next one is counted from: the one that started last; None when there is none.

    No run started after the server had it: a start time that says so comes from a clock that is ahead, and would hide
    all runs until then.
    """
    return max(runs, key=lambda job: (min(_started(job), job.created_s), job.created_s, job.name), default=None)


def latest_slot(runs: Iterable[JobView], now_s: float) -> str:
    """Return the latest slot that a run names; empty when none does.

    The annotation is anybody's to write. One that is no instant, or is still to come, says nothing of past slots.
    """
    slots = ((at, job.slot) for job in runs if job.slot and (at := _instant(job.slot)) is not None and at <= now_s)
    return max(slots, default=(0.0, ""))[1]


def _instant(text: str) -> float | None:
    try:
        return instants.seconds(text)
    except ValueError:
        return None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether to start a run, and when to ask again.

    `key` and `retry` go into the ProwJob's name, `retry` (if not 0) into its label too, `slot` into its annotation.
    """

    start: bool
    why: str
    key: str = ""
    retry: int = 0
    slot: str = ""
    due_s: float | None = None
    """Since when a run that is to start has been due; None where that has no meaning (the first, a retry)."""
    look_s: float | None = None
    """When time alone may change the answer; None: only news of its runs does."""
    next_s: float | None = None
    """When its schedule wants the next run, as far as that is known."""


def decide(periodic: Periodic, known: Known, rules: Rules, now_s: float) -> Verdict:
    """Decide on one periodic.

    `@every` counts from the last run's start, so that a restart of horologium starts nothing by itself. Raises cron's
    and durations' errors for settings that the loader would have refused.
    """
    last = known.last
    if periodic.cron:
        schedule = cron.parse(periodic.cron)
        if schedule.every_s:
            verdict = _interval(schedule.every_s, last, now_s)
        else:
            verdict = _cron(periodic, schedule, known, rules, now_s)
    elif periodic.minimum_interval:
        verdict = _minimum_interval(durations.parse_s(periodic.minimum_interval), last, now_s)
    else:
        verdict = _interval(durations.parse_s(periodic.interval), last, now_s)
    if verdict.start or last is None:
        return verdict
    retry = _retry(periodic, last, now_s)
    if retry is None:
        return verdict
    looks = [at for at in (verdict.look_s, retry.look_s) if at is not None]
    chosen = retry if retry.start else verdict
    return msgspec.structs.replace(chosen, look_s=min(looks, default=None), next_s=verdict.next_s)


def _interval(interval_s: float, last: JobView | None, now_s: float) -> Verdict:
    if last is None:
        return Verdict(start=True, why="it has never run", key=identity.FIRST)
    due_s = _started(last) + interval_s
    if not last.complete:
        return Verdict(start=False, why=f"its last run {last.name} goes on", next_s=due_s)
    if now_s > due_s:
        since_s = now_s - _started(last)
        why = f"its last run started {since_s:.0f} s ago (interval {interval_s:.0f} s)"
        return Verdict(start=True, why=why, key=last.uid, due_s=due_s, next_s=due_s)
    why = f"next in {due_s - now_s:.0f} s, counted from the start of its last run"
    return Verdict(start=False, why=why, look_s=due_s, next_s=due_s)


def _minimum_interval(interval_s: float, last: JobView | None, now_s: float) -> Verdict:
    if last is None:
        return Verdict(start=True, why="it has never run", key=identity.FIRST)
    if last.completion_s is None:
        return Verdict(start=False, why=f"its last run {last.name} goes on")
    due_s = last.completion_s + interval_s
    if now_s > due_s:
        since_s = now_s - last.completion_s
        why = f"its last run ended {since_s:.0f} s ago (minimum {interval_s:.0f} s)"
        return Verdict(start=True, why=why, key=last.uid, due_s=due_s, next_s=due_s)
    why = f"next in {due_s - now_s:.0f} s, counted from the end of its last run"
    return Verdict(start=False, why=why, look_s=due_s, next_s=due_s)


def _cron(periodic: Periodic, schedule: cron.Schedule, known: Known, rules: Rules, now_s: float) -> Verdict:
    """Decide by the slots of a schedule, all of them later by the job's own delay.

    A slot that comes while the last run goes on is lost, but where all are wanted: then it waits.
    """
    last, later_s = known.last, delay_s(periodic.name, rules)
    done_s = instants.seconds(known.slot) if known.slot else None
    if done_s is None and last is not None and (known.looked_s is None or rules.missed == "all"):
        done_s = _started(last) - later_s
    looked_s = None if known.looked_s is None else known.looked_s - later_s
    after_s = slots_after(rules, done_s, looked_s, now_s - later_s)
    slot_s = slot_to_run(schedule, rules, after_s, now_s - later_s)
    coming_s = cron.next_after(schedule, now_s - later_s)
    next_s = None if coming_s is None else coming_s + later_s
    if slot_s is None:
        why = "it never fires" if next_s is None else f"next at {instants.rfc3339(next_s)}"
        return Verdict(start=False, why=why, look_s=next_s, next_s=next_s)
    slot, due_s = instants.rfc3339(slot_s), slot_s + later_s
    if last is not None and not last.complete:
        if rules.missed == "all":
            why = f"the slot {slot} waits: its last run {last.name} goes on"
            return Verdict(start=False, why=why, next_s=due_s)
        why = f"the slot {slot} is lost: its last run {last.name} goes on"
        return Verdict(start=False, why=why, look_s=next_s, next_s=next_s)
    if known.looked_s is None and rules.missed != "all" and _was_running(last, due_s):
        why = f"the slot {slot} is lost: it came while its last run went on"
        return Verdict(start=False, why=why, look_s=next_s, next_s=next_s)
    why = f"cron {periodic.cron!r} fired at {slot}" + (f", {later_s:.0f} s later by its jitter" if later_s else "")
    return Verdict(start=True, why=why, key=slot, slot=slot, due_s=due_s, look_s=next_s, next_s=next_s)


def _was_running(last: JobView | None, at_s: float) -> bool:
    return last is not None and last.completion_s is not None and _started(last) < at_s < last.completion_s


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
    after_s = _started(last) + durations.parse_s(retry.interval)
    if now_s <= after_s:
        return Verdict(start=False, why="its retry waits", look_s=after_s)
    why = f"retry {count} of {min(retry.attempts, _RETRIES_LIMIT)}: {last.name} ended as {last.state or 'unknown'}"
    if retry.run_all:
        why = f"run {count} of {min(retry.attempts, _RETRIES_LIMIT)} that run_all asks for"
    return Verdict(start=True, why=why, key=last.uid, retry=count)


def _started(job: JobView) -> float:
    return job.created_s if job.start_s is None else job.start_s
