"""Censor one file: plain ones in place, compressed ones as a new file that takes their place.

Source: upstream pkg/sidecar/censor.go (handleFile, handleArchive); RFC 1952 (gzip).
"""

import os
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator

from prow_async.core.censor import Censor, Piece
from prow_async.core.tar_headers import TarHeaders

_GZIP_MAGIC = b"\x1f\x8b\x08"
_GZIP = 31
"""zlib's word for: the largest window, in gzip's frame."""


class NotCensored(Exception):
    """The file may show a secret still: do not show it to anyone."""


class Damaged(Exception):
    """An archive could be read in part only; that part is what is left of it, censored."""


def censor(path: str, root: str, secrets: Censor, piece_bytes: int) -> None:
    """Censor a file that lies in `root` (a real path). Its mode and its time of change stay.

    Raises OSError, NotCensored when it may show a secret still; Damaged when that cost it its unreadable end.
    """
    descriptor = _open(path)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotCensored("it is no file")
        here = os.path.realpath(f"/proc/self/fd/{descriptor}")
        if not here.startswith(root.rstrip("/") + "/"):
            raise NotCensored("it leads out of its folder")
        if os.pread(descriptor, len(_GZIP_MAGIC), 0) == _GZIP_MAGIC:
            inflated = _Inflated(descriptor, piece_bytes)
            is_clean = all(piece.raw is piece.masked for piece in _censored(inflated, secrets))
            if not is_clean:
                _replace(path, status, _compressed(_censored(_Inflated(descriptor, piece_bytes), secrets)))
                if inflated.damage:
                    _again_as_plain(path, secrets, piece_bytes)
                    raise Damaged(inflated.damage)
                return
            if not inflated.damage:
                return
        _plain(descriptor, path, status, secrets, piece_bytes)
    finally:
        os.close(descriptor)


def _again_as_plain(path: str, secrets: Censor, piece_bytes: int) -> None:
    """Mask in the bytes of a mended archive: text that was appended to a cut one can read as codes, and come back."""
    descriptor = _open(path)
    try:
        _plain(descriptor, path, os.fstat(descriptor), secrets, piece_bytes)
    finally:
        os.close(descriptor)


def _open(path: str) -> int:
    """Open for writing where that may be: a file that is read-only is replaced, if need be."""
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        return os.open(path, os.O_RDWR | flags)
    except OSError:
        return os.open(path, os.O_RDONLY | flags)


def _plain(descriptor: int, path: str, status: os.stat_result, secrets: Censor, piece_bytes: int) -> None:
    """Write masks over secrets; into a copy if the file itself takes none."""
    offset = 0
    wrote = False
    for piece in _censored(_pieces(descriptor, piece_bytes, status.st_size), secrets):
        if piece.masked is not piece.raw:
            try:
                _write_at(descriptor, piece.masked, offset)
            except OSError:
                _replace(path, status, _masked(_censored(_pieces(descriptor, piece_bytes, status.st_size), secrets)))
                return
            wrote = True
        offset += len(piece.raw)
    if wrote:
        os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))


def _censored(pieces: Iterable[bytes], secrets: Censor) -> Iterator[Piece]:
    stream, headers = secrets.stream(), TarHeaders()
    for data in pieces:
        yield headers.feed(stream.feed(data))
    yield headers.feed(stream.finish())
    yield headers.finish()


def _masked(pieces: Iterable[Piece]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece.masked


def _compressed(pieces: Iterable[Piece]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=_GZIP)
    for piece in pieces:
        yield packer.compress(piece.masked)
    yield packer.flush()


def _pieces(descriptor: int, piece_bytes: int, size_bytes: int) -> Iterator[bytes]:
    """Yield a file's bytes, up to the size it had when we came."""
    offset = 0
    while offset < size_bytes:
        data = os.pread(descriptor, min(piece_bytes, size_bytes - offset), offset)
        if not data:
            return
        yield data
        offset += len(data)


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    left = memoryview(data)
    while left:
        size = os.pwrite(descriptor, left, offset)
        left = left[size:]
        offset += size


def _replace(path: str, status: os.stat_result, content: Iterable[bytes]) -> None:
    """Write a file anew, and put it in the place of the old one once it is whole."""
    partial = os.path.join(os.path.dirname(path), f".{os.getpid()}-{status.st_ino}.censored")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(partial, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for data in content:
                file.write(data)
            file.flush()
            _ignoring_refusal(lambda: os.fchown(descriptor, status.st_uid, status.st_gid))
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
            os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise


def _ignoring_refusal(change: Callable[[], None]) -> None:
    """Make a change that only root may make; for others the file belongs to who censored it."""
    try:
        change()
    except PermissionError:
        return


class _Inflated:
    """What a gzip file holds, all its members, piece by piece; `damage` says afterwards why not all of it came."""

    def __init__(self, descriptor: int, piece_bytes: int) -> None:
        self.damage = ""
        self._piece_bytes = piece_bytes
        self._pieces = _pieces(descriptor, piece_bytes, os.fstat(descriptor).st_size)

    def __iter__(self) -> Iterator[bytes]:
        pending = next(self._pieces, b"")
        while pending.strip(b"\0"):
            member = zlib.decompressobj(wbits=_GZIP)
            while not member.eof:
                before = member.copy()
                try:
                    data = member.decompress(pending, self._piece_bytes)
                    ended = not pending and not data
                    data = data or (member.flush() if ended else b"")
                except zlib.error as error:
                    yield from _up_to_the_damage(before, pending)
                    self.damage = str(error)
                    return
                if data:
                    yield data
                if member.eof:
                    break
                if ended:
                    self.damage = "it ends in the middle"
                    return
                pending = member.unconsumed_tail or next(self._pieces, b"")
            pending = member.unused_data.lstrip(b"\0") or next(self._pieces, b"")


def _up_to_the_damage(member: "zlib._Decompress", pending: bytes) -> Iterator[bytes]:
    """Yield what comes before the byte that cannot be right: zlib keeps it to itself when it refuses a whole piece."""
    for at in range(len(pending)):
        try:
            data = member.decompress(pending[at : at + 1])
        except zlib.error:
            return
        if data:
            yield data
