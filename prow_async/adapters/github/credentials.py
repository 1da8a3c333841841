"""Whose token requests carry, and how it is kept out of everything people read."""

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from prow_async.adapters.github.wire import Ask, Pass
from prow_async.api.errors import CannotStart

_LOG = logging.getLogger(__name__)


class Credentials(Protocol):
    @property
    def is_app(self) -> bool:
        """Whether this is a GitHub App, which acts in each organization with another token."""

    async def travel(self, ask: Ask) -> Pass:
        """Return what a request goes with. Raises Retry, and Refused where there is no right to ask at all."""

    async def renewed(self, used: Pass) -> bool:
        """Forget a token that GitHub does not know (401). True: another one may be had at once."""

    def censor(self, text: str) -> str:
        """Star out tokens, should they stand in a text from outside."""


class FixedToken:
    """A token that never changes. Empty: anonymous requests.

    Raises CannotStart for a token that no HTTP header can carry.
    """

    is_app = False

    def __init__(self, token: str = "") -> None:
        if not _fits_header(token):
            raise CannotStart("the GitHub token holds spaces or characters outside ASCII; check what was pasted")
        self._token = token
        self._view = _digest(token) if token else "anonymous"
        self._who = _digest(f"Bearer {token}") if token else "anonymous"
        """What a ghproxy and upstream's components call the same token in metrics: its whole header's digest."""

    def token(self) -> str:
        return self._token

    async def travel(self, ask: Ask) -> Pass:
        return self.on()

    def on(self) -> Pass:
        return Pass(self._token, self._who, self._view)

    async def renewed(self, used: Pass) -> bool:
        return False

    def censor(self, text: str) -> str:
        return text.replace(self._token, "*****") if self._token else text


class TokenFile:
    """A token in a file, read again whenever the file changes; white space around it does not count.

    While a changed file cannot be read, or holds no token, the last good one stays in use and a warning is logged.
    Raises CannotStart when it cannot be read the first time.

    Args:
        learn: told every token before it is used.
    """

    is_app = False

    def __init__(self, path: Path, learn: Callable[[str], None] = lambda _: None) -> None:
        self._learn = learn
        self._file = SecretFile(path, "GitHub token file")
        self._current = self._load()

    def token(self) -> str:
        if self._file.changed():
            try:
                self._current = self._load()
                self._file.kept()
            except CannotStart as error:
                self._file.refused(str(error))
        return self._current.token()

    async def travel(self, ask: Ask) -> Pass:
        self.token()
        return self._current.on()

    async def renewed(self, used: Pass) -> bool:
        return self.token() != used.token

    def censor(self, text: str) -> str:
        return self._current.censor(text)

    def _load(self) -> FixedToken:
        token = self._file.read().decode("utf-8", "replace").strip()
        if not token or not _fits_header(token):
            raise CannotStart(
                f"the GitHub token file {self._file.path} holds no token: one line of plain ASCII is expected"
            )
        self._learn(token)
        return FixedToken(token)


class SecretFile:
    """A small file that is looked at again and again. Raises CannotStart when it cannot be read the first time."""

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        self._what = what
        self._warned = ""
        self._seen = self._stamp()
        self._now = self._seen

    def read(self) -> bytes:
        """Raises CannotStart when it cannot be read."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise self._unreadable(error) from error

    def changed(self) -> bool:
        """Say whether the file is another one than was kept. Trouble is told in the log, once."""
        try:
            self._now = self._stamp()
        except CannotStart as error:
            self.refused(str(error))
            return False
        return self._now != self._seen

    def kept(self) -> None:
        """What was read last is in use now."""
        self._seen, self._warned = self._now, ""

    def refused(self, why: str) -> None:
        """What was read last is of no use: say so, once."""
        if why != self._warned:
            self._warned = why
            _LOG.warning("still using the last good one: %s", why)

    def _stamp(self) -> tuple[int, int, int]:
        try:
            found = os.stat(self.path)
        except OSError as error:
            raise self._unreadable(error) from error
        return found.st_mtime_ns, found.st_ino, found.st_size

    def _unreadable(self, error: OSError) -> CannotStart:
        return CannotStart(f"the {self._what} {self.path} cannot be read: {error.strerror or error}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _fits_header(token: str) -> bool:
    return all("!" <= letter <= "~" for letter in token)
