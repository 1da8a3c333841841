"""Logs of the programs in a job's pod: one JSON object a line on standard error, with secrets taken out.

Keys as upstream's: `component`, `level`, `msg`, `time`, and whatever the line is about.
"""

import base64
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

_STAR = "CENSORED"
_SHORTEST_SECRET = 4
"""Anything shorter would black out half a log."""


class Censor:
    """Secrets that must not show, in the forms they could show in: plain, JSON-escaped and in base64."""

    def __init__(self) -> None:
        self._forms: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def add(self, secrets: Iterable[str]) -> None:
        """Register secrets. Those of less than 4 characters are left out."""
        forms = set()
        for secret in secrets:
            plain = secret.strip()
            if len(plain) < _SHORTEST_SECRET:
                continue
            quoted = msgspec.json.encode(plain).decode()[1:-1]
            forms |= {plain, quoted, *(base64.b64encode(form.encode()).decode() for form in (plain, secret))}
        with self._lock:
            self._forms = tuple(sorted(forms.union(self._forms), key=len, reverse=True))

    def __call__(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, _STAR)
        return text


class Out(Protocol):
    """Where lines go: a binary file, or what is written to as one."""

    def write(self, data: bytes, /) -> object: ...

    def flush(self) -> object: ...


class Log:
    """Writes log lines; any thread may.

    Args:
        component: the program's name, on every line.
        out: where lines go; standard error when not given.
        censor: the secrets to take out; may learn more later.
    """

    def __init__(self, component: str, out: Out | None = None, censor: Censor | None = None) -> None:
        self.censor = censor or Censor()
        self._component = component
        self._outs: list[Out] = [out or sys.stderr.buffer]
        self._lock = threading.Lock()

    def also(self, out: Out) -> None:
        """Write every line from now on to one more place."""
        with self._lock:
            self._outs.append(out)

    def info(self, msg: str, **fields: Any) -> None:
        self.write("info", msg, fields)

    def warning(self, msg: str, **fields: Any) -> None:
        self.write("warning", msg, fields)

    def error(self, msg: str, **fields: Any) -> None:
        self.write("error", msg, fields)

    def fatal(self, msg: str, **fields: Any) -> None:
        """Say why the program ends. It is the caller who ends it."""
        self.write("fatal", msg, fields)

    def write(self, level: str, msg: str, fields: dict[str, Any]) -> None:
        """Write one line: keys sorted, as logrus has them; a field named like one of its keys gets a prefix."""
        line: dict[str, Any] = {
            "component": self._component,
            "level": level,
            "msg": msg,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        line |= {f"fields.{key}" if key in line else key: value for key, value in fields.items()}
        try:
            encoded = msgspec.json.encode(line, order="sorted", enc_hook=str)
        except (TypeError, ValueError, RecursionError):  # a lone surrogate, a ring
            encoded = msgspec.json.encode({key: _plain(value) for key, value in line.items()}, order="sorted")
        data = self.censor(encoded.decode()).encode() + b"\n"
        with self._lock:
            for out in self._outs:
                try:
                    out.write(data)
                    out.flush()
                except (OSError, ValueError):  # a full disk or a closed pipe: no reason for the work to end
                    continue


def _plain(value: object) -> str:
    return str(value).encode(errors="replace").decode()
