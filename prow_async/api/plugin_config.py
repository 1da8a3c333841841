"""plugins.yaml: which plugin is on where, and each plugin's own section.

The sections stand in the modules plugin_* beside this one; what a repo gets of them is looked up here.

Source: upstream pkg/plugins/config.go.
"""

import msgspec

from prow_async.api import plugin_scopes
from prow_async.api.plugin_bugzilla import Bugzilla
from prow_async.api.plugin_labels import (
    Cat,
    Golint,
    Goose,
    Heart,
    Help,
    InvalidCommitMsg,
    Jira,
    Label,
    ReleaseNote,
    RequireMatchingLabel,
    Retitle,
    SigMention,
    Size,
    Welcome,
)
from prow_async.api.plugin_projects import ConfigUpdater, Milestone, ProjectConfig, ProjectManager, Slack
from prow_async.api.plugin_review import (
    DEFAULT_FILENAMES,
    Approve,
    Blockade,
    Blunderbuss,
    BranchCleaner,
    CherryPickApproved,
    CherryPickUnapproved,
    Dco,
    Lgtm,
    Override,
    Owners,
    OwnersFilenames,
    Rifle,
)
from prow_async.api.plugin_scopes import Scoped


class OrgPlugins(msgspec.Struct, frozen=True):
    """The value under one key of `plugins`. For an org key, repos named in `excluded_repos` do not get them."""

    plugins: tuple[str, ...] = ()
    excluded_repos: tuple[str, ...] = ()


_NO_PLUGINS = OrgPlugins()


class ExternalPlugin(msgspec.Struct, frozen=True):
    name: str = ""
    endpoint: str = ""
    events: tuple[str, ...] = ()
    """Empty means every event."""


class ProminentInvite(msgspec.Struct, frozen=True, kw_only=True):
    """The invitation to join the org that an author gets who has had `merged_pr_threshold` pull requests merged."""

    disabled: bool = False
    merged_pr_threshold: int = 3
    message: str = ""
    """With `{join_org_url}` in it."""


class OrgInvite(msgspec.Struct, frozen=True):
    prominent: ProminentInvite = ProminentInvite()


class Trigger(Scoped, frozen=True, kw_only=True):
    """Settings of trigger for the orgs and repos in `repos`."""

    trusted_apps: tuple[str, ...] = ()
    trusted_org: str = ""
    join_org_url: str = ""
    only_org_members: bool = False
    ignore_ok_to_test: bool = False
    trigger_github_workflows: bool = False
    org_invite: OrgInvite = OrgInvite()


class PluginConfig(msgspec.Struct, frozen=True, kw_only=True):
    plugins: dict[str, OrgPlugins] = {}
    external_plugins: dict[str, tuple[ExternalPlugin, ...]] = {}
    owners: Owners = Owners()
    approve: tuple[Approve, ...] = ()
    blockades: tuple[Blockade, ...] = ()
    blunderbuss: Blunderbuss = Blunderbuss()
    rifle: Rifle = Rifle()
    bugzilla: Bugzilla = Bugzilla()
    branch_cleaner: BranchCleaner = BranchCleaner()
    cat: Cat = Cat()
    cherry_pick_approved: tuple[CherryPickApproved, ...] = ()
    cherry_pick_unapproved: CherryPickUnapproved = CherryPickUnapproved()
    config_updater: ConfigUpdater = ConfigUpdater()
    dco: dict[str, Dco | None] = {}
    """By `org/repo`, org or `*`."""
    golint: Golint = Golint()
    goose: Goose = Goose()
    heart: Heart = Heart()
    help: Help = Help()
    invalid_commit_msg: tuple[InvalidCommitMsg, ...] = ()
    jira: Jira | None = None
    label: Label = Label()
    lgtm: tuple[Lgtm, ...] = ()
    milestone_applier: dict[str, dict[str, str]] = {}
    """Milestones by `org/repo` and branch."""
    override: Override = Override()
    project_config: ProjectConfig = ProjectConfig()
    project_manager: ProjectManager = ProjectManager()
    release_note: ReleaseNote = ReleaseNote()
    repo_milestone: dict[str, Milestone] = {}
    """By `org/repo`; "" is every other repo."""
    require_matching_label: tuple[RequireMatchingLabel, ...] = ()
    retitle: Retitle = Retitle()
    sigmention: SigMention = SigMention()
    size: Size = Size()
    slack: Slack = Slack()
    triggers: tuple[Trigger, ...] = ()
    welcome: tuple[Welcome, ...] = ()

    def enabled(self, org: str, repo: str) -> tuple[str, ...]:
        """Names of the plugins that are on for a repo: the org's (unless it is excluded) and the repo's own."""
        found: dict[str, None] = {}
        by_org = self.plugins.get(org, _NO_PLUGINS)
        if repo not in by_org.excluded_repos:
            found.update(dict.fromkeys(by_org.plugins))
        found.update(dict.fromkeys(self.plugins.get(f"{org}/{repo}", _NO_PLUGINS).plugins))
        return tuple(found)

    def external_for(self, org: str, repo: str) -> tuple[ExternalPlugin, ...]:
        """Return the external plugins of a repo: its own and its org's."""
        table = self.external_plugins
        return (*table.get(f"{org}/{repo}", ()), *table.get(org, ()))

    def trigger_for(self, org: str, repo: str) -> Trigger:
        """Return trigger's settings: the first entry that names the repo, else its org; else the defaults."""
        return plugin_scopes.entry_for(self.triggers, org, repo) or Trigger()

    def approve_for(self, org: str, repo: str) -> Approve:
        """Return approve's settings: the first entry that names the repo, else its org; else the defaults."""
        return plugin_scopes.entry_for(self.approve, org, repo) or Approve()

    def lgtm_for(self, org: str, repo: str) -> Lgtm:
        """Return lgtm's settings: the first entry that names the repo, else its org; else the defaults."""
        return plugin_scopes.entry_for(self.lgtm, org, repo) or Lgtm()

    def welcome_for(self, org: str, repo: str) -> Welcome:
        """Return welcome's settings: the first entry that names the repo, else its org; else the defaults."""
        return plugin_scopes.entry_for(self.welcome, org, repo) or Welcome()

    def invalid_commit_msg_for(self, org: str, repo: str) -> InvalidCommitMsg:
        """Return the commit checks: the first entry that names the repo, else its org; else the defaults."""
        return plugin_scopes.entry_for(self.invalid_commit_msg, org, repo) or InvalidCommitMsg()

    def blockades_for(self, org: str, repo: str) -> tuple[Blockade, ...]:
        """Return every blockade that names the repo or its org."""
        return tuple(entry for entry in self.blockades if plugin_scopes.names(entry.repos, org, repo))

    def dco_for(self, org: str, repo: str) -> Dco:
        """Return dco's settings: the repo's, its org's, those of `*`, else the defaults."""
        return plugin_scopes.value_for(self.dco, org, repo) or self.dco.get("*") or Dco()

    def milestone_for(self, org: str, repo: str) -> Milestone | None:
        """Return who keeps a repo's milestones; an org's key counts for nothing. None where nobody does."""
        return self.repo_milestone.get(f"{org}/{repo}") or self.repo_milestone.get("")

    def owners_filenames(self, org: str, repo: str) -> OwnersFilenames:
        """Return what a repo's OWNERS files are called."""
        return plugin_scopes.value_for(self.owners.filenames, org, repo) or DEFAULT_FILENAMES

    def md_yaml_enabled(self, org: str, repo: str) -> bool:
        """Say whether Markdown files may begin with an OWNERS header."""
        return plugin_scopes.names(self.owners.md_yaml_repos, org, repo)

    def skips_collaborators(self, org: str, repo: str) -> bool:
        """Say whether OWNERS alone counts for approve and lgtm, whoever is a collaborator."""
        return plugin_scopes.names(self.owners.skip_collaborators, org, repo)
