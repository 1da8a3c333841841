"""Branch protection that contradicts itself or tide. Source: upstream cmd/checkconfig/main.go."""

from collections.abc import Iterator

from prow_async.api.config_protection import BranchProtection, OrgPolicy, Policy, RepoPolicy
from prow_async.api.errors import Problem
from prow_async.core import branch_policy, repo_sets
from prow_async.core.checkconfig_facts import Facts
from prow_async.core.repo_sets import RepoSet

_PATH = ("branch-protection",)
_Level = BranchProtection | OrgPolicy | RepoPolicy | Policy


def strict_branches(facts: Facts) -> Iterator[Problem]:
    """A strict branch must be up to date before it is merged into, which tide cannot wait for.

    One strict branch counts for its whole repo, and one branch that tide merges into too, as upstream.
    """
    protection = facts.config.branch_protection
    if not facts.config.tide.queries:
        return
    if _is_strict(protection):
        yield facts.at("branch-protection: is strict for everything, but tide merges", *_PATH)
        return
    orgs: dict[str, frozenset[str]] = {}
    repos: set[str] = set()
    for org, policy in protection.orgs.items():
        strict = {repo: _any_strict(protection, org, repo) for repo in policy.repos}
        if _is_strict(branch_policy.policy_for(protection, org, "", "")):
            orgs[org] = frozenset(f"{org}/{repo}" for repo, is_strict in strict.items() if not is_strict)
        else:
            repos |= {f"{org}/{repo}" for repo, is_strict in strict.items() if is_strict}
    merged = repo_sets.searched(facts.config.tide.queries)
    for scope, where in merged.both(RepoSet(orgs, frozenset(repos))).listed():
        org, _, repo = scope.partition("/")
        below = ("repos", repo) if repo else ()
        yield facts.at(f"branch-protection: {where} is strict, but tide merges there", *_PATH, "orgs", org, *below)


def _any_strict(protection: BranchProtection, org: str, repo: str) -> bool:
    branches = ("", *protection.orgs[org].repos[repo].branches)
    return any(_is_strict(branch_policy.policy_for(protection, org, repo, branch)) for branch in branches)


def _is_strict(policy: Policy) -> bool:
    checks = policy.required_status_checks
    return bool(policy.protect and checks and checks.strict)


def unmanaged(facts: Facts) -> Iterator[Problem]:
    """A level that is unmanaged has no settings, and nothing below it but what says `unmanaged: false`."""
    yield from _unmanaged(facts, facts.config.branch_protection, ())


def _unmanaged(facts: Facts, level: _Level, path: tuple[str, ...]) -> Iterator[Problem]:
    key, below = _below(level)
    if level.unmanaged:
        stray = [name for name, inner in below.items() if not _any_managed(inner)]
        if stray or (_has_settings(level) and not any(_any_managed(inner) for inner in below.values())):
            where, words = (*_PATH, *path), f"below it: {', '.join(sorted(stray))}" if stray else "of its own"
            yield facts.at(f"{'.'.join(where)}: is unmanaged, yet has settings {words}", *where)
    for name, inner in below.items():
        yield from _unmanaged(facts, inner, (*path, key, name))


def _below(level: _Level) -> tuple[str, dict[str, _Level]]:
    if isinstance(level, BranchProtection):
        return "orgs", dict(level.orgs)
    if isinstance(level, OrgPolicy):
        return "repos", dict(level.repos)
    return "branches", dict(level.branches) if isinstance(level, RepoPolicy) else {}


def _any_managed(level: _Level) -> bool:
    """Say whether a level, or one below it, is managed in so many words."""
    return level.unmanaged is False or any(_any_managed(inner) for inner in _below(level)[1].values())


def _has_settings(level: _Level) -> bool:
    empty = Policy()
    fields = (field for field in Policy.__struct_fields__ if field != "unmanaged")
    return any(getattr(level, field) != getattr(empty, field) for field in fields)
