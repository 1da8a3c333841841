"""Whole lives of the engine under seeded trouble: whatever goes wrong outside, the worlds end as they must."""

import pytest

from tests.lives import broken, life, plan

EACH = 10
CATCHES = 300
"""Within so many seeds every mistake must be noticed; the rarest shows in one life of sixty."""


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1, 201, EACH))
def test_lives(first: int) -> None:
    """Every invariant of tests/lives/checks holds at the end of each life."""
    for seed in range(first, first + EACH):
        outcome = life.live(seed)
        assert not outcome.trouble, str(outcome)


@pytest.mark.slow
@pytest.mark.parametrize("kill", [1, 7, 40, 90, 150, 220])
def test_a_kill_after_a_chosen_write(kill: int) -> None:
    """The process that does the N-th effective write dies of it; nothing is lost and nothing doubled."""
    outcome = life.live(3, kill)
    assert outcome.deaths == 1
    assert not outcome.trouble, str(outcome)


@pytest.mark.slow
def test_a_seed_always_lives_the_same_life() -> None:
    """Else no failure could be looked into."""
    first, second = life.live(15), life.live(15)
    assert first.story == second.story
    assert len(first.story) > 300


@pytest.mark.slow
@pytest.mark.parametrize("mistake", broken.MISTAKES)
def test_mistakes_are_noticed(mistake: str) -> None:
    """The invariants can fail: an engine with one mistake does not get through."""
    lives = (life.live(seed, fittings=broken.MISTAKES[mistake]) for seed in range(1, CATCHES + 1))
    assert any(outcome.trouble for outcome in lives), f"an engine that {mistake} lived {CATCHES} lives unnoticed"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mistake", "check"),
    [
        ("lets writes through without its lease", "nobody_trespasses"),
        ("deletes what runs", "no_live_pod_is_deleted"),
        ("stores no end", "runs_are_stored"),
        ("counts slots by itself", "limits_hold"),
    ],
)
def test_the_check_for_a_mistake_notices_it(mistake: str, check: str) -> None:
    """It is the invariant itself that fails, and not another one by chance."""
    lives = (life.live(seed, fittings=broken.MISTAKES[mistake]) for seed in range(1, CATCHES + 1))
    assert any(text.startswith(f"{check}: ") for outcome in lives for text in outcome.trouble)


def test_plans_differ_and_hold_what_goes_wrong() -> None:
    """Seeds cover calm and storm, kills and none, one process and several."""
    plans = [plan.draw(seed) for seed in range(200)]
    assert {one.processes for one in plans} == {(plan.ALL,), plan.APART, plan.REPLICAS}
    assert {freeze.answered for one in plans for freeze in one.freezes} == {True, False}
    assert min(len(one.kills) for one in plans) == 0
    assert max(len(one.kills) for one in plans) == 6
    assert len({one.kube.before for one in plans}) == len({one.storage.before for one in plans}) == 3
    assert any(one.storage.outages for one in plans)
    assert plan.draw(5) == plan.draw(5)
