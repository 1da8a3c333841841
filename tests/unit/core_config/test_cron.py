"""Cron expressions. The expected times were computed by robfig/cron v3.0.1."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.core import cron

T = 1700000000

FIRES: list[tuple[int, str, list[int]]] = [
    (T, "0 6,18 * * *", [1700028000, 1700071200, 1700114400]),
    (T, "*/15 * * * *", [1700000100, 1700001000, 1700001900]),
    (T, "0 0 29 2 *", [1709164800, 1835395200, 1961625600]),
    (T, "0 0 30 2 *", []),
    (T, "0 0 1,15 * 1", [1700006400, 1700438400, 1701043200]),
    (T, "0 0 */2 * 1", [1700006400, 1700179200, 1700352000]),
    (T, "0 0 */1 * 1", [1700438400, 1701043200, 1701648000]),
    (T, "0 0 ? * mon-FRI/2", [1700006400, 1700179200, 1700438400]),
    (T, "30 0 0 1 1 *", [1704067230, 1735689630, 1767225630]),
    (T, "*/20 * * * * *", [1700000020, 1700000040, 1700000060]),
    (T, "17 23-23/24 * * *", [1700003820, 1700090220, 1700176620]),
    (T, "@weekly", [1700352000, 1700956800, 1701561600]),
    (T, "@every 90m", [1700005400, 1700010800, 1700016200]),
    (T, "@every 1.9s", [1700000001, 1700000002, 1700000003]),
    (1679792400, "TZ=Europe/Berlin 30 2 * * *", [1679877000, 1679963400, 1680049800]),
    (1667090000, "CRON_TZ=America/New_York 30 1 * * *", [1667107800, 1667194200, 1667280600]),
    (1679792400, "CRON_TZ=Asia/Beirut 0 0 * * *", [1679864400, 1679950800, 1680037200]),
    (T, "5, 10 * jan,DEC *", [1701425100, 1701511500, 1701597900]),
]


@pytest.mark.parametrize(("start", "text", "expected"), FIRES, ids=[text for _, text, _ in FIRES])
def test_fires_when_robfig_fires(start: int, text: str, expected: list[int]) -> None:
    """Three fires in a row; an empty list is never."""
    schedule = cron.parse(text)
    at: float | None = float(start)
    found = []
    for _ in range(3):
        assert at is not None
        at = cron.next_after(schedule, at)
        if at is None:
            break
        found.append(int(at))
    assert found == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "* * * *",
        "* * * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 7",
        "5-1 * * * *",
        "*/0 * * * *",
        "1/2/3 * * * *",
        "1-2-3 * * * *",
        "a * * * *",
        "-1 * * * *",
        "* * * * sunday",
        "@nope",
        "@Daily",
        "@every",
        "@every x",
        "TZ=UTC",
        "TZ=Nowhere/Land * * * * *",
        "TZ=../etc/passwd * * * * *",
        "٣ * * * *",
    ],
)
def test_what_robfig_refuses_is_refused(text: str) -> None:
    """A CronError and nothing else."""
    with pytest.raises(cron.CronError):
        cron.parse(text)


def test_a_field_of_commas_never_fires() -> None:
    """An empty set is accepted, as upstream, and matches nothing."""
    assert cron.next_after(cron.parse(", * * * *"), 0.0) is None


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    stepped = st.tuples(st.one_of(st.just("*"), span), st.integers(1, 9)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    part = st.one_of(st.just("*"), number.map(str), span, stepped)
    return st.lists(part, min_size=1, max_size=2).map(",".join)


EXPRESSIONS = st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)).map(" ".join)
TIMES = st.integers(0, 4_000_000_000)


@given(EXPRESSIONS, TIMES)
def test_the_next_time_is_later_whole_and_first(text: str, start: int) -> None:
    """Between the start and the next fire nothing else fires, and it does not depend on where in between one asks."""
    schedule = cron.parse(text)
    found = cron.next_after(schedule, float(start))
    assert found is not None
    assert found > start
    assert found == int(found)
    assert datetime.fromtimestamp(found, UTC).second == 0
    middle = (start + found) // 2
    assert cron.next_after(schedule, min(middle, found - 1)) == found
    assert cron.next_after(schedule, found - 1) == found
    assert cron.next_after(schedule, found - 0.5) == found


@given(EXPRESSIONS, TIMES)
def test_utc_by_name_and_by_default_are_the_same(text: str, start: int) -> None:
    """The walk through zones and the calculation in UTC agree."""
    zoned = cron.next_after(cron.parse(f"CRON_TZ=Etc/UTC {text}"), float(start))
    assert zoned == cron.next_after(cron.parse(text), float(start))
