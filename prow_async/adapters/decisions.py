"""Decisions in a SQLite file: the newest 100,000 or 256 MB, for 14 days.

They are for people only. What cannot be written is counted and dropped; a file that cannot be used is told of once and
the process goes on without.
"""

import sqlite3
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import structlog

from prow_async.api.errors import CannotStart, Retry
from prow_async.api.explained import Explained
from prow_async.ports.clock import Clock
from prow_async.ports.metrics import Metrics

log = structlog.get_logger()
NAME = "decisions.db"
"""Of the file, in the folder of the inbox."""
KEPT_S = 14 * 86400.0
KEPT_ROWS = 100_000
KEPT_BYTES = 256 << 20
WAITING_MAX = 2000
LONGEST_BYTES = 4 << 20
PATIENCE_S = 5.0
"""So long another process that writes is waited for."""
_FORMAT = 1
_SCHEMA = """
create table if not exists decisions(
  id integer primary key, place text not null, at real not null, size integer not null, body blob not null);
create index if not exists decisions_place on decisions(place, id);
"""
_IN_USE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_decode = msgspec.json.Decoder(Explained).decode


class SqliteDecisions:
    """Implements ports/explained. Made by `opened`, which runs the writer."""

    def __init__(self, path: Path, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._waiting: list[Explained] = []
        self._bell = anyio.Event()
        self._one = anyio.CapacityLimiter(1)
        self._database = _open(path)
        self._bytes = self._size()

    def keep(self, decision: Explained) -> None:
        if len(self._waiting) >= WAITING_MAX:
            self._metrics.count("prow_async_decisions_dropped_total")
            return
        self._waiting.append(decision)
        self._bell.set()

    async def of_pull(self, org: str, repo: str, number: int, limit: int) -> list[Explained]:
        await self._write()
        try:
            return await anyio.to_thread.run_sync(self._read, _place(org, repo, number), limit, limiter=self._one)
        except sqlite3.Error as error:
            raise Retry(f"the decisions on record cannot be read: {error}") from error

    async def run(self) -> None:
        """Write what is kept, in batches, until cancelled; then write the rest."""
        try:
            while True:
                await self._bell.wait()
                self._bell = anyio.Event()
                await self._write()
                await anyio.sleep(0.2)
        finally:
            with anyio.CancelScope(shield=True):
                await self._write()
                self._database.close()

    async def _write(self) -> None:
        batch, self._waiting = self._waiting, []
        if not batch:
            return
        try:
            await anyio.to_thread.run_sync(self._insert, batch, limiter=self._one)
        except sqlite3.Error as error:
            self._metrics.count("prow_async_decisions_dropped_total", len(batch))
            log.warning("decisions not kept for explain", why=str(error), lost=len(batch))

    def _insert(self, batch: list[Explained]) -> None:
        rows = []
        for one in batch:
            body = zlib.compress(msgspec.json.encode(one), 1)
            if len(body) <= LONGEST_BYTES:
                rows.append((_place(one.org, one.repo, one.number), one.decided_s, len(body), body))
        with self._database:
            self._database.execute("begin")
            self._database.executemany("insert into decisions(place, at, size, body) values (?, ?, ?, ?)", rows)
        self._bytes += sum(row[2] for row in rows)
        self._sweep()

    def _sweep(self) -> None:
        run = self._database.execute
        with self._database:
            run("begin")
            newest = run("select max(id) from decisions").fetchone()[0] or 0
            run("delete from decisions where id <= ? or at < ?", (newest - KEPT_ROWS, self._clock.now() - KEPT_S))
            if self._bytes > KEPT_BYTES:  # what went by age is still counted
                self._bytes = self._size()
            while self._bytes > KEPT_BYTES:
                run("delete from decisions where id in (select id from decisions order by id limit 500)")
                self._bytes = self._size()

    def _size(self) -> int:
        return int(self._database.execute("select coalesce(sum(size), 0) from decisions").fetchone()[0])

    def _read(self, place: str, limit: int) -> list[Explained]:
        asked = "select body from decisions where place = ? order by id desc limit ?"
        found = self._database.execute(asked, (place, limit)).fetchall()
        return [one for (body,) in reversed(found) if (one := _readable(body)) is not None]


def _readable(body: bytes) -> Explained | None:
    try:
        return _decode(zlib.decompress(body))
    except (zlib.error, msgspec.DecodeError) as error:
        log.warning("a decision on record does not read", why=str(error))
        return None


def _place(org: str, repo: str, number: int) -> str:
    return f"{org}/{repo}#{number}".lower()


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=PATIENCE_S)
    try:
        version = database.execute("pragma user_version").fetchone()[0]
        if version > _FORMAT:
            raise CannotStart(f"{path} has format {version}, this version knows {_FORMAT}: move it away to go on")
        database.execute("pragma synchronous = off")
        if version < _FORMAT:  # whoever only reads does not wait for who writes
            database.execute("pragma journal_mode = wal")
            database.executescript(_SCHEMA)
            database.execute(f"pragma user_version = {_FORMAT}")
    except BaseException:
        database.close()
        raise
    return database


def _open_or_anew(path: Path, clock: Clock, metrics: Metrics) -> SqliteDecisions:
    try:
        return SqliteDecisions(path, clock, metrics)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _IN_USE:
            raise CannotStart(f"{path} is in use by another process: try again") from error
        aside = path.with_suffix(".damaged")
        log.warning("the file of decisions is damaged; it is moved aside", path=str(aside), why=str(error))
    try:
        path.replace(aside)
        for end in ("-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
        return SqliteDecisions(path, clock, metrics)
    except (OSError, sqlite3.Error) as error:
        raise CannotStart(f"{path} cannot be used: {error}") from error


@asynccontextmanager
async def opened(path: Path, clock: Clock, metrics: Metrics) -> AsyncIterator[SqliteDecisions]:
    """Open the file and write to it while the context lasts. A damaged file is moved aside.

    Raises CannotStart when a newer version wrote it, or the folder takes no file.
    """
    decisions = _open_or_anew(path, clock, metrics)
    async with anyio.create_task_group() as group:
        group.start_soon(decisions.run)
        yield decisions
        group.cancel_scope.cancel()
