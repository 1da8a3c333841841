"""What stands beside the log of deliveries: those laid aside for people, and what people have asked for.

A SQLite file of its own, synced at every commit, which other processes may open too: so `prow-async inbox` works
beside a running hook, and what it asks for while none runs is done at the next start.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from prow_async.api.errors import CannotStart
from prow_async.ports.inbox import Delivery

FORMAT = 1
LETTERS = 1_000
LETTERS_BYTES = 256 << 20
"""At most so many deliveries, and so many bytes of them, are kept aside; the oldest leave for others."""
_SCHEMA = """
create table if not exists letters(seq integer primary key, guid text not null, event text not null,
  headers text not null, body blob not null, received real not null, died real not null, why text not null);
create index if not exists letters_guid on letters(guid);
create table if not exists asked(id integer primary key, verb text not null, seq integer not null, guid text not null,
  event text not null, headers text not null, body blob not null);
create table if not exists facts(name text primary key, value real not null);
create table if not exists hooks(id integer primary key);
create table if not exists replays(guid text primary key, times integer not null);
"""
_headers = msgspec.json.Decoder(dict[str, str])


class Letter(msgspec.Struct, frozen=True):
    """A delivery that nobody could handle, and why."""

    delivery: Delivery
    died_s: float
    why: str


class Asked(msgspec.Struct, frozen=True):
    """What a person has asked for: accept this delivery (again), or drop the one that waits under `seq`."""

    id: int
    verb: Literal["replay", "drop"]
    delivery: Delivery


class Aside:
    """The file, open. Every method raises sqlite3.Error when the disk does not do its part.

    Raises CannotStart when it cannot be used, or was written by a newer version.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "aside.db"
        try:
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
            run = self._database.execute
            version = run("pragma user_version").fetchone()[0]
            if version > FORMAT:
                raise CannotStart(f"{path} has format {version}, this version knows {FORMAT}")
            run("pragma journal_mode = wal")
            run("pragma synchronous = full")
            self._database.executescript(_SCHEMA)
            run(f"pragma user_version = {FORMAT}")
        except sqlite3.Error as error:
            raise CannotStart(f"{path} cannot be used: {error}") from error

    @contextmanager
    def _together(self) -> Iterator[None]:
        self._database.execute("begin immediate")
        try:
            yield
            self._database.execute("commit")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("rollback")
            raise

    def bury(self, delivery: Delivery, died_s: float, why: str) -> int:
        """Keep a delivery; return how many older ones had to leave for it."""
        run, d = self._database.execute, delivery
        with self._together():
            row = (d.seq, d.guid, d.event, _text(d.headers), d.body, d.received_s, died_s, why[:4000])
            run("insert or replace into letters values(?, ?, ?, ?, ?, ?, ?, ?)", row)
            number, size = run("select count(*), sum(length(body)) from letters").fetchone()
            left = 0
            while number > LETTERS or (size > LETTERS_BYTES and number > 1):
                seq, length = run("select seq, length(body) from letters order by died, seq limit 1").fetchone()
                run("delete from letters where seq = ?", (seq,))
                number, size, left = number - 1, size - length, left + 1
        return left

    def letters(self, bodies: bool = False) -> list[Letter]:
        """Return all that are laid aside, those that died last first; without their bodies unless asked."""
        body = "body" if bodies else "x''"
        rows = self._database.execute(
            f"select seq, guid, event, headers, {body}, received, died, why from letters order by died desc, seq desc"  # noqa: S608 - one of two words of our own
        )
        return [_letter(row) for row in rows]

    def letter(self, guid_or_seq: str) -> Letter | None:
        """Find one by its GUID (the newest) or its number."""
        row = self._database.execute(
            "select seq, guid, event, headers, body, received, died, why from letters"
            " where guid = ? or cast(seq as text) = ? order by seq desc limit 1",
            (guid_or_seq, guid_or_seq),
        ).fetchone()
        return None if row is None else _letter(row)

    def remove(self, seq: int) -> bool:
        return self._database.execute("delete from letters where seq = ?", (seq,)).rowcount > 0

    def count(self) -> int:
        return int(self._database.execute("select count(*) from letters").fetchone()[0])

    def next_replay(self, guid: str) -> int:
        """Return the number of the next replay of a delivery: 1, 2 ..."""
        with self._together():
            self._database.execute(
                "insert into replays values(?, 1) on conflict(guid) do update set times = times + 1", (guid,)
            )
            row = self._database.execute("select times from replays where guid = ?", (guid,)).fetchone()
        return int(row[0])

    def ask(self, verb: Literal["replay", "drop"], delivery: Delivery) -> None:
        """Leave a request for the process that has the inbox."""
        d = delivery
        self._database.execute(
            "insert into asked(verb, seq, guid, event, headers, body) values(?, ?, ?, ?, ?, ?)",
            (verb, d.seq, d.guid, d.event, _text(d.headers), d.body),
        )

    def asked(self, limit: int = 16) -> list[Asked]:
        """Return the oldest requests. Those done are taken off with `done`."""
        rows = self._database.execute(
            "select id, verb, seq, guid, event, headers, body from asked order by id limit ?", (limit,)
        )
        return [
            Asked(key, verb, Delivery(seq, guid, event, _headers.decode(headers), body, 0.0))
            for key, verb, seq, guid, event, headers, body in rows
        ]

    def done(self, asked_id: int) -> None:
        self._database.execute("delete from asked where id = ?", (asked_id,))

    def fact(self, name: str, first: float) -> float:
        """Return what was noted under a name when it was first asked for."""
        self._database.execute("insert or ignore into facts values(?, ?)", (name, first))
        row = self._database.execute("select value from facts where name = ?", (name,)).fetchone()
        return float(row[0])

    def hooks(self) -> frozenset[int]:
        """Ids of the webhooks deliveries came from."""
        return frozenset(row[0] for row in self._database.execute("select id from hooks"))

    def add_hooks(self, ids: frozenset[int]) -> None:
        with self._together():
            self._database.executemany("insert or ignore into hooks values(?)", [(one,) for one in ids])

    def close(self) -> None:
        self._database.close()


def _text(headers: dict[str, str]) -> str:
    return msgspec.json.encode(
        {name: text.encode(errors="replace").decode() for name, text in headers.items()}
    ).decode()


def _letter(row: tuple[int, str, str, str, bytes, float, float, str]) -> Letter:
    seq, guid, event, headers, body, received_s, died_s, why = row
    return Letter(Delivery(seq, guid, event, _headers.decode(headers), body, received_s), died_s, why)
