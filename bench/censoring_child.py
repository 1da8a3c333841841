"""One measured process: `python -m bench.censoring_child MODE LOG SECRETS TARGET` prints what it found as one object.

Modes: `bare` (reads pieces and writes them), `ours` (the same pieces through core/censor). Both keep to one core and
read and write the same number of bytes. The target is taken away again.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench import processes
from prow_async.core import secret_forms
from prow_async.core.censor import Censor

PIECE_BYTES = 256 << 10
"""As the sidecar reads its files."""
MARK = b"X" * 10


class Found(msgspec.Struct, frozen=True, kw_only=True):
    took_s: float
    cpu_s: float
    size_bytes: int
    peak_bytes: int
    masked: int
    """How many pieces held a secret."""


def bare(read: Callable[[int], bytes], write: Callable[[bytes], object]) -> int:
    """Copy everything, and nothing else."""
    while data := read(PIECE_BYTES):
        write(data)
    return 0


def ours(read: Callable[[int], bytes], write: Callable[[bytes], object], secrets: Censor) -> int:
    """Copy everything, censored; return how many pieces held a secret."""
    stream, masked = secrets.stream(), 0
    while data := read(PIECE_BYTES):
        piece = stream.feed(data)
        masked += piece.masked is not piece.raw
        write(piece.masked)
    piece = stream.finish()
    write(piece.masked)
    return masked + (piece.masked is not piece.raw)


def main() -> None:
    mode, log, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[4])
    hidden = [one.encode() for one in msgspec.json.decode(Path(sys.argv[3]).read_bytes(), type=list[str])]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    secrets = Censor(secret_forms.of(hidden))
    with log.open("rb", buffering=0) as source, target.open("wb", buffering=0) as sink:
        started_s, cpu_s = time.perf_counter(), time.process_time()
        masked = bare(source.read, sink.write) if mode == "bare" else ours(source.read, sink.write, secrets)
        took_s, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
    size_bytes = log.stat().st_size
    peak_bytes = processes.peak_bytes(os.getpid())
    if target.stat().st_size != size_bytes:
        raise processes.Broken(f"{size_bytes} bytes became {target.stat().st_size}")
    if mode == "ours":
        _check(target, hidden)
    target.unlink()
    found = Found(took_s=took_s, cpu_s=cpu_s, size_bytes=size_bytes, peak_bytes=peak_bytes, masked=masked)
    print(msgspec.json.encode(found).decode())


def _check(target: Path, hidden: list[bytes]) -> None:
    """Look that the first pieces show no secret, and that some were there. Raises Broken."""
    with target.open("rb") as file:
        shown = file.read(8 * PIECE_BYTES)
    if MARK not in shown or any(secret.strip() in shown for secret in hidden):
        raise processes.Broken("the censored log shows a secret, or held none")


if __name__ == "__main__":
    main()
