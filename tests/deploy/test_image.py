"""The recipe of the image. No builder of images is needed: what it says is checked, and its build run by hand."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy import manifests

RECIPE = manifests.DEPLOY / "image" / "Containerfile"


def instructions() -> list[tuple[str, str]]:
    """Return (instruction, rest of the line) in order; continued lines are one."""
    lines = [line for line in RECIPE.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    found = [line.partition(" ") for line in joined.splitlines() if line.strip()]
    return [(name, rest.strip()) for name, _, rest in found]


def test_it_ends_as_nobody_with_the_program() -> None:
    """The last stage: a base, git, the program, a user by number (as runAsNonRoot wants), no shell in between."""
    last = instructions()
    last = last[max(n for n, (name, _) in enumerate(last) if name == "FROM") :]
    user, _, group = dict(last)["USER"].partition(":")
    workload = manifests.workloads(manifests.build("overlays/split"))["hook"]
    security = workload["spec"]["template"]["spec"]["securityContext"]
    assert (int(user), int(group)) == (security["runAsUser"], security["runAsGroup"])
    assert dict(last)["ENTRYPOINT"] == '["prow-async"]'
    assert "install --yes --no-install-recommends ca-certificates git" in dict(last)["RUN"]
    ports = {port["containerPort"] for port in manifests.container(workload)["ports"]}
    assert {int(port) for port in dict(last)["EXPOSE"].split()} == ports


def test_what_it_copies_is_there_and_is_all_that_is_needed() -> None:
    copied = [shlex.split(rest)[:-1] for name, rest in instructions() if name == "COPY" and "--from" not in rest]
    for path in (part for parts in copied for part in parts):
        assert (manifests.ROOT / path).exists(), path


@pytest.mark.slow
def test_its_build_runs(tmp_path: Path) -> None:
    """The first stage's steps, in folders of our own instead of /src and /opt; what comes out runs without them."""
    source, opt = tmp_path / "src", tmp_path / "opt"
    source.mkdir()
    stage = [step for step in instructions() if step[0] != "ARG"]
    stage = stage[: next(n for n, (name, _) in enumerate(stage) if n and name == "FROM")]
    for name, rest in stage:
        if name == "COPY":
            *parts, target = shlex.split(rest)
            for part in parts:
                _copy(manifests.ROOT / part, source / target if len(parts) == 1 else source / part)
        elif name == "RUN":
            command = rest.replace("/opt/prow-async", str(opt)).replace("python -m venv", f"{sys.executable} -m venv")
            done = subprocess.run(command, shell=True, cwd=source, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    said = subprocess.run([opt / "bin" / "prow-async", "--help"], cwd="/", capture_output=True, text=True, check=True)
    assert "controller-manager" in said.stdout


def _copy(origin: Path, target: Path) -> None:
    if origin.is_dir():
        shutil.copytree(origin, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(origin, target)
