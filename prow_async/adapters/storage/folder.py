"""A folder that stands for a bucket: `file://`. Attributes are not kept.

An object is seen whole or not at all: it is written beside its place under a name of its own and renamed. No path leads
out of the folder, not even over a symbolic link that somebody has put there.
"""

import contextlib
import errno
import io
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from prow_async.adapters.storage import names
from prow_async.api.errors import Missing, Refused, Retry
from prow_async.ports.blobs import PLAIN, Attributes, Blob, Folder, PlainFile, Reader

CHUNK_BYTES = 1 << 20
_UNFINISHED = ".prow-async-unfinished-"
_TRIES = 50
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR}
_LATER = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ESTALE}


class FolderBlobs:
    """Blobs in a folder, which is made when the first one is written."""

    def __init__(self, folder: str) -> None:
        self._root = os.path.realpath(folder)
        self.url = f"file://{folder}"

    def put(self, path: str, source: bytes | Reader, attributes: Attributes = PLAIN) -> None:
        self._put(path, source, attributes, os.replace)

    def put_new(self, path: str, content: bytes, attributes: Attributes = PLAIN) -> bool:
        try:
            self._put(path, content, attributes, _link)
        except FileExistsError:
            return False
        return True

    def _put(self, path: str, source: bytes | Reader, attributes: Attributes, show: Callable[..., None]) -> None:
        """Write a file beside its place, then let it be seen there. Raises FileExistsError if `show` does."""
        above, name = self._split(path)
        names.check_attributes(attributes)
        beside = f"{_UNFINISHED}{os.getpid()}-{os.urandom(8).hex()}"
        try:
            with _told(self.url, path, Refused):
                parent, target = self._create(above, beside)
                try:
                    with target:
                        _write(target, source)
                    show(beside, name, src_dir_fd=parent, dst_dir_fd=parent)
                except BaseException:
                    with contextlib.suppress(OSError):  # what went wrong is already on its way
                        os.unlink(beside, dir_fd=parent)
                    raise
                finally:
                    os.close(parent)
        except BaseException:
            with contextlib.suppress(Refused):
                self._prune(self._inside(above))
            raise

    def get(self, path: str, start: int = 0, end: int | None = None) -> bytes:
        with self._open(path) as found, _told(self.url, path):
            found.seek(start)
            return found.read() if end is None else found.read(max(0, end - start))

    def stream(self, path: str, start: int = 0) -> Iterator[bytes]:
        with self._open(path) as found, _told(self.url, path):
            found.seek(start)
            while piece := found.read(CHUNK_BYTES):
                yield piece

    def head(self, path: str) -> Blob:
        with self._open(path) as found:
            return _blob(path, os.fstat(found.fileno()))

    def list(self, prefix: str) -> Iterator[Blob]:
        waiting = [names.check_folder(prefix)]
        while waiting:
            above = waiting.pop()
            level = self.folder(above)
            yield from level.blobs
            waiting.extend(f"{above}/{name[:-1]}" if above else name[:-1] for name in level.folders)

    def folder(self, prefix: str) -> Folder:
        above = names.check_folder(prefix)
        folders: list[str] = []
        blobs: list[Blob] = []
        with contextlib.suppress(Missing), _told(self.url, prefix), os.scandir(self._inside(above)) as entries:
            for entry in entries:
                if entry.name.startswith(_UNFINISHED):
                    continue
                with contextlib.suppress(FileNotFoundError):  # deleted while we look
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(f"{entry.name}/")
                    elif entry.is_file(follow_symlinks=False):
                        path = f"{above}/{entry.name}" if above else entry.name
                        blobs.append(_blob(path, entry.stat(follow_symlinks=False)))
        return Folder(tuple(sorted(folders)), tuple(sorted(blobs, key=lambda blob: blob.path)))

    def delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            place = self._place(path)
            with contextlib.suppress(Missing), _told(self.url, path):
                os.unlink(place)
                self._prune(os.path.dirname(place))

    def _split(self, path: str) -> tuple[str, str]:
        """Return an object's folder and its name there. Raises Refused for a path that is none."""
        above, _, name = names.check(path).rpartition("/")
        if name.startswith(_UNFINISHED):
            raise Refused(f"{path!r} cannot be the name of an object: unfinished ones are kept so", reason="BadName")
        return above, name

    def _place(self, path: str) -> str:
        """Return where an object's file is. Raises Refused for a path that is none, or that leads out of the folder."""
        above, name = self._split(path)
        return os.path.join(self._inside(above), name)

    def _create(self, above: str, name: str) -> tuple[int, io.FileIO]:
        """Make a new file in a folder, which is made too; return the folder's descriptor and the file.

        The folder is held open, so that nobody can turn it into a link to elsewhere meanwhile.
        """
        for left in reversed(range(_TRIES)):
            parent = -1
            try:
                parent = self._open_folder(above)
                return parent, io.FileIO(os.open(name, _NEW, 0o666, dir_fd=parent), "w")
            except BaseException as error:
                if parent >= 0:
                    os.close(parent)
                # Somebody may be taking the folder away at this moment, because it was empty.
                if not left or not isinstance(error, FileNotFoundError | FileExistsError):
                    raise
        raise AssertionError("the last try returns or raises")

    def _open_folder(self, above: str) -> int:
        asked = os.path.join(self._root, above) if above else self._root
        try:
            found = os.open(asked, _FOLDER)
        except FileNotFoundError:
            os.makedirs(self._inside(above), exist_ok=True)
            found = os.open(asked, _FOLDER)
        if _real_path(found, asked) == asked:
            return found
        gone = os.fstat(found).st_nlink == 0
        os.close(found)
        if gone:
            raise FileNotFoundError(errno.ENOENT, "the folder was just taken away")
        raise _leads_out(above, self.url)

    def _inside(self, path: str) -> str:
        """Return the real place of a folder, which need not be there."""
        asked = os.path.join(self._root, path) if path else self._root
        real = os.path.realpath(asked)
        if real != asked:
            raise _leads_out(path, self.url)
        return real

    def _open(self, path: str) -> BinaryIO:
        place = self._place(path)
        with _told(self.url, path):
            # Not blocking: a named pipe must not hold us up before we have seen that it is one.
            descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return open(descriptor, "rb")
            os.close(descriptor)
        raise Missing(f"{path} in {self.url} is no object")

    def _prune(self, parent: str) -> None:
        """Take away folders in which nothing is left: a bucket has none."""
        with contextlib.suppress(OSError):  # not empty, or not there
            while len(parent) > len(self._root):
                os.rmdir(parent)
                parent = os.path.dirname(parent)


def _link(beside: str, name: str, src_dir_fd: int, dst_dir_fd: int) -> None:
    """Let a file be seen under its name unless that is taken. Raises FileExistsError."""
    os.link(beside, name, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
    os.unlink(beside, dir_fd=src_dir_fd)


def _leads_out(path: str, url: str) -> Refused:
    return Refused(f"{path!r} in {url} leads over a symbolic link", reason="BadName")


def _real_path(descriptor: int, path: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:  # no /proc: not Linux
        return os.path.realpath(path)


def _write(target: io.FileIO, source: bytes | Reader) -> None:
    if isinstance(source, PlainFile):
        source.copy_to(target.fileno())
        return
    piece = source if isinstance(source, bytes) else source.read(CHUNK_BYTES)
    while piece:
        written = target.write(piece)
        while written < len(piece):
            written += target.write(memoryview(piece)[written:])
        piece = b"" if isinstance(source, bytes) else source.read(CHUNK_BYTES)


def _blob(path: str, found: os.stat_result) -> Blob:
    return Blob(path, found.st_size, found.st_mtime)


@contextlib.contextmanager
def _told(url: str, path: str, gone: type[Refused] = Missing) -> Iterator[None]:
    """Say what goes wrong with the disk in the words of the port."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        text = f"{path} in {url}: {error.strerror or error}"
        if error.errno in _LATER:
            raise Retry(text) from error
        raise (gone(text) if error.errno in _GONE else Refused(text)) from error
