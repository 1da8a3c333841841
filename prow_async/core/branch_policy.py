"""What branch protection says of one branch. Source: upstream pkg/config/branch_protection.go."""

from typing import Any

import msgspec

from prow_async.api.config_protection import BranchProtection, OrgPolicy, Policy, RepoPolicy


def policy_for(protection: BranchProtection, org: str, repo: str, branch: str) -> Policy:
    """Merge the four levels: lists are united and sorted, of the rest the deepest word counts."""
    org_policy = protection.orgs.get(org, OrgPolicy())
    repo_policy = org_policy.repos.get(repo, RepoPolicy())
    merged = Policy()
    for level in (protection, org_policy, repo_policy, repo_policy.branches.get(branch, Policy())):
        merged = _merged(merged, level)
    return merged


def _merged(wide: Policy, narrow: Policy) -> Policy:
    fields = Policy.__struct_fields__
    return Policy(**{field: _value(getattr(wide, field), getattr(narrow, field)) for field in fields})


def _value(wide: Any, narrow: Any) -> Any:
    if narrow is None:
        return wide
    if isinstance(narrow, tuple):
        return tuple(sorted({*(wide or ()), *narrow}))
    if isinstance(narrow, msgspec.Struct) and wide is not None:
        fields = type(narrow).__struct_fields__
        return type(narrow)(**{field: _value(getattr(wide, field), getattr(narrow, field)) for field in fields})
    return narrow
