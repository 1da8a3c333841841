"""label: categories, named labels, restrictions, and the one thing that is said."""

from typing import Any

import pytest

from prow_async.api.github import Label as GitHubLabel
from prow_async.api.github import User
from prow_async.api.plugin_config import PluginConfig
from prow_async.api.plugin_labels import AssignOnLabel, Label, RestrictedLabel
from prow_async.core import label_commands
from prow_async.plugins import label
from tests.unit.plugins.parts import World, happened, run, said

pytestmark = pytest.mark.anyio
REPO = ("kind/bug", "kind/feature", "area/Prow", "needs-kind", "triage/accepted", "tide/merge-method-squash", "secret")


def settings(*restricted: RestrictedLabel, named: tuple[str, ...] = ()) -> PluginConfig:
    return PluginConfig(label=Label(named, {"o": restricted}))


@pytest.mark.parametrize(
    ("body", "labels", "done"),
    [
        ("/kind bug", (), ["+kind/bug"]),
        ("/kind BUG feature", (), ["+kind/bug", "+kind/feature"]),
        ("/area prow", (), ["+area/prow"]),
        ("/kind bug\r\n/area prow", (), ["+kind/bug", "+area/prow"]),
        ("/kind bug \r\n/area prow  \n\n", (), ["+kind/bug", "+area/prow"]),
        ("/remove-kind bug ", ("kind/bug",), ["-kind/bug", "+needs-kind"]),
        ("/kind bug", ("Kind/Bug",), []),
        ("/kind bug\n/kind bug", (), ["+kind/bug"]),
        ("/remove-kind bug", ("kind/bug", "kind/feature"), ["-kind/bug"]),
        ("/remove-kind bug", ("kind/bug",), ["-kind/bug", "+needs-kind"]),
        ("/remove-kind bug", ("kind/bug", "needs-kind"), ["-kind/bug"]),
        ("/remove-kind bug\n/kind feature", ("kind/bug",), ["+kind/feature", "-kind/bug"]),
        ("/remove-kind bug", ("Kind/Bug",), ["-kind/bug", "+needs-kind"]),
        ("/kindbug", (), []),
        ("/Kind bug", (), None),
        ("<!-- /kind bug -->", (), None),
        ("<!--\n/kind bug\n--> text\n/area prow", (), ["+area/prow"]),
        ("<!-- open\n/kind bug", (), ["+kind/bug"]),
        ("hello", (), None),
    ],
)
async def test_categories(body: str, labels: tuple[str, ...], done: list[str] | None) -> None:
    found = await run(label.PLUGIN, said(body), World(labels_=labels, repo_labels_=REPO))
    assert found == (done if body != "/kindbug" else None)


@pytest.mark.parametrize(
    ("body", "labels", "done"),
    [
        ("/kind nope", (), "@ann: This repository has no such labels: `kind/nope`."),
        ("/kind  bug", (), "@ann: This repository has no such labels: `kind/`."),
        ("/remove-kind bug", (), "@ann: These labels are not set here, so they cannot be removed: `kind/bug`."),
        ("/label what", (), "@ann: These labels cannot be set or removed by a command here: `what`."),
        ("/label what\n/kind nope", (), "@ann: These labels cannot be set or removed by a command here: `what`."),
        ("/triage accepted", (), "@ann: Only members of o may set `triage/accepted`."),
    ],
)
async def test_what_cannot_be_done_is_said_once(body: str, labels: tuple[str, ...], done: str) -> None:
    found = await run(label.PLUGIN, said(body), World(labels_=labels, repo_labels_=REPO))
    assert found is not None
    assert [line for line in found if line.startswith("says")] == [f"says {done}"]


async def test_members_accept_triage() -> None:
    """And nobody else, however the label is spelled."""
    named = settings(named=("triage/accepted",))
    for body in ("/triage accepted", "/triage Accepted", "/label triage/accepted", "/label Triage/Accepted"):
        member = World(repo_labels_=REPO, members=frozenset({"ann"}))
        assert await run(label.PLUGIN, said(body), member, named) == ["+triage/accepted"]
        found = await run(label.PLUGIN, said(body), World(repo_labels_=REPO), named)
        assert found == ["says @ann: Only members of o may set `triage/accepted`."]


async def test_removing_what_is_not_there_shows_what_is_lacking() -> None:
    found = await run(label.PLUGIN, said("/remove-kind bug"), World(repo_labels_=REPO))
    assert found is not None
    assert found[0] == "+needs-kind"
    found = await run(label.PLUGIN, said("/remove-kind bug"), World(labels_=("kind/feature",), repo_labels_=REPO))
    assert found is not None
    assert not any(line.startswith("+") for line in found)


async def test_named_labels() -> None:
    """Named in whatever case, sent in lower case; several words are no label."""
    config = settings(named=("Tide/merge-method-squash",))
    world = World(repo_labels_=REPO)
    body = "/label Tide/Merge-method-squash\n/label two words\n/label tide/merge-method-squash"
    assert await run(label.PLUGIN, said(body), world, config) == ["+tide/merge-method-squash"]


@pytest.mark.parametrize(
    ("who", "body", "labels", "done"),
    [
        ("ann", "/label secret", (), None),
        ("Boss", "/label secret", (), ["+secret"]),
        ("lead", "/label secret", (), ["+secret"]),
        ("lead", "/remove-label secret", ("secret",), ["-secret"]),
        ("ann", "/remove-label secret", ("secret",), None),
    ],
)
async def test_restricted_labels(who: str, body: str, labels: tuple[str, ...], done: list[str] | None) -> None:
    """Allowed users in any case and members of allowed teams may; others are told who, and nobody is called."""
    rule = RestrictedLabel(label="Secret", allowed_teams=("leads",), allowed_users=("boss",))
    world = World(labels_=labels, repo_labels_=REPO, teams_={"leads": frozenset({"lead"})})
    found = await run(label.PLUGIN, said(body, user=User(login=who)), world, settings(rule))
    if done is None:
        said_ = "says @ann: You may not change the label `secret`. Those who may: team leads, boss."
        assert found == [said_]
    else:
        assert found == done


async def test_a_refusal_names_some_of_many() -> None:
    rule = RestrictedLabel(label="secret", allowed_users=tuple(f"user{number}" for number in range(500)))
    found = await run(label.PLUGIN, said("/label secret"), World(repo_labels_=REPO), settings(rule))
    assert found is not None
    assert found[0].endswith("user18, user19 and 480 more.")


async def test_a_long_name_is_cut() -> None:
    found = await run(label.PLUGIN, said(f"/kind {'x' * 60_000}"), World(repo_labels_=REPO))
    assert found == [f"says @ann: This repository has no such labels: `kind/{'x' * 55}`."]


async def test_a_refused_removal_asks_for_no_other_label() -> None:
    """needs-kind comes only for labels that really go."""
    rule = RestrictedLabel(label="kind/bug", allowed_users=("boss",))
    world = World(labels_=("kind/bug",), repo_labels_=REPO)
    found = await run(label.PLUGIN, said("/remove-kind bug"), world, settings(rule))
    assert found is not None
    assert not any(line.startswith("+") for line in found)


@pytest.mark.parametrize(("on", "done"), [("APPROVED", ["assigns boss,vice"]), ("other", [])])
async def test_assigned_on_a_label(on: str, done: list[str]) -> None:
    rule = RestrictedLabel(label="secret", allowed_users=("boss", "vice"), assign_on=(AssignOnLabel("approved"),))
    event = happened("labeled", label=GitHubLabel(on))
    assert await run(label.PLUGIN, event, World(), settings(rule)) == done


@pytest.mark.parametrize("changes", [{"is_pr": False}, {"issue_state": "closed"}])
async def test_it_works_on_issues_and_closed_ones(changes: dict[str, Any]) -> None:
    assert await run(label.PLUGIN, said("/kind bug", **changes), World(repo_labels_=REPO)) == ["+kind/bug"]


async def test_ten_thousand_commands_are_bounded() -> None:
    body = "\n".join(f"/kind x{number}" for number in range(10_000))
    assert len(label_commands.parse(body).add) == label_commands.ASKED_MAX
    found = await run(label.PLUGIN, said(body), World(repo_labels_=REPO))
    assert found is not None
    assert len(found) == 1
    assert len(found[0]) < 1000
