"""lgtm: whose word counts, what a review says, and what new commits do to it."""

from typing import Any

import msgspec
import pytest

from prow_async.api.errors import Missing, Refused
from prow_async.api.github import ChangedFile, Comment, GenericComment, Review, ReviewEvent, User
from prow_async.api.plugin_config import PluginConfig
from prow_async.api.plugin_review import Lgtm
from prow_async.api.plugin_review import Owners as OwnersSettings
from prow_async.core.owners import File, Group, Owners
from prow_async.plugins import lgtm
from tests.unit.core import samples
from tests.unit.plugins.parts import ROBOT, World, happened, run, said

pytestmark = pytest.mark.anyio
TREE, OTHER_TREE = "a" * 40, "b" * 40
HEAD = "5" * 40


def config(**settings: Any) -> PluginConfig:
    return PluginConfig(lgtm=(Lgtm(repos=("o",), **settings),))


def ours(number: int, body: str, edited: bool = False) -> Comment:
    at = "2026-01-01T00:00:00Z"
    later = "2026-01-02T00:00:00Z" if edited else at
    return Comment(id=number, body=body, user=User(login=ROBOT), created_at=at, updated_at=later)


def world(**changes: Any) -> World:
    made = World(collaborators=frozenset({"ann", "cara"}), trees={HEAD: TREE}, pr=samples.pull_request(), comments_=())
    return msgspec.structs.replace(made, **changes)


@pytest.mark.parametrize(
    ("comment", "labels", "done"),
    [
        (said("/lgtm"), (), ["assigns ann", "+lgtm"]),
        (said("/LGTM no-issue"), (), ["assigns ann", "+lgtm"]),
        (said("/lgtm", assignees=(User(login="ann"),)), (), ["+lgtm"]),
        (said("/lgtm"), ("LGTM",), ["assigns ann"]),
        (said("/lgtm cancel"), ("lgtm",), ["assigns ann", "-lgtm"]),
        (said("/remove-lgtm"), ("lgtm",), ["assigns ann", "-lgtm"]),
        (said("/lgtm\n/lgtm cancel"), (), ["assigns ann", "+lgtm"]),
        (said("/lgtm", user=User(login="ben")), (), ["says @ben: You cannot say `/lgtm` to your own pull request."]),
        (said("/lgtm cancel", user=User(login="ben")), ("lgtm",), ["-lgtm"]),
        (
            said("/lgtm", user=User(login="mallory")),
            (),
            ["says @mallory: Only collaborators of this repository may add or remove LGTM."],
        ),
        (said("/lgtm please"), (), None),
        (said("/lgtm", issue_state="closed"), (), None),
        (said("/lgtm", is_pr=False), (), None),
        (said("/lgtm", action="edited"), (), None),
    ],
)
async def test_comments(comment: GenericComment, labels: tuple[str, ...], done: list[str] | None) -> None:
    assert await run(lgtm.PLUGIN, comment, world(labels_=labels)) == done


async def test_the_tree_is_noted_and_the_notice_goes() -> None:
    comments = (ours(1, lgtm.REMOVED), Comment(id=2, body=lgtm.REMOVED, user=User(login="ann")))
    done = await run(lgtm.PLUGIN, said("/lgtm"), world(comments_=comments), config(store_tree_hash=True))
    assert done == ["assigns ann", "+lgtm", f"says {lgtm.ADDED.format(TREE).partition('<')[0].strip()}", "unsays 1"]


async def test_taking_it_back_forgets_the_tree() -> None:
    comments = (ours(1, lgtm.ADDED.format(TREE)), ours(2, "else"))
    found = world(comments_=comments, labels_=("lgtm",))
    done = await run(lgtm.PLUGIN, said("/lgtm cancel"), found, config(store_tree_hash=True))
    assert done == ["assigns ann", "-lgtm", "unsays 1"]


async def test_taking_it_back_asks_the_assignees_again() -> None:
    """As new commits do: only where the tree is noted, and not whoever is assigned by this very word."""
    assigned = said("/lgtm cancel", assignees=(User(login="cara"), User(login="dan")))
    found = world(labels_=("lgtm",))
    done = await run(lgtm.PLUGIN, assigned, found, config(store_tree_hash=True))
    assert done == ["assigns ann", "-lgtm", "asks cara,dan"]
    assert await run(lgtm.PLUGIN, assigned, found, config()) == ["assigns ann", "-lgtm"]


def review(state: str, body: str = "", who: User | None = None) -> ReviewEvent:
    written = Review(id=1, body=body, state=state, user=who or User(login="cara"))
    return ReviewEvent(
        action="submitted",
        pull_request=samples.pull_request(user=User(login="ben")),
        repository=samples.REPO,
        review=written,
    )


@pytest.mark.parametrize(
    ("event", "labels", "done"),
    [
        (review("approved"), (), ["assigns cara", "+lgtm"]),
        (review("APPROVED", "well done"), (), ["assigns cara", "+lgtm"]),
        (review("changes_requested"), ("lgtm",), ["assigns cara", "-lgtm"]),
        (review("commented"), (), None),
        (review("approved", "/lgtm"), (), None),
        (review("approved", "/lgtm cancel"), (), None),
        (review("approved", who=User(login=ROBOT)), (), None),
        (review("approved", who=User(login="helper", type="Bot")), (), None),
        (msgspec.structs.replace(review("approved"), action="edited"), (), None),
    ],
)
async def test_reviews(event: ReviewEvent, labels: tuple[str, ...], done: list[str] | None) -> None:
    """They count only where the settings say so, and not twice where their text holds a command."""
    assert await run(lgtm.PLUGIN, event, world(labels_=labels), config(review_acts_as_lgtm=True)) == done
    assert await run(lgtm.PLUGIN, event, world(labels_=labels), config()) is None


@pytest.mark.parametrize(
    ("labels", "settings", "comments", "done"),
    [
        ((), {}, (), []),
        (("lgtm",), {}, (), ["-lgtm", f"says {lgtm.REMOVED}"]),
        (("lgtm",), {"store_tree_hash": True}, (ours(1, lgtm.ADDED.format(TREE)),), []),
        (
            ("lgtm",),
            {"store_tree_hash": True},
            (ours(1, lgtm.ADDED.format(TREE)), ours(2, lgtm.ADDED.format(OTHER_TREE))),
            ["-lgtm", f"says {lgtm.REMOVED}", "asks cara"],
        ),
        (
            ("lgtm",),
            {"store_tree_hash": True},
            (ours(1, lgtm.ADDED.format(TREE), edited=True),),
            ["-lgtm", f"says {lgtm.REMOVED}", "asks cara"],
        ),
        (
            ("lgtm",),
            {"store_tree_hash": True},
            (Comment(id=1, body=lgtm.ADDED.format(TREE), user=User(login="ann")),),
            ["-lgtm", f"says {lgtm.REMOVED}", "asks cara"],
        ),
    ],
)
async def test_new_commits(
    labels: tuple[str, ...], settings: dict[str, Any], comments: tuple[Comment, ...], done: list[str]
) -> None:
    """LGTM goes, unless our last note of it, as we wrote it, names the very files that are there now."""
    event = happened("synchronize", pull_request=samples.pull_request(assignees=(User(login="cara"),)))
    assert await run(lgtm.PLUGIN, event, world(labels_=labels, comments_=comments), config(**settings)) == done


async def test_merged_pull_requests_keep_it() -> None:
    event = happened("synchronize", pull_request=samples.pull_request(merged=True))
    assert await run(lgtm.PLUGIN, event, world(labels_=("lgtm",))) is None


@pytest.mark.parametrize(
    ("settings", "untold"),
    [
        ({"store_tree_hash": True}, {"trees": {}}),
        ({"trusted_team_for_sticky_lgtm": "Core"}, {"teams_trouble": Refused("no rights", 403)}),
        ({"trusted_team_for_sticky_lgtm": "Core"}, {"teams_trouble": Missing("a person has no teams")}),
    ],
)
async def test_it_goes_where_github_does_not_tell(settings: dict[str, Any], untold: dict[str, Any]) -> None:
    """Nothing lets an old LGTM stay on new commits; and a word counts all the same."""
    noted = (ours(1, lgtm.ADDED.format(TREE)),)
    found = world(labels_=("lgtm",), comments_=noted, **untold)
    assert await run(lgtm.PLUGIN, happened("synchronize"), found, config(**settings)) == [
        "-lgtm",
        f"says {lgtm.REMOVED}",
    ]
    assert await run(lgtm.PLUGIN, said("/lgtm"), world(**untold), config(**settings)) == ["assigns ann", "+lgtm"]


async def test_sticky_authors_keep_it() -> None:
    """The team is found by its name; its members' LGTM outlives commits, and leaves no note."""
    team = {"teams_": {"core": frozenset({"ann", "ben"})}}
    settings = config(trusted_team_for_sticky_lgtm="Core", store_tree_hash=True)
    assert await run(lgtm.PLUGIN, happened("synchronize"), world(labels_=("lgtm",), **team), settings) == []
    assert await run(lgtm.PLUGIN, said("/lgtm"), world(**team), settings) == ["assigns ann", "+lgtm"]
    other = config(trusted_team_for_sticky_lgtm="core")
    done = await run(lgtm.PLUGIN, happened("synchronize"), world(labels_=("lgtm",), **team), other)
    assert done == ["-lgtm", f"says {lgtm.REMOVED}"]


@pytest.mark.parametrize(
    ("who", "done"),
    [
        ("Owner", ["+lgtm"]),
        ("deep", ["+lgtm"]),
        (
            "cara",
            ["says @cara: Only approvers and reviewers in the OWNERS files"],
        ),
    ],
)
async def test_owners_instead_of_collaborators(who: str, done: list[str]) -> None:
    owners = Owners(
        {"": File((("", Group(frozenset({"owner"}))),)), "src": File((("", Group(reviewers=frozenset({"deep"}))),))}
    )
    settings = PluginConfig(owners=OwnersSettings(skip_collaborators=("o",)))
    found = world(owners=owners, files=(ChangedFile("src/a.go"), ChangedFile("b.go")))
    result = await run(lgtm.PLUGIN, said("/lgtm", user=User(login=who)), found, settings)
    assert result is not None
    assert [line[: len(wanted)] for line, wanted in zip(result, done, strict=True)] == done


async def test_other_events() -> None:
    found = world(asked=[])
    assert await run(lgtm.PLUGIN, happened("opened"), found) is None
    assert await run(lgtm.PLUGIN, said("nice"), found) is None
    assert found.asked == []
