"""explain JOB: how a ProwJob stands, and what it waits for.

A running controller manager (or `up`) answers; without one, the clusters are read and the answer worked out here.
"""

from collections.abc import Sequence
from urllib.parse import quote

import anyio

from prow_async.adapters import logs, web_client
from prow_async.api.errors import CannotStart, ProwError
from prow_async.apps import flag_groups, flags, process
from prow_async.apps.engine import Engine, Parts
from prow_async.apps.flags import Flag

PROGRAM = "prow-async explain"
FLAGS = (
    Flag("endpoint", "str", "http://localhost:9090", "where the controller manager (or `up`) serves its metrics"),
    *flag_groups.CONFIG,
    *flag_groups.KUBERNETES,
)
LISTED_WITHIN_S = 30.0


def main(argv: Sequence[str]) -> int:
    if argv and not argv[0].startswith("-"):  # a person may well name the job first
        argv = [*argv[1:], argv[0]]
    parsed = flags.parse(PROGRAM, FLAGS, argv)
    if len(parsed.words) != 1 or "/" in parsed.words[0]:
        raise CannotStart("usage: prow-async explain [flags] PROWJOB, or ORG/REPO#NUMBER [JOB]")
    censor = logs.Censor()
    logs.set_up("explain", censor, "error")
    shell = process.new_shell("explain", parsed, censor)
    directly = parsed["kubeconfig"] or parsed["kubeconfig-dir"]
    print(process.run_loop(_from_clusters if directly else _from_endpoint, shell, parsed.words[0]), end="")
    return 0


async def _from_endpoint(shell: process.Shell, name: str) -> str:
    endpoint = shell.flags["endpoint"].rstrip("/")
    try:
        async with web_client.connect(shell.name) as web:
            answer = await web.ask("GET", f"{endpoint}/job/{quote(name, safe='')}")
    except ProwError as error:
        raise CannotStart(
            f"no controller manager answers at {endpoint} ({error}): name it with --endpoint, or the clusters with"
            " --kubeconfig and --config-path"
        ) from error
    text = answer.body.decode(errors="replace")
    if answer.status != 200:
        raise CannotStart(f"{endpoint} answers {answer.status}: {text.strip()[:500]}")
    return text


async def _from_clusters(shell: process.Shell, name: str) -> str:
    if not shell.flags["config-path"]:
        raise CannotStart("--kubeconfig needs --config-path: limits and namespaces stand in the configuration")
    config = process.load_config(shell)
    async with process.connect_clusters(shell, config) as kube, anyio.create_task_group() as group:
        parts = Parts(
            components=frozenset({"plank"}),
            jobs=kube.jobs,
            events=kube.events,
            pods=kube.pods,
            config=config,
            clock=shell.clock,
            ids=shell.ids,
            metrics=shell.metrics,
            installation="explain",
            dry_run=True,
            loop_lag=False,
        )
        engine = Engine(parts)
        for watch in engine.watches().values():
            group.start_soon(watch)
        with anyio.move_on_after(LISTED_WITHIN_S):
            await engine.wait_listed()
        listed = engine.jobs.synced
        text = engine.describe(name)
        group.cancel_scope.cancel()
    if not listed:
        raise CannotStart(f"the ProwJobs could not be listed within {LISTED_WITHIN_S:.0f} s")
    if text is None:
        raise CannotStart(f"there is no ProwJob {name} in namespace {config.current().config.prowjob_namespace}")
    return text
