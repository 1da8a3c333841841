"""Sections of plugins.yaml about milestones, project boards, Slack and ConfigMaps.

Source: upstream pkg/plugins/config.go.
"""

import msgspec

from prow_async.api.plugin_scopes import Scoped

MAX_PARTITIONS = 256


class Milestone(msgspec.Struct, frozen=True, kw_only=True):
    """Who keeps a repo's milestones."""

    maintainers_id: int = 0
    """Deprecated: the team's number."""
    maintainers_team: str = ""
    """The team's slug."""
    maintainers_friendly_name: str = "SIG Chairs/TLs"


class ProjectRepoConfig(msgspec.Struct, frozen=True):
    """A classic project's team and its default columns, by project."""

    repo_maintainers_team_id: int = 0
    repo_default_column_map: dict[str, str] = {}


class ProjectOrgConfig(msgspec.Struct, frozen=True):
    org_maintainers_team_id: int = 0
    org_default_column_map: dict[str, str] = {}
    project_repo_configs: dict[str, ProjectRepoConfig] = {}


class ProjectConfig(msgspec.Struct, frozen=True):
    project_org_configs: dict[str, ProjectOrgConfig] = {}

    def maintainers(self, org: str, repo: str) -> int | None:
        """Return the id of the team of a repo, or of its org; None where neither is configured."""
        found = self.project_org_configs.get(org)
        if found is None:
            return None
        own = found.project_repo_configs.get(repo)
        return found.org_maintainers_team_id if own is None else own.repo_maintainers_team_id

    def columns(self, org: str, repo: str) -> dict[str, str]:
        """Return the default columns by project of a repo, or of its org. A repo with settings inherits nothing."""
        found = self.project_org_configs.get(org, ProjectOrgConfig())
        own = found.project_repo_configs.get(repo)
        return found.org_default_column_map if own is None else own.repo_default_column_map


class ManagedColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column by id or name, and the issues that go there: of `org`, in `state`, with all of `labels`."""

    id: int | None = None
    name: str = ""
    state: str = ""
    labels: tuple[str, ...] = ()
    org: str = ""


class ManagedProject(msgspec.Struct, frozen=True):
    columns: tuple[ManagedColumn, ...] = ()


class ManagedOrgRepo(msgspec.Struct, frozen=True):
    projects: dict[str, ManagedProject] = {}


class ProjectManager(msgspec.Struct, frozen=True):
    orgs_repos: dict[str, ManagedOrgRepo] = msgspec.field(default={}, name="orgsRepos")


class MergeWarning(Scoped, frozen=True, kw_only=True):
    """Slack channels that hear of pushes by hand, and who may push without a word, also by branch."""

    channels: tuple[str, ...] = ()
    exempt_users: tuple[str, ...] = ()
    exempt_branches: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)


class Slack(msgspec.Struct, frozen=True):
    mention_channels: tuple[str, ...] = msgspec.field(default=(), name="mentionchannels")
    merge_warnings: tuple[MergeWarning, ...] = msgspec.field(default=(), name="mergewarnings")


class ClusterGroup(msgspec.Struct, frozen=True):
    clusters: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()


class ConfigMapSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Where the files that a glob finds go. After loading `clusters` is complete and `cluster_groups` empty."""

    name: str = ""
    partitioned_names: tuple[str, ...] = ()
    """ConfigMaps that share the keys among them; at most MAX_PARTITIONS."""
    key: str = ""
    gzip: bool | None = None
    """None leaves it to `config_updater.gzip`."""
    clusters: dict[str, tuple[str, ...]] = {}
    """Namespaces by cluster; the namespace "" is that of ProwJobs."""
    cluster_groups: tuple[str, ...] = ()
    use_full_path_as_key: bool = False
    allowed_repos: tuple[str, ...] = ()
    denied_repos: tuple[str, ...] = ()


class ConfigUpdater(msgspec.Struct, frozen=True):
    cluster_groups: dict[str, ClusterGroup] = {}
    maps: dict[str, ConfigMapSpec] = {}
    """By glob, where `**` crosses folders. Empty means DEFAULT_MAPS, which loading fills in."""
    gzip: bool = False


DEFAULT_MAPS = {
    "config/prow/config.yaml": ConfigMapSpec(name="config"),
    "config/prow/plugins.yaml": ConfigMapSpec(name="plugins"),
}
