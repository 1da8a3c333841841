"""The inbox read from outside, beside whoever works on it: no lock is taken and nothing is written to the log.

A segment may go away, or be filled with new groups, while it is read: each group counts only when it is whole, and
what has gone was handled.
"""

import fcntl
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from prow_async.adapters.inbox import records, segment
from prow_async.adapters.inbox.segment import Newer, Segment
from prow_async.api.errors import CannotStart
from prow_async.ports.inbox import ActionState, Delivery


class Spot(msgspec.Struct, frozen=True, gc=False):
    """Where a body lies: byte and size in a segment's file."""

    path: str
    offset: int
    size_bytes: int


class Row(msgspec.Struct, gc=False):
    """One delivery of the log."""

    seq: int
    guid: str
    event: str
    received_s: float
    headers: dict[str, str]
    spot: Spot
    finished_s: float | None = None
    note: str = ""


class Decided(msgspec.Struct, gc=False):
    """What a plugin decided: the decision in JSON, and how far its actions are."""

    plugin: str
    spot: Spot
    states: tuple[ActionState, ...]


class Found(msgspec.Struct, frozen=True):
    rows: dict[int, Row]
    """By number, in its order."""
    decisions: dict[int, list[Decided]]


def look(folder: Path) -> Found:
    """Read the whole log: rows without bodies. Raises CannotStart when the folder holds no inbox that can be read."""
    if not (folder / "lock").exists():
        raise CannotStart(f"{folder} holds no inbox (--inbox-dir names it)")
    found = Found({}, {})
    for path in sorted(folder.glob("[0-9]" * 16 + ".log")):
        try:
            for description, spot in _records(path):
                _take(found, description, spot)
        except FileNotFoundError:
            continue  # it was put away meanwhile: nothing in it was needed
        except (OSError, Newer) as error:
            raise CannotStart(f"{path}: {error}") from error
    return msgspec.structs.replace(found, rows=dict(sorted(found.rows.items())))


def _take(found: Found, description: records.Description, spot: Spot) -> None:
    rows, decisions = found.rows, found.decisions
    match description:
        case records.Accepted(seq=seq) as d:
            rows[seq] = Row(seq, d.guid, d.event, d.received_s, d.headers, spot)
        case records.Decided(seq=seq, plugin=plugin, states=states):
            decisions.setdefault(seq, []).append(Decided(plugin, spot, states))
        case records.Marked(seq=seq, plugin=plugin, states=states):
            for decided in decisions.get(seq, ()):
                if decided.plugin == plugin:
                    decided.states = states
        case records.Finished(seq=seq, finished_s=finished_s, note=note):
            if seq in rows:
                rows[seq].finished_s, rows[seq].note = finished_s, note
        case records.Voided(seqs=seqs):
            for seq in seqs:
                rows.pop(seq, None)


def _records(path: Path) -> Iterator[tuple[records.Description, Spot]]:
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        memoryview(data) as view,
    ):
        title = Segment.title_of(view[:64])
        if title is None:
            return
        at = segment.FIRST_RECORD
        while at + records.GROUP.size <= len(view):
            head = records.GroupHead.read(bytes(view[at : at + records.GROUP.size]))
            start = at + records.GROUP.size
            if head.segment != title[0] or start + head.size_bytes > len(view):
                return
            with view[start : start + head.size_bytes] as joined:
                if not head.fits(joined):
                    return
                for offset, kind, described_bytes, body_bytes in records.split(joined):
                    described = offset + records.RECORD.size
                    description = records.read_description(kind, bytes(joined[described : described + described_bytes]))
                    yield description, Spot(str(path), start + described + described_bytes, body_bytes)
            at = start + head.size_bytes


def read(spot: Spot) -> bytes | None:
    """Return a body; None when its segment has gone."""
    try:
        with open(spot.path, "rb") as file:
            return os.pread(file.fileno(), spot.size_bytes, spot.offset)
    except FileNotFoundError:
        return None


def whole(row: Row) -> Delivery | None:
    """Return a delivery with its body; None when it has gone meanwhile."""
    body = read(row.spot)
    return None if body is None else Delivery(row.seq, row.guid, row.event, row.headers, body, row.received_s)


def holder(folder: Path) -> str | None:
    """Return the pid of the process that works on the inbox; None when there is none."""
    try:
        with (folder / "lock").open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return lock.read(32).decode(errors="replace").strip() or "unknown"
    except OSError as error:
        raise CannotStart(f"{folder} cannot be read: {error.strerror}") from error
    return None
