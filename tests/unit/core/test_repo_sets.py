"""Sets of orgs and repos, against the same sets written out over a small world."""

from hypothesis import given
from hypothesis import strategies as st

from prow_async.api.config_tide import TideQuery
from prow_async.api.plugin_config import ExternalPlugin, OrgPlugins, PluginConfig
from prow_async.core import repo_sets
from prow_async.core.repo_sets import RepoSet

WORLD = [f"{org}/{repo}" for org in "op" for repo in "abc"]
REPOS = st.frozensets(st.sampled_from(WORLD))


@st.composite
def sets(draw: st.DrawFn) -> RepoSet:
    orgs = draw(st.sets(st.sampled_from("op")))
    left_out = {org: frozenset(name for name in draw(REPOS) if name.startswith(org)) for org in orgs}
    return RepoSet(left_out, draw(REPOS))


def members(found: RepoSet) -> set[str]:
    return {name for name in WORLD if name in found}


@given(sets(), sets())
def test_differences_and_intersections_hold_what_they_should(left: RepoSet, right: RepoSet) -> None:
    """Also for the repos of an org that nobody names: `z` stands for them."""
    assert members(left.minus(right)) == members(left) - members(right)
    assert members(left.both(right)) == members(left) & members(right)
    for org in "op":
        rest = f"{org}/z"
        assert (rest in left.minus(right)) == (rest in left and rest not in right)
        assert (rest in left.both(right)) == (rest in left and rest in right)


def test_what_tide_searches() -> None:
    """A repo is left out of its org only where all queries for the org leave it out and none names it."""
    queries = [
        TideQuery(orgs=("o",), excluded_repos=("o/a", "o/b", "p/c")),
        TideQuery(orgs=("o",), excluded_repos=("o/a", "o/c")),
        TideQuery(repos=("p/a",)),
    ]
    assert repo_sets.searched(queries) == RepoSet({"o": frozenset({"o/a"})}, frozenset({"p/a"}))
    named = [*queries, TideQuery(repos=("o/a",))]
    assert repo_sets.searched(named).orgs == {"o": frozenset()}
    assert repo_sets.searched([]) == RepoSet()


def test_where_plugins_are_on() -> None:
    config = PluginConfig(
        plugins={
            "o": OrgPlugins(("x",), ("a", "b")),
            "o/a": OrgPlugins(("x",)),
            "p": OrgPlugins(("w",)),
            "p/a": OrgPlugins(("x",)),
        },
        external_plugins={"o": (ExternalPlugin("e"),), "p/a": (ExternalPlugin("f"), ExternalPlugin("e"))},
    )
    assert repo_sets.enabled(config, "x") == RepoSet({"o": frozenset({"o/b"})}, frozenset({"o/a", "p/a"}))
    assert repo_sets.enabled_external(config, "e") == RepoSet({"o": frozenset()}, frozenset({"p/a"}))


def test_items_are_named_for_people() -> None:
    found = RepoSet({"p": frozenset(), "o": frozenset({"o/b", "o/a"})}, frozenset({"q/a"}))
    assert [words for _, words in found.listed()] == ["o without o/a, o/b", "p", "q/a"]
