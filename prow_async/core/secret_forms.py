"""Which byte strings a secret may show as, and the secrets inside files of known formats.

Source: upstream pkg/secretutil/censor.go (Refresh), pkg/sidecar/censor.go (loadSecrets); gopkg.in/ini.v1 for INI.
"""

import base64
from collections.abc import Collection, Iterable
from typing import TypeVar

import msgspec

T = TypeVar("T")
_GO_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_QUOTES = ('"""', '"', "'", "`")


class NotReadable(ValueError):
    """A secret is not of the format its file's name promises. The file as a whole is a secret all the same."""


class _Auth(msgspec.Struct):
    auth: str = ""
    password: str = ""


class _DockerConfig(msgspec.Struct):
    auths: dict[str, _Auth | None] | None = None


def of(secrets: Iterable[bytes], minimum_length: int = 0) -> frozenset[bytes]:
    """Return what to look for: each secret without the space around it, and base64 of it with and without that space.

    Left out: what is empty, a boolean, or shorter than `minimum_length` bytes once trimmed.

    >>> sorted(of([b"pw\\n"]))
    [b'cHc=', b'cHcK', b'pw']
    """
    forms: set[bytes] = set()
    for secret in secrets:
        trimmed = _trimmed(secret)
        if not trimmed or trimmed.lower() in (b"true", b"false") or len(trimmed) < minimum_length:
            continue
        forms |= {trimmed, base64.b64encode(trimmed), base64.b64encode(secret)}
    return frozenset(forms)


def inside(name: str, content: bytes, ini_filenames: Collection[str]) -> tuple[bytes, ...]:
    """Return the secrets inside a secret file of this name. Raises NotReadable.

    `.dockercfg` and `.dockerconfigjson`: every auth and password. One of `ini_filenames`: every value.
    """
    if name in ini_filenames:
        return tuple(_ini_values(content))
    if name == ".dockercfg":
        return _auths(_decode(content, dict[str, _Auth | None]))
    if name == ".dockerconfigjson":
        return _auths(_decode(content, _DockerConfig).auths or {})
    return ()


def _decode(content: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise NotReadable("it is no JSON of Docker's credentials") from None  # the cause would quote the secret


def _auths(entries: dict[str, _Auth | None]) -> tuple[bytes, ...]:
    return tuple(
        value.encode() for entry in entries.values() if entry for value in (entry.auth, entry.password) if value
    )


def _ini_values(content: bytes) -> Iterable[bytes]:
    """Yield the values of an INI file; a line that is none is passed over."""
    lines = iter(content.removeprefix(b"\xef\xbb\xbf").decode(errors="surrogateescape").split("\n"))
    for line in lines:
        line = line.strip(_GO_SPACE)
        if not line or line[0] in "#;[":
            continue
        at = min((found for mark in "=:" if (found := line.find(mark)) >= 0), default=-1)
        if at < 0:
            continue
        value = line[at + 1 :].strip(_GO_SPACE)
        while value.endswith("\\"):
            value = value[:-1] + next(lines, "").strip(_GO_SPACE)
        if bare := _bare(value):
            yield bare.encode(errors="surrogateescape")


def _bare(value: str) -> str:
    """Take off quotes, or a comment behind an unquoted value."""
    for quote in _QUOTES:
        if value.startswith(quote) and (end := value.find(quote, len(quote))) > 0:
            return value[len(quote) : end]
    for mark in (" #", " ;", "\t#", "\t;"):
        value = value.partition(mark)[0]
    return value.strip(_GO_SPACE)


def _trimmed(secret: bytes) -> bytes:
    return secret.decode(errors="surrogateescape").strip(_GO_SPACE).encode(errors="surrogateescape")
