"""`prow-async up` with a person at its small GitHub: git pushes, a job's status, and all of it after a restart."""

import subprocess
from pathlib import Path

import pytest

from tests.e2e import program
from tests.gitrepo import ENV

JOBS = """
presubmits:
  octo-org/hello:
  - name: pull-good
    always_run: true
    spec: {containers: [{image: not-pulled, command: [sh, -c, "echo fine"]}]}
"""


def git(folder: Path, *arguments: str) -> None:
    """Run a git client. Its identity is octocat's, so that commits are credited."""
    who = {f"GIT_{role}_{what}": f"octocat{end}" for role in ("AUTHOR", "COMMITTER") for what, end in WHO}
    env = {**ENV, **who, "HOME": str(folder), "GIT_TERMINAL_PROMPT": "0", "no_proxy": "*"}
    done = subprocess.run(["git", *arguments], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


WHO = (("NAME", ""), ("EMAIL", "@localhost"))


@pytest.mark.slow
def test_pushed_tested_and_still_there_after_a_restart(tmp_path: Path) -> None:
    config, jobs = tmp_path / "config.yaml", tmp_path / "jobs.yaml"
    config.write_text("prowjob_namespace: default\npod_namespace: test-pods\n")
    jobs.write_text(JOBS)
    flags = [f"--config-path={config}", f"--job-config-path={jobs}"]
    with program.up(tmp_path, *flags) as up:
        token = (tmp_path / "data/octocat-token").read_text()
        url = up.github.replace("http://", f"http://octocat:{token}@")
        git(tmp_path, "clone", "--quiet", f"{url}/octo-org/hello.git", "work")
        work = tmp_path / "work"
        git(work, "switch", "--quiet", "-c", "topic")
        (work / "new.txt").write_text("new\n")
        git(work, "add", "new.txt")
        git(work, "commit", "--quiet", "-m", "New")
        git(work, "push", "--quiet", "origin", "topic")
        pull = up.api("POST", "/repos/octo-org/hello/pulls", {"title": "New", "head": "topic", "base": "main"})
        sha = pull["head"]["sha"]
        program.until(lambda: up.statuses(sha).get("pull-good", {}).get("state") == "success", "the job's success")
        assert up.stop() == 0
    with program.up(tmp_path, *flags) as up:
        seen = up.api("GET", f"/repos/octo-org/hello/pulls/{pull['number']}")
        assert (seen["head"]["sha"], seen["state"], seen["mergeable"]) == (sha, "open", True)
        assert up.statuses(sha)["pull-good"]["state"] == "success"
        url = up.github.replace("http://", f"http://octocat:{token}@")
        git(work, "fetch", "--quiet", f"{url}/octo-org/hello.git", "pull/1/merge")
        assert up.stop() == 0
        assert "Traceback" not in up.output()
