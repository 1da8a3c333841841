"""`make run`: one job's whole life on the embedded default, told as it happens.

Everything told is observed: on the log, on the watch, on the small GitHub. The only actor here is the person who opens
pull requests and pushes.
"""

import html
import re
import urllib.parse
from collections.abc import Callable, Sequence

import aiohttp
import anyio
import anyio.abc
import msgspec
import structlog

from prow_async.actors.store import Change
from prow_async.adapters import logs
from prow_async.api import clonerecords, runrecords
from prow_async.api.errors import ProwError
from prow_async.api.views import JobView
from prow_async.apps import all_in_one, flag_groups, flags, process
from prow_async.apps.demo_teller import Teller

ORG, REPO, PERSON = "octo-org", "hello", "octocat"
PATIENCE_S = 60.0


def main(argv: Sequence[str]) -> int:
    """Run the story; 0 when it ended as it should, 1 when it did not."""
    free = ["--port=0", "--metrics-port=0", "--health-port=0"]
    parsed = flags.parse("prow-async demo", flag_groups.UP, [*free, *argv])
    teller = Teller()
    structlog.configure(processors=[teller.logged], logger_factory=structlog.ReturnLoggerFactory())
    shell = process.new_shell("demo", parsed, logs.Censor())
    return 0 if process.run_loop(run, shell, teller) else 1


async def run(shell: process.Shell, teller: Teller) -> bool:
    async with all_in_one.opened(shell) as up:
        assert up.github is not None
        assert up.kube is not None
        print("prow-async: everything in one process: a Kubernetes API server, pods as processes, a GitHub.")
        print(f"  Kubernetes {up.kube.url}   GitHub {up.github.url}   hook and job pages {up.web_url}")
        async with anyio.create_task_group() as group:
            ended = await _observed(up, teller, group)
            group.cancel_scope.cancel()
    return ended


async def _observed(up: all_in_one.Running, teller: Teller, group: anyio.abc.TaskGroup) -> bool:
    """Start everything, tell the story, print the table; False when a job has not ended as it should."""
    teller.begin("A periodic that has never run is due at once:")
    up.engine.jobs.subscribe(teller.job)
    up.engine.clusters.subscribe_pods(teller.pod)
    up.engine.jobs.subscribe(_log_teller(up, group, teller))
    group.start_soon(up.engine.run)
    for service in up.services:
        group.start_soon(service)
    try:
        with anyio.fail_after(PATIENCE_S):
            await _story(up, teller)
    except TimeoutError:
        teller.say(f"still not done after {PATIENCE_S:.0f} s; states so far: {teller.states}")
        return False
    print("\nkubectl get prowjobs:")
    print(await _table(up))
    return teller.states == EXPECTED


EXPECTED = {
    "ci-hello-heartbeat": "success",
    "pull-hello-unit": "failure",
    "post-hello-publish": "success",
}
"""How each job must have ended when the story is over; pull-hello-unit's last run is the one that breaks."""


async def _story(up: all_in_one.Running, teller: Teller) -> None:
    assert up.github is not None
    github, person = up.github.world, up.github.person
    await _until(lambda: teller.states.get("ci-hello-heartbeat") == "success")

    await person.push(ORG, REPO, "hello", "Say hello", {"hello.py": b'print("hello, world")\n'})
    teller.begin(f"{PERSON} opens a pull request; GitHub sends a signed pull_request webhook:")
    good = await person.open_pull(ORG, REPO, "Say hello", "hello")
    await _reported(up, teller, good, "success")
    await _tell_github(up, teller, good)

    await person.push(ORG, REPO, "broken", "break it", {"hello.py": b"print(oops)\n"})
    teller.begin("A second pull request breaks its test:")
    bad = await person.open_pull(ORG, REPO, "break it", "broken")
    await _reported(up, teller, bad, "failure")
    await _until(lambda: bool(github.comments(ORG, REPO, bad)))
    await _tell_github(up, teller, bad)

    teller.begin("The first one is merged: a push starts the postsubmit:")
    details = github.statuses(ORG, REPO, github.pull(ORG, REPO, good).head.sha)[0].target_url
    await person.merge(ORG, REPO, good)
    await _until(lambda: teller.states.get("post-hello-publish") == "success")
    await _until(lambda: up.engine.idle)

    teller.begin("All pods are deleted; the Details link of the first run leads to what is stored:")
    await _delete_pods(up)
    await _show_stored(teller, details)


async def _delete_pods(up: all_in_one.Running) -> None:
    assert up.kube is not None
    path = f"/api/v1/namespaces/{up.config.current().config.pod_namespace}/pods"
    async with up.kube.transport.send("DELETE", path) as reply:
        await reply.read()
    async with up.kube.transport.send("GET", path) as reply:
        assert not msgspec.json.decode(await reply.read())["items"]


async def _show_stored(teller: Teller, details: str | None) -> None:
    """Read a run's page, and its files, as a browser would."""
    assert details is not None
    async with aiohttp.ClientSession() as browser:
        async with browser.get(details) as page:
            text = await page.text()
        files = [html.unescape(found) for found in re.findall(r'<li><a href="([^"]+)"', text)]
        teller.say(f"{details}\nanswers {page.status} and lists {len(files)} files")
        for name in ("build-log.txt", "artifacts/greeting.txt"):
            address = next(file for file in files if file.endswith(f"/{name}"))
            async with browser.get(urllib.parse.urljoin(details, address)) as file:
                teller.say(f"{name}:\n{await file.text()}")


async def _shares(teller: Teller, details: str | None) -> str:
    """Say what the time since the webhook went to: git's share stands in the clone records.

    The test's is what its container took, the rest is ours.
    """
    assert details is not None
    whole_ms = teller.passed_ms
    records = details.replace("/view/", "/stored/") + f"/{runrecords.CLONE_RECORDS_FILE}"
    async with aiohttp.ClientSession() as browser, browser.get(records) as answer:
        clones = clonerecords.decode(await answer.read())
    git_ms = sum(command.duration for record in clones for command in record.commands) / 1e6
    own_ms = whole_ms - git_ms - teller.test_ms
    told = f"git {git_ms:.0f} ms, the test {teller.test_ms:.0f} ms, our own share {own_ms:.0f} ms"
    return f"from webhook to status {whole_ms:.0f} ms: {told}"


async def _tell_github(up: all_in_one.Running, teller: Teller, number: int) -> None:
    """Look at the pull request as a person would."""
    assert up.github is not None
    github = up.github.world
    sha = github.pull(ORG, REPO, number).head.sha
    for status in github.statuses(ORG, REPO, sha):
        teller.say(f"GitHub shows on #{number}: {status.context} {status.state}, details at {status.target_url}")
        teller.say(await _shares(teller, status.target_url))
    for comment in github.comments(ORG, REPO, number):
        first = (comment.body or "").splitlines()[0]
        teller.say(f"GitHub shows on #{number} a comment by {comment.user.login}: {first}")


async def _reported(up: all_in_one.Running, teller: Teller, number: int, state: str) -> None:
    """Wait until every status of the pull request's head is final and as expected."""
    assert up.github is not None
    github = up.github.world
    sha = github.pull(ORG, REPO, number).head.sha

    def done() -> bool:
        found = github.statuses(ORG, REPO, sha)
        return bool(found) and all(status.state == state for status in found)

    await _until(done)
    teller.final()
    await _until(lambda: up.engine.idle)


async def _until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - the story looks at the world as a person does: again and again
        await anyio.sleep(0.005)


def _log_teller(
    up: all_in_one.Running, group: anyio.abc.TaskGroup, teller: Teller
) -> Callable[[Change[JobView]], None]:
    """Follow the log of every job that gets its pod."""

    async def follow(job: JobView) -> None:
        assert up.node is not None
        namespace = up.config.current().config.pod_namespace
        rest = b""
        for _ in range(1000):
            try:
                async for piece in up.node.logs.follow(namespace, job.name, all_in_one.CONTAINER, follow=True):
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in lines:
                        teller.say(f"{job.job}: log: {line.decode(errors='replace')}")
                return
            except ProwError:  # the container has not started yet
                await anyio.sleep(0.005)

    def changed(change: Change[JobView]) -> None:
        if (
            change.new is not None
            and change.new.state == "pending"
            and (change.old is None or change.old.state != "pending")
        ):
            group.start_soon(follow, change.new)

    return changed


async def _table(up: all_in_one.Running) -> str:
    """Ask the API server for the table kubectl would print."""
    assert up.kube is not None
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    namespace = up.config.current().config.prowjob_namespace
    path = f"/apis/prow.k8s.io/v1/namespaces/{namespace}/prowjobs"
    async with up.kube.transport.send("GET", path, accept) as reply:
        table = msgspec.json.decode(await reply.read())
    rows = [[column["name"].upper() for column in table["columnDefinitions"]]]
    rows += [["" if cell is None else str(cell) for cell in row["cells"]] for row in table["rows"]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
