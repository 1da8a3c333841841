"""Every component alone, as in a split installation: five processes, a real kube-apiserver, the small GitHub."""

import json
import subprocess
import threading
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from prow_async.adapters.clock import SystemClock, SystemIds
from prow_async.adapters.kube import collection, session
from prow_async.adapters.kube.credentials import Source
from prow_async.core import webhook
from prow_async.sandbox.github import deliver
from prow_async.sandbox.github import http as github_http
from prow_async.sandbox.github.world import World
from prow_async.sandbox.kubelet.kubelet import Kubelet
from tests import realkube
from tests.contract.outlet_servers import serving
from tests.e2e import program
from tests.ports import free_port

pytestmark = [pytest.mark.slow, *realkube.REAL]
SECRET = b"a-webhook-secret"
TOKEN = "a-github-token-of-the-bot"
JOBS = """
prowjob_namespace: NAMESPACE
pod_namespace: NAMESPACE
horologium: {tick_interval: 1s}
sinker: {resync_period: 1s, max_prowjob_age: 1h, max_pod_age: 1h}
plank: {job_url_template: "http://deck.example/{{.ObjectMeta.Name}}"}
periodics:
- {name: ci-tick, interval: 1h, spec: {containers: [{image: x, command: [echo, tick]}]}}
presubmits:
  octo-org/hello:
  - {name: pull-good, always_run: true, spec: {containers: [{image: x, command: [echo, good]}]}}
"""
PLUGINS = "plugins: {octo-org: {plugins: [trigger]}}"


class Outside:
    """The small GitHub and a kubelet, in a thread of their own: what is not ours in a real installation."""

    def __init__(self, folder: Path, server: realkube.Server, namespace: str) -> None:
        self._namespace = namespace
        self.clock = SystemClock()
        self.world = World(SystemIds())
        self.world.add_bot("prow-bot", TOKEN)
        self.world.add_org("octo-org", members=["octocat"])
        self.world.add_repo("octo-org", "hello")
        self.url = ""
        self._folder = folder
        self._server = server
        self._ready = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: anyio.run(self._run))

    async def _run(self) -> None:
        async with (
            github_http.serve(self.world, self.clock) as self.url,
            github_http.posting() as send,
            session.connect(Source("", (str(self._server.kubeconfig),)), "kubelet") as transport,
            anyio.create_task_group() as group,
        ):
            pods = collection.KubeCollection(transport, "", collection.PODS, self._namespace)
            group.start_soon(Kubelet(pods, self._folder / "pods", self.clock).run)
            group.start_soon(deliver.run, self.world, self.clock, send)
            self._ready.set()
            await anyio.to_thread.run_sync(self._stop.wait)
            group.cancel_scope.cancel()

    def __enter__(self) -> "Outside":
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)


class Installation:
    """The components as subprocesses."""

    def __init__(self, folder: Path, server: realkube.Server, github: str, namespace: str) -> None:
        self._folder = folder
        self._server = server
        self.namespace = namespace
        for name, text in (
            ("config.yaml", JOBS.replace("NAMESPACE", namespace)),
            ("plugins.yaml", PLUGINS),
            ("hmac", SECRET.decode()),
            ("token", TOKEN),
        ):
            (folder / name).write_text(text)
        self._shared = [
            f"--config-path={folder}/config.yaml",
            f"--kubeconfig={server.kubeconfig}",
            "--listen-host=127.0.0.1",
            "--metrics-port=0",
            "--health-port=0",
            "--dry-run=false",
        ]
        self._github = [f"--github-endpoint={github}", f"--github-token-path={folder}/token"]
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def configure(self, more: str) -> None:
        """Add to the configuration, before anything is started."""
        with (self._folder / "config.yaml").open("a") as file:
            file.write(f"{more}\n")

    def start(self, name: str, flags: Sequence[str] = (), seat: str = "") -> None:
        """Start a component; of several replicas each has a seat, which its name here ends in."""
        folder = self._folder
        inbox = [f"--plugin-config={folder}/plugins.yaml", f"--inbox-dir={folder}/inbox"]
        own = {
            "hook": [*self._github, *inbox, f"--hmac-secret-file={folder}/hmac"],
            "crier": [*self._github, "--github-workers=1"],
        }.get(name, [])
        command = [str(program.PROGRAM), name, *self._shared, *own, *flags]
        seated = name + seat
        with (self._folder / f"{seated}.log").open("ab") as log:
            self.running[seated] = subprocess.Popen(command, stdout=log, stderr=log)
        program.until(lambda: b'"msg":"started"' in self.log(seated), f"{seated} started")

    def log(self, name: str) -> bytes:
        assert self.running[name].poll() is None, (self._folder / f"{name}.log").read_text()[-3000:]
        return (self._folder / f"{name}.log").read_bytes()

    def lines(self, name: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log(name).splitlines()]

    def jobs(self) -> list[Any]:
        found: list[Any] = self._server.request("GET", f"/apis/prow.k8s.io/v1/namespaces/{self.namespace}/prowjobs")[
            "items"
        ]
        return found

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        process.wait()
        (self._folder / f"{name}.log").rename(self._folder / f"{name}.killed.log")


@pytest.fixture
def split(tmp_path: Path, real_kube: realkube.Server) -> Iterator[tuple[Installation, Outside]]:
    namespace = real_kube.namespace("split")
    with Outside(tmp_path, real_kube, namespace) as outside:
        made = Installation(tmp_path, real_kube, outside.url, namespace)
        try:
            yield made, outside
        finally:
            for process in made.running.values():
                process.kill()
                process.wait()


def test_five_processes_make_one_prow(split: tuple[Installation, Outside]) -> None:
    """1. Each component starts alone. 2. A pull request runs through all of them. 3. SIGTERM ends each with 0.

    All push their metrics to the gateway that the configuration names.
    """
    prow, outside = split
    port = free_port()
    with serving() as gateway:
        prow.configure(f"push_gateway: {{endpoint: '{gateway.host}'}}")
        prow.start("hook", [f"--port={port}"])
        for name in ("controller-manager", "crier", "horologium", "sinker"):
            prow.start(name)

        def pushed() -> set[str]:
            return {seen.path.split("/")[3] for seen in gateway.seen}

        program.until(lambda: pushed() == {"hook", "plank", "crier", "horologium", "sinker"}, "all push")
    outside.world.add_hook("octo-org", "", f"http://127.0.0.1:{port}/hook", SECRET)
    pull = outside.world.open_pull(
        "octo-org", "hello", "octocat", "A change", "topic", ["a.py"], now_s=outside.clock.now()
    )
    sha = outside.world.pull("octo-org", "hello", pull.number).head.sha

    def state() -> list[tuple[str, str | None]]:
        return [(s.state, s.target_url) for s in outside.world.statuses("octo-org", "hello", sha)]

    program.until(lambda: [s for s, _ in state()] == ["success"], "the status")
    assert (state()[0][1] or "").startswith("http://deck.example/")
    program.until(lambda: all(j["status"].get("completionTime") for j in prow.jobs()), "all complete")
    assert len(prow.jobs()) == 2
    moved = [line for line in prow.lines("controller-manager") if line["msg"] == "job moved" and "event-GUID" in line]
    assert moved
    assert all(line["prowjob"] and line["component"] == "controller-manager" for line in moved)
    for name, process in prow.running.items():
        process.terminate()
        assert process.wait(40) == 0, name


def test_no_accepted_delivery_is_lost_by_kill_nine(split: tuple[Installation, Outside]) -> None:
    """Deliveries answered with 200 are handled once, however often the hook is killed at once afterwards."""
    prow, outside = split
    port = free_port()
    pull = outside.world.open_pull("octo-org", "hello", "octocat", "Kill", "kill", ["a.py"], now_s=outside.clock.now())
    accepted: set[str] = set()
    for _ in range(3):
        prow.start("hook", [f"--port={port}"])
        for _ in range(20):
            guid = str(uuid.uuid4())
            if _comment(port, guid, pull.number) == 200:
                accepted.add(guid)
        prow.kill("hook")
    assert len(accepted) == 60
    prow.start("hook", [f"--port={port}"])

    def handled() -> bool:
        by_guid = [j["metadata"]["labels"].get("event-GUID") for j in prow.jobs()]
        assert len(by_guid) == len(set(by_guid))
        return accepted <= set(by_guid)

    program.until(handled, "every delivery has its ProwJob")


def _comment(port: int, guid: str, number: int) -> int:
    """Send a signed `/test pull-good` of a trusted person, as GitHub would."""
    person = {"login": "octocat", "id": 1, "type": "User"}
    repo = {"name": "hello", "full_name": "octo-org/hello", "owner": {"login": "octo-org"}, "html_url": "http://x"}
    issue = {"number": number, "user": person, "state": "open", "pull_request": {"url": "http://x"}, "title": "Kill"}
    comment = {"id": 5, "body": "/test pull-good", "user": person, "html_url": "http://x"}
    event = {"action": "created", "issue": issue, "comment": comment, "repository": repo, "sender": person}
    body = json.dumps(event).encode()
    headers = {
        "X-GitHub-Event": "issue_comment",
        "X-GitHub-Delivery": guid,
        "X-Hub-Signature-256": webhook.sign(body, SECRET),
        "Content-Type": "application/json",
    }
    return program.post(f"http://127.0.0.1:{port}/hook", headers, body)
