"""Merges supplemental Prow configuration into the main one.

Each file adds; what two files both set is an error, whichever values they give.

Source: upstream pkg/config/config.go (mergeFrom), branch_protection.go, tide.go.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from prow_async.api import config
from prow_async.api.config_protection import BranchProtection, OrgPolicy, Policy, RepoPolicy
from prow_async.api.config_tide import OrgMergeMethod, RepoMergeMethod
from prow_async.core.config_parse import ParsedFile
from prow_async.core.goconvert import Finding
from prow_async.core.goyaml import Path

T = TypeVar("T")
Doubled = list[tuple[str, Finding]]
"""What is set twice: the file that sets it again, and where in it."""
_FLAGS = (
    "protect_tested_repos",
    "allow_disabled_policies",
    "allow_disabled_job_policies",
    "protect_repos_with_optional_jobs",
)


def merge(main: ParsedFile, parts: Sequence[ParsedFile]) -> tuple[config.Config, Doubled]:
    """Return the merged configuration before any default, and what is set twice."""
    whole = main.main or config.Config()
    doubled: Doubled = []
    for part in parts:
        if part.main is None:
            continue
        merging = _Merging(part.path, doubled)
        own = part.main
        whole = msgspec.structs.replace(
            whole,
            branch_protection=merging.protection(whole.branch_protection, own.branch_protection),
            slack_reporter_configs=merging.table(
                whole.slack_reporter_configs, own.slack_reporter_configs, ("slack_reporter_configs",)
            ),
            tide=msgspec.structs.replace(
                whole.tide,
                queries=(*whole.tide.queries, *own.tide.queries),
                merge_method=merging.methods(whole.tide.merge_method, own.tide.merge_method),
            ),
        )
    return whole, doubled


class _Merging:
    """One file being merged into what is there."""

    def __init__(self, file: str, doubled: Doubled) -> None:
        self._file = file
        self._doubled = doubled

    def _twice(self, path: Path) -> None:
        self._doubled.append((self._file, Finding(path, "is set in another file too; keep one of them")))

    def table(self, there: Mapping[str, T], own: Mapping[str, T], path: Path) -> dict[str, T]:
        for key in own:
            if key in there:
                self._twice((*path, key))
        return {**there, **own}

    def methods(self, there: dict[str, OrgMergeMethod], own: dict[str, OrgMergeMethod]) -> dict[str, OrgMergeMethod]:
        out = dict(there)
        for scope, org in own.items():
            path: Path = ("tide", "merge_method", scope)
            before = out.get(scope, OrgMergeMethod())
            repos = dict(before.repos)
            for repo, inner in org.repos.items():
                old = repos.get(repo, RepoMergeMethod())
                branches = self.table(old.branches, inner.branches, (*path, repo))
                repos[repo] = RepoMergeMethod(self._one(old.method, inner.method, (*path, repo)), branches)
            out[scope] = OrgMergeMethod(self._one(before.method, org.method, path), repos)
        return out

    def _one(self, there: str, own: str, path: Path) -> str:
        if there and own:
            self._twice(path)
        return own or there

    def protection(self, there: BranchProtection, own: BranchProtection) -> BranchProtection:
        path: Path = ("branch-protection",)
        flags = {}
        for name in _FLAGS:
            before, after = getattr(there, name), getattr(own, name)
            if before is not None and after is not None:
                self._twice((*path, name.replace("_", "-") if name == "protect_tested_repos" else name))
            flags[name] = before if after is None else after
        orgs = dict(there.orgs)
        for name, org in own.orgs.items():
            orgs[name] = self._org(orgs.get(name, OrgPolicy()), org, (*path, "orgs", name))
        return msgspec.structs.replace(there, orgs=orgs, **flags, **self._policy(there, own, path))

    def _org(self, there: OrgPolicy, own: OrgPolicy, path: Path) -> OrgPolicy:
        repos = dict(there.repos)
        for name, repo in own.repos.items():
            repos[name] = self._repo(repos.get(name, RepoPolicy()), repo, (*path, "repos", name))
        return msgspec.structs.replace(there, repos=repos, **self._policy(there, own, path))

    def _repo(self, there: RepoPolicy, own: RepoPolicy, path: Path) -> RepoPolicy:
        branches = self.table(there.branches, own.branches, (*path, "branches"))
        return msgspec.structs.replace(there, branches=branches, **self._policy(there, own, path))

    def _policy(self, there: Policy, own: Policy, path: Path) -> dict[str, Any]:
        """Return the level's policy of whichever file has one."""
        empty = Policy()
        old, new = (
            {f: getattr(p, f) for f in Policy.__struct_fields__ if getattr(p, f) != getattr(empty, f)}
            for p in (there, own)
        )
        if old and new:
            self._twice(path)
        return new or old
