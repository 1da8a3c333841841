"""Budgets: what may go, what waits and for how long, and when it will be gone."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.adapters.github.budget import KEPT, Budget, Budgets, resource_of
from prow_async.api.errors import Retry
from prow_async.ports.cause import URGENCIES, Urgency

NOW_S = 1_700_000_000.0
HOUR_S = 3600.0


def headers(remaining: float, reset_s: float = NOW_S + HOUR_S, limit: int = 1000) -> dict[str, str]:
    return {
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(int(remaining)),
        "x-ratelimit-reset": str(int(reset_s)),
    }


def budget(remaining: float, reset_s: float = NOW_S + HOUR_S) -> Budget:
    made = Budget()
    assert made.read(headers(remaining, reset_s), NOW_S)
    return made


@pytest.mark.parametrize(
    ("remaining", "may_go"),
    [
        (1000, "merge status comment sync"),
        (300, "merge status comment"),
        (100, "merge status"),
        (20, "merge"),
        (1, "merge"),
        (0, ""),
    ],
)
def test_a_share_is_kept_for_what_is_more_urgent(remaining: int, may_go: str) -> None:
    """At the beginning of the hour, each class leaves its share to those above it."""
    one = budget(remaining)
    assert " ".join(urgency for urgency in URGENCIES if one.wait_s(urgency, NOW_S) == 0) == may_go


def test_what_is_kept_shrinks_towards_the_reset() -> None:
    """What waits is told the moment from which enough is free, and then it may go."""
    one = budget(150)
    wait_s = one.wait_s("sync", NOW_S)
    assert wait_s == pytest.approx(HOUR_S / 2)
    assert one.wait_s("sync", NOW_S + wait_s - 60) > 0
    assert one.wait_s("sync", NOW_S + wait_s + 1) == 0


def test_a_used_up_budget_begins_anew() -> None:
    one = budget(0)
    assert [one.wait_s(urgency, NOW_S) for urgency in URGENCIES] == [HOUR_S + 1] * 4
    assert one.wait_s("sync", NOW_S + HOUR_S + 1) == 0


def test_requests_under_way_are_counted() -> None:
    """A hundred at once cannot all take the last one."""
    one = budget(2)
    one.in_flight = 2
    assert one.wait_s("merge", NOW_S) > 0


def test_answers_may_overtake_one_another() -> None:
    """Within the hour the lowest counts; an answer about an hour past counts for nothing; a new hour begins anew."""
    one = budget(500)
    one.read(headers(510), NOW_S)
    assert one.remaining == 500
    one.read(headers(990, NOW_S + 2 * HOUR_S), NOW_S + HOUR_S + 5)
    assert one.remaining == 990
    assert not one.read(headers(3), NOW_S)
    assert one.remaining == 990


@pytest.mark.parametrize(
    "odd", [{}, {"x-ratelimit-remaining": "x"}, {"x-ratelimit-remaining": "5"}, {"x-ratelimit-reset": "-1"}]
)
def test_odd_headers_say_nothing(odd: dict[str, str]) -> None:
    one = Budget()
    assert not one.read(odd, NOW_S)
    assert one.wait_s("sync", NOW_S) == 0


def test_the_forecast() -> None:
    """300 used in five minutes and 400 left: gone in 400 seconds; at a tenth of that the reset comes first."""
    fast, slow = budget(700), budget(700)
    fast.read(headers(400), NOW_S + 300)
    slow.read(headers(670), NOW_S + 300)
    assert fast.gone_in_s(NOW_S + 300) == pytest.approx(400)
    assert slow.gone_in_s(NOW_S + 300) == math.inf
    assert budget(0).gone_in_s(NOW_S) == 0
    assert Budget().gone_in_s(NOW_S) == math.inf


@given(st.integers(0, 5000), st.integers(1, int(HOUR_S)), st.sampled_from(URGENCIES))
def test_waiting_ends_by_the_reset_and_more_urgent_never_waits_longer(
    remaining: int, left_s: int, urgency: Urgency
) -> None:
    """GitHub tells the reset in whole seconds."""
    one = Budget()
    one.read(headers(remaining, NOW_S + left_s, limit=5000), NOW_S)
    waits = [one.wait_s(each, NOW_S) for each in URGENCIES]
    assert waits == sorted(waits)
    assert max(waits) <= left_s + 1
    assert one.wait_s(urgency, NOW_S + left_s + 1) == 0


def test_budgets_of_tokens_and_resources_are_apart() -> None:
    """One token's exhaustion, and its secondary limit, is nobody else's."""
    all_ = Budgets()
    all_.of("a", "core").read(headers(0), NOW_S)
    all_.silence("b", NOW_S + 30)
    with pytest.raises(Retry, match="core.*used up"):
        all_.admit("a", "core", "merge", NOW_S)
    all_.admit("a", "search", "sync", NOW_S)
    for resource in ("core", "graphql"):
        with pytest.raises(Retry, match="secondary") as caught:
            all_.admit("b", resource, "merge", NOW_S)
        assert caught.value.after_s == 30
    all_.admit("b", "core", "sync", NOW_S + 31)
    all_.admit("c", "core", "sync", NOW_S)
    all_.forget_ended(NOW_S + 3 * HOUR_S)
    assert list(all_.every()) == []


def test_the_least_urgent_leaves_most() -> None:
    assert [KEPT[urgency] for urgency in URGENCIES] == sorted(KEPT.values())


@pytest.mark.parametrize(
    ("path", "resource"),
    [("/user", "core"), ("/graphql", "graphql"), ("/search/issues?q=x", "search"), ("/search/code?q=x", "code_search")],
)
def test_resources(path: str, resource: str) -> None:
    assert resource_of(path) == resource
