"""Where tide's queries and the plugins do not fit together. Source: upstream cmd/checkconfig/main.go."""

from collections.abc import Iterator

from prow_async.api.config_tide import TideQuery
from prow_async.api.errors import Problem
from prow_async.core import repo_sets, tide_context
from prow_async.core.checkconfig_facts import Facts
from prow_async.core.repo_sets import RepoSet

_REQUIRED = (("lgtm", "lgtm"), ("approve", "approved"))
_FORBIDDEN = (
    ("hold", "do-not-merge/hold"),
    ("wip", "do-not-merge/work-in-progress"),
    ("bugzilla", "bugzilla/invalid-bug"),
    ("verify-owners", "do-not-merge/invalid-owners-file"),
    ("release-note", "do-not-merge/release-note-label-needed"),
    ("cherry-pick-unapproved", "do-not-merge/cherry-pick-not-approved"),
    ("blockade", "do-not-merge/blocked-paths"),
)
_NEEDS_REBASE = "needs-rebase"
_PATH = ("tide", "queries")


def mismatched(facts: Facts) -> Iterator[Problem]:
    """Find labels that queries ask for and no plugin sets, and plugins whose labels no query looks at."""
    yield from mismatched_lenient(facts)
    queries = facts.config.tide.queries
    for plugin, label in _FORBIDDEN:
        asking = repo_sets.searched(query for query in queries if label in query.missing_labels)
        yield from _both_ways(facts, plugin, f'forbid "{label}"', asking)
    # One way only: tide does not merge what conflicts, whether it looks at the label or not.
    asking = repo_sets.searched(query for query in queries if _NEEDS_REBASE in query.missing_labels)
    on = repo_sets.enabled_external(facts.plugins, _NEEDS_REBASE)
    yield from _not_on(facts, asking, on, f'forbid "{_NEEDS_REBASE}"', f"external plugin {_NEEDS_REBASE}")


def mismatched_lenient(facts: Facts) -> Iterator[Problem]:
    """Look at the labels alone that a merge needs."""
    for plugin, label in _REQUIRED:
        asking = repo_sets.searched(query for query in facts.config.tide.queries if label in query.labels)
        yield from _both_ways(facts, plugin, f'require "{label}"', asking)


def _both_ways(facts: Facts, plugin: str, words: str, asking: RepoSet) -> Iterator[Problem]:
    on = repo_sets.enabled(facts.plugins, plugin)
    yield from _not_on(facts, asking, on, words, f"plugin {plugin}")
    every = repo_sets.searched(facts.config.tide.queries)
    for _, where in on.both(every).minus(asking).listed():
        yield facts.at(f"tide.queries: {where}: the plugin {plugin} is on, but queries do not {words}", *_PATH)


def _not_on(facts: Facts, asking: RepoSet, on: RepoSet, words: str, plugin: str) -> Iterator[Problem]:
    for _, where in asking.minus(on).listed():
        yield facts.at(f"tide.queries: {where}: queries {words}, but the {plugin} is not on there", *_PATH)


def needs_ok_to_test(facts: Facts) -> Iterator[Problem]:
    """Find queries that forbid needs-ok-to-test beside requiring lgtm, which says as much."""
    for number, query in enumerate(facts.config.tide.queries):
        if "lgtm" in query.labels and "needs-ok-to-test" in query.missing_labels:
            text = f"the one for {_named(query)} requires lgtm and forbids needs-ok-to-test: /lgtm removes that label"
            yield facts.at(f"tide.queries: {text}", *_PATH, number)


def _named(query: TideQuery) -> str:
    return ", ".join((*query.orgs, *query.repos)[:3])


def context_policies(facts: Facts) -> Iterator[Problem]:
    options = facts.config.tide.context_options
    for org, policy in options.orgs.items():
        for repo, inner in policy.repos.items() or [("", None)]:
            for branch in (inner.branches if inner is not None else {}) or [""]:
                for text in tide_context.problems(tide_context.policy_for(options, org, repo, branch)):
                    name = "/".join(part for part in (org, repo, branch) if part)
                    yield facts.at(f"tide.context_options: {name}: {text}", "tide", "context_options", "orgs", org)
    if not options.orgs:
        for text in tide_context.problems(options):
            yield facts.at(f"tide.context_options: {text}", "tide", "context_options")
