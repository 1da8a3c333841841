"""How tide treats the status contexts of one branch. Source: upstream pkg/config/tide.go."""

from collections.abc import Iterator

from prow_async.api.config_tide import ContextOptions, ContextPolicy, OrgContextPolicy, RepoContextPolicy
from prow_async.core import patterns


def policy_for(options: ContextOptions, org: str, repo: str, branch: str) -> ContextPolicy:
    """Merge the four levels: lists are united and sorted, of the rest the deepest word counts."""
    org_policy = options.orgs.get(org, OrgContextPolicy())
    repo_policy = org_policy.repos.get(repo, RepoContextPolicy())
    merged: dict[str, object] = {}
    for level in (options, org_policy, repo_policy, repo_policy.branches.get(branch, ContextPolicy())):
        for field in ContextPolicy.__struct_fields__:
            own, wide = getattr(level, field), merged.get(field)
            if isinstance(own, tuple):
                merged[field] = tuple(sorted({*(wide if isinstance(wide, tuple) else ()), *own}))
            elif own is not None:
                merged[field] = own
    return ContextPolicy(**merged)  # type: ignore[arg-type]  # each value comes from the field of its name


def problems(policy: ContextPolicy) -> Iterator[str]:
    """Yield why a merged policy contradicts itself."""
    required, present = set(policy.required_contexts), set(policy.required_if_present_contexts)
    optional = set(policy.optional_contexts)
    for left, right, words in (
        (required, optional, "required and optional"),
        (required, present, "required and required if present"),
        (optional, present, "optional and required if present"),
    ):
        for context in sorted(left & right):
            yield f'context "{context}" is both {words}'
    for text in policy.optional_regex_contexts:
        why = patterns.problem(text)
        if why:
            yield f"optional-regex-contexts: {why}"
            continue
        for context in sorted(required | present):
            if patterns.compile(text).search(context):
                yield f'context "{context}" is required, and optional by the pattern `{text}`'
