"""Which deliveries were accepted before, and what became of them: a small SQLite file beside the log.

The log is the truth: whatever is in a segment that still exists is told to this file again at the next start. So
commits here need no sync of their own; before a segment goes away, `settle` makes them last.
Keys and notes go in many at a time, through one statement each: SQLite works on them without the interpreter.
"""

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from prow_async.adapters.inbox.seen import Seen

KEPT_S = 14 * 86400.0
NOTES_KEPT = 20_000
FLUSH_AT = 4096
_FORMAT = 1
_SCHEMA = """
create table if not exists keys(key integer primary key, seq integer not null, at integer not null);
create index if not exists keys_at on keys(at);
create table if not exists notes(seq integer primary key, at integer not null, note text not null);
"""
_FIND = "select key, seq from keys where key in (select value from json_each(?))"
_ADD = (
    "insert or replace into keys select json_extract(value, '$[0]'), json_extract(value, '$[1]'),"
    " json_extract(value, '$[2]') from json_each(?)"
)
_NOTE = (
    "insert or replace into notes select json_extract(value, '$[0]'), json_extract(value, '$[1]'),"
    " json_extract(value, '$[2]') from json_each(?)"
)
_EXPIRE = "delete from keys where key in (select key from keys where at < ? order by at limit 4096)"
_FORGET = "delete from notes where seq < (select max(seq) from notes) - ?"


class Newer(Exception):
    """The file was written by a newer version of this program."""


class Batch(msgspec.Struct, frozen=True, gc=False):
    """Keys and notes on their way into the file."""

    recent: dict[int, int]
    keys: list[tuple[int, int, int]]
    notes: list[tuple[int, int, str]]


class Keys:
    """Keys accepted in the last 14 days. For one thread, but for `write`, which may go on beside it.

    Args:
        path: the SQLite file; created when it is not there.

    Raises Newer, and sqlite3.Error when the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = _empty()
        self._leaving: Batch | None = None
        """What is being written, or could not be: it is asked too, and goes before what came later."""
        self._seen = Seen(KEPT_S)
        """Every key that counts is in here: the file is asked only for these."""
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            run = self._database.execute
            version = run("pragma user_version").fetchone()[0]
            if version > _FORMAT:
                raise Newer(f"{path} has format {version}, this version knows {_FORMAT}")
            run("pragma journal_mode = wal")
            run("pragma synchronous = normal")
            run("pragma cache_size = -4096")
            self._database.executescript(_SCHEMA)
            run(f"pragma user_version = {_FORMAT}")
            for key, at_s in run("select key, at from keys order by at"):
                self._seen.add(key, at_s)
        except BaseException:
            self._database.close()
            raise

    def find(self, keys: Iterable[int]) -> dict[int, int]:
        """Return the sequence numbers of those keys that were accepted before."""
        found: dict[int, int] = {}
        asked: list[int] = []
        recent = [batch.recent for batch in self._batches()]
        for key in keys:
            if key not in self._seen:
                continue
            seq = next((known[key] for known in recent if key in known), None)
            if seq is None:
                asked.append(key)
            else:
                found[key] = seq
        if asked:
            found.update(self._database.execute(_FIND, (_json(asked),)).fetchall())
        return found

    def newest_s(self) -> float | None:
        """Return when the newest key in the file was accepted, in whole seconds; None when there is none."""
        row = self._database.execute("select max(at) from keys").fetchone()
        return None if row[0] is None else float(row[0])

    def add(self, key: int, seq: int, at_s: float) -> None:
        self._seen.add(key, at_s)
        self._open.recent[key] = seq
        self._open.keys.append((key, seq, int(at_s)))

    def note(self, seq: int, at_s: float, note: str) -> None:
        """Keep a word about what became of a delivery, for the newest NOTES_KEPT of them."""
        self._open.notes.append((seq, int(at_s), note))

    def noted(self, seq: int) -> str | None:
        for batch in self._batches():
            for pending, _, note in reversed(batch.notes):
                if pending == seq:
                    return note
        row = self._database.execute("select note from notes where seq = ?", (seq,)).fetchone()
        return None if row is None else str(row[0])

    def _batches(self) -> tuple[Batch, ...]:
        """What the file does not have yet, the newest first."""
        return (self._open,) if self._leaving is None else (self._open, self._leaving)

    @property
    def waiting(self) -> int:
        """How many keys and notes are not in the file yet."""
        return sum(len(batch.keys) + len(batch.notes) for batch in self._batches())

    def begin(self) -> Batch:
        """Take what waits, to be written; after a failure that is what was taken before."""
        if self._leaving is None:
            self._leaving, self._open = self._open, _empty()
        return self._leaving

    def end(self) -> None:
        """What was taken is in the file."""
        self._leaving = None

    def write(self, batch: Batch, now_s: float) -> None:
        """Write a batch; drop what is too old. From any thread, on its own connection. Raises sqlite3.Error."""
        with contextlib.closing(sqlite3.connect(self._path, isolation_level=None)) as database:
            run = database.execute
            run("pragma synchronous = normal")
            run("begin immediate")
            if batch.keys:
                run(_ADD, (_json(batch.keys),))
            if batch.notes:
                run(_NOTE, (_json(batch.notes),))
                run(_FORGET, (NOTES_KEPT,))
            run(_EXPIRE, (int(now_s - KEPT_S),))
            run("commit")

    def flush(self, now_s: float) -> None:
        """Write what waits, and wait for it. Raises sqlite3.Error; then it waits on."""
        self.write(self.begin(), now_s)
        self.end()

    def settle(self) -> bool:
        """Make what was flushed last; False: somebody was in the way. From any thread, on its own connection."""
        with contextlib.closing(sqlite3.connect(self._path, isolation_level=None)) as database:
            busy, frames, done = database.execute("pragma wal_checkpoint(passive)").fetchone()
        return not busy and done == frames

    def close(self) -> None:
        self._database.close()


def _empty() -> Batch:
    return Batch({}, [], [])


def _json(rows: Sequence[object]) -> str:
    return msgspec.json.encode(rows).decode()
