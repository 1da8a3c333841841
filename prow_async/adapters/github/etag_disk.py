"""Answers kept for their ETag on disk, so that a restart does not cost the hour's budget. SQLite, bounded in bytes.

The file is a cache: one that is damaged, or of another format, is begun anew. It holds what GitHub answered, private
repositories' included, so only its owner may read the folder. Tokens are not in it: keys are hashes.
"""

import contextlib
import hashlib
import sqlite3
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import msgspec
import structlog

from prow_async.adapters.github.etags import Kept, Key
from prow_async.api.errors import CannotStart
from prow_async.ports.clock import Clock

log = structlog.get_logger()
T = TypeVar("T")
FORMAT = 1
COUNT_EVERY = 64
FILE = "github-answers.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    key BLOB PRIMARY KEY, etag TEXT NOT NULL, headers BLOB NOT NULL, body BLOB NOT NULL,
    size INTEGER NOT NULL, stored_s REAL NOT NULL, used_s REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_use ON answers (used_s);
"""
_headers = msgspec.json.Decoder(dict[str, str])


class DiskShelf:
    """Implements etags `Shelf`. Made by `opened`. Every method passes on without the disk when that fails."""

    def __init__(self, path: Path, limit_bytes: int, clock: Clock, site: str) -> None:
        self._path = path
        self._site = site
        self._limit_bytes = limit_bytes
        self._clock = clock
        self._one_at_a_time = anyio.CapacityLimiter(1)
        self._db: sqlite3.Connection | None = None
        self.size_bytes = 0
        self._complained = False
        self._puts = 0

    async def get(self, key: Key) -> Kept | None:
        return await self._do(lambda db: self._get(db, self._digest(key)))

    async def put(self, key: Key, kept: Kept) -> None:
        await self._do(lambda db: self._put(db, self._digest(key), kept))

    async def forget(self, key: Key) -> None:
        def drop(db: sqlite3.Connection) -> None:
            self._drop(db, "key = ?", (self._digest(key),))

        await self._do(drop)

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        return await anyio.to_thread.run_sync(self._guarded, work, limiter=self._one_at_a_time)

    def _guarded(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        try:
            if self._db is None:
                self._db = self._open()
            with self._db:
                done = work(self._db)
            self._complained = False
            return done
        except sqlite3.DatabaseError as error:
            self._in_trouble(error)
            return None

    def _in_trouble(self, error: sqlite3.DatabaseError) -> None:
        if not self._complained:
            self._complained = True
            log.warning("answers of GitHub cannot be kept on disk", path=str(self._path), error=str(error))
        damaged = not isinstance(error, sqlite3.OperationalError)
        if damaged:
            self.close()
            _remove(self._path)

    def _open(self) -> sqlite3.Connection:
        db = _connect(self._path)
        try:
            if db.execute("PRAGMA user_version").fetchone()[0] not in (0, FORMAT):
                db.close()
                _remove(self._path)
                db = _connect(self._path)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = OFF")
            db.executescript(_SCHEMA)
            db.execute(f"PRAGMA user_version = {FORMAT}")
            self.size_bytes = db.execute("SELECT coalesce(sum(size), 0) FROM answers").fetchone()[0]
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _get(self, db: sqlite3.Connection, key: bytes) -> Kept | None:
        row = db.execute("SELECT etag, headers, body, stored_s FROM answers WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        try:
            kept = Kept(row[0], _headers.decode(row[1]), zlib.decompress(row[2]), row[3])
        except (zlib.error, msgspec.DecodeError):
            self._drop(db, "key = ?", (key,))
            return None
        db.execute("UPDATE answers SET used_s = ? WHERE key = ?", (self._clock.now(), key))
        return kept

    def _put(self, db: sqlite3.Connection, key: bytes, kept: Kept) -> None:
        self._drop(db, "key = ?", (key,))
        body, headers = zlib.compress(kept.body, 1), msgspec.json.encode(kept.headers)
        size = len(body) + len(headers) + 256
        if size > self._limit_bytes // 4:
            return
        row = (key, kept.etag, headers, body, size, kept.stored_s, self._clock.now())
        db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        self.size_bytes += size
        self._puts += 1
        if self.size_bytes > self._limit_bytes or self._puts % COUNT_EVERY == 0:
            # Another process may use the same file: count what is there, not what was put.
            self.size_bytes = db.execute("SELECT coalesce(sum(size), 0) FROM answers").fetchone()[0]
        while self.size_bytes > self._limit_bytes:
            if not self._drop(db, "key IN (SELECT key FROM answers ORDER BY used_s LIMIT 32)", ()):
                break

    def _drop(self, db: sqlite3.Connection, which: str, values: tuple[bytes, ...]) -> int:
        sizes = db.execute(f"DELETE FROM answers WHERE {which} RETURNING size", values).fetchall()  # noqa: S608 - ours
        self.size_bytes -= sum(size for (size,) in sizes)
        return len(sizes)

    def _digest(self, key: Key) -> bytes:
        return hashlib.sha256("\0".join((self._site, key.view, key.accept, key.path)).encode()).digest()

    def close(self) -> None:
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
            self._db = None


@asynccontextmanager
async def opened(folder: Path, limit_bytes: int, clock: Clock, site: str = "") -> AsyncIterator[DiskShelf]:
    """Open the shelf in a folder, made if needed. Raises CannotStart when that cannot be.

    Args:
        site: whose answers they are; those of another GitHub in the same folder are apart.
    """
    try:
        await anyio.to_thread.run_sync(_make, folder)
    except OSError as error:
        raise CannotStart(f"--github-cache-dir={folder} cannot be used: {error.strerror or error}") from error
    shelf = DiskShelf(folder / FILE, limit_bytes, clock, site)
    try:
        yield shelf
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(shelf.close)


def _make(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / FILE).touch(mode=0o600)


def _connect(path: Path) -> sqlite3.Connection:
    """Open the file, which is made for its owner alone: SQLite would let everybody read a new one."""
    with contextlib.suppress(OSError):
        path.touch(mode=0o600)
    return sqlite3.connect(path, timeout=5.0, check_same_thread=False)


def _remove(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):  # not there; or there to stay, which the next to open it tells
            path.with_name(path.name + end).unlink()
