"""config-updater: puts files of a merged pull request into ConfigMaps, the ones with Prow's configuration among them.

Source: upstream pkg/plugins/updateconfig. Deviations: docs/parity.md, section 1.
"""

import gzip
import hashlib
import itertools
import posixpath
from collections.abc import Iterator, Sequence

import msgspec
import structlog

from prow_async.api.actions import Decision, UpdateConfigMap
from prow_async.api.errors import Refused, Retry
from prow_async.api.github import ChangedFile, PullRequestEvent
from prow_async.api.plugin_config import PluginConfig
from prow_async.api.plugin_projects import ConfigMapSpec, ConfigUpdater
from prow_async.core import place, replies, zglob
from prow_async.ports.inbox import ActionState
from prow_async.ports.plugin import Event, Help, Plugin, Reads

log = structlog.get_logger()
LIMIT_BYTES = 16 << 20
"""All that one pull request may put into ConfigMaps, each counted: a single one holds 1 MiB."""
TOLD_MAX = 40_000
"""Characters of the comment's list: GitHub takes 65,536, and what is quoted stands beside it."""
VERSION = "VERSION"
"""The key that names the commit a ConfigMap was last updated from."""
LABELS = {"app.kubernetes.io/name": "prow", "app.kubernetes.io/component": "updateconfig-plugin"}
_Id = tuple[str, str, str]
"""Cluster, namespace and name of a ConfigMap."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    event: PullRequestEvent
    updater: ConfigUpdater
    prowjob_namespace: str
    files: tuple[ChangedFile, ...]
    contents: dict[str, bytes] = {}
    """By path, at the merge commit. Only of files that go into a ConfigMap; links and submodules are not there."""
    order: str = ""
    """Of this merge among others; "" where nothing goes into a ConfigMap."""


class _Talk(msgspec.Struct, frozen=True):
    """Where the updates are told, and in answer to what."""

    where: place.Place
    login: str
    body: str
    url: str


class _Keys(msgspec.Struct):
    """What is to become of a ConfigMap's keys."""

    data: dict[str, str] = msgspec.field(default_factory=dict)
    binary_data: dict[str, bytes] = msgspec.field(default_factory=dict)
    removed: list[str] = msgspec.field(default_factory=list)
    sources: dict[str, str] = msgspec.field(default_factory=dict)


def concerns(event: PullRequestEvent) -> bool:
    """True for a pull request that has just been merged into the default branch."""
    pull = event.pull_request
    merged = event.action == "closed" and pull.merged and bool(pull.merge_commit_sha)
    return merged and pull.base.ref == event.repository.default_branch


async def gather(reads: Reads, event: Event, guid: str) -> Facts | None:
    """Read the changed files' names, and at the merge commit the content of those that go into ConfigMaps."""
    if not isinstance(event, PullRequestEvent) or not concerns(event):
        return None
    where = place.of(event.repository, event.number)
    facts = Facts(
        event=event,
        updater=reads.snapshot.plugins.config_updater,
        prowjob_namespace=reads.snapshot.config.prowjob_namespace,
        files=await reads.github.file_changes(where.org, where.repo, where.number),
    )
    paths = {path for path, _ in _written(facts)}
    if paths:
        facts = msgspec.structs.replace(facts, contents=await _contents(reads, facts, paths))
    if paths or _gone(facts):
        facts = msgspec.structs.replace(facts, order=await _order(reads, facts, bool(paths)))
    return facts


async def _order(reads: Reads, facts: Facts, needs_git: bool) -> str:
    """Say when the merge came among others, as text that sorts so.

    GitHub's clock counts in seconds, and a merge queue merges several pull requests at once: of two merges in one
    second the one that stands on the other is later. Not by that alone: a branch may be set back.

    Args:
        needs_git: files are read from git anyway; a merge that only takes some away does not wait for git.
    """
    merged_at = facts.event.pull_request.merged_at
    if not merged_at:
        return ""
    where = place.of(facts.event.repository, facts.event.number)
    try:
        depth = 0 if reads.code is None else await reads.code.depth(where.org, where.repo, _sha(facts))
    except (Retry, Refused) as error:
        if needs_git:
            raise
        log.warning(
            "of several merges in one second this one counts as the first", where=where.full_repo, why=error.why
        )
        depth = 0
    return f"{merged_at} {depth:09}"


async def _contents(reads: Reads, facts: Facts, paths: set[str]) -> dict[str, bytes]:
    where, sha = place.of(facts.event.repository, facts.event.number), _sha(facts)
    if reads.code is None:
        raise Refused("this process has no way to repositories' files, which config-updater needs")
    names = {posixpath.basename(path) for path in paths}
    found = [file for file in await reads.code.find(where.org, where.repo, sha, names) if file.path in paths]
    if lacking := sorted(paths - {file.path for file in found}):
        log.warning("no plain files, so they go into no ConfigMap", repo=where.full_repo, files=lacking[:10])
    contents = await reads.code.read(where.org, where.repo, sha, found, LIMIT_BYTES)
    return dict(zip((file.path for file in found), contents, strict=True))


def _sha(facts: Facts) -> str:
    return facts.event.pull_request.merge_commit_sha or ""


def spec_of(updater: ConfigUpdater, path: str) -> ConfigMapSpec | None:
    """Return what the first glob that finds a file says of it; None where there is none."""
    return next((spec for glob, spec in updater.maps.items() if zglob.matches(glob, path)), None)


def may_write(spec: ConfigMapSpec, org: str, repo: str) -> bool:
    scopes = {org, f"{org}/{repo}"}
    if scopes & set(spec.denied_repos):
        return False
    return not spec.allowed_repos or bool(scopes & set(spec.allowed_repos))


def key_of(spec: ConfigMapSpec, path: str) -> str:
    if spec.key:
        return spec.key
    return path.replace("/", "-") if spec.use_full_path_as_key else posixpath.basename(path)


def map_of(spec: ConfigMapSpec, key: str) -> str:
    """Name the ConfigMap that holds a key; of several that share keys, the key's digest chooses."""
    names = spec.partitioned_names
    return names[hashlib.sha256(key.encode()).digest()[0] % len(names)] if names else spec.name


def _places(facts: Facts, spec: ConfigMapSpec, key: str) -> Iterator[_Id]:
    for cluster, namespaces in spec.clusters.items():
        for namespace in namespaces:
            yield cluster, namespace or facts.prowjob_namespace, map_of(spec, key)


def _found(facts: Facts, paths: Sequence[str]) -> Iterator[tuple[str, ConfigMapSpec]]:
    where = place.of(facts.event.repository, facts.event.number)
    for path in paths:
        spec = spec_of(facts.updater, path)
        if spec is not None and may_write(spec, where.org, where.repo):
            yield path, spec


def _kept_out(facts: Facts) -> str:
    """Say how many changed files a glob finds whose ConfigMap the repository may not write; "" for none."""
    where = place.of(facts.event.repository, facts.event.number)
    specs = [spec_of(facts.updater, file.filename) for file in facts.files]
    count = sum(spec is not None and not may_write(spec, where.org, where.repo) for spec in specs)
    if not count:
        return ""
    return f"; {count} files would go into one, but allowed_repos or denied_repos keep {where.full_repo} out"


def _written(facts: Facts) -> list[tuple[str, ConfigMapSpec]]:
    return list(_found(facts, [file.filename for file in facts.files if file.status != "removed"]))


def _gone(facts: Facts) -> list[tuple[str, ConfigMapSpec]]:
    removed = [file.filename for file in facts.files if file.status == "removed"]
    renamed = [file.previous_filename for file in facts.files if file.status == "renamed"]
    return list(_found(facts, [*removed, *renamed]))


def _updates(facts: Facts) -> dict[_Id, _Keys]:
    """Return what becomes of each ConfigMap. A key that one file leaves and another takes is set, not removed."""
    updates: dict[_Id, _Keys] = {}
    for path, spec in _written(facts):
        if path not in facts.contents:
            continue
        content, key = facts.contents[path], key_of(spec, path)
        if facts.updater.gzip if spec.gzip is None else spec.gzip:
            content = gzip.compress(content, mtime=0)
        for place_ in _places(facts, spec, key):
            _set(updates.setdefault(place_, _Keys()), key, content)
            updates[place_].sources[key] = path
    for path, spec in _gone(facts):
        key = key_of(spec, path)
        for place_ in _places(facts, spec, key):
            keys = updates.setdefault(place_, _Keys())
            if key not in keys.sources and key not in keys.removed:
                keys.removed.append(key)
    return updates


def _set(keys: _Keys, key: str, content: bytes) -> None:
    keys.data.pop(key, None)
    keys.binary_data.pop(key, None)
    try:
        keys.data[key] = content.decode()
    except UnicodeDecodeError:
        keys.binary_data[key] = content


def decide(facts: Facts) -> Decision:
    event, sha = facts.event, _sha(facts)
    updates = _updates(facts)
    if not updates:
        return Decision((), f"no changed file of {len(facts.files)} goes into a ConfigMap{_kept_out(facts)}")
    size = sum(len(text) for keys in updates.values() for text in (*keys.data.values(), *keys.binary_data.values()))
    if size > LIMIT_BYTES:
        raise Refused(f"{size} bytes for ConfigMaps in one pull request; at most {LIMIT_BYTES} are taken")
    why = f"{event.pull_request.html_url} was merged as {sha[:12]}"
    acts = tuple(
        msgspec.structs.replace(_action(each, keys, sha, why), order=facts.order) for each, keys in updates.items()
    )
    pull = event.pull_request
    talk = _Talk(place.of(event.repository, event.number), pull.user.login, pull.body or "", pull.html_url)
    return Decision(acts, f"{why}: {len(acts)} ConfigMaps to update{_kept_out(facts)}", msgspec.json.encode(talk))


def _action(each: _Id, keys: _Keys, sha: str, why: str) -> UpdateConfigMap:
    cluster, namespace, name = each
    return UpdateConfigMap(
        cluster=cluster,
        namespace=namespace,
        name=name,
        data=keys.data if VERSION in keys.sources else {VERSION: sha, **keys.data},
        binary_data=keys.binary_data,
        removed=tuple(key for key in keys.removed if key != VERSION),
        labels=LABELS,
        sources=keys.sources,
        why=why,
    )


def after(decision: Decision, outcomes: tuple[ActionState, ...]) -> Decision | None:
    """Say on the pull request which ConfigMaps were really updated, and from what."""
    updated = [
        action
        for action, outcome in zip(decision.actions, outcomes, strict=True)
        if isinstance(action, UpdateConfigMap) and outcome == "done"
    ]
    if not updated:
        return None
    talk = msgspec.json.decode(decision.kept, type=_Talk)
    told = [_told(action) for action in updated]
    text = f"Updated the {told[0]}"
    if len(told) > 1:
        text = "\n".join([f"Updated {len(told)} configmaps:", "", *_list(told)])
    body = replies.reply(talk.login, _shortened(text), talk.body, talk.url)
    why = f"{len(updated)} of {len(outcomes)} ConfigMaps were updated"
    return Decision((talk.where.comment(body, why),), why)


def _shortened(text: str) -> str:
    """Leave out lines at the end that GitHub would not take."""
    lines = text.split("\n")
    ends = itertools.accumulate(len(line) + 1 for line in lines)
    kept = sum(end <= TOLD_MAX for end in ends)
    return text if kept == len(lines) else "\n".join([*lines[:kept], "", f"... and {len(lines) - kept} lines more."])


def _told(action: UpdateConfigMap) -> str:
    where = f"`{action.name}` configmap in namespace `{action.namespace}` at cluster `{action.cluster}`"
    lines = [f" - key `{key}` using file `{path}`" for key, path in action.sources.items()]
    lines += [f" - key `{key}` removed" for key in action.removed]
    return "\n".join([f"{where}:", *lines])


def _list(told: Sequence[str]) -> Iterator[str]:
    for one in told:
        yield " * " + one.replace("\n", "\n  ")


def configured(config: PluginConfig, repos: Sequence[str]) -> dict[str, str]:
    """Say which files go where."""
    told = [f"- {_destination(glob, spec)}" for glob, spec in config.config_updater.maps.items()]
    return {"": "\n".join(["Of several lines that fit a file the first counts:", *told])} if told else {}


def _destination(glob: str, spec: ConfigMapSpec) -> str:
    names = ", ".join(f"`{name}`" for name in (spec.partitioned_names or (spec.name,)))
    where = [
        f"namespace `{namespace}` of cluster `{cluster}`" if namespace else f"the ProwJobs' namespace of `{cluster}`"
        for cluster, namespaces in spec.clusters.items()
        for namespace in namespaces
    ]
    key = f", key `{spec.key}`" if spec.key else ", key made of the whole path" if spec.use_full_path_as_key else ""
    only = f"; only from {', '.join(spec.allowed_repos)}" if spec.allowed_repos else ""
    never = f"; never from {', '.join(spec.denied_repos)}" if spec.denied_repos else ""
    return f"`{glob}` goes into {names} in {', '.join(where)}{key}{only}{never}"


SNIPPET = """\
config_updater:
  gzip: false
  maps:
    config/prow/config.yaml:
      name: config
    config/jobs/**/*.yaml:
      name: job-config
      gzip: true
      use_full_path_as_key: true
      clusters:
        default: [prow, test-pods]
      allowed_repos: [my-org/infra]
"""

PLUGIN = Plugin(
    name="config-updater",
    help=Help(
        description="config-updater puts files into ConfigMaps when a pull request that changes them is merged into "
        "the default branch, and says there which. Prow reads its own configuration from such ConfigMaps.",
        config=configured,
        snippet=SNIPPET,
    ),
    events=frozenset({"pull_request"}),
    gather=gather,
    decide=decide,
    after=after,
)
