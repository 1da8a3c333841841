"""Branch protection's configuration. Source: upstream pkg/config/branch_protection.go."""

import msgspec


class ContextChecks(msgspec.Struct, frozen=True):
    contexts: tuple[str, ...] = ()
    strict: bool | None = None


class Restrictions(msgspec.Struct, frozen=True):
    """Who may push. An empty list lets nobody, None leaves it as it is."""

    apps: tuple[str, ...] | None = None
    users: tuple[str, ...] | None = None
    teams: tuple[str, ...] | None = None


class Allowed(msgspec.Struct, frozen=True):
    users: tuple[str, ...] | None = None
    teams: tuple[str, ...] | None = None


class ReviewPolicy(msgspec.Struct, frozen=True, kw_only=True):
    dismissal_restrictions: Allowed | None = None
    bypass_pull_request_allowances: Allowed | None = None
    dismiss_stale_reviews: bool | None = None
    require_code_owner_reviews: bool | None = None
    required_approving_review_count: int | None = None


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """One level's word; None and () inherit. Lists are united on the way down, of the rest the deeper level wins."""

    unmanaged: bool | None = None
    protect: bool | None = None
    required_status_checks: ContextChecks | None = None
    enforce_admins: bool | None = None
    restrictions: Restrictions | None = None
    require_manually_triggered_jobs: bool | None = None
    required_pull_request_reviews: ReviewPolicy | None = None
    required_linear_history: bool | None = None
    allow_force_pushes: bool | None = None
    allow_deletions: bool | None = None
    require_signed_commits: bool | None = None
    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()


class RepoPolicy(Policy, frozen=True, kw_only=True):
    branches: dict[str, Policy] = {}


class OrgPolicy(Policy, frozen=True, kw_only=True):
    repos: dict[str, RepoPolicy] = {}


class BranchProtection(Policy, frozen=True, kw_only=True):
    protect_tested_repos: bool | None = msgspec.field(default=None, name="protect-tested-repos")
    allow_disabled_policies: bool | None = None
    allow_disabled_job_policies: bool | None = None
    protect_repos_with_optional_jobs: bool | None = None
    orgs: dict[str, OrgPolicy] = {}
