"""Sections of plugins.yaml about reviews and merges: who approves, who is asked, what is held back.

Where a field has a default, text that is empty in the file has it too (core/plugin_config_complete fills it in).

Source: upstream pkg/plugins/config.go, pkg/plugins/ownersconfig.
"""

import msgspec

from prow_async.api.plugin_scopes import Scoped


class Approve(Scoped, frozen=True, kw_only=True):
    issue_required: bool = False
    require_self_approval: bool | None = None
    lgtm_acts_as_approve: bool = False
    ignore_review_state: bool | None = None
    command_help_link: str = msgspec.field(default="https://go.k8s.io/bot-commands", name="commandHelpLink")
    pr_process_link: str = "https://git.k8s.io/community/contributors/guide/owners.md#the-code-review-process"

    @property
    def has_self_approval(self) -> bool:
        """Whether an author who may approve has done so by writing the pull request."""
        return not self.require_self_approval

    @property
    def consider_review_state(self) -> bool:
        """Whether GitHub reviews count as /approve and /approve cancel."""
        return not self.ignore_review_state


class Lgtm(Scoped, frozen=True, kw_only=True):
    review_acts_as_lgtm: bool = False
    store_tree_hash: bool = False
    trusted_team_for_sticky_lgtm: str = ""
    """A team's name, not its slug."""


class ContextMatch(msgspec.Struct, frozen=True, kw_only=True):
    """A status that must be seen before reviewers are asked. `description` is a pattern."""

    context: str = "tide"
    state: str = "pending"
    description: str = (
        r"Not mergeable. (PullRequest is missing sufficient approving GitHub review\(s\)"
        r"|Needs (lgtm|approved|approved, lgtm) labels?)\.?"
    )


class Blunderbuss(msgspec.Struct, frozen=True, kw_only=True):
    """How many reviewers are asked, and who is not. A `max_request_count` of 0 is no limit."""

    request_count: int = 2
    max_request_count: int = 0
    exclude_approvers: bool = False
    use_status_availability: bool = False
    ignore_drafts: bool = False
    ignore_authors: tuple[str, ...] = ()
    wait_for_status: ContextMatch | None = None


class Rifle(Blunderbuss, frozen=True, kw_only=True):
    """The same settings for the plugin that asks whom blame names. A repo has one of the two."""


class OwnersFilenames(msgspec.Struct, frozen=True):
    """What the files are called. An entry in plugins.yaml gives both names: one that it leaves out is empty."""

    owners: str = ""
    owners_aliases: str = ""


DEFAULT_FILENAMES = OwnersFilenames("OWNERS", "OWNERS_ALIASES")


class Owners(msgspec.Struct, frozen=True, kw_only=True):
    """How OWNERS files are read."""

    md_yaml_repos: tuple[str, ...] = msgspec.field(default=(), name="mdyamlrepos")
    skip_collaborators: tuple[str, ...] = ()
    labels_denylist: tuple[str, ...] = ("approved", "lgtm")
    """Labels that no OWNERS file may hold. An empty list allows all."""
    filenames: dict[str, OwnersFilenames] = {}


class Blockade(Scoped, frozen=True, kw_only=True):
    """Paths that hold a pull request back. Patterns; without `branch_regexp` every branch."""

    branch_regexp: str | None = msgspec.field(default=None, name="branchregexp")
    block_regexps: tuple[str, ...] = msgspec.field(default=(), name="blockregexps")
    exception_regexps: tuple[str, ...] = msgspec.field(default=(), name="exceptionregexps")
    explanation: str = ""


class BranchCleaner(msgspec.Struct, frozen=True):
    preserved_branches: dict[str, tuple[str, ...]] = {}
    """By org and by repo: names, or patterns that are not anchored."""

    def preserved(self, org: str, repo: str) -> tuple[str, ...]:
        """Return the names and patterns that hold for a repo: its own, then its org's."""
        table = self.preserved_branches
        return (*table.get(f"{org}/{repo}", ()), *table.get(org, ()))


_RELEASE_BRANCHES = "^release-.*$"


class CherryPickApproved(msgspec.Struct, frozen=True, kw_only=True):
    org: str = ""
    repo: str = ""
    branch_regexp: str = msgspec.field(default=_RELEASE_BRANCHES, name="branchregexp")
    approvers: tuple[str, ...] = ()
    allow_missing_approved_label: bool = False
    allow_missing_lgtm_label: bool = False


class CherryPickUnapproved(msgspec.Struct, frozen=True, kw_only=True):
    branch_regexp: str = msgspec.field(default=_RELEASE_BRANCHES, name="branchregexp")
    comment: str = (
        "This pull request is not for the master branch and lacks the label `cherry-pick-approved`: "
        "it gets the label `do-not-merge/cherry-pick-not-approved`."
    )


class Dco(msgspec.Struct, frozen=True, kw_only=True):
    skip_dco_check_for_members: bool = False
    trusted_apps: tuple[str, ...] = ()
    trusted_org: str = ""
    skip_dco_check_for_collaborators: bool = False
    contributing_repo: str = ""
    contributing_branch: str = "master"
    contributing_path: str = "CONTRIBUTING.md"


class Override(msgspec.Struct, frozen=True):
    allow_top_level_owners: bool = False
    allowed_github_teams: dict[str, tuple[str, ...]] = {}
    """Slugs of teams, by org and by repo."""

    def teams(self, org: str, repo: str) -> tuple[str, ...]:
        """Return the teams of the repo and of its org together."""
        table = self.allowed_github_teams
        return tuple(dict.fromkeys((*table.get(f"{org}/{repo}", ()), *table.get(org, ()))))
