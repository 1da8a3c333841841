"""trigger on comments that say less, or more, than they seem to: code blocks, settings that take commands away."""

from typing import Any

import msgspec
import pytest

from prow_async.api import actions, names
from prow_async.api.config_sections import Scheduler
from prow_async.api.github import GenericComment, Status, User, WorkflowRun
from prow_async.api.plugin_config import Trigger
from prow_async.plugins import trigger as plugin
from tests.unit.core import samples
from tests.unit.plugins.test_trigger import FAILED, HELP, JOBS, World, created, reads, said, settle

pytestmark = pytest.mark.anyio
IGNORES = Trigger(ignore_ok_to_test=True)
WORKFLOWS = Trigger(trigger_github_workflows=True)


def code(text: str) -> str:
    return f"```\n{text}\n```"


@pytest.mark.parametrize(
    ("body", "done"),
    [
        (f"/test unit\n{code('/test ?')}", ["run unit"]),
        (f"/test unit\n{code('/test')}", ["run unit"]),
        (f"/test unit\n{code('/retest unit')}", ["run unit"]),
        (f"/ok-to-test\n{code('/test nope')}", ["+ok-to-test", "run unit"]),
        (f"/test unit\n{code('/test slow')}", ["run unit", "run slow"]),
        (f"/ok-to-test\n{code('/ok-to-test cancel')}", ["+ok-to-test", "run unit"]),
    ],
)
async def test_code_earns_no_help(body: str, done: list[str]) -> None:
    """What stands in code neither asks for help nor stops what is asked for; jobs it names run, as upstream."""
    assert (await settle(said(body), World()))[0] == done


async def test_code_takes_no_help_away() -> None:
    of = said(f"/ok-to-test\n{code('/test all')}")
    assert (await settle(of, World(comments=(HELP,))))[0] == ["+ok-to-test", "run unit"]


async def test_code_marks_no_retest() -> None:
    """Jobs that a hidden `/retest` adds run; they are not counted as retests."""
    found = await created(said(f"/test unit\n{code('/retest')}"), World(statuses=FAILED))
    assert [job.spec.job for job in found] == ["unit", "slow"]
    assert all(names.RETEST_LABEL not in job.metadata.labels for job in found)


@pytest.mark.parametrize(
    ("of", "settings", "done"),
    [
        (said("/ok-to-test cancel"), IGNORES, []),
        (said("/ok-to-test cancel", by="eve"), IGNORES, []),
        (said("/ok-to-test cancel\n/test unit"), IGNORES, ["run unit"]),
        (said("/ok-to-test cancel\n/test unit"), Trigger(), ["-ok-to-test", "+needs-ok-to-test"]),
        (said("/ok-to-test cancel\n/ok-to-test"), Trigger(), ["-ok-to-test", "+needs-ok-to-test"]),
    ],
)
async def test_cancelling_goes_with_the_command(of: GenericComment, settings: Trigger, done: list[str]) -> None:
    """Where `/ok-to-test` is ignored nobody can cancel it; where both are said nothing starts."""
    assert (await settle(of, World(labels=("ok-to-test",)), settings))[0] == done


@pytest.mark.parametrize(
    ("body", "world", "done"),
    [
        ("/test all", {}, ["run unit", "rerun 2"]),
        ("/test all\n/test ?", {}, ["comment"]),
        ("/retest", {"statuses": (Status("success", context="unit"),)}, ["rerun 2"]),
        ("/retest\n/test", {}, ["comment"]),
        (f"/test unit\n{code('/test all')}", {}, ["run unit"]),
    ],
)
async def test_a_help_reply_starts_no_actions(body: str, world: dict[str, Any], done: list[str]) -> None:
    """Failed runs of GitHub Actions start again only where the comment is followed."""
    github = World(runs={"failure": 2}, **world)
    found, _ = await settle(said(body), github, WORKFLOWS)
    assert sorted(found) == sorted(done)
    assert ("runs failure" in github.asked) is ("rerun 2" in done)


@pytest.mark.parametrize(
    ("event", "branch", "done"),
    [
        ("pull_request", "topic", ["approve 1", "rerun 2"]),
        ("pull_request_target", "topic", ["approve 1", "rerun 2"]),
        ("workflow_call", "topic", ["rerun 2"]),
        ("push", "topic", []),
        ("workflow_dispatch", "topic", []),
        ("schedule", "main", []),
        ("pull_request", "other", []),
    ],
)
async def test_actions_of_the_pull_request_alone(event: str, branch: str, done: list[str]) -> None:
    """The same commit may be pushed or deployed, or be the head of another branch: such runs are nobody's to start."""
    run = WorkflowRun(name="ci", event=event, head_branch=branch)
    github = World(runs={"action_required": 1, "failure": 2}, run=run)
    found, _ = await settle(said("/ok-to-test\n/retest"), github, WORKFLOWS)
    assert [one for one in found if one.startswith(("approve", "rerun"))] == done


async def test_a_trusted_apps_bare_name_is_somebody_else() -> None:
    """Also where an App of that name is trusted: docs/parity.md."""
    settings = Trigger(trusted_apps=("dependabot",))
    of = samples.comment("/test unit", user=User(login="dependabot"))
    assert (await settle(of, World(), settings))[0] == ["comment"]
    of = samples.comment("/test unit", user=User(login="dependabot[bot]"))
    assert (await settle(of, World(), settings))[0] == ["run unit"]


async def test_where_there_is_a_scheduler_jobs_begin_with_it() -> None:
    """They are not triggered before it has let them go on."""
    found = reads(World(), Trigger(), JOBS)
    config = msgspec.structs.replace(found.snapshot.config, scheduler=Scheduler(enabled=True))
    facts = await plugin.gather(
        msgspec.structs.replace(found, snapshot=msgspec.structs.replace(found.snapshot, config=config)),
        said("/test unit"),
        samples.GUID,
    )
    (job,) = [action.job for action in plugin.decide(facts).actions if isinstance(action, actions.CreateProwJob)]
    assert job.status.state == "scheduling"


@pytest.mark.parametrize(("labels", "done"), [((), ["comment"]), (("ok-to-test",), ["run unit"])])
async def test_an_author_whose_account_is_gone(labels: tuple[str, ...], done: list[str]) -> None:
    """GitHub names nobody then, and nobody can be asked about: only the label vouches for the pull request."""
    github = World(labels=labels)
    assert (await settle(said("/test unit", by="eve", issue_author=User()), github))[0] == done
    assert "member o/" not in github.asked
