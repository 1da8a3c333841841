"""Processes that outlived the kubelet that started them (it was killed): written down, found again, ended.

A mark file holds what identifies a process for ever: the machine's boot, its pid and when it started. Without /proc
nothing is written and nothing is found.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

import structlog

log = structlog.get_logger()
FOLDER = "processes"
PATIENCE_S = 1.0


def identity(pid: int) -> str:
    """Return `<boot id> <pid> <start tick>`, empty for a process that is not there."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return f"{boot} {pid} {fields[19]}"
    except (OSError, IndexError):
        return ""


def mark(path: str, pid: int) -> None:
    """Write a process down. One that has ended already needs no mark."""
    if text := identity(pid):
        try:
            Path(path).write_text(text)
        except OSError as error:
            log.warning("process not written down", file=path, why=error.strerror)


def unmark(path: str) -> None:
    Path(path).unlink(missing_ok=True)


def kill(root: Path) -> int:
    """End the groups of all processes written down below a root and still alive; return how many there were.

    Only for the one kubelet that owns the root: those of a living kubelet are written down there too. Blocking, a
    second at most: cells end by themselves when their kubelet has, and take what is in them along.
    """
    ended = 0
    files = list(root.glob(f"*/{FOLDER}/*"))
    _await_end([file for file in files if file.is_file()])
    for file in files:
        text = _read(file)
        if _is_alive(text):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int(text.split()[1]), signal.SIGKILL)
                ended += 1
        file.unlink(missing_ok=True)
    return ended


def _await_end(files: list[Path]) -> None:
    until = time.monotonic() + PATIENCE_S
    while any(_is_alive(_read(file)) for file in files) and time.monotonic() < until:
        time.sleep(0.01)


def _is_alive(text: str) -> bool:
    words = text.split()
    return len(words) == 3 and words[1].isdecimal() and int(words[1]) > 1 and identity(int(words[1])) == text


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
