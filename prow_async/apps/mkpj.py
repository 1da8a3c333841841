"""mkpj: the ProwJob of one configured job, printed or started. Source: upstream cmd/mkpj."""

import sys
from collections.abc import Sequence

import anyio
import anyio.to_thread
import msgspec

from prow_async.adapters import logs
from prow_async.api.errors import CannotStart, ProwError, Retry, UserMistake
from prow_async.api.prowjob import ProwJob
from prow_async.apps import flag_groups, flags, process
from prow_async.apps.flags import Flag
from prow_async.apps.mkpod import as_yaml
from prow_async.core import mkpj, newjob, preview
from prow_async.ports.github import GitHub
from prow_async.ports.kube import Collection

PROGRAM = "prow-async mkpj"
FLAGS = (
    *flag_groups.CONFIG,
    *flag_groups.KUBERNETES,
    *flag_groups.GITHUB_FOR_A_PERSON,
    Flag("job", "str", "", "name of the job"),
    Flag("base-ref", "str", "", "the branch under test"),
    Flag("base-sha", "str", "", "its commit (default: GitHub is asked)"),
    Flag("pull-number", "int", 0, "the pull request under test"),
    Flag("pull-sha", "str", "", "its commit (default: GitHub is asked)"),
    Flag("pull-author", "str", "", "its author (default: GitHub is asked)"),
    Flag("pull-head-ref", "str", "", "its branch (default: GitHub is asked)"),
    Flag(
        "trigger-job", "bool", False, "create the ProwJob in the cluster and wait for its end, instead of printing it"
    ),
    Flag("fail-with-job", "bool", False, "with --trigger-job: exit with 1 when the job does not succeed"),
)
_AGAIN_S = 1.0


def main(argv: Sequence[str]) -> int:
    parsed = flags.parse(PROGRAM, FLAGS, argv)
    if not parsed["job"]:
        raise CannotStart(f"{PROGRAM}: no job: name it with --job")
    censor = logs.Censor()
    logs.set_up("mkpj", censor, "warning")
    return int(process.run_loop(run, process.new_shell("mkpj", parsed, censor)))


async def run(shell: process.Shell) -> int:
    """Make the ProwJob and print or start it. Raises CannotStart with one line for a person."""
    config = process.load_config(shell)
    now = config.current().config
    try:
        found = mkpj.find(now, shell.flags["job"])
    except UserMistake as mistake:
        raise CannotStart(f"{PROGRAM}: {mistake.text_for_user}") from mistake
    code = await _code(shell, found)
    begins = newjob.first_state(now)
    birth = newjob.Birth(shell.ids.uuid4(), now.prowjob_namespace, shell.clock.now(), "mkpj", begins)
    job = newjob.new_prowjob(mkpj.spec_for(found, code), found.job.labels, found.job.annotations, birth)
    if not shell.flags["trigger-job"]:
        sys.stdout.write(as_yaml(preview.upstreams(job)))
        return 0
    async with process.connect_clusters(shell, config) as clusters:
        try:
            state = await start(clusters.jobs, job)
        except ProwError as error:
            raise CannotStart(f"{PROGRAM}: ProwJob {job.metadata.name}: {error}") from error
    return 1 if shell.flags["fail-with-job"] and state != "success" else 0


async def _code(shell: process.Shell, found: mkpj.Found) -> mkpj.Code:
    """Gather what the job needs to know of the code: flags first, then a person, then GitHub."""
    code = mkpj.said(shell.flags.values, shell.flags["pull-number"])
    if found.needs_pull and not code.pull_number:
        code = msgspec.structs.replace(code, pull_number=_number(await _ask("PR number: ")))
    if found.needs_base and not found.needs_pull and not code.base_ref:
        code = msgspec.structs.replace(code, base_ref=await _ask("Base ref (for example main): "))
    if not found.needs_base or (code.base_ref and code.base_sha and (code.pull_sha or not found.needs_pull)):
        return code
    async with process.connect_github(shell) as github:
        try:
            return await from_github(github, found, code)
        except ProwError as error:
            raise CannotStart(f"{PROGRAM}: GitHub does not say what {found.repo} has: {error}") from error


async def from_github(github: GitHub, found: mkpj.Found, code: mkpj.Code) -> mkpj.Code:
    """Complete what is said of the code. Raises what the port does."""
    org, _, repo = found.repo.partition("/")
    if found.needs_pull:
        pull = await github.pull(org, repo, code.pull_number)
        code = msgspec.structs.replace(
            code,
            base_ref=code.base_ref or pull.base.ref,
            pull_sha=code.pull_sha or pull.head.sha,
            pull_author=code.pull_author or pull.user.login,
            pull_head_ref=code.pull_head_ref or pull.head.ref,
        )
    if not code.base_sha:
        code = msgspec.structs.replace(code, base_sha=await github.branch_sha(org, repo, code.base_ref))
    return code


async def _ask(question: str) -> str:
    print(question, end="", file=sys.stderr, flush=True)
    answer = str(await anyio.to_thread.run_sync(sys.stdin.readline)).strip()
    if not answer:
        raise CannotStart(f"{PROGRAM}: nothing answered to {question.rstrip(': ')!r}")
    return answer


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise CannotStart(f"{PROGRAM}: {text!r} is no number of a pull request") from error


async def start(jobs: Collection, job: ProwJob) -> str:
    """Create a ProwJob and follow it to its end; return its last state. Raises what the port does, Retry aside."""
    name = job.metadata.name
    await jobs.create(msgspec.json.encode(job))
    print(f"ProwJob {name} ({job.spec.job}) created", file=sys.stderr)
    said = ""
    while True:
        try:
            seen: ProwJob = msgspec.json.decode(await jobs.get(name), type=ProwJob)
            if seen.status.state != said:
                said = seen.status.state
                print(f"{said}: {seen.status.description}".rstrip(": "), file=sys.stderr)
            if seen.status.completion_time is not None:
                if seen.status.url:
                    print(seen.status.url)
                return str(said)
            await _news(jobs, name, seen.metadata.resource_version)
        except Retry as error:
            print(f"waiting for the cluster: {error.why}", file=sys.stderr)
            await anyio.sleep(error.after_s or _AGAIN_S)


async def _news(jobs: Collection, name: str, resource_version: str) -> None:
    """Return when something may have happened to the ProwJob, or when the server ends the watch."""
    mark, line = f'"{name}"'.encode(), b""
    async with jobs.watch(resource_version, initial=False) as pieces:
        async for piece in pieces:
            *lines, line = (line + piece).split(b"\n")
            if any(mark in one for one in lines):
                return
