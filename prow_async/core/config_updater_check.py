"""Checks where config-updater puts files: one place for a key, groups that exist.

Source: upstream pkg/plugins/config.go (validateConfigUpdater).
"""

import posixpath
from collections.abc import Iterator

from prow_async.api.plugin_projects import MAX_PARTITIONS, ConfigMapSpec, ConfigUpdater
from prow_async.core import plugin_config_complete
from prow_async.core.config_findings import Findings

_PATH = ("config_updater", "maps")


def check(updater: ConfigUpdater, found: Findings) -> None:
    """Note what is wrong, before groups of clusters are written out."""
    for glob, spec in updater.maps.items():
        if bool(spec.name) == bool(spec.partitioned_names):
            found.wrong("set either name or partitioned_names", *_PATH, glob)
        if len(spec.partitioned_names) > MAX_PARTITIONS:
            text = f"has {len(spec.partitioned_names)} names; {MAX_PARTITIONS} are possible"
            found.wrong(text, *_PATH, glob, "partitioned_names")
        found.both(spec.clusters, spec.cluster_groups, "clusters and cluster_groups", *_PATH, glob)
        for number, name in enumerate(spec.cluster_groups):
            if name not in updater.cluster_groups:
                found.wrong(f'there is no cluster group "{name}"', *_PATH, glob, "cluster_groups", number)
    _check_keys(updater, found)


def repo_problems(spec: ConfigMapSpec) -> Iterator[tuple[str, int, str]]:
    """Yield entries of allowed_repos and denied_repos that name no org and no repo: the key, the place, and why."""
    for key in ("allowed_repos", "denied_repos"):
        for number, scope in enumerate(getattr(spec, key)):
            org, slash, repo = scope.partition("/")
            if not org:
                yield key, number, "names no org" if scope else "is empty"
            elif "/" in repo:
                yield key, number, f'"{scope}" has more than one slash'
            elif (slash and not repo) or scope != scope.strip():
                yield key, number, f'"{scope}" fits no repo: write ORG or ORG/REPO'


def _check_keys(updater: ConfigUpdater, found: Findings) -> None:
    """Note two globs that write the same key of a ConfigMap.

    Upstream sees this only where clusters are named one by one; through groups it is a warning here.
    """
    grouped = {glob for glob, spec in updater.maps.items() if spec.cluster_groups}
    seen: dict[tuple[str, str, str, str], str] = {}
    for glob, spec in plugin_config_complete.resolve(updater).maps.items():
        name, key = spec.name or ",".join(spec.partitioned_names), _key(glob, spec)
        told: set[str] = set()
        for cluster, namespaces in spec.clusters.items():
            for namespace in namespaces:
                other = seen.setdefault((cluster, namespace, name, key), glob)
                if name and other != glob and other not in told:
                    told.add(other)
                    note = found.warn if {glob, other} & grouped else found.wrong
                    note(f'writes the key "{key}" of {name} as "{other}" does', *_PATH, glob)


def _key(glob: str, spec: ConfigMapSpec) -> str:
    if spec.key:
        return spec.key
    return glob.replace("/", "-") if spec.use_full_path_as_key else posixpath.basename(glob.rstrip("/")) or glob
