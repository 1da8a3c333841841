"""One job's whole life, from outside: on the embedded default, and on a real kube-apiserver."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import realkube
from tests.e2e import program

CONFIG = """
prowjob_namespace: prow
pod_namespace: prow-pods
horologium: {tick_interval: 1s}
periodics:
- name: ci-tick
  interval: 1h
  spec: {containers: [{image: x, command: [echo, tick]}]}
presubmits:
  octo-org/hello:
  - name: pull-good
    always_run: true
    spec: {containers: [{image: x, command: [sh, -c, "echo testing $PULL_NUMBER; echo '<b>bold</b>'"]}]}
  - name: pull-bad
    always_run: true
    spec: {containers: [{image: x, command: [sh, -c, "echo it breaks; exit 3"]}]}
"""


class Place:
    """Where the story plays: flags for the program, and a kubectl that sees the same cluster."""

    def __init__(self, folder: Path, flags: list[str], kubeconfig: Path, kubectl: str) -> None:
        self.folder = folder
        self.flags = flags
        self._kubeconfig = kubeconfig
        self._kubectl = kubectl

    def kubectl(self, *arguments: str) -> str:
        command = [self._kubectl, f"--kubeconfig={self._kubeconfig}", "-n", "prow", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.fixture(params=["embedded", pytest.param("real", marks=realkube.REAL)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "config.yaml").write_text(CONFIG)
    flags = [f"--config-path={tmp_path / 'config.yaml'}"]
    server = request.getfixturevalue("real_kube")
    if request.param == "real":
        for name in ("prow", "prow-pods"):
            server.ensure("/api/v1/namespaces", {"metadata": {"name": name}})
        flags += [f"--kubeconfig={server.kubeconfig}", "--run-jobs-on-this-machine"]
        yield Place(tmp_path, flags, server.kubeconfig, str(server.kubectl))
    else:
        yield Place(tmp_path, flags, tmp_path / "data" / "kubeconfig", str(server.kubectl))


@pytest.mark.slow
def test_from_webhook_to_status_and_away(place: Place) -> None:
    """A pull request's jobs run as processes; GitHub shows each status and one comment; pages and kubectl agree."""
    with program.up(place.folder, *place.flags) as up:
        pull = up.open_pull("topic", "A change")
        sha = pull["head"]["sha"]
        final = {"pull-good": "success", "pull-bad": "failure"}
        program.until(lambda: {k: v["state"] for k, v in up.statuses(sha).items()} == final, "both final")
        statuses = up.statuses(sha)
        page = statuses["pull-good"]["target_url"]
        code, text = program.get(page)
        assert (code, b"state     success" in text) == (200, True)
        code, log = program.get(page.replace("/job/", "/log/"))
        assert code == 200
        assert log.decode() == f"testing {pull['number']}\n<b>bold</b>\n"
        comments = program.until(
            lambda: up.api("GET", f"/repos/octo-org/hello/issues/{pull['number']}/comments"), "a comment"
        )
        assert len(comments) == 1
        assert "pull-bad" in comments[0]["body"]
        assert "pull-good" not in comments[0]["body"]
        shown = place.kubectl("get", "prowjobs")
        columns = ["NAME", "JOB", "BUILDID", "TYPE", "ORG", "REPO", "PULLS", "STARTTIME", "COMPLETIONTIME", "STATE"]
        assert shown.split()[:10] == columns
        jobs = {j["spec"]["job"]: j for j in json.loads(place.kubectl("get", "prowjobs", "-o", "json"))["items"]}
        assert {name: j["status"]["state"] for name, j in jobs.items()} == {**final, "ci-tick": "success"}
        assert all(j["status"]["completionTime"] for j in jobs.values())
        code, metrics = program.get(f"{up.metrics}/metrics")
        assert code == 200
        assert b'prow_webhook_counter{event_type="pull_request"}' in metrics
        assert program.get(f"{up.health}/healthz/ready")[0] == 200
        assert up.stop() == 0
        assert "Traceback" not in up.output()


@pytest.mark.slow
def test_make_run_tells_the_story() -> None:
    """The demonstration ends well within its time, and names every step of the life it tells."""
    done = program.run("demo")
    assert done.returncode == 0, done.stdout + done.stderr
    steps = ["accepted", "trigger decided", "ProwJob", "pod created", "container started", "log:", "pod done"]
    ends = ["success", "GitHub shows", "failure", "a comment", "post-hello-publish", "ci-hello-heartbeat"]
    for step in (*steps, *ends, "BUILDID"):
        assert step in done.stdout, step
    assert not re.search(r"(error|critical): ", done.stdout), done.stdout
    shares = re.findall(r"to status (\d+) ms: git (\d+) ms, the test (\d+) ms, our own share (\d+) ms", done.stdout)
    assert len(shares) == 2
    for whole, *parts in (map(int, found) for found in shares):
        assert min(parts) > 0
        assert abs(whole - sum(parts)) <= 2
