"""Tide's configuration: automatic merging. Source: upstream pkg/config/tide.go."""

import msgspec

from prow_async.api.config_gerrit import GerritQueries


class TideQuery(msgspec.Struct, frozen=True, kw_only=True):
    """One search for pull requests to merge. An item of `labels` may name several, separated by commas: any of them."""

    author: str = ""
    excluded_branches: tuple[str, ...] = msgspec.field(default=(), name="excludedBranches")
    included_branches: tuple[str, ...] = msgspec.field(default=(), name="includedBranches")
    labels: tuple[str, ...] = ()
    missing_labels: tuple[str, ...] = msgspec.field(default=(), name="missingLabels")
    milestone: str = ""
    review_approved_required: bool = msgspec.field(default=False, name="reviewApprovedRequired")
    orgs: tuple[str, ...] = ()
    repos: tuple[str, ...] = ()
    excluded_repos: tuple[str, ...] = msgspec.field(default=(), name="excludedRepos")


class RepoMergeMethod(msgspec.Struct, frozen=True):
    """merge, squash or rebase; "" leaves it to a wider scope. `branches` are regexes, the first in order wins."""

    method: str = ""
    branches: dict[str, str] = {}


class OrgMergeMethod(msgspec.Struct, frozen=True):
    """The value under one key of `merge_method`; a repo `*` is any."""

    method: str = ""
    repos: dict[str, RepoMergeMethod] = {}


class MergeCommitTemplate(msgspec.Struct, frozen=True):
    title: str = ""
    body: str = ""


class TidePriority(msgspec.Struct, frozen=True):
    labels: tuple[str, ...] = ()


class TideGerrit(msgspec.Struct, frozen=True):
    queries: tuple[GerritQueries, ...] = ()
    ratelimit: int = 5
    """Read by nobody, as upstream."""


class ContextPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How tide treats status contexts; None inherits."""

    skip_unknown_contexts: bool | None = msgspec.field(default=None, name="skip-unknown-contexts")
    from_branch_protection: bool | None = msgspec.field(default=None, name="from-branch-protection")
    overwrite_pending_contexts: bool | None = msgspec.field(default=None, name="overwrite-pending-contexts")
    required_contexts: tuple[str, ...] = msgspec.field(default=(), name="required-contexts")
    required_if_present_contexts: tuple[str, ...] = msgspec.field(default=(), name="required-if-present-contexts")
    optional_contexts: tuple[str, ...] = msgspec.field(default=(), name="optional-contexts")
    optional_regex_contexts: tuple[str, ...] = msgspec.field(default=(), name="optional-regex-contexts")


class RepoContextPolicy(ContextPolicy, frozen=True, kw_only=True):
    branches: dict[str, ContextPolicy] = {}


class OrgContextPolicy(ContextPolicy, frozen=True, kw_only=True):
    repos: dict[str, RepoContextPolicy] = {}


class ContextOptions(ContextPolicy, frozen=True, kw_only=True):
    orgs: dict[str, OrgContextPolicy] = {}


class Tide(msgspec.Struct, frozen=True, kw_only=True):
    """Tables by scope are looked up by `org/repo`, org and `*`, the first present wins."""

    sync_period: str = "1m"
    status_update_period: str = ""
    max_goroutines: int = 20
    queries: tuple[TideQuery, ...] = ()
    gerrit: TideGerrit | None = None
    batch_size_limit: dict[str, int] = {}
    prioritize_existing_batches: dict[str, bool] = {}
    github_merge_blocks_policy: dict[str, str] = {}
    merge_method: dict[str, OrgMergeMethod] = {}
    """By org, `org/repo` or `org/repo@branch`."""
    merge_commit_template: dict[str, MergeCommitTemplate] = {}
    target_url: str = ""
    target_urls: dict[str, str] = {}
    pr_status_base_url: str = ""
    pr_status_base_urls: dict[str, str] = {}
    blocker_label: str = ""
    squash_label: str = ""
    rebase_label: str = ""
    merge_label: str = ""
    priority: tuple[TidePriority, ...] = ()
    display_all_tide_queries_in_status: bool = False
    context_options: ContextOptions = ContextOptions()

    sync_period_s: float = 60.0
    status_update_period_s: float = 60.0
