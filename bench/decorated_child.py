"""One measured process: `python -m bench.decorated_child JOBS` prints what it found of each job as one JSON list.

It is `prow-async up` with a configuration of one decorated presubmit, and a person who opens pull requests. When a job
has ended, its git commands are taken from its clone records and run again by a plain loop, with its test after them.
"""

import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import structlog

from bench import processes
from prow_async.adapters import logs
from prow_async.api import clonerecords, runrecords
from prow_async.apps import all_in_one, flag_groups, flags, process

ORG, REPO, JOB = "octo-org", "hello", "pull-hello-nothing"
TEST = ("true",)
PATIENCE_S = 60.0
LOOK_S = 0.002
WARM = 1
"""So many jobs first that do not count: nothing has been loaded before them."""
JOBS = f"""
presubmits:
  {ORG}/{REPO}:
  - name: {JOB}
    always_run: true
    decorate: true
    spec: {{containers: [{{image: example.com/not-pulled/nothing, command: ["true"]}}]}}
"""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One job. `whole_ms`: from the webhook's being sent to GitHub's taking the final status."""

    whole_ms: float
    git_ms: float
    test_ms: float
    bare_ms: float
    """The git commands and the test, by a plain loop."""


def main() -> None:
    structlog.configure(processors=[_nothing], logger_factory=structlog.ReturnLoggerFactory())
    with tempfile.TemporaryDirectory(prefix="prow-async-bench-") as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(_config(Path(folder) / "storage"))
        free = ("--port=0", "--metrics-port=0", "--health-port=0")
        words = [*free, f"--config-path={config}", f"--data-dir={Path(folder) / 'data'}"]
        shell = process.new_shell("up", flags.parse("bench", flag_groups.UP, words), logs.Censor())
        found = process.run_loop(_run, shell, int(sys.argv[1]), Path(folder))
    print(msgspec.json.encode(found).decode())


def _nothing(_: object, __: str, ___: structlog.types.EventDict) -> str:
    return ""


def _config(storage: Path) -> str:
    """Return the sample's configuration with this one job."""
    text = (all_in_one.SAMPLE / "config.yaml").read_text().replace("STORAGE", f'"{storage.as_uri()}"')
    return text + JOBS


async def _run(shell: process.Shell, jobs: int, folder: Path) -> list[Found]:
    async with all_in_one.opened(shell) as up, anyio.create_task_group() as group:
        group.start_soon(up.engine.run)
        for service in up.services:
            group.start_soon(service)
        found = [await _one(up, number, folder) for number in range(WARM + jobs)]
        group.cancel_scope.cancel()
    return found[WARM:]


async def _one(up: all_in_one.Running, number: int, folder: Path) -> Found:
    """Open a pull request, wait for its final status. Raises Broken."""
    assert up.github is not None
    world, person = up.github.world, up.github.person
    branch = f"change-{number}"
    await person.push(ORG, REPO, branch, f"Change {number}", {f"{number}.txt": b"changed\n"})
    await _until(lambda: up.engine.idle, "no work is left")
    pull = await person.open_pull(ORG, REPO, branch, branch)
    sha = world.pull(ORG, REPO, pull).head.sha

    def final() -> bool:
        return any(one.state not in {"", "pending"} for one in world.statuses(ORG, REPO, sha))

    await _until(final, "the status is final")
    status = next(iter(world.newest_statuses(world.repo(ORG, REPO), sha)))
    if status.state != "success":
        raise processes.Broken(f"the job ended as {status.state}: {status.description}")
    sent_s = next(one.queued_s for one in reversed(world.outbox.log()) if one.action == "opened")
    await _until(lambda: up.engine.idle, "no work is left")
    records = await anyio.to_thread.run_sync(_records, folder / "storage", pull)
    git_s = sum(command.duration for record in records for command in record.commands) / 1e9
    bare_s, test_s = await anyio.to_thread.run_sync(_by_hand, records, folder / f"by-hand-{number}")
    return Found(
        whole_ms=(status.created_s - sent_s) * 1e3, git_ms=git_s * 1e3, test_ms=test_s * 1e3, bare_ms=bare_s * 1e3
    )


def _records(storage: Path, pull: int) -> Sequence[clonerecords.Record]:
    """Read what a job's run says of its clones. Raises Broken."""
    found = list(storage.glob(f"**/{pull}/{JOB}/*/{runrecords.CLONE_RECORDS_FILE}"))
    if len(found) != 1:
        raise processes.Broken(f"{len(found)} runs of pull request {pull} are stored")
    return clonerecords.decode(found[0].read_bytes())


def _by_hand(records: Sequence[clonerecords.Record], folder: Path) -> tuple[float, float]:
    """Run what the records tell below a folder, then the test; return seconds of all, and of the test. Blocking."""
    folder.mkdir()
    commands = [command.command for record in records for command in record.commands]
    made = next(line.rpartition(" ")[2] for line in commands if " mkdir " in line)
    started_s = time.perf_counter()
    for line in commands:
        words = shlex.split(line.replace(made, str(folder / "code")))
        cwd = words[0].removeprefix("PWD=")
        subprocess.run(["env", *words[1:]], cwd=cwd, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    test_s = time.perf_counter()
    subprocess.run(TEST, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    ended_s = time.perf_counter()
    return ended_s - started_s, ended_s - test_s


async def _until(true: Callable[[], bool], what: str) -> None:
    try:
        with anyio.fail_after(PATIENCE_S):
            while not true():
                await anyio.sleep(LOOK_S)
    except TimeoutError as error:
        raise processes.Broken(f"not within {PATIENCE_S:.0f} s: {what}") from error


if __name__ == "__main__":
    main()
