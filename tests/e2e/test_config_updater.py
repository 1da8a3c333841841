"""`prow-async up` keeps its own configuration in a repository: a merged pull request changes the ConfigMap."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e import program

CONFIG = "prowjob_namespace: default\npod_namespace: test-pods\n"
PLUGINS = """
plugins:
  octo-org: {plugins: [config-updater]}
config_updater:
  maps:
    prow/config.yaml: {name: config}
    "prow/jobs/**/*.yaml": {name: job-config, clusters: {default: [test-pods], nowhere: [default]}}
"""
REPO = "/repos/octo-org/hello"
PLACE = "/api/v1/namespaces/{}/configmaps"


def config_map(up: program.Up, folder: Path, namespace: str, name: str) -> Any:
    """Return the data of a ConfigMap as kubectl would get it; None where there is none."""
    found = yaml.safe_load((folder / "data/kubeconfig").read_text())
    url = found["clusters"][0]["cluster"]["server"] + PLACE.format(namespace)
    status, answer = program.get(f"{url}/{name}", found["users"][0]["user"]["token"])
    return json.loads(answer)["data"] if status == 200 else None


def merge(up: program.Up, branch: str, files: dict[str, str]) -> tuple[int, str]:
    """Open a pull request that writes files, and merge it; return its number and the merge commit."""
    base = up.api("GET", f"{REPO}/git/ref/heads/main")["object"]["sha"]
    up.api("POST", f"{REPO}/git/refs", {"ref": f"refs/heads/{branch}", "sha": base})
    for path, text in files.items():
        content: dict[str, str] = {"message": path, "content": base64.b64encode(text.encode()).decode()}
        status, there = program.get(f"{up.github}{REPO}/contents/{path}", up.token)
        if status == 200:
            content["sha"] = json.loads(there)["sha"]
        up.api("PUT", f"{REPO}/contents/{path}", {**content, "branch": branch})
    number = up.api("POST", f"{REPO}/pulls", {"title": branch, "head": branch, "base": "main"})["number"]
    return number, up.api("PUT", f"{REPO}/pulls/{number}/merge", {"merge_method": "squash"})["sha"]


def said(up: program.Up, number: int) -> list[str]:
    comments = up.api("GET", f"{REPO}/issues/{number}/comments")
    return [comment["body"].partition("<details>")[0].rstrip() for comment in comments]


@pytest.mark.slow
def test_a_merged_pull_request_changes_the_configuration(tmp_path: Path) -> None:
    """1. The ConfigMap is made, then changed. 2. A cluster that is not there is refused; only what was done is told."""
    config, plugins = tmp_path / "config.yaml", tmp_path / "plugins.yaml"
    config.write_text(CONFIG)
    plugins.write_text(PLUGINS)
    with program.up(tmp_path, f"--config-path={config}", f"--plugin-config={plugins}") as up:
        number, sha = merge(up, "one", {"prow/config.yaml": CONFIG, "docs/a.md": "a"})
        program.until(lambda: said(up, number), "the comment on the first")
        assert config_map(up, tmp_path, "default", "config") == {"VERSION": sha, "config.yaml": CONFIG}
        assert said(up, number) == [
            "@prow-bot: Updated the `config` configmap in namespace `default` at cluster `default`:\n"
            " - key `config.yaml` using file `prow/config.yaml`"
        ]
        changed = CONFIG + "log_level: debug\n"
        number, sha = merge(up, "two", {"prow/config.yaml": changed, "prow/jobs/team/a.yaml": "presubmits: {}\n"})
        program.until(lambda: said(up, number), "the comment on the second")
        assert config_map(up, tmp_path, "default", "config") == {"VERSION": sha, "config.yaml": changed}
        assert config_map(up, tmp_path, "test-pods", "job-config") == {"VERSION": sha, "a.yaml": "presubmits: {}\n"}
        (text,) = said(up, number)
        assert "Updated 2 configmaps" in text
        assert "nowhere" not in text
        assert "no cluster has the alias 'nowhere'" in up.output()
        metrics = program.get(f"{up.metrics}/metrics")[1].decode()
        assert 'prow_configmap_size_bytes{name="config",namespace="default"}' in metrics
        assert up.stop() == 0
        assert "Traceback" not in up.output()
