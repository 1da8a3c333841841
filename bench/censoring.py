"""How fast secrets are taken out of a log, on one core, beside reading and writing the same bytes."""

import random
import statistics
import string
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from bench import censoring_child, processes
from bench.results import Censoring

PATIENCE_S = 600.0
SECRETS = 200
LINES_A_SECRET = 2_000
BLOCK_BYTES = 8_000_000
Say = Callable[[str], None]


def measure(log_mb: int, rounds: int, say: Say) -> Censoring:
    """Write a log and secrets, and censor it in fresh processes, in turn with copying it. Raises Broken."""
    with tempfile.TemporaryDirectory(prefix="prow-async-bench-") as folder:
        log, secrets, target = (Path(folder) / name for name in ("build-log.txt", "secrets.json", "censored"))
        hidden = make_secrets(random.Random(1))
        secrets.write_bytes(msgspec.json.encode([one.decode() for one in hidden]))
        make_log(log, hidden, log_mb)
        bare, ours = [], []
        for turn in range(rounds):
            say(f"censoring: round {turn + 1} of {rounds}, bare copy, then ours")
            bare.append(_run("bare", log, secrets, target))
            ours.append(_run("ours", log, secrets, target))
    size_mb = bare[0].size_bytes / 1e6
    return Censoring(
        log_mb=log_mb,
        secrets=SECRETS,
        masked=ours[0].masked,
        bare_mb_per_s=round(size_mb / statistics.median(found.took_s for found in bare), 1),
        ours_mb_per_s=round(size_mb / statistics.median(found.took_s for found in ours), 1),
        ours_mb_per_cpu_s=round(size_mb / statistics.median(found.cpu_s for found in ours), 1),
        ratio=round(statistics.median(one.took_s / other.took_s for one, other in zip(ours, bare, strict=True)), 2),
        peak_mb=round(max(found.peak_bytes for found in ours) / 1e6, 1),
        rounds=rounds,
    )


def make_secrets(chance: random.Random) -> list[bytes]:
    """Return what a cluster's secrets hold: most are tokens, some passwords, a few are keys of many lines."""
    letters = string.ascii_letters + string.digits

    def some(size: int) -> bytes:
        return "".join(chance.choices(letters, k=size)).encode()

    tokens = [b"ghp_" + some(36) for _ in range(SECRETS * 7 // 10)]
    passwords = [some(chance.randint(10, 20)) for _ in range(SECRETS // 4)]
    keys = [
        b"-----BEGIN PRIVATE KEY-----\n" + b"\n".join(some(64) for _ in range(26)) + b"\n-----END PRIVATE KEY-----\n"
        for _ in range(SECRETS - len(tokens) - len(passwords))
    ]
    return [*tokens, *passwords, *keys]


def make_log(path: Path, hidden: list[bytes], log_mb: int) -> None:
    """Write log-like lines; in one of some thousands a secret stands."""
    block = b"".join(_lines(random.Random(2), hidden))
    with path.open("wb") as log:
        left = log_mb * 1_000_000
        while left > 0:
            left -= log.write(block[:left])


def _lines(chance: random.Random, hidden: list[bytes]) -> Iterator[bytes]:
    written = number = 0
    while written < BLOCK_BYTES:
        number += 1
        at = (
            f"I1126 12:{number // 60 % 60:02}:{number % 60:02}.{chance.randrange(10**6):06} {chance.randrange(10**5):7}"
        )
        what = chance.choice(("reconciler.go:224", "kubelet.go:1902", "event.go:294", "httplog.go:132"))
        rest = f'"operation {chance.randrange(16**8):x} done" pod="ns-{chance.randrange(999)}/pod" took="{number}ms"'
        line = f"{at} {what}] {rest}".encode()
        if number % LINES_A_SECRET == 0:
            line += b" Authorization: Bearer " + chance.choice(hidden)
        yield line + b"\n"
        written += len(line) + 1


def _run(mode: str, log: Path, secrets: Path, target: Path) -> censoring_child.Found:
    command = processes.module("bench.censoring_child", mode, str(log), str(secrets), str(target))
    said = processes.run(command, PATIENCE_S)
    return msgspec.json.decode(said.splitlines()[-1], type=censoring_child.Found)
