"""One measured process: `python -m bench.uploads_child MODE SOURCE TARGET` prints what it found as one JSON object.

Modes: `bare` (shutil.copyfile for each file, one after the other), `ours` (podutils/upload to `file://TARGET`, the log
given as sidecar gives it). Both leave the same files.
"""

import os
import shutil
import sys
import time
from pathlib import Path

import msgspec

from bench import processes
from prow_async.api.jobspec import JobSpec
from prow_async.api.podoptions import GCSUploadOptions
from prow_async.podutils import artifacts, upload

LOG = "build-log.txt"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    took_s: float
    peak_bytes: int


def bare(source: Path, target: Path) -> None:
    """Copy everything, and nothing else."""
    run = target / "logs" / "job" / "1"
    run.mkdir(parents=True)
    for folder, _, names in os.walk(source):
        place = run / Path(folder).relative_to(source)
        place.mkdir(exist_ok=True)
        for name in names:
            shutil.copyfile(os.path.join(folder, name), place / name)


def ours(source: Path, target: Path) -> None:
    """Upload the artifacts and the log."""
    options = GCSUploadOptions(
        items=(str(source / "artifacts"),), bucket=f"file://{target}", path_strategy="explicit", dry_run=False
    )
    log_file = artifacts.Found(LOG, str(source / LOG), os.path.realpath(source))
    log = upload.Item(LOG, lambda: artifacts.open_file(log_file))
    upload.run(JobSpec("periodic", "job", "1"), options, [log])


def main() -> None:
    mode, source, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    started_s = time.perf_counter()
    (bare if mode == "bare" else ours)(source, target)
    took_s = time.perf_counter() - started_s
    _check(source, target / "logs" / "job" / "1")
    print(msgspec.json.encode(Found(took_s=took_s, peak_bytes=processes.peak_bytes(os.getpid()))).decode())


def _check(source: Path, run: Path) -> None:
    """Look that everything has arrived. Raises Broken."""
    there = {path.relative_to(run): path.stat().st_size for path in run.rglob("*") if path.is_file()}
    for path in source.rglob("*"):
        if path.is_file() and there.get(path.relative_to(source)) != path.stat().st_size:
            raise processes.Broken(f"{path} has not arrived")


if __name__ == "__main__":
    main()
