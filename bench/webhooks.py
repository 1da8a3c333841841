"""Webhooks accepted per second: runs bench.intake as a program of its own and takes its figures."""

import importlib.util
import tempfile
from pathlib import Path

import msgspec

from bench import processes
from bench.results import Intake

MODULE = "bench.intake"


class _Said(msgspec.Struct):
    bare_per_s: float
    ours_per_s: float
    ratio: float
    p99_ratio: float


def measure(seconds: float, rounds: int) -> Intake:
    """Raise Broken where it is not there or fails."""
    if importlib.util.find_spec(MODULE) is None:
        raise processes.Broken(f"{MODULE} is not there")
    with tempfile.TemporaryDirectory(prefix="prow-async-bench-") as folder:
        file = Path(folder) / "intake.json"
        command = processes.module(MODULE, f"--seconds={seconds}", f"--rounds={rounds}", f"--json={file}")
        processes.run(command, rounds * (2 * seconds + 30.0) + 60.0)
        raw = file.read_bytes()
    try:
        said = msgspec.json.decode(raw, type=_Said)
    except msgspec.DecodeError as error:
        raise processes.Broken(f"{MODULE} has written something else: {error}") from error
    return Intake(said.bare_per_s, said.ours_per_s, said.ratio, said.p99_ratio, msgspec.json.decode(raw))
