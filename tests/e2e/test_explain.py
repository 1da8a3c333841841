"""`prow-async explain ORG/REPO#N`: a person asks why, of a running process and of what one has left behind."""

import re
from pathlib import Path

import pytest

from tests.e2e import program

CONFIG = """
presubmits:
  octo-org/hello:
  - {name: unit, always_run: true, spec: {containers: [{image: x, command: ["true"]}]}}
  - {name: docs, run_if_changed: '\\.md$', spec: {containers: [{image: x, command: ["true"]}]}}
  - {name: slow, spec: {containers: [{image: x, command: ["true"]}]}}
"""


@pytest.mark.slow
def test_why_jobs_did_or_did_not_run(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    with program.up(tmp_path, f"--config-path={tmp_path / 'config.yaml'}") as up:
        pull = up.open_pull("feature", "Feature")
        program.until(lambda: set(up.statuses(pull["head"]["sha"])) == {"unit"}, "the one job reported")
        place = f"octo-org/hello#{pull['number']}"
        hook = f"--hook={up.metrics}"
        told = program.run("explain", hook, place)
        assert told.returncode == 0, told.stderr
        assert re.search(r"unit +runs: it runs by itself", told.stdout), told.stdout
        assert re.search(r"docs +does not run: run_if_changed '\\\\\.md\$' does not ask for it", told.stdout), (
            told.stdout
        )
        assert re.search(r"slow +does not run: .*'/test slow' starts it", told.stdout), told.stdout
        assert "did: CreateProwJob: unit" in told.stdout
        one = program.run("explain", hook, "--now", place, "slow")
        assert "a push at this moment" in one.stdout, one
        assert "unit" not in one.stdout
        assert up.stop() == 0
    inbox = next((tmp_path / "data").rglob("decisions.db")).parent
    left = program.run("explain", f"--inbox-dir={inbox}", place)
    assert left.stdout == told.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "usage: prow-async explain"),
        (("not-a-pull#",), "usage: prow-async explain"),
        (("--hook=http://127.0.0.1:9", "o/r#1"), "no hook answers at http://127.0.0.1:9"),
        (("--hook=nonsense", "o/r#1"), "no hook answers at nonsense"),
        (("--inbox-dir=/nowhere", "o/r#1"), "/nowhere/decisions.db is not there"),
        (("--inbox-dir=/nowhere", "--now", "o/r#1"), "leave --inbox-dir away"),
        (("o/r#1", "--inbox-dir=/nowhere"), "flags come first"),
    ],
)
def test_questions_that_cannot_be_answered(arguments: tuple[str, ...], said: str) -> None:
    ended = program.run("explain", *arguments)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
