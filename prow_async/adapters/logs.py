"""Logs: one JSON object a line, ours and the libraries' alike, with registered secrets taken out.

Fields as upstream's: `component`, `severity`, `msg`, `time`, and whatever the line is about (`event-GUID`,
`prowjob`), given in the call or bound by `structlog.contextvars`.
"""

import base64
import logging
import sys
import time
from collections import deque
from collections.abc import Iterable, MutableMapping
from typing import Any, BinaryIO, Literal

import msgspec
import structlog

from prow_async.adapters import log_lines

Level = Literal["trace", "debug", "info", "warning", "error", "fatal"]
_LEVELS: dict[str, int] = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
    "panic": logging.CRITICAL,
}
_STAR = b"CENSORED"
_SHORTEST_SECRET_BYTES = 4
"""Anything shorter would black out half the log."""
_RENEWED = 3
_Event = MutableMapping[str, Any]


class Censor:
    """Secrets that must not show in logs, in the forms they could show in: plain, JSON-escaped and in base64."""

    def __init__(self) -> None:
        self._lasting: set[bytes] = set()
        self._renewed: dict[str, deque[bytes]] = {}
        self._forms: tuple[bytes, ...] = ()

    def add(self, secrets: Iterable[bytes]) -> None:
        """Register secrets; those registered before stay, since older lines may still quote them."""
        for secret in secrets:
            self._lasting |= _forms(secret)
        self._order()

    def renew(self, name: str, secret: bytes) -> None:
        """Register a secret that takes the place of one that ends by itself; only the last few of a name are kept."""
        self._renewed.setdefault(name, deque(maxlen=_RENEWED)).append(secret)
        self._order()

    def _order(self) -> None:
        ending = (secret for secrets in self._renewed.values() for secret in secrets)
        forms = self._lasting.union(*map(_forms, ending))
        self._forms = tuple(sorted(forms, key=len, reverse=True))

    def __call__(self, line: bytes) -> bytes:
        for form in self._forms:
            if form in line:
                line = line.replace(form, _STAR)
        return line


def _forms(secret: bytes) -> set[bytes]:
    plain = secret.strip()
    if len(plain) < _SHORTEST_SECRET_BYTES:
        return set()
    quoted = msgspec.json.encode(plain.decode(errors="replace"))[1:-1]
    return {plain, base64.b64encode(plain), base64.b64encode(secret), quoted}


def set_up(component: str, censor: Censor, level: str = "info", out: BinaryIO | None = None) -> None:
    """Send every log line of this process to one place, as JSON. Call once, before anything logs.

    Args:
        component: written on every line.
        level: as in Prow's `log_level`; a word that is none of them counts as info.
        out: where lines go; standard error when not given.
    """
    lines = log_lines.LineWriter(out or sys.stderr.buffer)
    threshold = _LEVELS.get(level.lower(), logging.INFO)
    render = _Renderer(component, censor)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, render],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: _Lines(lines),
        cache_logger_on_first_use=False,
    )
    handler = _Handler(lines)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render.text],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(threshold, logging.INFO))
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it tells of every change anywhere near our files
    logging.captureWarnings(True)


class _Lines:
    """Where structlog hands over what is rendered."""

    def __init__(self, lines: log_lines.LineWriter) -> None:
        self.debug = self.info = self.warning = lines.add
        self.error = self.exception = self.critical = lines.add_now


class _Handler(logging.Handler):
    """Hands the libraries' records over in the same way."""

    def __init__(self, lines: log_lines.LineWriter) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record).encode()
        except Exception:  # logging's own way to tell about a record that cannot be rendered
            self.handleError(record)
            return
        if record.levelno >= logging.ERROR:
            self._lines.add_now(line)
        else:
            self._lines.add(line)


class _Renderer:
    """Makes one JSON line of one event. It stands in the way of every webhook, so it does everything in one go."""

    def __init__(self, component: str, censor: Censor) -> None:
        self._component = component
        self._censor = censor
        self._encode = msgspec.json.Encoder(enc_hook=repr).encode
        self._second = -1
        self._prefix = ""

    def __call__(self, _logger: Any, method: str, event: _Event) -> bytes:
        line: dict[str, Any] = {
            "component": self._component,
            "msg": event.pop("event", ""),
            "severity": event.pop("level", method),
            "time": self._now(),
        }
        if event.get("exc_info"):
            event = structlog.processors.format_exc_info(_logger, method, event)
        if line.keys().isdisjoint(event):
            line.update(event)
        else:
            line |= {f"fields.{key}" if key in line else key: value for key, value in event.items()}
        try:
            encoded = self._encode(line)
        except (TypeError, ValueError, RecursionError):  # a lone surrogate, a map with odd keys, a ring
            encoded = self._encode({key: _plain(value) for key, value in line.items()})
        return self._censor(encoded)

    def text(self, logger: Any, method: str, event: _Event) -> str:
        return self(logger, method, event).decode()

    def _now(self) -> str:
        """Return the time as `2026-01-02T03:04:05.678Z`; all but the milliseconds is kept for a second."""
        now_s, ms = divmod(time.time_ns() // 1_000_000, 1000)
        if now_s != self._second:
            self._second = now_s
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now_s))
        return f"{self._prefix}.{ms:03d}Z"


def _plain(value: object) -> str:
    return (value if isinstance(value, str) else repr(value)).encode(errors="replace").decode()
