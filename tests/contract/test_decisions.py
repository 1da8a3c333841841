"""Decisions kept for `explain`, in a real SQLite file: found again, bounded, harmless when damaged."""

import sqlite3
from pathlib import Path

import anyio
import msgspec
import pytest

from prow_async.adapters import decisions
from prow_async.adapters.clock import SystemClock
from prow_async.adapters.metrics import PrometheusMetrics
from prow_async.api.errors import CannotStart
from prow_async.api.explained import Explained


def decision(number: int, guid: str, at_s: float | None = None, facts: bytes = b"{}") -> Explained:
    return Explained(
        guid=guid,
        decided_s=SystemClock().now() if at_s is None else at_s,
        plugin="trigger",
        org="Org",
        repo="repo",
        number=number,
        occasion="pull request opened",
        kind="pull_request",
        facts=msgspec.Raw(facts),
        why="runs: unit",
        outcome=("CreateProwJob: unit: it runs by itself",),
    )


async def put(path: Path, *those: Explained) -> None:
    async with decisions.opened(path, SystemClock(), PrometheusMetrics()) as kept:
        for one in those:
            kept.keep(one)


async def found(path: Path, number: int, limit: int = 10) -> list[str]:
    async with decisions.opened(path, SystemClock(), PrometheusMetrics()) as kept:
        return [one.guid for one in await kept.of_pull("org", "REPO", number, limit)]


def test_newest_are_found_again_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / decisions.NAME
    anyio.run(lambda: put(path, decision(1, "a"), decision(2, "b"), decision(1, "c"), decision(1, "d")))
    assert anyio.run(lambda: found(path, 1, 2)) == ["c", "d"]
    assert anyio.run(lambda: found(path, 3)) == []


def test_old_ones_and_more_than_there_is_room_for_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / decisions.NAME
    old_s = SystemClock().now() - decisions.KEPT_S - 1
    anyio.run(lambda: put(path, decision(1, "old", old_s), decision(1, "new")))
    assert anyio.run(lambda: found(path, 1)) == ["new"]
    monkeypatch.setattr(decisions, "KEPT_BYTES", 1)
    anyio.run(lambda: put(path, decision(1, "last")))
    assert anyio.run(lambda: found(path, 1)) == []


def test_a_damaged_file_is_moved_aside(tmp_path: Path) -> None:
    path = tmp_path / decisions.NAME
    path.write_bytes(b"this is no database" * 100)
    anyio.run(lambda: put(path, decision(1, "a")))
    assert anyio.run(lambda: found(path, 1)) == ["a"]
    assert path.with_suffix(".damaged").read_bytes().startswith(b"this is no database")


def test_a_damaged_row_hides_no_other(tmp_path: Path) -> None:
    path = tmp_path / decisions.NAME
    anyio.run(lambda: put(path, decision(1, "a"), decision(1, "b")))
    with sqlite3.connect(path) as database:
        database.execute("update decisions set body = x'00ff' where id = 1")
    assert anyio.run(lambda: found(path, 1)) == ["b"]


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / decisions.NAME
    with sqlite3.connect(path) as database:
        database.execute("pragma user_version = 99")
    with pytest.raises(CannotStart, match="format 99"):
        anyio.run(lambda: found(path, 1))
