"""run: one job of a configuration on this machine, or its pod on a cluster, with its log on the terminal.

The pod is the one that production would make, but for what only a cluster has: core/local_run says what stands in for
it. A run adds little to the commands of its job: what is not needed is not loaded, and how far containers can be kept
apart is found out while what reads configurations and runs pods is loaded, which therefore happens inside functions.
"""

import contextlib
import gc
import os
import shutil
import signal
import string
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import anyio
import anyio.abc
import msgspec

from prow_async.adapters import clock as clocks
from prow_async.adapters.git import snapshot
from prow_async.api.config import Config
from prow_async.api.errors import CannotStart, UserMistake
from prow_async.api.prowjob import Json, ProwJob
from prow_async.apps import flag_groups, flags, mkpod, run_display
from prow_async.apps.flags import Flag
from prow_async.core import local_run, mkpj, newjob
from prow_async.sandbox.kubelet.early import Early

PROGRAM = "prow-async run"
FLAGS = (
    *flag_groups.CONFIG,
    *flag_groups.GITHUB_FOR_A_PERSON,
    Flag("local", "str", "", "run on the working copy in this folder, with what is not committed yet"),
    Flag("pull", "int", 0, "run on this pull request of the job's repository"),
    Flag("pull-sha", "str", "", "with --pull: its commit (default: GitHub is asked)"),
    Flag("pull-author", "str", "", "with --pull: its author (default: GitHub is asked)"),
    Flag("pull-head-ref", "str", "", "with --pull: its branch (default: GitHub is asked)"),
    Flag("base-sha", "str", "", "run on this commit of the job's repository; with --pull: merge into it"),
    Flag("base-ref", "str", "", "the branch (default: the pull request's; the working copy's; main)"),
    Flag("build-id", "str", "", "build id (default: a new one)"),
    Flag("artifacts", "str", "artifacts", "folder for logs and artifacts; each run gets one of its own in it"),
    Flag("print-pod", "bool", False, "print the pod as production would make it, and stop"),
    Flag(
        "on-cluster", "str", "", "create the pod in the cluster of this kubeconfig context instead of running it here"
    ),
    Flag("kubeconfig", "str", "", "with --on-cluster: where the context is (default: KUBECONFIG, ~/.kube/config)"),
)
_SIGNALLED = 128
_TURN_S = 0.001
"""How long a thread that loads modules may keep another from starting the next git."""
_CODE = "code.git"
_OF_BUILD_IDS = frozenset(string.ascii_letters + string.digits + "-_")


Taken: TypeAlias = Future[snapshot.Snapshot]


class Plan(msgspec.Struct, frozen=True):
    """What is to be run. `scratch` is a folder that lives as long as the run."""

    job: ProwJob
    build_id: str
    namespace: str
    scratch: Path
    output: Path
    """Takes the run's log and artifacts when it runs on this machine."""
    own: tuple[str, ...]
    """The folders of this machine that the pod may have: the output's, and that of the code if it is from here."""


def main(argv: Sequence[str]) -> int:
    """Run the command; return the exit code of the test, or 128 and the signal's number when told to end."""
    name, parsed = _parse(argv)
    for warning in parsed.warnings:
        print(f"{PROGRAM}: {warning}", file=sys.stderr)
    run_display.set_up_logs()
    with _scratch() as scratch, _early(parsed, scratch) as early, _meanwhile(parsed, scratch) as taken:
        config = _config(parsed)
        try:
            plan = _plan(config, name, parsed, scratch, taken)
            if parsed["print-pod"]:
                sys.stdout.write(mkpod.as_yaml(mkpod.pod_of(plan.job, plan.build_id)))
                return 0
            if not parsed["on-cluster"]:
                _make(plan.output)
            return anyio.run(_run, plan, parsed, early)
        except UserMistake as mistake:
            raise CannotStart(f"{PROGRAM}: {mistake.text_for_user}") from mistake


def _parse(argv: Sequence[str]) -> tuple[str, flags.Flags]:
    """Return the job's name, which may stand before, between or after the flags, and the flags."""
    parsed = flags.parse(PROGRAM, FLAGS, argv)
    words: list[str] = []
    while parsed.words:
        words.append(parsed.words[0])
        argv = [*argv[: len(argv) - len(parsed.words)], *parsed.words[1:]]
        parsed = flags.parse(PROGRAM, FLAGS, argv)
    if len(words) != 1:
        raise CannotStart(f"{PROGRAM}: name one job: prow-async run JOB --config-path FILE --job-config-path FOLDER")
    if parsed["local"] and (parsed["pull"] or parsed["base-sha"]):
        raise CannotStart(f"{PROGRAM}: --local says which code to run on, and so do --pull and --base-sha: choose")
    if parsed["pull"] < 0:
        raise CannotStart(f"{PROGRAM}: --pull {parsed['pull']}: no pull request has such a number")
    if not set(parsed["build-id"]) <= _OF_BUILD_IDS:
        raise CannotStart(f"{PROGRAM}: --build-id {parsed['build-id']!r}: use letters, digits, - and _")
    return words[0], parsed


@contextlib.contextmanager
def _early(parsed: flags.Flags, scratch: Path) -> Iterator[Early | None]:
    """Begin what a pod on this machine needs, when there will be one."""
    if parsed["print-pod"] or parsed["on-cluster"]:
        yield None
        return
    with contextlib.closing(Early(scratch)) as early:
        yield early


@contextlib.contextmanager
def _meanwhile(parsed: flags.Flags, scratch: Path) -> Iterator[Taken | None]:
    """Take the working copy that was named, while other things are done: git does most of it."""
    if not parsed["local"]:
        yield None
        return
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    with ThreadPoolExecutor(max_workers=1) as thread:
        taken = thread.submit(snapshot.take, _folder(parsed), scratch / _CODE, parsed["base-ref"])
        taken.add_done_callback(lambda _: sys.setswitchinterval(before_s))
        yield taken


def _config(parsed: flags.Flags) -> Config:
    from prow_async.apps import config_flags

    config = config_flags.load(config_flags.paths(parsed.values), parsed.values, PROGRAM)
    if not parsed["print-pod"]:
        from prow_async.apps import run_pod  # noqa: F401 - what follows needs it; git may still be at work
    gc.freeze()
    gc.enable()
    return config


def _plan(config: Config, name: str, parsed: flags.Flags, scratch: Path, taken: Taken | None) -> Plan:
    """Decide what to run on which code. Raises UserMistake and CannotStart."""
    found = mkpj.find(config, name)
    ids, now_s = clocks.SystemIds(), clocks.SystemClock().now()
    working_copy = _working_copy(found, parsed, scratch, taken)
    spec = mkpj.spec_for(found, _code(found, parsed))
    if working_copy is not None:
        spec = local_run.on_working_copy(spec, working_copy)
    elif found.needs_pull and not parsed["pull"]:
        spec = local_run.on_commit(spec)
    birth = newjob.Birth(ids.uuid4(), config.pod_namespace, now_s, "run")
    job = newjob.new_prowjob(spec, found.job.labels, found.job.annotations, birth)
    build_id = parsed["build-id"] or ids.build_id()
    output = Path(parsed["artifacts"]).absolute() / job.spec.job / build_id
    own = (str(output), *([str(scratch / _CODE)] if working_copy is not None else []))
    return Plan(job, build_id, config.pod_namespace, scratch, output, own)


def _working_copy(found: mkpj.Found, parsed: flags.Flags, scratch: Path, taken: Taken | None) -> local_run.Code | None:
    """Return the working copy that was named, or the one we are in when the job needs code and none was named."""
    if taken is not None:
        copy = taken.result()
    elif parsed["pull"] or parsed["base-sha"] or not found.needs_base:
        return None
    else:
        org, _, repo = found.repo.partition("/")
        if not local_run.names_repo(_origin_here(), org, repo):
            text = f"say which code of {found.repo} to run on: --local FOLDER, --pull NUMBER or --base-sha SHA"
            raise UserMistake(text)
        copy = snapshot.take(_folder(parsed), scratch / _CODE, parsed["base-ref"])
    if copy.dirty:
        print(f"{PROGRAM}: with changes of {_folder(parsed)} that are not committed", file=sys.stderr)
    return local_run.Code(copy.url, copy.base_ref, copy.base_sha, copy.head_sha, copy.origin, shallow=copy.shallow)


def _folder(parsed: flags.Flags) -> Path:
    return Path(parsed["local"] or os.curdir).absolute()


def _origin_here() -> str:
    """Return the origin of the working copy we are in; "" where there is none."""
    try:
        return snapshot.origin(Path.cwd())
    except CannotStart:
        return ""


def _code(found: mkpj.Found, parsed: flags.Flags) -> mkpj.Code:
    """Return what the flags say of the code; GitHub is asked for what they leave open of a pull request."""
    code = mkpj.said(parsed.values, parsed["pull"])
    if code.pull_number and not found.needs_pull:
        raise UserMistake(f"--pull is for presubmits; {found.job.name} is none")
    if not code.pull_number or (code.base_ref and code.base_sha and code.pull_sha):
        return msgspec.structs.replace(code, base_ref=code.base_ref or "main")
    from prow_async.apps import run_github  # all that speaks HTTP, which other runs do without

    return run_github.complete(PROGRAM, found, code, parsed)


async def _run(plan: Plan, parsed: flags.Flags, early: Early | None) -> int:
    from prow_async.apps import run_pod

    context = parsed["on-cluster"]
    if context:
        pod, told = mkpod.pod_of(plan.job, plan.build_id), tuple[str, ...]()
    else:
        pod, told = _here(plan)
    where = run_pod.Cluster(context, parsed["kubeconfig"]) if context else run_pod.Here(plan.scratch, plan.own, early)
    display = run_display.Display(frozenset(_tests(pod)))
    for line in told:
        display.note(line)
    ending, stopped = run_pod.Ending(0), list[int]()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(display.spin)
        tasks.start_soon(_stop, tasks.cancel_scope, stopped)
        ending = await run_pod.run(pod, plan.namespace, where, display)
        tasks.cancel_scope.cancel()
    if stopped:
        display.note(f"stopped by {signal.Signals(stopped[0]).name}")
        return _SIGNALLED + stopped[0]
    how = "succeeded" if ending.exit_code == 0 else f"failed: {ending.why}"
    place = f"; log and artifacts are in {plan.output}" if not context and plan.job.spec.decoration_config else ""
    display.note(f"{plan.job.spec.job} {how}{place}")
    return ending.exit_code


def _here(plan: Plan) -> tuple[Json, tuple[str, ...]]:
    """Return the pod for this machine, and what differs."""
    pod = mkpod.pod_of(plan.job, plan.build_id, str(plan.output))
    for code in plan.own[1:]:
        pod = local_run.seeing(pod, code)
    return local_run.without_cluster(pod, plan.own)


async def _stop(scope: anyio.CancelScope, stopped: list[int]) -> None:
    """Cancel the scope when a person or the system ends us."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            stopped.append(int(number))
            scope.cancel()


def _tests(pod: Json) -> Iterator[str]:
    from prow_async.apps import run_pod

    for container in pod["spec"]["containers"]:
        if container["name"] != run_pod.SIDECAR:
            yield container["name"]


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(f"{PROGRAM}: {folder} cannot be made: {error.strerror}; see --artifacts") from error


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """Make a folder for the pod's files."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "prow-async" / "runs"
    try:
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=base))
    except OSError as error:
        raise CannotStart(f"{PROGRAM}: {base} cannot be used: {error.strerror}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
