"""Completes and checks tide's configuration. Source: upstream pkg/config/tide.go."""

from collections.abc import Iterator, Sequence

import msgspec

from prow_async.api.config import ProwJobDefaultEntry
from prow_async.api.config_tide import Tide, TideQuery
from prow_async.core import config_decoration
from prow_async.core.config_findings import Findings

METHODS = frozenset({"merge", "squash", "rebase"})
_POLICIES = frozenset({"ignore", "permit", "block"})
_ANY_SCOPE = "*"


def complete(tide: Tide, defaults: Sequence[ProwJobDefaultEntry], found: Findings) -> Tide:
    """Return tide's section with older forms turned into newer ones and equal queries joined.

    Args:
        defaults: say whose tenants a query's repos are; queries of different tenants are never joined.
    """
    _check(tide, found)
    changes: dict[str, object] = {}
    if tide.target_url:
        changes["target_urls"] = {_ANY_SCOPE: tide.target_url}
    if tide.pr_status_base_url:
        found.warn("is deprecated; use pr_status_base_urls with the key '*'", "tide", "pr_status_base_url")
        changes["pr_status_base_urls"] = {_ANY_SCOPE: tide.pr_status_base_url}
    if tide.gerrit is not None and not tide.gerrit.ratelimit:
        changes["gerrit"] = msgspec.structs.replace(tide.gerrit, ratelimit=5)
    return msgspec.structs.replace(
        tide,
        status_update_period=tide.status_update_period or tide.sync_period,
        max_goroutines=tide.max_goroutines or Tide().max_goroutines,
        queries=joined(tide.queries, defaults),
        **changes,
    )


def joined(queries: Sequence[TideQuery], defaults: Sequence[ProwJobDefaultEntry]) -> tuple[TideQuery, ...]:
    """Join queries that filter alike for the same tenants: one search instead of several. Sorted by their JSON."""
    tenants = config_decoration.Defaults((), defaults)
    alike: dict[tuple[TideQuery, frozenset[str]], list[TideQuery]] = {}
    for query in queries:
        filters = msgspec.structs.replace(
            query,
            orgs=(),
            repos=(),
            excluded_repos=(),
            labels=tuple(sorted(query.labels)),
            missing_labels=tuple(sorted(query.missing_labels)),
            included_branches=tuple(sorted(query.included_branches)),
            excluded_branches=tuple(sorted(query.excluded_branches)),
        )
        whose = frozenset(tenants.prowjob(scope, "*").tenant_id for scope in (*query.orgs, *query.repos))
        alike.setdefault((filters, whose), []).append(query)
    out = [
        msgspec.structs.replace(
            filters,
            orgs=tuple(sorted(org for query in same for org in query.orgs)),
            repos=tuple(sorted(repo for query in same for repo in query.repos)),
            excluded_repos=tuple(sorted(repo for query in same for repo in query.excluded_repos)),
        )
        for (filters, _), same in alike.items()
    ]
    return tuple(sorted(out, key=msgspec.json.encode))


def _check(tide: Tide, found: Findings) -> None:
    if tide.max_goroutines < 0:
        found.wrong("must not be negative", "tide", "max_goroutines")
    found.both(tide.target_url, tide.target_urls, "target_url and target_urls", "tide", "target_url")
    names = "pr_status_base_url and pr_status_base_urls"
    found.both(tide.pr_status_base_url, tide.pr_status_base_urls, names, "tide", "pr_status_base_url")
    if tide.pr_status_base_urls and _ANY_SCOPE not in tide.pr_status_base_urls:
        found.wrong("needs the key '*' too", "tide", "pr_status_base_urls")
    for scope, policy in tide.github_merge_blocks_policy.items():
        if policy not in _POLICIES:
            text = f'"{policy}" is no policy; use ignore, permit or block'
            found.wrong(text, "tide", "github_merge_blocks_policy", scope)
    for scope, template in tide.merge_commit_template.items():
        found.template(template.title, "tide", "merge_commit_template", scope, "title")
        found.template(template.body, "tide", "merge_commit_template", scope, "body")
    _check_methods(tide, found)
    for number, query in enumerate(tide.queries):
        for key, text in query_problems(query):
            found.wrong(text, "tide", "queries", number, *((key,) if key else ()))


def _check_methods(tide: Tide, found: Findings) -> None:
    def check(method: str, *path: str | int, required: bool = False) -> None:
        if method not in METHODS and (method or required):
            found.wrong(f'"{method}" is no merge method; use merge, squash or rebase', "tide", "merge_method", *path)

    for scope, org in tide.merge_method.items():
        check(org.method, scope)
        for repo, inner in org.repos.items():
            check(inner.method, scope, repo)
            for branch, method in inner.branches.items():
                found.pattern(branch, "tide", "merge_method", scope, repo, branch)
                check(method, scope, repo, branch, required=True)


def query_problems(query: TideQuery) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a query, each with the key it is about ("" for the whole)."""
    if not query.orgs and not query.repos:
        yield "", "needs orgs or repos: without them it would search all of GitHub"
    yield from _repo_problems(query)
    yield from _list_problems(query)


def _repo_problems(query: TideQuery) -> Iterator[tuple[str, str]]:
    for org in query.orgs:
        if not org or "/" in org:
            yield "orgs", f'"{org}" is no org'
    for key, listed in (("repos", query.repos), ("excludedRepos", query.excluded_repos)):
        for repo in listed:
            org, slash, name = repo.partition("/")
            if not (org and slash and name) or "/" in name:
                yield key, f'"{repo}" is not of the form org/repo'
            elif key == "repos" and org in query.orgs:
                yield key, f'"{repo}" is searched already: its org is in orgs'
            elif key == "excludedRepos" and org not in query.orgs:
                yield key, f'"{repo}" is not searched anyway: its org is not in orgs'


def _list_problems(query: TideQuery) -> Iterator[tuple[str, str]]:
    for key, listed in (
        ("orgs", query.orgs),
        ("repos", query.repos),
        ("excludedRepos", query.excluded_repos),
        ("labels", query.labels),
        ("missingLabels", query.missing_labels),
        ("includedBranches", query.included_branches),
        ("excludedBranches", query.excluded_branches),
    ):
        for twice in sorted({item for item in listed if listed.count(item) > 1}):
            yield key, f'"{twice}" is listed twice'
    for label in sorted(set(query.labels) & set(query.missing_labels)):
        yield "missingLabels", f'"{label}" is required too: nothing could match'
    if query.included_branches and query.excluded_branches:
        yield "includedBranches", "includedBranches and excludedBranches cannot both be set"
