"""preview, mkpod and mkpj as a person runs them."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.e2e.program import PROGRAM

MAIN = """
plank:
  default_decoration_configs:
    '*':
      utility_images: {clonerefs: c, initupload: i, entrypoint: e, sidecar: s}
      gcs_configuration: {bucket: b, path_strategy: explicit}
"""
JOBS = """
presubmits:
  o/r:
  - {name: unit, always_run: false, decorate: true, spec: {containers: [{image: i, command: [make]}]}}
  - {name: other, optional: true, spec: {containers: [{image: i}]}}
periodics:
- {name: nightly, interval: 1h, spec: {containers: [{image: i}]}}
"""


def run(*arguments: str, answers: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *arguments], input=answers, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return made(tmp_path / "new")


def made(folder: Path) -> Path:
    (folder / "jobs").mkdir(parents=True)
    (folder / "config.yaml").write_text(MAIN)
    (folder / "jobs" / "o.yaml").write_text(JOBS)
    return folder


def flags(tree: Path) -> list[str]:
    return [f"--config-path={tree / 'config.yaml'}", f"--job-config-path={tree / 'jobs'}"]


def test_preview_expands_every_job(tree: Path) -> None:
    """One JSON object a line; none of our own annotations."""
    done = run("preview", *flags(tree))
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, "")
    assert [(row["kind"], row["job"]) for row in rows] == [
        ("presubmit", "unit"),
        ("presubmit", "other"),
        ("periodic", "nightly"),
    ]
    assert [len(row["pod"]["spec"]["containers"]) for row in rows] == [2, 1, 1]
    assert "prow-async.dev" not in done.stdout
    assert json.loads(run("preview", *flags(tree), "-o", "json").stdout) == rows
    assert run("preview", *flags(tree), "-o", "text").stdout.splitlines()[2].startswith("periodic - nightly ")


def test_preview_tells_what_a_change_does(tree: Path, tmp_path: Path) -> None:
    """Jobs, contexts, triggers; a diff of the pods."""
    old = made(tmp_path / "old")
    text = JOBS.replace("always_run: false", "always_run: true").replace("optional: true", "optional: false")
    text = text.replace("nightly, interval: 1h", "weekly, interval: 168h").replace(
        "command: [make]", "command: [make, all]"
    )
    (tree / "jobs" / "o.yaml").write_text(text)
    done = run("preview", *flags(tree), f"--against={old}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1 jobs added, 1 removed, 2 changed\n")
    for part in (
        "+ periodic weekly",
        "- periodic nightly",
        "o/r 'unit' on every branch: required, was if it runs",
        "o/r 'other' on every branch: if it runs, was optional",
        "trigger widens: always_run turned on",
        "+        - all",
    ):
        assert part in done.stdout
    found = json.loads(run("preview", *flags(tree), f"--against={old}", "-o=json").stdout)
    assert [job["name"] for job in found["added"]] == ["weekly"]
    same = run("preview", *flags(old), f"--against={old}")
    assert same.stdout == "0 jobs added, 0 removed, 0 changed\n"


def test_preview_of_a_broken_tree_names_every_problem(tree: Path) -> None:
    (tree / "jobs" / "bad.yaml").write_text("periodics:\n- {name: x}\n")
    done = run("preview", *flags(tree))
    assert done.returncode == 1
    assert "bad.yaml:2: " in done.stderr
    assert "Traceback" not in done.stderr
    assert run("preview", *flags(tree), "-o", "xml").returncode == 2


def test_mkpj_and_mkpod_are_a_pipe(tree: Path) -> None:
    """The ProwJob of one, as YAML, is what the other reads."""
    code = (
        "--base-ref=main",
        f"--base-sha={'b' * 40}",
        "--pull-number=7",
        f"--pull-sha={'c' * 40}",
        "--pull-author=ann",
    )
    job = run("mkpj", *flags(tree), "--job=unit", *code)
    assert job.returncode == 0, job.stderr
    made_job = yaml.safe_load(job.stdout)
    assert made_job["spec"]["refs"]["pulls"] == [{"number": 7, "author": "ann", "sha": "c" * 40}]
    pod = run("mkpod", "--prow-job=-", "--build-id=5", answers=job.stdout)
    assert pod.returncode == 0, pod.stderr
    found = yaml.safe_load(pod.stdout)
    assert [c["name"] for c in found["spec"]["initContainers"]] == ["clonerefs", "initupload", "place-entrypoint"]
    assert "created-by-prow" not in found["metadata"]["labels"]
    assert found["metadata"]["labels"]["prow.k8s.io/build-id"] == "5"
    local = run("mkpod", "--prow-job=-", "--build-id=snowflake", "--local", "--out-dir=/out", answers=job.stdout)
    assert {"name": "output", "hostPath": {"path": "/out"}} in yaml.safe_load(local.stdout)["spec"]["volumes"]


def test_a_periodic_needs_no_code(tree: Path) -> None:
    done = run("mkpj", *flags(tree), "--job=nightly")
    assert "refs" not in yaml.safe_load(done.stdout)["spec"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mkpj", "--job=unot"], "no configuration"),
        (["mkpj"], "no job: name it with --job"),
        (["mkpod"], "no ProwJob: give its file"),
        (["mkpod", "--prow-job=/nowhere"], "/nowhere cannot be read"),
        (["mkpod", "--prow-job=-"], "standard input is no ProwJob"),
        (["mkpod", "--local"], "--local needs --out-dir"),
    ],
)
def test_what_is_missing_is_one_line(arguments: list[str], words: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_unknown_job_is_told_with_those_that_come_near(tree: Path) -> None:
    done = run("mkpj", *flags(tree), "--job=ni")
    assert (done.returncode, "there are nightly, unit" in done.stderr) == (2, True)


def test_a_mistake_is_told_once(tree: Path) -> None:
    """One line: who says it, and what is wrong."""
    done = run("mkpj", *flags(tree), "--job=none")
    assert done.stderr == "prow-async mkpj: no job named 'none' in the configuration\n"
    assert done.returncode == 2


def test_bad_files_can_be_left_out_of_a_preview(tree: Path) -> None:
    """The jobs of the others are shown, and what was left out is said."""
    (tree / "jobs" / "bad.yaml").write_text("periodics: [{name: bad}]\n")
    refused = run("preview", *flags(tree))
    assert (refused.returncode, refused.stdout) == (1, "")
    done = run("preview", *flags(tree), "--quarantine-bad-config", "-o=text")
    assert done.returncode == 0
    assert done.stdout.count("\n") == 3
    assert f"prow-async preview: left out: {tree / 'jobs' / 'bad.yaml'}:1: " in done.stderr


def test_a_reader_that_has_enough(tree: Path) -> None:
    """`prow-async preview | head -1` ends quietly."""
    (tree / "jobs" / "many.yaml").write_text(
        "periodics:\n"
        + "".join(f"- {{name: p{i}, interval: 1h, spec: {{containers: [{{image: i}}]}}}}\n" for i in range(500))
    )
    command = [PROGRAM, "preview", *flags(tree)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141
