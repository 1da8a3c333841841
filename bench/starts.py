"""Starting programs over and over: how long each takes from start to end, and how much memory it needs."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from bench import processes
from bench.results import Start

PATIENCE_S = 60.0
PEAK_STARTS = 3
BARE = (sys.executable, "-c", "pass")
_PEAK = """
import sys
{what}
sys.stdout.write(next(line for line in open("/proc/self/status") if line.startswith("VmHWM:")).split()[1])
sys.stdout.flush()
"""
Say = Callable[[str], None]


class Program(msgspec.Struct, frozen=True):
    """A pod utility with the least it can be given to do. `code` is how it ends then."""

    name: str
    environ: dict[str, str]
    code: int = 0


def programs(folder: Path) -> tuple[Program, ...]:
    """Return the utilities, with options of which nothing is to be cloned, uploaded or censored."""
    marker, log = folder / "marker", folder / "process-log"
    marker.write_text("0")
    log.write_text("")
    uploading = {"path_strategy": "explicit", "dry_run": True}
    test = {"args": ["true"], "process_log": str(log), "marker_file": str(marker)}
    spec = json.dumps({"type": "periodic", "job": "job", "buildid": "1", "prowjobid": "1"})

    def told(variable: str, options: Mapping[str, object]) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "JOB_SPEC": spec, variable: json.dumps(options)}

    nothing = {"src_root": str(folder), "log": str(folder / "clone.json"), "refs": []}
    return (
        Program("clonerefs", told("CLONEREFS_OPTIONS", nothing), code=1),  # it says that it has nothing to clone
        Program("initupload", told("INITUPLOAD_OPTIONS", uploading)),
        Program("entrypoint", told("ENTRYPOINT_OPTIONS", {"timeout": 0, "grace_period": 0, **test})),
        Program(
            "sidecar",
            told("SIDECAR_OPTIONS", {"gcs_options": uploading, "entries": [test], "censoring_options": {}}),
        ),
        Program("gcsupload", told("GCSUPLOAD_OPTIONS", uploading)),
    )


def measure(starts: int, say: Say) -> list[Start]:
    """Start each utility and a bare interpreter in turn. Raises Broken."""
    with tempfile.TemporaryDirectory(prefix="prow-async-bench-") as folder:
        found = []
        for program in programs(Path(folder)):
            say(f"pod utilities: {program.name}, {starts} starts")
            found.append(_measure(program, starts))
    return found


def _measure(program: Program, starts: int) -> Start:
    command = processes.module(f"prow_async.podutils.{program.name}")
    bare_s, ours_s = [], []
    for _ in range(starts):
        bare_s.append(took_s(BARE, program.environ))
        ours_s.append(took_s(command, program.environ, program.code))
    ours = f"import os\nfrom prow_async.podutils import {program.name}\n{program.name}.main([], os.environ)"
    return Start(
        program=program.name,
        starts=starts,
        bare_ms=round(statistics.median(bare_s) * 1e3, 1),
        ours_ms=round(statistics.median(ours_s) * 1e3, 1),
        ratio=round(statistics.median(one / other for one, other in zip(ours_s, bare_s, strict=True)), 2),
        bare_peak_mb=_peak_mb("pass", program.environ),
        peak_mb=_peak_mb(ours, program.environ),
    )


def took_s(command: Sequence[str], environ: Mapping[str, str], code: int = 0, folder: Path = processes.ROOT) -> float:
    """Run a program to its end; return its time from start to end. Raises Broken when it ends in another way."""
    started_s = time.perf_counter()
    try:
        done = subprocess.run(
            command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S, cwd=folder
        )
    except subprocess.TimeoutExpired as error:
        raise processes.Broken(f"{' '.join(command[:4])}: not done within {PATIENCE_S:.0f} s") from error
    found_s = time.perf_counter() - started_s
    if done.returncode != code:
        said = (done.stderr or done.stdout).decode(errors="replace")[-2000:]
        raise processes.Broken(f"{' '.join(command[:4])} ended with {done.returncode}\n{said}")
    return found_s


def _peak_mb(what: str, environ: Mapping[str, str]) -> float:
    """Return the largest resident size of an interpreter that does this, asked of itself.

    Not asked of the kernel when it has ended: a child's figure counts what its parent was when it was forked.
    """
    command = (sys.executable, "-c", _PEAK.format(what=what))
    found = []
    for _ in range(PEAK_STARTS):
        done = subprocess.run(
            command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S, cwd=processes.ROOT
        )
        if done.returncode != 0:
            raise processes.Broken(f"asking for the peak of {what!r}\n{done.stderr.decode(errors='replace')[-2000:]}")
        found.append(int(done.stdout.split()[-1]) * 1024 / 1e6)
    return round(max(found), 1)
