"""When periodics run, and under which key."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.api.jobconfig import Periodic, Retry
from prow_async.api.views import JobView
from prow_async.core import cron_slots, horologium, instants
from tests.unit.core import samples

NOON = instants.seconds("2026-01-02T12:00:00Z")
HOURLY = Periodic(name="p", cron="0 * * * *")
EVERY = Periodic(name="p", cron="@every 1h")
INTERVAL = Periodic(name="p", interval="1h")
MINIMUM = Periodic(name="p", minimum_interval="1h")
DEFAULT = cron_slots.Rules()


def run(started_ago_s: float, ended_ago_s: float | None = None, **changes: Any) -> JobView:
    end_s = None if ended_ago_s is None else NOON - ended_ago_s
    times = {"start_s": NOON - started_ago_s, "completion_s": end_s}
    return samples.view(**{"type": "periodic", "state": "success", **times, **changes})


def look(
    periodic: Periodic,
    last: JobView | None,
    tick_ago_s: float | None,
    now_s: float,
    rules: cron_slots.Rules = DEFAULT,
) -> horologium.Verdict:
    tick_s = None if tick_ago_s is None else now_s - tick_ago_s
    known = horologium.Known(last, "" if last is None else last.slot, tick_s)
    verdict = horologium.decide(periodic, known, rules, now_s)
    assert verdict.why
    assert verdict.start or verdict.look_s is None or verdict.look_s >= now_s
    return verdict


def ask(periodic: Periodic, last: JobView | None, tick_ago_s: float | None = 60.0, now_s: float = NOON) -> str:
    verdict = look(periodic, last, tick_ago_s, now_s)
    return f"{verdict.key} {verdict.retry}" if verdict.start else "no"


@pytest.mark.parametrize(
    ("periodic", "last", "expected"),
    [
        (INTERVAL, None, "first 0"),
        (INTERVAL, run(3601, 10), "uid-1 0"),
        (INTERVAL, run(3600, 10), "no"),
        (INTERVAL, run(9999), "no"),
        (INTERVAL, run(3601, 3000, start_s=None, created_s=NOON - 10), "no"),
        (MINIMUM, None, "first 0"),
        (MINIMUM, run(9999, 3601), "uid-1 0"),
        (MINIMUM, run(9999, 3600), "no"),
        (MINIMUM, run(9999), "no"),
        (EVERY, None, "first 0"),
        (EVERY, run(3601, 10), "uid-1 0"),
        (EVERY, run(3599, 10), "no"),
        (EVERY, run(9999), "no"),
        (Periodic(name="p", cron="TZ=UTC @every 1h"), run(3601, 10), "uid-1 0"),
    ],
)
def test_intervals(periodic: Periodic, last: JobView | None, expected: str) -> None:
    """Interval kinds run at once when they never ran, then count from the last run, whose UID is the key."""
    assert ask(periodic, last) == expected


@pytest.mark.parametrize(
    ("last", "tick_ago_s", "now_s", "expected"),
    [
        (None, 60, NOON, "2026-01-02T12:00:00Z 0"),
        (None, 60, NOON + 30, "2026-01-02T12:00:00Z 0"),
        (None, 60, NOON + 60, "no"),
        (None, 60, NOON - 1, "no"),
        (None, 86400, NOON + 30, "2026-01-02T12:00:00Z 0"),
        (run(3600, 10), 60, NOON, "2026-01-02T12:00:00Z 0"),
        (run(3600), 60, NOON, "no"),
        # never asked before: a slot missed while we were away fires, an old one does not
        (None, None, NOON + 30, "no"),
        (run(3600, 10), None, NOON + 30, "2026-01-02T12:00:00Z 0"),
        (run(3600, 10), None, NOON + 599, "2026-01-02T12:00:00Z 0"),
        (run(3600, 10), None, NOON + 601, "no"),
        (run(0, -20), None, NOON + 30, "no"),
    ],
)
def test_cron(last: JobView | None, tick_ago_s: float | None, now_s: float, expected: str) -> None:
    """A cron fires once for the latest slot since the last tick, unless its last run goes on."""
    assert ask(HOURLY, last, tick_ago_s, now_s) == expected


@pytest.mark.parametrize(
    ("cron", "tick_ago_s", "expected"),
    [
        ("@daily", 86_400, "2026-01-02T00:00:00Z 0"),
        ("*/5 * * * * *", 7, "2026-01-02T12:00:00Z 0"),
        ("0 0 30 2 *", 60, "no"),
        ("30 11 * * *", 86_400, "2026-01-02T11:30:00Z 0"),
    ],
)
def test_cron_slots(cron: str, tick_ago_s: float, expected: str) -> None:
    """Slots are found over short and long spans, with seconds and descriptors."""
    assert ask(Periodic(name="p", cron=cron), None, tick_ago_s) == expected


@given(st.integers(0, 86_400), st.integers(1, 100_000), st.integers(1, 100_000))
def test_replicas_agree(offset_s: int, one_tick_s: int, other_tick_s: int) -> None:
    """Two that both see a slot derive the same key, whenever each looked before."""
    now_s = NOON + offset_s
    keys = {ask(HOURLY, None, tick, now_s) for tick in (one_tick_s, other_tick_s)} - {"no"}
    assert len(keys) <= 1


def failed(**changes: Any) -> JobView:
    return run(600, 300, **{"state": "failure", **changes})


@pytest.mark.parametrize(
    ("retry", "last", "expected"),
    [
        (Retry(attempts=2, interval="5m"), failed(), "uid-1 1"),
        (Retry(attempts=2, interval="5m"), failed(rerun=1), "uid-1 2"),
        (Retry(attempts=2, interval="5m"), failed(rerun=2), "no"),
        (Retry(attempts=99, interval="5m"), failed(rerun=9), "uid-1 10"),
        (Retry(attempts=99, interval="5m"), failed(rerun=10), "no"),
        (Retry(attempts=2, interval="10m"), failed(), "no"),
        (Retry(attempts=2, interval="5m"), failed(state="success"), "no"),
        (Retry(attempts=2, interval="5m"), failed(state="aborted"), "uid-1 1"),
        (Retry(attempts=2, interval="5m"), failed(completion_s=None), "no"),
        (Retry(attempts=2, interval="5m", run_all=True), failed(state="success"), "uid-1 1"),
        (Retry(attempts=2, interval="5m", run_all=True), failed(completion_s=None), "uid-1 1"),
        (Retry(interval="5m"), failed(), "no"),
        (None, failed(), "no"),
    ],
)
@pytest.mark.parametrize("kind", [{"interval": "24h"}, {"minimum_interval": "24h"}, {"cron": "0 0 * * *"}])
def test_retries(retry: Retry | None, last: JobView, expected: str, kind: dict[str, Any]) -> None:
    """Every kind of periodic is run again after a failure, on its own interval, so many times and no more."""
    assert ask(Periodic(name="p", retry=retry, **kind), last) == expected


def test_own_time_beats_retry() -> None:
    """When the periodic is due anyway, that run counts as no retry."""
    periodic = Periodic(name="p", interval="5m", retry=Retry(attempts=3, interval="1m"))
    assert ask(periodic, failed()) == "uid-1 0"


def slot_of(hour: int, **more: Any) -> dict[str, Any]:
    return {"slot": f"2026-01-02T{hour:02}:00:00Z", **more}


@pytest.mark.parametrize(
    ("missed", "last", "tick_ago_s", "expected"),
    [
        # a day's outage: four slots since the last run's
        ("skip", run(4 * 3600, 3 * 3600, **slot_of(8)), None, "no"),
        ("latest", run(4 * 3600, 3 * 3600, **slot_of(8)), None, "12"),
        ("all", run(4 * 3600, 3 * 3600, **slot_of(8)), None, "9"),
        ("all", run(60, 10, **slot_of(9)), None, "10"),
        ("all", run(60, 10, **slot_of(12)), None, "no"),
        # a run by hand, or by upstream, names no slot: it counts as the slots before it
        ("latest", run(90 * 60, 60), None, "12"),
        ("all", run(90 * 60, 60), None, "11"),
        # looking all the time
        ("skip", run(3600, 60, **slot_of(11)), 60, "12"),
        ("latest", run(3600, 60, **slot_of(11)), 60, "12"),
        ("all", run(3600, 60, **slot_of(11)), 60, "12"),
        ("skip", None, 60, "12"),
        ("all", None, 60, "12"),
        ("all", None, None, "no"),
        # another replica has started this one
        ("skip", run(30, 10, **slot_of(12)), 60, "no"),
        ("latest", run(30, 10, **slot_of(12)), 60, "no"),
        # the last run goes on: lost, or waited for
        ("latest", run(3600, **slot_of(11)), 60, "no"),
        ("all", run(3600, **slot_of(10)), 60, "no"),
        ("all", run(3600, 5, **slot_of(10)), 60, "11"),
        # it went on when the slot came, nobody looked since: lost all the same
        ("latest", run(3600, -5, **slot_of(10)), None, "no"),
        ("all", run(3600, -5, **slot_of(11)), None, "12"),
    ],
)
def test_missed_slots(missed: cron_slots.Missed, last: JobView | None, tick_ago_s: float | None, expected: str) -> None:
    """What becomes of slots nobody looked at, by policy; each run's key is its slot."""
    verdict = look(HOURLY, last, tick_ago_s, NOON + 10, cron_slots.Rules(missed, 86_400))
    assert (verdict.slot[11:13].lstrip("0") if verdict.start else "no") == expected
    assert verdict.key == (verdict.slot if verdict.start else "")


def test_the_window_of_missed_slots() -> None:
    """Slots missed longer ago than the window are lost, whatever the policy."""
    last = run(9 * 3600, 8 * 3600, **slot_of(3))
    assert [
        look(HOURLY, last, None, NOON + 10, cron_slots.Rules("all", window_s)).slot[11:13]
        for window_s in (86_400, 7200 + 60, 3600 + 60, 5)
    ] == ["04", "10", "11", ""]


@pytest.mark.parametrize("missed", ["skip", "latest", "all"])
def test_jitter_moves_every_slot_alike(missed: cron_slots.Missed) -> None:
    """A job runs later than its slot by a part of the jitter that its name chooses; the key stays the slot."""
    rules = cron_slots.Rules(missed, 600, 1800)
    delay_s = cron_slots.delay_s("p", rules)
    assert 0 < delay_s < 1800
    last = run(3000, 2000, **slot_of(11))
    before = look(HOURLY, last, 60, NOON + delay_s - 1, rules)
    assert (before.start, before.look_s, before.next_s) == (False, NOON + delay_s, NOON + delay_s)
    now = look(HOURLY, last, 60, NOON + delay_s + 5, rules)
    assert (now.start, now.key, now.due_s, now.next_s) == (
        True,
        slot_of(12)["slot"],
        NOON + delay_s,
        before.next_s + 3600,
    )


def test_jitter_spreads_jobs_evenly() -> None:
    """A thousand jobs of one slot are spread over all of the jitter; a second's jitter is none."""
    delays = [cron_slots.delay_s(f"job-{number}", cron_slots.Rules(jitter_s=600)) for number in range(1000)]
    assert all(0 <= delay_s < 600 for delay_s in delays)
    quarters = [sum(1 for delay_s in delays if delay_s // 150 == quarter) for quarter in range(4)]
    assert min(quarters) > 200
    assert {cron_slots.delay_s(f"job-{number}", cron_slots.Rules(jitter_s=1)) for number in range(10)} == {0.0}


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, cron_slots.Rules()),
        ({"missed-slots": "all", "missed-slots-window": "6h", "jitter": "1m30s"}, cron_slots.Rules("all", 21_600, 90)),
        ({"missed-slots": "skip"}, cron_slots.Rules("skip")),
        ({"missed-slots": "some"}, "missed slots: 'some' is none of skip, latest, all"),
        ({"missed-slots": ""}, "missed slots: '' is none of"),
        ({"jitter": "soon"}, "soon"),
        ({"jitter": "-5m"}, "jitter is -5m0s: not from 0s to 720h0m0s"),
        ({"missed-slots-window": "9999h"}, "the window of missed slots is 9999h0m0s"),
    ],
)
def test_annotations(annotations: dict[str, str], expected: cron_slots.Rules | str) -> None:
    """A job's own rules go before the default; what does not read leaves the default whole, and is told."""
    said = {f"prow-async.dev/{name}": text for name, text in annotations.items()}
    found, wrong = cron_slots.rules_of(Periodic(name="p", cron="@daily", annotations=said), cron_slots.Rules())
    if isinstance(expected, str):
        assert found == cron_slots.Rules()
        assert expected in wrong
    else:
        assert (found, wrong) == (expected, "")


@pytest.mark.parametrize(
    ("periodic", "last", "look_in_s", "next_in_s"),
    [
        (INTERVAL, run(600, 10), 3000, 3000),
        (INTERVAL, run(600), None, 3000),
        (MINIMUM, run(600, 10), 3590, 3590),
        (MINIMUM, run(600), None, None),
        (HOURLY, run(600, 10), 3600, 3600),
        (Periodic(name="p", cron="0 0 30 2 *"), run(600, 10), None, None),
        (Periodic(name="p", interval="24h", retry=Retry(attempts=1, interval="15m")), failed(), 300, 85_800),
        (Periodic(name="p", interval="24h", retry=Retry(attempts=1, interval="15m")), failed(rerun=1), 85_800, 85_800),
        (Periodic(name="p", cron="CRON_TZ=Asia/Tokyo 0 22 * * *"), run(600, 10), 3600, 3600),
    ],
)
def test_when_to_look_again(
    periodic: Periodic, last: JobView, look_in_s: float | None, next_in_s: float | None
) -> None:
    """When time alone changes the answer, and when the schedule wants its next run."""
    verdict = look(periodic, last, 60, NOON + 0)
    found = [None if at is None else at - NOON for at in (verdict.look_s, verdict.next_s)]
    if not verdict.start:
        assert found == [look_in_s, next_in_s]
    else:
        assert (periodic, found[1]) == (HOURLY, 3600)


@given(
    st.sampled_from(["skip", "latest", "all"]),
    st.sampled_from(["*/7 * * * *", "0 3 * * *", "CRON_TZ=Europe/Berlin 30 2 * * *", "@hourly"]),
    st.integers(0, 3000),
    st.lists(st.integers(1, 20_000), min_size=1, max_size=40),
)
def test_looking_at_the_told_time_is_enough(
    missed: cron_slots.Missed, cron: str, jitter_s: int, steps: list[int]
) -> None:
    """Whoever looks only when told to starts the same slots as whoever looks every second."""
    periodic, rules = Periodic(name="p", cron=cron), cron_slots.Rules(missed, 600, jitter_s)
    known, now_s = horologium.Known(looked_s=NOON), NOON
    for step in steps:
        verdict = horologium.decide(periodic, known, rules, now_s)
        if verdict.look_s is None:
            break
        known = horologium.Known(looked_s=now_s)
        between_s = min(now_s + step, verdict.look_s - 1)
        assert between_s < now_s or not horologium.decide(periodic, known, rules, between_s).start
        assert horologium.decide(periodic, known, rules, verdict.look_s).start
        now_s = verdict.look_s
