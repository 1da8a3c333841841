"""What was made of each configuration file, kept on disk: a restart need not read YAML again.

An entry is found by the file's path, role and content. A cache that is damaged, of another format or written by
other code is as good as none. It holds nothing that the configuration itself does not.
"""

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from types import ModuleType

import msgspec
import structlog
import yaml

from prow_async.api import (
    config,
    config_deck,
    config_gerrit,
    config_protection,
    config_sections,
    config_tide,
    jobconfig,
    prowjob,
)
from prow_async.core import (
    config_parse,
    config_shapes,
    durations,
    goconvert,
    goscalars,
    goyaml,
    podshape,
    quantity,
)
from prow_async.core.config_load import Role, SourceFile
from prow_async.core.config_parse import ParsedFile

log = structlog.get_logger()

FORMAT = 1
MAX_BYTES = 512 * 1024 * 1024
_MAGIC = b"prow-async parsed configuration\n"
_DIGEST_BYTES = 32
_READERS: tuple[ModuleType, ...] = (
    config_parse, config_shapes, goyaml, goscalars, goconvert, podshape, quantity, durations, jobconfig, prowjob,
    config, config_deck, config_gerrit, config_protection, config_sections, config_tide,
)  # fmt: skip
"""The modules that decide what an entry holds."""


class _Header(msgspec.Struct, frozen=True):
    format: int
    code: bytes


class _Content(msgspec.Struct, frozen=True):
    header: _Header
    entries: dict[bytes, bytes]


class ConfigCache:
    """A cache in one file. Blocking; for one thread at a time.

    Args:
        path: the file; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stored: dict[bytes, bytes] | None = None
        self._used: dict[bytes, bytes] = {}
        self._new: dict[bytes, ParsedFile] = {}
        self._decoder = msgspec.msgpack.Decoder(ParsedFile)
        self._header = _Header(FORMAT, _code_digest())

    def get(self, file: SourceFile, role: Role) -> ParsedFile | None:
        """Return what was made of this very file, or None."""
        if self._path is None:
            return None
        key = _key(file, role)
        blob = self._entries().get(key)
        if blob is None:
            return None
        try:
            found = self._decoder.decode(blob)
        except msgspec.MsgspecError:
            return None
        self._used[key] = blob
        return found

    def put(self, file: SourceFile, role: Role, parsed: ParsedFile) -> None:
        """Note what was made of a file; `save` writes it."""
        if self._path is not None and not parsed.problems:
            self._new[_key(file, role)] = parsed

    def save(self) -> None:
        """Write what is in use, if anything is new. Failing to is logged: a cache is a convenience."""
        if self._path is None or not self._new:
            return
        self._used.update((key, msgspec.msgpack.encode(parsed)) for key, parsed in self._new.items())
        self._new.clear()
        body = msgspec.msgpack.encode(_Content(self._header, self._used))
        try:
            _replace(self._path, _MAGIC + hashlib.sha256(body).digest() + body)
        except OSError as error:
            log.warning("configuration cache not written", path=str(self._path), error=str(error))

    def release(self) -> None:
        """Forget what was read from disk and not asked for."""
        self._stored = {}

    def _entries(self) -> dict[bytes, bytes]:
        if self._stored is None:
            self._stored = self._read()
        return self._stored

    def _read(self) -> dict[bytes, bytes]:
        if self._path is None:
            return {}
        try:
            with open(self._path, "rb") as file:
                data = file.read(MAX_BYTES)
        except FileNotFoundError:
            return {}
        except OSError as error:
            log.warning("configuration cache not read", path=str(self._path), error=str(error))
            return {}
        start = len(_MAGIC) + _DIGEST_BYTES
        body = memoryview(data)[start:]
        if data[: len(_MAGIC)] != _MAGIC or data[len(_MAGIC) : start] != hashlib.sha256(body).digest():
            log.warning("configuration cache is damaged; made anew", path=str(self._path))
            return {}
        try:
            content = msgspec.msgpack.decode(body, type=_Content)
        except msgspec.MsgspecError:
            content = None
        if content is None or content.header != self._header:
            log.info("configuration cache is another version's; made anew", path=str(self._path))
            return {}
        return content.entries


def _key(file: SourceFile, role: Role) -> bytes:
    head = f"{role} {file.path}\n".encode(errors="surrogateescape")
    return hashlib.sha256(hashlib.sha256(head).digest() + hashlib.sha256(file.data).digest()).digest()


def _code_digest() -> bytes:
    """Digest the code that reads files, so that no entry outlives a change of its meaning."""
    digest = hashlib.sha256(f"{yaml.__version__} {msgspec.__version__}".encode())
    for module in _READERS:
        if module.__file__ is not None:
            with contextlib.suppress(OSError):
                digest.update(Path(module.__file__).read_bytes())
    return digest.digest()


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
