"""A secret in a file, read again when it is needed; white space around it does not count."""

from pathlib import Path

import structlog

from prow_async.adapters import logs
from prow_async.api.errors import CannotStart

log = structlog.get_logger()
_MOST_BYTES = 64 * 1024


class SecretFile:
    """While the file cannot be read, or is empty, the last good content stays in use.

    Args:
        what: names it for people, such as "the Slack token".

    Raises CannotStart when it cannot be read the first time.
    """

    def __init__(self, path: str, what: str, censor: logs.Censor) -> None:
        self._path = Path(path)
        self._what = what
        self._censor = censor
        self._current = ""
        try:
            self._read()
        except (OSError, ValueError) as error:
            raise CannotStart(f"{what} in {path} cannot be read: {error}") from error

    def __call__(self) -> str:
        """Return the secret as it is now."""
        try:
            self._read()
        except (OSError, ValueError) as error:
            log.warning("secret not reloaded: the last good one stays in use", secret=self._what, why=str(error))
        return self._current

    def _read(self) -> None:
        with self._path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("ascii").strip()
        if not text:
            raise ValueError("the file is empty")
        if text != self._current:
            self._censor.add([text.encode()])
            self._current = text
