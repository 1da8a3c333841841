"""20,000 webhooks at once, the hook killed in the midst of them: each is handled, and once in effect."""

import collections
import contextlib
import http.client
import json
import random
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from prow_async.adapters.clock import SystemClock, SystemIds
from prow_async.apps import embedded
from prow_async.core import webhook
from prow_async.sandbox.github import http as github_http
from prow_async.sandbox.github.world import World
from tests.e2e import program
from tests.ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SECRET = b"a-webhook-secret"
NUMBER, SENDERS, KILLS = 20_000, 16, 3
CONFIG = """
prowjob_namespace: default
pod_namespace: default
postsubmits:
  octo-org/hello:
  - {name: post-it, spec: {containers: [{image: x, command: [echo, good]}]}}
"""
OWNER = {"login": "octo-org", "name": "octo-org"}
REPOSITORY = {"name": "hello", "full_name": "octo-org/hello", "owner": OWNER, "html_url": "http://x/octo-org/hello"}


class Outside:
    """The small GitHub and the small Kubernetes, in a thread of their own: they live on when the hook dies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.github, self.kube = "", folder / "kubeconfig"
        self.jobs: list[str] = []
        """GUIDs of the deliveries each ProwJob was made for."""
        self._ready, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: anyio.run(self._run))

    async def _run(self) -> None:
        world, clock = World(SystemIds()), SystemClock()
        world.add_bot("prow-bot", "bot-token")
        world.add_org("octo-org", members=["octocat"])
        world.add_repo("octo-org", "hello")
        place = embedded.Place(self._folder, clock, SystemIds(), 0, 0, None, ())
        async with (
            github_http.serve(world, clock) as self.github,
            embedded.kube(place, "default", "default") as kube,
        ):
            self.kube = kube.kubeconfig
            self._ready.set()
            await anyio.to_thread.run_sync(self._stop.wait)
            async with kube.transport.send("GET", "/apis/prow.k8s.io/v1/namespaces/default/prowjobs") as reply:
                items = json.loads(await reply.read())["items"]
            self.jobs = [item["metadata"]["labels"]["event-GUID"] for item in items]

    def __enter__(self) -> "Outside":
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(120)


class Hook:
    """The program, killed and started again on one port."""

    def __init__(self, folder: Path, outside: Outside) -> None:
        self._folder = folder
        files = {"config.yaml": CONFIG, "plugins.yaml": "plugins: {octo-org: {plugins: [trigger]}}"}
        for name, text in (files | {"hmac": SECRET.decode(), "token": "bot-token"}).items():
            (folder / name).write_text(text)
        self.port = free_port()
        self._command = [
            str(program.PROGRAM),
            "hook",
            f"--config-path={folder}/config.yaml",
            f"--plugin-config={folder}/plugins.yaml",
            f"--kubeconfig={outside.kube}",
            f"--hmac-secret-file={folder}/hmac",
            f"--github-endpoint={outside.github}",
            f"--github-token-path={folder}/token",
            f"--inbox-dir={folder}/inbox",
            f"--port={self.port}",
            "--listen-host=127.0.0.1",
            "--metrics-port=0",
            "--health-port=0",
            "--dry-run=false",
        ]
        self.start()

    def start(self) -> None:
        with (self._folder / "hook.log").open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def said(self) -> str:
        return (self._folder / "hook.log").read_text(errors="replace")

    def waiting(self) -> int:
        command = [str(program.PROGRAM), "inbox", "ls", f"--inbox-dir={self._folder}/inbox", "--limit=0"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        return len(listed.stdout.splitlines())


@contextlib.contextmanager
def sending(guids: list[str], port: int) -> Iterator[list[int]]:
    """Send each delivery until it is thanked for, from several threads; yield how many are, in one element."""
    thanked, lock, todo = [0], threading.Lock(), collections.deque(enumerate(guids))

    def send() -> None:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            send_all(connection)

    def send_all(connection: http.client.HTTPConnection) -> None:
        while True:
            try:
                number, guid = todo.popleft()
            except IndexError:
                return
            body = json.dumps(
                {
                    "ref": f"refs/heads/branch-{number}",
                    "after": f"{number + 1:040x}",
                    "before": "0" * 40,
                    "repository": REPOSITORY,
                    "padding": "x" * 20_000,
                }
            ).encode()
            headers = {
                "X-GitHub-Event": "push",
                "X-GitHub-Delivery": guid,
                "X-Hub-Signature-256": webhook.sign(body, SECRET),
                "Content-Type": "application/json",
            }
            while True:
                try:
                    connection.request("POST", "/hook", body, headers)
                    answer = connection.getresponse()
                    answer.read()
                except (OSError, http.client.HTTPException):
                    connection.close()
                    time.sleep(0.1)
                    continue
                if answer.status == 200:
                    break
                time.sleep(0.2)
            with lock:
                thanked[0] += 1

    threads = [threading.Thread(target=send, daemon=True) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    yield thanked
    for thread in threads:
        thread.join(600)
        assert not thread.is_alive()


def test_a_burst_with_kills_in_it(tmp_path: Path) -> None:
    """1. A burst. 2. kill -9, several times, while it is accepted and handled. 3. One ProwJob for each delivery."""
    burst(tmp_path, NUMBER)


def burst(tmp_path: Path, number: int) -> None:
    rng = random.Random(5)
    guids = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(number)]
    with Outside(tmp_path) as outside:
        hook, deadline = Hook(tmp_path, outside), time.monotonic() + 1500
        try:
            with sending(guids, hook.port) as thanked:
                for kill in range(1, KILLS + 1):
                    while thanked[0] < number * kill // (KILLS + 1):
                        assert time.monotonic() < deadline
                        time.sleep(0.02)
                    hook.kill()
                    hook.start()
            while hook.waiting():
                assert hook.process.poll() is None, hook.said()[-3000:]
                assert time.monotonic() < deadline
                time.sleep(1.0)
        finally:
            hook.kill()
    counted = collections.Counter(outside.jobs)
    assert (len(counted), set(counted)) == (number, set(guids))
    assert max(counted.values()) == 1
    assert '"severity":"error"' not in hook.said()
