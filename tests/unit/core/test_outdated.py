"""Which runs are out of date: the older ones of the same, and one survivor whatever the order they are seen in."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.api.views import JobView
from prow_async.core.outdated import Runs


def run(name: str, created_s: float = 1.0, **more: Any) -> JobView:
    base: dict[str, Any] = {"namespace": "n", "uid": name, "resource_version": "1", "job": "unit"}
    base |= {"type": "presubmit", "agent": "kubernetes", "state": "pending", "refs_identity": "o/r@main [1]"}
    return JobView(**{**base, "name": name, "created_s": created_s, **more})


def newer(runs: Runs, name: str) -> str:
    found = runs.newer(name)
    return "" if found is None else found.name


def test_the_newer_run_outdates_the_older_ones() -> None:
    runs = Runs()
    assert runs.put(run("a", 1)) == []
    assert runs.put(run("b", 2)) == ["a"]
    assert runs.put(run("c", 3)) == ["a", "b"]
    assert [newer(runs, name) for name in "abc"] == ["c", "c", ""]
    runs.put(run("c", 3, state="success", completion_s=4.0))
    assert [newer(runs, name) for name in "abc"] == ["b", "", ""]
    runs.drop("b")
    assert newer(runs, "a") == ""


@pytest.mark.parametrize(
    "other",
    [
        {"job": "lint"},
        {"refs_identity": "o/r@main [2]"},
        {"type": "postsubmit"},
        {"agent": "jenkins"},
        {"state": "scheduling"},
        {"state": "aborted"},
        {"deleting": True},
        {"completion_s": 3.0},
    ],
)
def test_what_is_something_else_outdates_nothing(other: dict[str, Any]) -> None:
    runs = Runs()
    runs.put(run("a", 1))
    assert runs.put(run("b", 2, **other)) == []
    assert newer(runs, "a") == ""


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.randoms())
def test_one_survives_in_whatever_order_they_are_seen(times: list[int], dice: Any) -> None:
    """The last to be made; of several the last by name: every looker picks the same."""
    made = [run(name, at) for name, at in zip(itertools.islice("abcdef", len(times)), times, strict=True)]
    survivor = max((one for one in made if one.created_s == max(times)), key=lambda one: one.name)
    dice.shuffle(made)
    runs = Runs()
    for one in made:
        runs.put(one)
    assert [one.name for one in made if not newer(runs, one.name)] == [survivor.name]
