"""What it costs to upload a run with a very long log and very many artifacts to a folder, beside a bare copy."""

import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench import processes, uploads_child
from bench.results import Uploads

PATIENCE_S = 300.0
ARTIFACT_BYTES = 8_000
A_FOLDER = 100
Say = Callable[[str], None]


def measure(log_mb: int, artifacts: int, rounds: int, say: Say) -> Uploads:
    """Make a run's files and upload them in fresh processes, in turn with copying them. Raises Broken."""
    with tempfile.TemporaryDirectory(prefix="prow-async-bench-") as folder:
        source = Path(folder) / "run"
        make(source, log_mb, artifacts)
        found: dict[str, list[uploads_child.Found]] = {"bare": [], "ours": []}
        for turn in range(rounds):
            order = sorted(found, reverse=bool(turn % 2))
            say(f"uploads: round {turn + 1} of {rounds}, {' then '.join(order)}")
            for mode in order:
                found[mode].append(_run(mode, source, Path(folder) / f"{mode}-{turn}"))
    bare, ours = found["bare"], found["ours"]
    return Uploads(
        log_mb=log_mb,
        artifacts=artifacts,
        bare_s=round(statistics.median(found.took_s for found in bare), 3),
        ours_s=round(statistics.median(found.took_s for found in ours), 3),
        ratio=round(statistics.median(one.took_s / other.took_s for one, other in zip(ours, bare, strict=True)), 2),
        peak_mb=round(max(found.peak_bytes for found in ours) / 1e6, 1),
        rounds=rounds,
    )


def make(source: Path, log_mb: int, artifacts: int) -> None:
    """Write a log and artifacts, a hundred in each folder."""
    (source / "artifacts").mkdir(parents=True)
    line = b"ok  \tk8s.io/kubernetes/pkg/kubelet/cm/devicemanager\t12.345s\tcoverage: 61.2% of statements\n"
    with (source / "build-log.txt").open("wb") as log:
        for _ in range(log_mb):
            log.write((line * (1_000_000 // len(line) + 1))[:1_000_000])
    for number in range(artifacts):
        path = source / "artifacts" / f"group-{number // A_FOLDER}" / f"{number}.xml"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((line * (ARTIFACT_BYTES // len(line) + 1))[:ARTIFACT_BYTES])


def _run(mode: str, source: Path, target: Path) -> uploads_child.Found:
    """Measure one way. Its copy of the log goes, its small files stay until the end.

    An ext4 looks at each file that was deleted within the last minutes before it makes a new one: whoever comes after a
    great deletion would pay for it.
    """
    os.sync()  # what the one before left to be written must not be waited for by this one
    said = processes.run(processes.module("bench.uploads_child", mode, str(source), str(target)), PATIENCE_S)
    next(target.rglob(uploads_child.LOG)).unlink()
    return msgspec.json.decode(said.splitlines()[-1], type=uploads_child.Found)
