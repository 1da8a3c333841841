"""What `prow-async run` adds to the commands of its job, beside the same commands in a shell."""

import os
import shlex
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from bench import processes, starts, systems
from bench.results import Added, Stage
from prow_async.api import clonerecords, runrecords

PATIENCE_S = 60.0
COMMAND = "test -n $PATH"
CONFIG = """
plank:
  default_decoration_configs:
    '*':
      utility_images: {clonerefs: x/clonerefs, initupload: x/initupload, entrypoint: x/entrypoint, sidecar: x/sidecar}
      gcs_configuration: {bucket: b, path_strategy: explicit}
presubmits:
  octo-org/hello:
"""
JOB = "  - {name: NAME, decorate: DECORATE, spec: {containers: [{image: i, command: [sh, -c, 'COMMAND']}]}}\n"
FILES = 200
Say = Callable[[str], None]


class Case(msgspec.Struct, frozen=True):
    """One job. By hand it comes to its command, after the git commands that clone `code` where there is some."""

    name: str
    flags: tuple[str, ...]
    code: Path | None = None


def measure(runs: int, say: Say) -> list[Added]:
    """Run an undecorated and a decorated job, each in turn with its commands in a shell. Raises Broken."""
    with tempfile.TemporaryDirectory(prefix="prow-async-bench-") as name:
        folder = Path(name)
        config, copy = folder / "config.yaml", folder / "hello"
        jobs = (JOB.replace("NAME", name).replace("DECORATE", way) for name, way in DECORATED.items())
        config.write_text(CONFIG + "".join(jobs).replace("COMMAND", COMMAND))
        sha = make_repository(copy)
        cases = (
            Case("undecorated", (f"--base-sha={sha}",)),
            Case("decorated", (f"--local={copy}",), copy),
        )
        return [_measure(case, folder, runs, say) for case in cases]


DECORATED = {"undecorated": "false", "decorated": "true"}


def make_repository(folder: Path) -> str:
    """Make a small working copy; return its commit."""
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number}.txt").write_text(f"{number}\n" * 100)
    who = ("-c", "user.name=bench", "-c", "user.email=bench@localhost")
    for words in (("init", "--quiet", "-b", "main"), ("add", "."), (*who, "commit", "--quiet", "-m", "Everything")):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)
    said = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True)
    return said.stdout.decode().strip()


def _measure(case: Case, folder: Path, runs: int, say: Say) -> Added:
    environ = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(_without_rich(folder))}
    config = f"--config-path={folder / 'config.yaml'}"
    words = ("run", case.name, config, f"--artifacts={folder / 'artifacts'}", *case.flags)
    say(f"prow-async run: {case.name}, {runs} runs")
    bare_s, ours_s = [], []
    starts.took_s((str(systems.program()), *words), environ, folder=folder)  # everything is in the caches then
    bare = COMMAND if case.code is None else _script(folder / "artifacts", folder / "clone", case.code)
    for _ in range(runs):
        bare_s.append(starts.took_s(("sh", "-c", bare), environ, folder=folder))
        shutil.rmtree(folder / "clone", ignore_errors=True)
        ours_s.append(starts.took_s((str(systems.program()), *words), environ, folder=folder))
    added = [one - other for one, other in zip(ours_s, bare_s, strict=True)]
    return Added(
        job=case.name,
        runs=runs,
        bare_ms=round(statistics.median(bare_s) * 1e3, 1),
        ours_ms=round(statistics.median(ours_s) * 1e3, 1),
        added_ms=round(statistics.median(added) * 1e3, 1),
        stages=list(_stages([_staged(words, environ, folder) for _ in range(runs)])),
    )


def _script(artifacts: Path, clone: Path, code: Path) -> str:
    """Return as a shell script what a run's clone records say was run, on the working copy itself, then the command."""
    (found,) = artifacts.glob(f"*/*/{runrecords.CLONE_RECORDS_FILE}")
    records = [record for record in clonerecords.decode(found.read_bytes()) if record.commands]
    lines = [command.command for record in records for command in record.commands]
    made = next(line.rpartition(" ")[2] for line in lines if " mkdir " in line)
    served = next(record.refs.clone_uri for record in records)
    told = []
    for line in lines:
        where, *words = shlex.split(line.replace(made, str(clone)).replace(served, code.as_uri()))
        folder = where.removeprefix("PWD=")
        told.append(f"cd {shlex.quote(folder)} && env {shlex.join(words)} >/dev/null 2>&1")
    return " && ".join([*told, COMMAND])


def _without_rich(folder: Path) -> Path:
    """Hide rich: the tools for development bring it, structlog loads it where it is, and users do not have it."""
    hiding = folder / "hiding"
    hiding.mkdir(exist_ok=True)
    (hiding / "rich.py").write_text("raise ImportError\n")
    return hiding


def _staged(words: Sequence[str], environ: Mapping[str, str], folder: Path) -> list[Stage]:
    """Run once more with time stamps. Raises Broken."""
    command = processes.module("bench.run_stages", str(folder / "stages.json"), *words[1:])
    starts.took_s(command, environ)
    return msgspec.json.decode((folder / "stages.json").read_bytes(), type=list[Stage])


def _stages(found: Sequence[Sequence[Stage]]) -> Iterator[Stage]:
    """Yield each stage with the median of its times."""
    for index, stage in enumerate(found[0]):
        yield Stage(stage.name, round(statistics.median(one[index].ms for one in found), 1))
