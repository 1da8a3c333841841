"""`make run`: one job's whole life on the embedded default, told as it happens.

Everything told is observed: on the log, on the watch, on the small GitHub. The only actor here is the person who opens
pull requests and pushes.
"""

import time
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

import anyio
import anyio.abc
import msgspec
import structlog

from prow_async.actors.store import Change
from prow_async.adapters import logs
from prow_async.api.errors import ProwError
from prow_async.api.views import JobView, PodView
from prow_async.apps import all_in_one, flag_groups, flags, process

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


class Teller:
    """Prints what happens, each line with its time since the last webhook was sent."""

    def __init__(self) -> None:
        self._begin: float | None = None
        self._pods: dict[str, str] = {}
        self.states: dict[str, str] = {}
        self.jobs: dict[str, str] = {}

    def begin(self, what: str) -> None:
        """Start a chapter: its first event happens now."""
        self._begin = time.perf_counter()
        print(f"\n{what}", flush=True)

    def say(self, text: str) -> None:
        since = "" if self._begin is None else f"{(time.perf_counter() - self._begin) * 1e3:8.1f} ms"
        first, *rest = text.splitlines() or [""]
        print(f"  {since:>11}  {first}", *(f"{'':>15}{line}" for line in rest), sep="\n", flush=True)

    def logged(self, logger: Any, name: str, event: MutableMapping[str, Any]) -> str:
        """Stand in for the log: tell what a person wants to know, and every warning."""
        match event.get("event"):
            case "webhook accepted" if event["event_type"] in {"pull_request", "push", "ping"}:
                self.say(f"delivery {event['event-GUID']} accepted ({event['event_type']}), durable")
            case "decided" if event["actions"]:
                self.say(f"{event['plugin']} decided: {event['why']}")
            case "periodic started":
                self.say(f"horologium: {event['job']}: {event['why']}")
            case "reported":
                self.say(f"{event['job']}: told GitHub: {event['why']}")
            case message if name in {"warning", "error", "critical"}:
                rest = {key: value for key, value in event.items() if key not in {"event", "exc_info"}}
                self.say(f"{name}: {message} {rest}")
        return ""

    def job(self, change: Change[JobView]) -> None:
        if change.new is None:
            return
        job, before = change.new, change.old
        self.jobs[job.name] = job.job
        if before is None:
            self.say(f"{job.job}: ProwJob {job.name} created, {job.state}")
        elif before.state != job.state:
            self.states[job.job] = job.state
            text = f": {job.description}" if job.complete and job.description else ""
            self.say(f"{job.job}: ProwJob {job.state}{text}")

    def pod(self, change: Change[PodView]) -> None:
        pod = change.new
        if pod is None or self._pods.get(pod.name) == pod.phase:
            return
        known = pod.name in self._pods
        self._pods[pod.name] = pod.phase
        job = self.jobs.get(pod.job_name, pod.job_name)
        if not known:
            self.say(f"{job}: pod created")
        if pod.phase == "Running":
            self.say(f"{job}: container started")
        elif pod.phase in {"Succeeded", "Failed"}:
            codes = ", ".join(str(c.exit_code) for c in pod.containers)
            self.say(f"{job}: pod done: {pod.phase}, exit code {codes}")


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
    up.engine.pods["default"].subscribe(teller.pod)
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
    await _reported(up, good, "success")
    _tell_github(up, teller, good)

    await person.push(ORG, REPO, "broken", "break it", {"hello.py": b"print(oops)\n"})
    teller.begin("A second pull request breaks its test:")
    bad = await person.open_pull(ORG, REPO, "break it", "broken")
    await _reported(up, bad, "failure")
    await _until(lambda: bool(github.comments(ORG, REPO, bad)))
    _tell_github(up, teller, bad)

    teller.begin("The first one is merged: a push starts the postsubmit:")
    await person.merge(ORG, REPO, good)
    await _until(lambda: teller.states.get("post-hello-publish") == "success")
    await _until(lambda: up.engine.idle)


def _tell_github(up: all_in_one.Running, teller: Teller, number: int) -> None:
    """Look at the pull request as a person would."""
    assert up.github is not None
    github = up.github.world
    sha = github.pull(ORG, REPO, number).head.sha
    for status in github.statuses(ORG, REPO, sha):
        teller.say(f"GitHub shows on #{number}: {status.context} {status.state}, details at {status.target_url}")
    for comment in github.comments(ORG, REPO, number):
        first = (comment.body or "").splitlines()[0]
        teller.say(f"GitHub shows on #{number} a comment by {comment.user.login}: {first}")


async def _reported(up: all_in_one.Running, number: int, state: str) -> None:
    """Wait until every status of the pull request's head is final and as expected."""
    assert up.github is not None
    github = up.github.world
    sha = github.pull(ORG, REPO, number).head.sha

    def done() -> bool:
        found = github.statuses(ORG, REPO, sha)
        return bool(found) and all(status.state == state for status in found)

    await _until(done)
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
