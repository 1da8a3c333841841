"""Jobs that a repository keeps itself: pushed with git, opened as a pull request, run, reported."""

import base64
from pathlib import Path

import pytest

from tests.e2e import program
from tests.gitrepo import git

CONFIG = """
in_repo_config: {enabled: {octo-org/hello: true}, allowed_clusters: {'*': [default]}}
presubmits:
  octo-org/hello:
  - name: pull-static
    always_run: true
    spec: {containers: [{image: x, command: ["true"]}]}
"""
OWN = """
presubmits:
- name: pull-own
  always_run: true
  spec: {containers: [{image: x, command: [sh, -c, "echo own job of $PULL_NUMBER"]}]}
"""


@pytest.mark.slow
def test_a_pull_request_brings_its_own_job(tmp_path: Path) -> None:
    """It runs beside the static one; a broken one is told in the log, and the static ones still run."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    with program.up(tmp_path, f"--config-path={tmp_path / 'config.yaml'}") as up:
        copy = tmp_path / "copy"
        header = base64.b64encode(f"prow-bot:{up.token}".encode()).decode()
        git(tmp_path, "clone", "--quiet", f"{up.github}/octo-org/hello.git", str(copy))
        git(copy, "config", "http.extraHeader", f"Authorization: Basic {header}")
        sha = push(copy, "own", OWN)
        up.api("POST", "/repos/octo-org/hello/pulls", {"title": "Own", "head": "own", "base": "main"})
        final = {"pull-static": "success", "pull-own": "success"}
        program.until(lambda: {k: v["state"] for k, v in up.statuses(sha).items()} == final, "both final")
        broken = push(copy, "broken", OWN.replace("always_run: true", "nonsense: [") + "  bad: }")
        up.api("POST", "/repos/octo-org/hello/pulls", {"title": "Broken", "head": "broken", "base": "main"})
        program.until(lambda: set(up.statuses(broken)) == {"pull-static"}, "the static job alone")
        program.until(lambda: ".prow.yaml:6: not readable as YAML" in up.output(), "the reason in the log")
        assert "Traceback" not in up.output()
        assert up.stop() == 0


def push(copy: Path, branch: str, config: str) -> str:
    """Push a branch off main that adds the file; return its commit."""
    git(copy, "checkout", "--quiet", "-b", branch, "origin/main")
    (copy / ".prow.yaml").write_text(config)
    git(copy, "add", ".prow.yaml")
    git(copy, "commit", "--quiet", "-m", "Keep jobs here")
    git(copy, "push", "--quiet", "origin", branch)
    return git(copy, "rev-parse", "HEAD")
