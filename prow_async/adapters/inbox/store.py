"""The inbox on disk, synchronous: one group of records, one sync. Called from one thread at a time.

Segments leave from the oldest on, once nothing in them is needed; what a nearly empty one still holds is written
anew at the end. So a word about a delivery never leaves before the delivery itself.
"""

import sqlite3
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from prow_async.adapters.inbox import records
from prow_async.adapters.inbox.folder import Folder
from prow_async.adapters.inbox.index import Index
from prow_async.adapters.inbox.keys import FLUSH_AT, Batch, Keys, Newer
from prow_async.adapters.inbox.segment import Damaged, Found, Place, Segment, make_spare, sync_folder
from prow_async.api.errors import CannotStart
from prow_async.core.webhook_decode import Parsed
from prow_async.ports.inbox import Accepted, Delivery

log = structlog.get_logger()
READ_BYTES = 32 << 20
"""`pending` returns no more bytes of bodies than this at once, but always one."""


SPARES_MOST = 3


class Settings(msgspec.Struct, frozen=True):
    segment_bytes: int = 32 << 20
    """Size of one file of the log; a delivery of 25 MB and its headers must fit."""
    spares: int = 2
    """So many empty files are made ready; up to SPARES_MOST times as many are kept that were used."""
    max_bytes: int = 4 << 30
    """Deliveries are refused while the log holds more than this."""
    max_waiting: int = 100_000
    """Deliveries are refused while so many wait."""
    history_bytes: int = 0
    """So much of the log is kept at least, handled or not, for people who look back, but no more than half of
    `max_bytes`: new deliveries need room beside it."""
    carry_above: int = 4
    """With more segments than this, the oldest is emptied as soon as a quarter of it, or less, is needed."""


class Statistics(msgspec.Struct, frozen=True):
    waiting: int
    oldest_received_s: float | None
    newest_waiting_seq: int
    log_bytes: int


class Failure(msgspec.Struct, frozen=True):
    """A record was not written."""

    why: str


class Op(msgspec.Struct, frozen=True, gc=False):
    """One thing to write. An accepted delivery gets its sequence number here: it comes with 0."""

    description: records.Description
    body: bytes = b""
    parsed: Parsed | None = None
    """What a delivery's body says, where that is known already. It is not written."""


Outcome = Accepted | Failure | None


class _Entry(msgspec.Struct, frozen=True, gc=False):
    position: int
    """Which op it came from; -1 for our own."""
    description: records.Description
    head: bytes
    body: bytes = b""

    @property
    def size_bytes(self) -> int:
        return len(self.head) + len(self.body)


class Tidying(msgspec.Struct, frozen=True):
    """What is to be put in order: keys to be written, and segments that may go when those last."""

    keys: Batch
    leaving: list[Segment]


Written = Literal["not", "written", "lasting"]


class Store:
    """An open inbox folder.

    Args:
        now_s: wall-clock seconds, to find keys that are too old.

    Raises CannotStart with one line when the folder cannot be used.
    """

    def __init__(self, path: Path, settings: Settings, now_s: float) -> None:
        self.settings = settings
        self.path = path
        self._folder = Folder(path)
        self._index = Index()
        self._void: list[int] = []
        self._next_seq = 1
        self._next_number = 1
        self._current: Segment | None = None
        """None after a failed write: nothing is appended behind what may be half there."""
        try:
            self._keys = Keys(self._folder.keys())
            self._scan()
            self._keys.flush(now_s)
            self.last_before_start_s = self._keys.newest_s()
            """When the last delivery was accepted before this start; None where there is none known."""
            self.spares: deque[Path] = deque(self._folder.spares(settings.segment_bytes))
            self._rotate()
        except (OSError, sqlite3.Error, Newer, ValueError, msgspec.DecodeError) as error:
            self.close()
            raise CannotStart(f"inbox folder {path} cannot be used: {error}") from error
        except BaseException:
            self.close()
            raise

    def _scan(self) -> None:
        accepted: dict[int, tuple[int, float]] = {}
        for segment in self._folder.segments():
            self._index.segments[segment.number] = segment
            self._next_number = segment.number + 1
            self._next_seq = max(self._next_seq, segment.first_seq)
            for found in segment.scan():
                self._index.apply(found)
                match found.description:
                    case records.Accepted(seq=seq, key=key, received_s=received_s):
                        accepted[key] = seq, received_s
                        self._next_seq = max(self._next_seq, seq + 1)
                    case records.Voided(seqs=seqs):
                        accepted = {key: entry for key, entry in accepted.items() if entry[0] not in seqs}
                    case records.Finished(seq=seq, finished_s=finished_s, note=note):
                        self._keys.note(seq, finished_s, note)
                    case _:
                        pass
            if segment.torn:
                log.warning("inbox segment cut: what follows is not whole", file=str(segment.path), byte=segment.end)
        for key, (seq, received_s) in accepted.items():
            self._keys.add(key, seq, received_s)
        self._index.in_order()

    # Writing

    def commit(self, ops: Sequence[Op]) -> list[Outcome]:
        """Write a group and wait for the disk once. Outcomes in the order of `ops`: nothing in it raises.

        A delivery whose key is known is not written; its outcome says so.
        """
        outcomes: list[Outcome] = [None] * len(ops)
        try:
            entries = self._entries(ops, outcomes)
        except sqlite3.Error as error:
            return [Failure(f"the inbox's keys cannot be read: {error}")] * len(ops)
        entries = self._make_room(entries, outcomes)
        if not entries:
            return outcomes
        try:
            self._append(entries)
        except OSError as error:
            log.error("inbox write failed; a new segment follows", why=str(error))
            self._current = None
            self._void += _seqs(entries)
            _fail(entries, outcomes, f"the inbox could not be written: {error.strerror or error}")
        return outcomes

    def _entries(self, ops: Sequence[Op], outcomes: list[Outcome]) -> list[_Entry]:
        """Number the new deliveries of a group, answer the known ones, and encode what is to be written."""
        known = self._keys.find([op.description.key for op in ops if isinstance(op.description, records.Accepted)])
        entries: list[_Entry] = []
        if self._void:
            voided = records.Voided(tuple(self._void))
            entries.append(_Entry(-1, voided, records.head(voided, 0)))
        for position, op in enumerate(ops):
            description = op.description
            if isinstance(description, records.Accepted):
                first = known.get(description.key)
                outcomes[position] = Accepted(first or self._next_seq, new=first is None)
                if first is not None:
                    continue
                d = description
                description = records.Accepted(self._next_seq, d.key, d.guid, d.event, d.headers, d.received_s)
                known[d.key] = self._next_seq
                self._next_seq += 1
            entries.append(_Entry(position, description, records.head(description, len(op.body)), op.body))
        return entries

    def _make_room(self, entries: list[_Entry], outcomes: list[Outcome]) -> list[_Entry]:
        """Return the entries there is room for; the others fail.

        On a full disk, words about deliveries go into the last reserve: they are what empties the disk again.
        """
        size = sum(entry.size_bytes for entry in entries)
        if self._current is not None and size <= self._current.room_bytes() - self.settings.segment_bytes // 16:
            return entries
        try:
            self._rotate()
        except OSError as error:
            log.error("no new inbox segment", why=str(error))
            why = f"the inbox's disk has no room: {error.strerror or error}"
            words = [entry for entry in entries if not isinstance(entry.description, records.Accepted)]
            _fail([entry for entry in entries if isinstance(entry.description, records.Accepted)], outcomes, why)
        else:
            why, words = "it is too big for the inbox", entries
        size = sum(entry.size_bytes for entry in words)
        if self._current is not None and size <= self._current.room_bytes():
            return words
        _fail(words, outcomes, why)
        return []

    def _append(self, entries: Sequence[_Entry]) -> None:
        segment = self._current
        assert segment is not None, "room was made before"
        offset = segment.append([piece for entry in entries for piece in (entry.head, entry.body)])
        for entry in entries:
            place = Place(segment.number, offset, len(entry.head) - records.RECORD.size, len(entry.body))
            offset += entry.size_bytes
            self._index.apply(Found(place, entry.description))
            match entry.description:
                case records.Accepted(seq=seq, key=key, received_s=received_s):
                    self._keys.add(key, seq, received_s)
                case records.Finished(seq=seq, finished_s=finished_s, note=note):
                    self._keys.note(seq, finished_s, note)
                case records.Voided():
                    self._void.clear()
                case _:
                    pass

    def _rotate(self) -> None:
        """Begin a new segment. Raises OSError when there is no space for one."""
        try:
            spare = self.spares.popleft()
        except IndexError:
            spare = self._folder.new_spare()
            make_spare(spare, self.settings.segment_bytes, zeroed=False)
        try:
            path = self._folder.segment(self._next_number)
            segment = Segment.title(spare, path, self._next_number, self._next_seq)
        except OSError:
            if spare.exists():
                self.spares.append(spare)
            raise
        self._next_number += 1
        self._index.segments[segment.number] = segment
        self._current = segment

    # Tidying

    @property
    def untidy(self) -> bool:
        """True when `tidy` has work."""
        return self._keys.waiting >= FLUSH_AT or bool(self._leaving())

    def _leaving(self) -> list[Segment]:
        """Segments from the oldest on in which nothing is needed."""
        leaving: list[Segment] = []
        kept = min(self.settings.history_bytes, self.settings.max_bytes // 2)
        size = sum(segment.size_bytes for segment in self._index.segments.values())
        for segment in self._index.segments.values():
            size -= segment.size_bytes
            if segment is self._current or size < kept:
                return leaving
            if segment.live_bytes:
                few = segment.live_bytes * 4 <= segment.size_bytes
                crowded = not leaving and len(self._index.segments) > self.settings.carry_above
                return [segment] if few and crowded else leaving
            leaving.append(segment)
        return leaving

    def tidy(self, now_s: float) -> None:
        """Bring keys into their file and let segments go: the three steps below, one after the other."""
        tidying = self.begin_tidy()
        if tidying is not None:
            self.end_tidy(tidying, self.write_keys(tidying, now_s))

    def begin_tidy(self) -> Tidying | None:
        """Say which keys are to be written, and which segments may go once those keys last. Trouble is told."""
        try:
            leaving = self._leaving()
            for segment in leaving:
                if segment.live_bytes:
                    self._carry(segment)
        except OSError as error:
            log.error("inbox cannot be tidied", why=str(error))
            return None
        return Tidying(self._keys.begin(), leaving)

    def write_keys(self, tidying: Tidying, now_s: float) -> Written:
        """Write the keys; make them last where segments are to go. From any thread, beside all else."""
        try:
            self._keys.write(tidying.keys, now_s)
        except sqlite3.Error as error:
            log.error("inbox cannot be tidied", why=str(error))
            return "not"
        try:
            return "lasting" if tidying.leaving and self._keys.settle() else "written"
        except sqlite3.Error as error:
            log.error("inbox cannot be tidied", why=str(error))
            return "written"

    def end_tidy(self, tidying: Tidying, written: Written) -> bool:
        """Let segments go; False where something is to be tried again. Trouble is told."""
        if written != "not":
            self._keys.end()
        if written != "lasting":
            return written == "written" and not tidying.leaving
        try:
            for segment in tidying.leaving:
                self._put_away(segment)
            sync_folder(self._folder.path)
        except OSError as error:
            log.error("inbox cannot be tidied", why=str(error))
            return False
        return True

    def _carry(self, segment: Segment) -> None:
        """Write the deliveries of a segment anew at the end, with what was decided about them."""
        for seq in self._index.in_segment(segment.number):
            delivery = self._index.waiting[seq]
            entries = [self._copy(delivery.place)]
            for plugin, entry in (delivery.decisions or {}).items():
                decided = records.Decided(seq, plugin, entry.states)
                body = self._read(entry.place)[1]
                entries.append(_Entry(-1, decided, records.head(decided, len(body)), body))
            size = sum(entry.size_bytes for entry in entries)
            if self._current is None or size > self._current.room_bytes():
                self._rotate()
            try:
                self._append(entries)
            except OSError:
                self._current = None
                raise

    def _copy(self, place: Place) -> _Entry:
        encoded, body = self._read(place)
        description = records.read_description(records.Kind.ACCEPTED, encoded)
        return _Entry(-1, description, records.head(description, len(body)), body)

    def _put_away(self, segment: Segment) -> None:
        del self._index.segments[segment.number]
        segment.close()
        if len(self.spares) < SPARES_MOST * self.settings.spares and segment.size_bytes == self.settings.segment_bytes:
            spare = self._folder.new_spare()
            segment.path.rename(spare)
            self.spares.append(spare)
        else:
            segment.path.unlink()

    @property
    def wants_spare(self) -> bool:
        return len(self.spares) < self.settings.spares

    def prepare(self) -> None:
        """Make one more empty file ready. May run beside everything else. Raises OSError."""
        path = self._folder.path / "spare-new"
        make_spare(path, self.settings.segment_bytes, zeroed=True)
        spare = self._folder.new_spare()
        path.rename(spare)
        self.spares.append(spare)

    # Reading

    def _read(self, place: Place) -> tuple[bytes, bytes]:
        return self._index.segments[place.segment].read(place)

    def pending(self, after_seq: int, limit: int) -> list[Delivery]:
        """Read deliveries that wait, in order. One whose record is damaged is told about and dropped.

        Raises OSError when the disk does not give one.
        """
        found: list[Delivery] = []
        size_bytes = 0
        damaged: list[int] = []
        for seq, delivery in self._index.after(after_seq):
            if len(found) >= limit or (found and size_bytes + delivery.place.body_bytes > READ_BYTES):
                break
            try:
                encoded, body = self._read(delivery.place)
                d = records.read_description(records.Kind.ACCEPTED, encoded)
            except (Damaged, msgspec.DecodeError):
                damaged.append(seq)
                continue
            assert isinstance(d, records.Accepted)
            size_bytes += len(body)
            found.append(Delivery(seq, d.guid, d.event, d.headers, body, d.received_s))
        for seq in damaged:
            log.error("a delivery in the inbox is damaged and cannot be handled", seq=seq)
            self._index.drop(seq)
        return found

    def known(self, keys: Sequence[int]) -> frozenset[int]:
        """Return those keys that were accepted before. Raises OSError."""
        try:
            return frozenset(self._keys.find(keys))
        except sqlite3.Error as error:
            raise OSError(f"keys cannot be read: {error}") from error

    def waits(self, seq: int) -> bool:
        """True while a delivery is not finished. From any thread."""
        return seq in self._index.waiting

    def decided(self, seq: int) -> bool:
        """True when something has been decided about a delivery that waits. From any thread."""
        delivery = self._index.waiting.get(seq)
        return delivery is not None and bool(delivery.decisions)

    def journal(self, seq: int) -> list[tuple[str, bytes, records.Marked]]:
        """Return (plugin, decision in JSON, its states) of each decision about a delivery. Raises OSError.

        A damaged one is told about and left out: its plugin decides again.
        """
        delivery = self._index.waiting.get(seq)
        found: list[tuple[str, bytes, records.Marked]] = []
        for plugin, entry in (delivery.decisions or {}).items() if delivery is not None else ():
            try:
                found.append((plugin, self._read(entry.place)[1], records.Marked(seq, plugin, entry.states)))
            except Damaged as error:
                log.error("a decision in the inbox is damaged", seq=seq, plugin=plugin, why=str(error))
        return found

    def fate(self, key: int) -> str | None:
        """Say what became of the delivery with a key: a note, `waiting`, `handled`, or None for an unknown one."""
        seq = self._keys.find([key]).get(key)
        if seq is None:
            return None
        if seq in self._index.waiting:
            return "waiting"
        return self._keys.noted(seq) or "handled"

    def statistics(self) -> Statistics:
        oldest = self._index.oldest()
        return Statistics(
            len(self._index.waiting),
            None if oldest is None else oldest.received_s,
            self._index.newest_seq(),
            sum(segment.size_bytes for segment in self._index.segments.values()),
        )

    def close(self) -> None:
        """Let go of everything. What was committed is on the disk already."""
        for segment in self._index.segments.values():
            segment.close()
        if hasattr(self, "_keys"):
            self._keys.close()
        self._folder.release()


def _seqs(entries: Iterable[_Entry]) -> list[int]:
    """Sequence numbers given to new deliveries among entries."""
    return [entry.description.seq for entry in entries if isinstance(entry.description, records.Accepted)]


def _fail(entries: Iterable[_Entry], outcomes: list[Outcome], why: str) -> None:
    """Make entries fail, and with a new delivery its doubles in the same group."""
    entries = list(entries)
    failed = set(_seqs(entries))
    positions = {entry.position for entry in entries if entry.position >= 0}
    for position, outcome in enumerate(outcomes):
        if position in positions or (isinstance(outcome, Accepted) and outcome.seq in failed):
            outcomes[position] = Failure(why)
