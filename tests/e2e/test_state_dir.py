"""`prow-async up --state-dir`, killed and started again: ProwJobs are still there, and what ran is settled."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import program

CONFIG = """
prowjob_namespace: prow
pod_namespace: prow-pods
horologium: {tick_interval: 1s}
plank: {max_revivals: 0}
periodics:
- name: ci-tick
  interval: 1h
  spec: {containers: [{image: x, command: [echo, tick]}]}
- name: ci-long
  interval: 1h
  spec: {containers: [{image: x, command: [sleep, "1000"]}]}
"""
JOBS = "/apis/prow.k8s.io/v1/namespaces/prow/prowjobs"


def _jobs(folder: Path) -> dict[str, list[Any]]:
    """Return the ProwJobs by what they run."""
    config = json.loads((folder / "state" / "data" / "kubeconfig").read_text())
    status, answer = program.get(config["clusters"][0]["cluster"]["server"] + JOBS)
    assert status == 200
    found: dict[str, list[Any]] = {}
    for job in json.loads(answer)["items"]:
        found.setdefault(job["spec"]["job"], []).append(job)
    return found


def _states(folder: Path, tick: str, *long: str) -> dict[str, list[Any]] | None:
    """Return the jobs once they have come so far."""
    jobs = _jobs(folder)
    if len(jobs) < 2 or jobs["ci-tick"][0]["status"]["state"] != tick:
        return None
    return jobs if jobs["ci-long"][0]["status"]["state"] in long else None


@pytest.mark.slow
def test_killed_and_started_again(tmp_path: Path) -> None:
    """What was done stays done and is not run again; what ran when the process died ends."""
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    flags = (f"--config-path={config}", f"--state-dir={tmp_path / 'state'}")
    with program.up(tmp_path, *flags, data=False) as up:
        before = program.until(lambda: _states(tmp_path, "success", "pending"), "one is done, one runs")
        assert up.stop(signal.SIGKILL) == -signal.SIGKILL
    with program.up(tmp_path, *flags, data=False) as up:
        after = program.until(lambda: _states(tmp_path, "success", "error", "failure"), "all have ended")
        assert {name: [job["metadata"]["uid"] for job in jobs] for name, jobs in after.items()} == {
            name: [job["metadata"]["uid"] for job in jobs] for name, jobs in before.items()
        }
        assert [_told(job) for job in after["ci-tick"]] == [_told(job) for job in before["ci-tick"]]
        assert up.stop() == 0


def _told(job: Any) -> Any:
    """Return what a ProwJob asks and what became of it; who has reported that may be written a moment later."""
    return job["spec"], {name: value for name, value in job["status"].items() if name != "prev_report_states"}


def test_it_keeps_the_embedded_server_only(tmp_path: Path) -> None:
    """With another API server there is nothing to keep: said at once."""
    done = program.run("up", f"--state-dir={tmp_path / 'state'}", f"--kubeconfig={tmp_path / 'config'}", "--port=0")
    assert done.returncode == 2
    assert "--state-dir keeps the embedded API server's objects" in done.stderr
