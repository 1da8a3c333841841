"""A folder that keeps a world's objects between starts: a journal of changes, and now and then a snapshot.

Every answer waits until all that it may have seen is on disk: no acknowledged write is lost, no version is seen twice.
Writes that come meanwhile share the next fsync. What does not reach the disk is answered 503 and tried again with the
next request.

Files: `snapshot-N.log` holds the objects at the time `journal-N.log` was begun; the journals behind it are read in
order. `lock` is held by the process that uses the folder.
"""

import contextlib
import fcntl
import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import structlog

from prow_async.api.errors import CannotStart
from prow_async.sandbox.kube import journal, status, store
from prow_async.sandbox.kube.world import World

log = structlog.get_logger()
COMPACT_BYTES = 16 * 1024 * 1024
"""A journal grows to at least so much, and to twice what all objects take, before it is replaced by a snapshot."""


class Found(msgspec.Struct):
    """What a folder holds."""

    objects: dict[str, dict[str, bytes]] = {}
    """Table -> key -> object."""
    version: int = 0


class _Cut(msgspec.Struct, frozen=True):
    """Between two changes: here a new journal begins, and this is what stood then."""

    objects: list[tuple[str, bytes]]
    version: int


class StateDir:
    """Implements world.Keeper."""

    def __init__(self, path: Path, compact_bytes: int = COMPACT_BYTES) -> None:
        self._path = path
        self._compact_bytes = compact_bytes
        self._lock = _claim(path)
        self._number = 0
        self._file = -1
        self._size_bytes = 0
        """Of the journal, as far as it is on disk for certain."""
        self._queue: deque[bytes | _Cut] = deque()
        self._taken: list[bytes] = []
        """Changes taken from the queue that are not on disk yet."""
        self._appended = 0
        self._durable = 0
        self._done: anyio.Event | None = None
        self._failure = ""
        self._writing = threading.Lock()
        """A flush whose waiter was cancelled goes on: the next one waits for it in its own thread."""
        self._cut: _Cut | None = None
        self._is_cutting = False
        self._snapshot: threading.Thread | None = None

    # Reading, before anything runs.

    def load(self) -> Found:
        """Read what the folder holds, and be ready to go on with it. Raises CannotStart."""
        try:
            return self._load()
        except OSError as error:
            raise CannotStart(f"--state-dir: {self._path} cannot be used: {error.strerror or error}") from error

    def _load(self) -> Found:
        for left in self._path.glob("*.tmp"):
            left.unlink()
        found = Found()
        snapshots, journals = self._numbers("snapshot"), self._numbers("journal")
        first = max(snapshots, default=0)
        if first:
            self._read_snapshot(first, found)
        wanted = [number for number in journals if number >= first]
        self._number = max([first, *wanted])
        if wanted != list(range(first, self._number + 1)) and wanted:
            raise CannotStart(f"--state-dir: a journal is missing in {self._path} between those of {wanted}")
        for number in wanted:
            self._read_journal(number, found)
        self._open(self._number)
        for kind, numbers in (("snapshot", snapshots), ("journal", journals)):
            for number in numbers:
                if number < first:
                    self._file_of(kind, number).unlink()
        return found

    def _numbers(self, kind: str) -> list[int]:
        return sorted(int(file.stem.partition("-")[2]) for file in self._path.glob(f"{kind}-" + "[0-9]" * 8 + ".log"))

    def _file_of(self, kind: str, number: int) -> Path:
        return self._path / f"{kind}-{number:08}.log"

    def _read_snapshot(self, number: int, found: Found) -> None:
        path = self._file_of("snapshot", number)
        count, last = 0, None
        with path.open("rb") as file, _told(path):
            if not journal.check_title(file.readline()):
                raise journal.Damaged("it is not whole")
            for record in journal.Reading(file, 0).records():
                last = record
                if isinstance(record, journal.Put):
                    count += 1
                    _apply(record, found)
            if not isinstance(last, journal.End) or last.count != count:
                raise journal.Damaged("it is not whole")
            found.version = max(found.version, last.version)

    def _read_journal(self, number: int, found: Found) -> None:
        path = self._file_of("journal", number)
        with path.open("rb") as file, _told(path):
            line = file.readline()
            reading = journal.Reading(file, len(line))
            if journal.check_title(line):
                for record in reading.records():
                    _apply(record, found)
            else:
                reading.good_bytes, reading.is_torn = 0, True
            if reading.is_torn and number != self._number:
                raise journal.Damaged(f"what stands at byte {reading.good_bytes} does not read, and more came after it")
        if reading.is_torn:
            os.truncate(path, reading.good_bytes)
            log.warning("the journal's torn end is dropped: nobody was told of it", file=str(path))

    def _open(self, number: int) -> None:
        """Open a journal to go on with, or begin it."""
        path = self._file_of("journal", number)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size_bytes = os.fstat(handle).st_size
        if not size_bytes:
            size_bytes = _write(handle, journal.title(), 0)
            _sync_folder(self._path)
        if self._file >= 0:
            os.close(self._file)
        self._file, self._size_bytes, self._number = handle, size_bytes, number

    # Writing.

    def note(self, table: store.Table, event: store.Event) -> None:
        """Take a change in. Implements store.Observer."""
        name = f"{table.plural}.{table.group}"
        if event.type == "DELETED":
            self._queue.append(journal.removed(name, event.version, event.new.key))
        else:
            self._queue.append(journal.put(name, event.new.raw))
        self._appended += 1

    async def settled(self) -> None:
        """Wait until every change so far is on disk. Raises Refusal (503) when the disk does not take it."""
        wanted = self._appended
        while self._durable < wanted:
            if self._done is not None:
                await self._done.wait()
                continue
            self._done = anyio.Event()
            try:
                await anyio.to_thread.run_sync(self._flush)
            except OSError as error:
                why = error.strerror or str(error)
                if not self._failure:
                    log.error("changes cannot be stored", folder=str(self._path), why=why)
                self._failure = why
                raise status.Refusal(
                    503, "ServiceUnavailable", f"changes cannot be stored: {why}", {"retryAfterSeconds": 1}
                ) from error
            finally:
                self._done.set()
                self._done = None
            self._failure = ""

    async def ready(self, world: World) -> None:
        """Wait until more may be taken in: never on top of what could not be stored. Raises Refusal (503)."""
        if self._failure:
            await self.settled()
        if self._size_bytes > self._compact_bytes and not self._is_cutting:
            self._compact(world)

    def _compact(self, world: World) -> None:
        """Begin a new journal, and a snapshot of what stands, if the journal is long for that."""
        if self._size_bytes > 2 * world.size_bytes:
            self._is_cutting = True
            self._queue.append(_Cut(world.stored(), world.version))

    def _flush(self) -> None:
        """Write what waits; in a thread. Raises OSError; nothing is lost then, and it may be tried again."""
        with self._writing:
            self._flush_alone()

    def _flush_alone(self) -> None:
        while self._queue and self._cut is None:
            head = self._queue.popleft()
            if isinstance(head, _Cut):
                self._cut = head
            else:
                self._taken.append(head)
        if self._taken:
            self._size_bytes = _write(self._file, journal.lines(self._taken, self._size_bytes), self._size_bytes)
            self._durable += len(self._taken)
            self._taken.clear()
        if self._cut is not None:
            self._open(self._number + 1)
            cut, self._cut = self._cut, None
            self._snapshot = threading.Thread(target=self._write_snapshot, args=(self._number, cut))
            self._snapshot.start()

    def _write_snapshot(self, number: int, cut: _Cut) -> None:
        """Write what stood when a journal began, then remove what it replaces; in a thread of its own."""
        path = self._file_of("snapshot", number)
        beside = path.with_suffix(".tmp")
        try:
            with open(beside, "wb", opener=_private) as file:
                file.write(journal.title())
                file.writelines(journal.lines([journal.put(table, raw)], 0) for table, raw in cut.objects)
                file.write(journal.lines([journal.end(len(cut.objects), cut.version)], 0))
                file.flush()
                os.fsync(file.fileno())
            beside.rename(path)
            _sync_folder(self._path)
            for kind in ("snapshot", "journal"):
                for old in self._numbers(kind):
                    if old < number:
                        self._file_of(kind, old).unlink()
        except OSError as error:
            # The journals hold the same; the next one that grows long is tried again.
            log.error("snapshot not written", file=str(path), why=error.strerror or str(error))
        finally:
            self._is_cutting = False

    def close(self) -> None:
        """Write what waits, and let another process have the folder."""
        try:
            while self._queue or self._taken:
                self._flush()
            if self._file >= 0:
                # Proves later that what stands before it was written.
                _write(self._file, journal.lines([journal.end(0, 0)], self._size_bytes), self._size_bytes)
        except OSError as error:
            log.error("changes cannot be stored", folder=str(self._path), why=error.strerror or str(error))
        if self._snapshot is not None:
            self._snapshot.join()
        if self._file >= 0:
            os.close(self._file)
        os.close(self._lock)


@contextlib.asynccontextmanager
async def opened(path: Path, world: World, now_s: float, compact_bytes: int = COMPACT_BYTES) -> AsyncIterator[StateDir]:
    """Put back what a folder holds into a new world, and keep there what it does while the context is open.

    Raises:
        CannotStart: the folder cannot be used, another process uses it, or what was acknowledged is damaged.
    """
    state = StateDir(path, compact_bytes)
    try:
        found = state.load()
        world.restore({table: list(objects.values()) for table, objects in found.objects.items()}, found.version, now_s)
        world.keep(state)
        yield state
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(state.close)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _claim(path: Path) -> int:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotStart(f"--state-dir: {path} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise CannotStart(f"--state-dir: {path} is used by another process (pid {holder})") from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


class _Meta(msgspec.Struct, rename="camel"):
    name: str
    resource_version: str
    namespace: str = ""


class _Object(msgspec.Struct):
    metadata: _Meta


def _apply(record: journal.Record, found: Found) -> None:
    if isinstance(record, journal.Put):
        meta = msgspec.json.decode(record.raw, type=_Object).metadata
        found.objects.setdefault(record.table, {})[f"{meta.namespace}/{meta.name}"] = record.raw
        found.version = max(found.version, int(meta.resource_version))
    elif isinstance(record, journal.Removed):
        found.objects.get(record.table, {}).pop(record.key, None)
        found.version = max(found.version, record.version)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say in which file something is damaged. Raises CannotStart."""
    try:
        yield
    except (journal.Damaged, msgspec.DecodeError, ValueError) as error:
        raise CannotStart(
            f"--state-dir: {path}: {error}. Restore it from a copy, or begin with another folder"
        ) from error


def _write(handle: int, data: bytes, at: int) -> int:
    """Write at a place and wait until it is on disk; return where it ends."""
    view = memoryview(data)
    while view:
        size = os.pwrite(handle, view, at)
        at += size
        view = view[size:]
    os.fdatasync(handle)
    return at


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
