"""Whose token requests carry, and how it is kept out of everything people read."""

import hashlib
import logging
import os
from pathlib import Path
from typing import Protocol

from prow_async.api.errors import CannotStart

_LOG = logging.getLogger(__name__)


class Credentials(Protocol):
    def token(self) -> str:
        """The token to send now; empty for none."""

    def token_hash(self) -> str:
        """SHA-256 of it in hex, to tell tokens apart in metrics."""

    def censor(self, text: str) -> str:
        """Star out the token, should it stand in a text from outside."""


class FixedToken:
    """A token that never changes. Empty: anonymous requests.

    Raises CannotStart for a token that no HTTP header can carry.
    """

    def __init__(self, token: str = "") -> None:
        if not _fits_header(token):
            raise CannotStart("the GitHub token holds spaces or characters outside ASCII; check what was pasted")
        self._token = token
        self._hash = _hash(token)

    def token(self) -> str:
        return self._token

    def token_hash(self) -> str:
        return self._hash

    def censor(self, text: str) -> str:
        return text.replace(self._token, "*****") if self._token else text


class TokenFile:
    """A token in a file, read again whenever the file changes; white space around it does not count.

    While a changed file cannot be read, or holds no token, the last good one stays in use and a warning is logged.
    Raises CannotStart when it cannot be read the first time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._current = FixedToken()
        self._warned = ""
        try:
            self._seen = self._stamp()
            self._current = self._load()
        except OSError as error:
            raise CannotStart(f"the GitHub token file {path} cannot be read: {error.strerror or error}") from error

    def token(self) -> str:
        self._refresh()
        return self._current.token()

    def token_hash(self) -> str:
        return self._current.token_hash()

    def censor(self, text: str) -> str:
        return self._current.censor(text)

    def _refresh(self) -> None:
        try:
            stamp = self._stamp()
            if stamp != self._seen:
                self._current = self._load()
                self._seen = stamp
                self._warned = ""
        except (OSError, CannotStart) as error:
            if str(error) != self._warned:
                self._warned = str(error)
                _LOG.warning("still using the last good GitHub token: %s", error)

    def _load(self) -> FixedToken:
        token = self._path.read_bytes().decode("utf-8", "replace").strip()
        if not token or not _fits_header(token):
            raise CannotStart(f"the GitHub token file {self._path} holds no token: one line of plain ASCII is expected")
        return FixedToken(token)

    def _stamp(self) -> tuple[int, int, int]:
        found = os.stat(self._path)
        return found.st_mtime_ns, found.st_ino, found.st_size


def _fits_header(token: str) -> bool:
    return all("!" <= letter <= "~" for letter in token)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest() if token else "anonymous"
