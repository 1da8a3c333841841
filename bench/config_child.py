"""One measured process: `python -m bench.config_child MODE TREE [CACHE]` prints what it found as one JSON object.

Modes: `bare` (CSafeLoader on every file), `cold` and `cached` (from the first open to a usable configuration), `one`
(a single changed file), `stall` (everything changes under a running event loop).
"""

import os
import sys
import threading
import time
from pathlib import Path

import anyio
import msgspec
import yaml

from bench import processes
from prow_async.adapters import clock, config_disk, config_files, config_reader, metrics

ROUNDS = 9
TICK_S = 0.001


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, bytes of VmHWM; None where the mode has no such figure."""

    took_s: float = 0.0
    jobs: int = 0
    size_bytes: int = 0
    peak_bytes: int = 0
    parse_s: float = 0.0
    stall_s: float = 0.0


def paths(tree: Path) -> config_reader.Paths:
    return config_reader.Paths(config_path=str(tree / "prow" / "config.yaml"), job_config_path=str(tree / "jobs"))


def bare(tree: Path) -> Found:
    """Read and parse every file with libyaml's safe loader, keep nothing."""
    size = 0
    started_s = time.perf_counter()
    for path in [str(tree / "prow" / "config.yaml"), *config_disk.job_files(str(tree / "jobs"))]:
        with open(path, "rb") as file:
            data = file.read()
        size += len(data)
        yaml.load(data, yaml.CSafeLoader)
    return Found(took_s=time.perf_counter() - started_s, size_bytes=size)


def load(tree: Path, cache: Path | None, save: bool) -> Found:
    """Load everything as a starting process does; writing the cache is not part of it."""
    started_s = time.perf_counter()
    reader = config_reader.Reader(paths(tree), cache=cache)
    found = reader.read().config
    took_s = time.perf_counter() - started_s
    if save:
        reader.save_cache()
    jobs = sum(map(len, [*found.presubmits.values(), *found.postsubmits.values()])) + len(found.periodics)
    return Found(took_s=took_s, jobs=jobs)


def one(tree: Path) -> Found:
    """Change a file of middling size again and again; the medians of reloading it and of parsing it alone."""
    reader = config_reader.Reader(paths(tree))
    reader.read()
    files = sorted(config_disk.job_files(str(tree / "jobs")), key=lambda path: Path(path).stat().st_size)
    changed = Path(files[len(files) * 3 // 4])
    took, alone = [], []
    for turn in range(ROUNDS):
        data = changed.read_bytes() + b"# %d\n" % turn
        changed.write_bytes(data)
        started_s = time.perf_counter()
        reader.read()
        took.append(time.perf_counter() - started_s)
        started_s = time.perf_counter()
        yaml.load(data, yaml.CSafeLoader)
        alone.append(time.perf_counter() - started_s)
    return Found(took_s=sorted(took)[ROUNDS // 2], parse_s=sorted(alone)[ROUNDS // 2], size_bytes=len(data))


def touch(tree: Path) -> None:
    for path in [str(tree / "prow" / "config.yaml"), *config_disk.job_files(str(tree / "jobs"))]:
        with open(path, "ab") as file:
            file.write(b"# changed\n")


async def stall(tree: Path) -> Found:
    """Change every file under a running loop; the longest time that the loop could not run a sleeper that was due."""
    files = config_files.ConfigFiles(paths(tree), clock=clock.SystemClock(), metrics=metrics.PrometheusMetrics())
    files.load()
    touch(tree)
    worst_s, done = 0.0, threading.Event()

    async def sleeper() -> None:
        nonlocal worst_s
        while not done.is_set():
            due_s = time.perf_counter() + TICK_S
            await anyio.sleep(TICK_S)
            worst_s = max(worst_s, time.perf_counter() - due_s)

    started_s = time.perf_counter()
    async with anyio.create_task_group() as group:
        group.start_soon(sleeper)
        if not await files.reload():
            raise processes.Broken("the changed configuration was not taken")
        took_s = time.perf_counter() - started_s
        await anyio.sleep(0.5)  # what the reload leaves behind is paid for here
        done.set()
    return Found(took_s=took_s, stall_s=worst_s)


def main(mode: str, tree: Path, cache: Path | None) -> Found:
    if mode == "bare":
        return bare(tree)
    if mode == "one":
        return one(tree)
    if mode == "stall":
        return anyio.run(stall, tree)
    return load(tree, cache, save=mode == "cold")


if __name__ == "__main__":
    result = main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
    print(msgspec.json.encode(msgspec.structs.replace(result, peak_bytes=processes.peak_bytes(os.getpid()))).decode())
