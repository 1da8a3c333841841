"""Decisions kept for `explain`, in a real SQLite file: found again, bounded, harmless when damaged."""

import sqlite3
from pathlib import Path

import anyio
import msgspec
import pytest

from prow_async.adapters import decisions
from prow_async.adapters.clock import SystemClock
from prow_async.adapters.metrics import PrometheusMetrics
from prow_async.api.errors import CannotStart, Retry
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


def test_who_reads_takes_no_file_from_who_writes(tmp_path: Path) -> None:
    """A file that is being written to is read as it is, and never taken for damaged."""
    path = tmp_path / decisions.NAME
    anyio.run(lambda: put(path, decision(1, "a")))
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("begin immediate")
    writer.execute("delete from decisions")
    assert anyio.run(lambda: found(path, 1)) == ["a"]
    assert not path.with_suffix(".damaged").exists()
    writer.close()


def test_a_file_that_another_process_keeps_to_itself_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / decisions.NAME
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("create table decisions(x)")
    other.execute("begin exclusive")
    monkeypatch.setattr(decisions, "PATIENCE_S", 0.1)
    with pytest.raises(CannotStart, match="in use"):
        anyio.run(lambda: found(path, 1))
    assert not path.with_suffix(".damaged").exists()
    other.close()


def test_pages_that_do_not_read_are_told_of(tmp_path: Path) -> None:
    """The file opens, its content is damaged further on: no answer, and no story for the log."""
    path = tmp_path / decisions.NAME
    anyio.run(lambda: put(path, *[decision(1, "a", facts=b'"' + bytes(range(48, 58)) * 400 + b'"') for _ in range(50)]))
    with sqlite3.connect(path) as database:
        database.execute("pragma wal_checkpoint(truncate)")
        [page] = database.execute("select rootpage from sqlite_schema where name = 'decisions_place'").fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    path.write_bytes(content)
    with pytest.raises(Retry, match="cannot be read"):
        anyio.run(lambda: unwrapped(path))


async def unwrapped(path: Path) -> None:
    kept = decisions.SqliteDecisions(path, SystemClock(), PrometheusMetrics())
    await kept.of_pull("org", "repo", 1, 10)
