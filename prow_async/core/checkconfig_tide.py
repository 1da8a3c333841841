"""Where tide's queries and the plugins do not fit together. Source: upstream cmd/checkconfig/main.go."""

from collections.abc import Iterator, Sequence

from prow_async.api.config import Config
from prow_async.api.config_tide import TideQuery
from prow_async.api.plugin_config import PluginConfig

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


def scopes(query: TideQuery) -> tuple[str, ...]:
    """Return the orgs and repos that a query searches."""
    return (*query.orgs, *query.repos)


def merges(config: Config, org: str, repo: str, branch: str) -> bool:
    """Say whether some query may merge into a branch; empty names stand for any."""
    for query in config.tide.queries:
        full = f"{org}/{repo}"
        reached = org in query.orgs and full not in query.excluded_repos
        if not repo:
            reached = org in query.orgs or any(name.startswith(f"{org}/") for name in query.repos)
        if not (reached or full in query.repos):
            continue
        if not branch or (
            branch not in query.excluded_branches and (not query.included_branches or branch in query.included_branches)
        ):
            return True
    return False


def mismatched(config: Config, plugins: PluginConfig, strict: bool) -> Iterator[str]:
    """Yield labels that queries ask for and no plugin sets, and plugins whose labels no query looks at.

    Args:
        strict: look at the labels that forbid a merge too, not only at those that it needs.
    """
    for plugin, label in _REQUIRED:
        asking = [query for query in config.tide.queries if label in _parts(query.labels)]
        yield from _both_ways(config, plugins, plugin, f'require "{label}"', asking)
    if not strict:
        return
    for plugin, label in _FORBIDDEN:
        asking = [query for query in config.tide.queries if label in query.missing_labels]
        yield from _both_ways(config, plugins, plugin, f'forbid "{label}"', asking)
    external = {
        scope for scope, listed in plugins.external_plugins.items() for one in listed if one.name == _NEEDS_REBASE
    }
    forbidding = {s for query in config.tide.queries if _NEEDS_REBASE in query.missing_labels for s in scopes(query)}
    for scope in sorted(forbidding):
        if not _covered(scope, external):
            yield f'{scope}: queries forbid "{_NEEDS_REBASE}", but the external plugin {_NEEDS_REBASE} is not on there'


def _both_ways(
    config: Config, plugins: PluginConfig, plugin: str, words: str, asking: Sequence[TideQuery]
) -> Iterator[str]:
    asked = {scope for query in asking for scope in scopes(query)}
    merged = {scope for query in config.tide.queries for scope in scopes(query)}
    for scope in sorted(merged):
        org, _, repo = scope.partition("/")
        on = plugin in plugins.enabled(org, repo)
        if scope in asked and not on:
            yield f"{scope}: queries {words}, but the plugin {plugin} is not on there"
        elif scope not in asked and on:
            yield f"{scope}: the plugin {plugin} is on, but queries do not {words}"


def _parts(labels: Sequence[str]) -> set[str]:
    return {part.strip() for label in labels for part in label.split(",")}


def _covered(scope: str, by: set[str]) -> bool:
    return scope in by or scope.partition("/")[0] in by


def needs_ok_to_test(config: Config) -> Iterator[str]:
    """Yield queries that forbid needs-ok-to-test beside requiring lgtm, which says as much."""
    for query in config.tide.queries:
        if "lgtm" in _parts(query.labels) and "needs-ok-to-test" in query.missing_labels:
            where = ", ".join(scopes(query)[:3])
            yield f"the one for {where} requires lgtm and forbids needs-ok-to-test: /lgtm removes that label"
