"""Seeded storms: every door in trouble, jobs moving on, the process killed. In the end all that was to be told is."""

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from prow_async.api import names
from prow_async.api.config import Config
from prow_async.api.config import SlackReporter as Settings
from prow_async.core import report
from prow_async.sandbox.faults import Fault
from tests.actors.outlets import Outlets
from tests.actors.script import DROP, Script
from tests.actors.test_reporters import BY_DEFAULT, advance, reported, with_topic
from tests.actors.worlds import ORG, REPO, Town, passes, story

Json = dict[str, Any]
ENDS = ("success", "failure", "error", "aborted")
SLACK = {"*": Settings(channel="c", job_states_to_report=ENDS, job_types_to_report=("presubmit",))}
JOBS = 5


def storm(script: Script, dice: random.Random, share: float, statuses: tuple[int, ...]) -> None:
    """Let a share of requests go wrong, before or after their work."""
    calm = (script.before, script.after)

    def drawn() -> Fault | None:
        if dice.random() >= share:
            return None
        return dice.choice(
            (DROP, Fault("delay", delay_s=dice.uniform(1, 90)), Fault("answer", status=dice.choice(statuses)))
        )

    def before(method: str, path: str) -> Fault | None:
        return calm[0](method, path) or (("watch=" not in path and drawn()) or None)

    def after(method: str, path: str, status: int) -> Fault | None:
        return calm[1](method, path, status) or (("watch=" not in path and drawn()) or None)

    script.before, script.after = before, after  # type: ignore[method-assign]


def calm(script: Script) -> None:
    script.__dict__.pop("before", None)
    script.__dict__.pop("after", None)
    script.renew()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(16))
@story
async def test_a_storm(tmp_path: Path, seed: int) -> None:
    """1. Jobs are run, and run again, while requests fail and the process is killed. 2. Calm: the newest run's status
    and row stand once, every run's files tell its end, all is recorded, and nothing is left to do."""
    dice = random.Random(seed)
    town = Town(Config(plank=BY_DEFAULT, slack_reporter_configs=SLACK))
    outlets = Outlets(town, tmp_path)
    number, sha = town.open_pull()
    doors = (town.kube.faults, town.github_faults, outlets.storage_faults, outlets.message_faults)
    for door, statuses in zip(doors, ((409, 429, 500, 504), (403, 429, 500, 502), (429, 500), (429, 503)), strict=True):
        storm(door, dice, dice.choice((0.05, 0.3)), statuses)
    ends: dict[str, str] = {}
    for life in range(3):
        async with town.engine("crier", reports=outlets.reports()):
            for n in range(JOBS):
                name = f"run-{life}-{n}"
                spec: Json = {"job": f"j{n}", "context": f"c{n}"}
                town.kube.put(with_topic(town.presubmit(name, number, sha, **spec)))
                town.kube.put_pod(town.pod_of(name, build_id=f"{life}{n}"))
                await passes(dice.uniform(0, 3))
                advance(town, name, "pending", build_id=f"1{life}{n}")
                await passes(dice.uniform(0, 20))
                ends[name] = dice.choice(ENDS)
                advance(town, name, ends[name])
            await passes(dice.uniform(0, 40))
    for door in doors:
        calm(door)
    async with town.engine("crier", reports=outlets.reports()) as engine:
        await passes(1800)
        assert engine.crier is not None
        everybody = ("gcsk8sreporter", "gcsreporter", "github-reporter", "pubsub-reporter", "slackreporter")
        for name, state in ends.items():
            assert reported(town, name) == dict.fromkeys(everybody, state), name
        asked = [len(door.asked) for door in doors[1:]]
        await passes(7200)
        assert [len(door.asked) for door in doors[1:]] == asked
    newest = {f"c{n}": ends[f"run-2-{n}"] for n in range(JOBS)}
    shown = {status.context: status.state for status in town.github.statuses(ORG, REPO, sha)}
    assert shown == {context: report.status_state(state) for context, state in newest.items()}
    rows = [
        line.split(" | ")[0]
        for said in town.github.comments(ORG, REPO, number)
        for line in (said.body or "").split("\n")
        if " | [link](" in line
    ]
    assert sorted(rows) == sorted(context for context, state in newest.items() if state == "failure")
    files = outlets.files()
    for name, state in ends.items():
        _, life, n = name.split("-")
        run = f"pr-logs/pull/o_r/{number}/j{n}/1{life}{n}"
        assert msgspec.json.decode(files[f"{run}/finished.json"])["result"] == state
        assert msgspec.json.decode(files[f"{run}/prowjob.json"])["status"]["state"] == state
        assert "finalizers" not in town.kube.pod(name)["metadata"], names.GCS_K8S_FINALIZER
        assert f"{run}/podinfo.json" in files
    assert {files[f"pr-logs/directory/j{n}/latest-build.txt"] for n in range(JOBS)} == {
        f"12{n}".encode() for n in range(JOBS)
    }
    last = {message["url"]: message["status"] for _, _, message in outlets.mailbox.published}
    assert last == {f"https://ci.example/{name}": state for name, state in ends.items()} | (
        {"": last[""]} if "" in last else {}
    )
