"""What a configuration may not mean: warnings by upstream's names, each a function from facts to problems.

Source: upstream cmd/checkconfig/main.go.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from prow_async.api.config import Config
from prow_async.api.config_protection import OrgPolicy, RepoPolicy
from prow_async.api.errors import Problem
from prow_async.api.jobconfig import JobBase, Presubmit
from prow_async.api.plugin_config import PluginConfig
from prow_async.core import branch_policy, checkconfig_tide, patterns, tide_context, urls

_NAME_LIMIT = 63
_OWNERS_PLUGINS = ("approve", "blunderbuss", "rifle", "owners-label")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that the warnings look at. `lines` finds the line of a path in the main file, or of a key in plugins.yaml."""

    config: Config
    plugins: PluginConfig
    config_path: str
    plugins_path: str = ""
    unknown: tuple[Problem, ...] = ()
    job_files: frozenset[str] = frozenset()
    supplementals: Mapping[str, tuple[str, ...]] = {}
    """Each supplemental file with the folders that lead to it."""
    touched: Mapping[str, frozenset[str]] = {}
    """Each supplemental file with the orgs and repos that it sets something for."""
    required_annotations: tuple[str, ...] = ()
    cluster_status: Mapping[str, str] | None = None
    """By cluster alias; None where no status file can be read."""
    main_line: Callable[[tuple[str | int, ...]], int] = lambda path: 0

    def at(self, text: str, *path: str | int) -> Problem:
        return Problem(self.config_path, self.main_line(path), text)


Check = Callable[[Facts], Iterable[Problem]]


def jobs_of(config: Config) -> Iterator[tuple[str, JobBase]]:
    """Yield every job with its repo."""
    for table in (config.presubmits, config.postsubmits):
        for repo, jobs in table.items():
            yield from ((repo, job) for job in jobs)
    yield from (("", job) for job in config.periodics)


def _at(job: JobBase, text: str) -> Problem:
    return Problem(job.source.file, job.source.line, f'job "{job.name}" {text}')


def non_decorated(facts: Facts) -> Iterator[Problem]:
    for _, job in jobs_of(facts.config):
        if job.agent == "kubernetes" and job.decoration_config is None:
            yield _at(job, "is not decorated: no log or artifact of it is kept")


def long_names(facts: Facts) -> Iterator[Problem]:
    for _, job in jobs_of(facts.config):
        if job.agent == "kubernetes" and len(job.name) > _NAME_LIMIT:
            yield _at(job, f"has a name longer than {_NAME_LIMIT} characters: labels will hold a part of it")


def duplicate_refs(facts: Facts) -> Iterator[Problem]:
    for repo, job in jobs_of(facts.config):
        if isinstance(job, Presubmit):
            seen = {repo}
            for refs in job.extra_refs:
                if refs.full_name in seen:
                    yield _at(job, f"clones {refs.full_name} twice")
                seen.add(refs.full_name)


def managed_webhooks(facts: Facts) -> Iterator[Problem]:
    scopes = facts.config.managed_webhooks.org_repo_config
    for scope in scopes:
        org, slash, _ = scope.partition("/")
        if slash and org in scopes:
            text = f"managed_webhooks: {scope} and its org are both there: two hooks would deliver its events"
            yield facts.at(text, "managed_webhooks", "org_repo_config", scope)


def _enabled(plugins: PluginConfig, scope: str) -> frozenset[str]:
    org, _, repo = scope.partition("/")
    return frozenset(plugins.enabled(org, repo))


def validate_owners(facts: Facts) -> Iterator[Problem]:
    for scope in facts.plugins.plugins:
        enabled = _enabled(facts.plugins, scope)
        using = [name for name in _OWNERS_PLUGINS if name in enabled]
        if using and "verify-owners" not in enabled:
            yield Problem(
                facts.plugins_path, 0, f"{scope}: {', '.join(using)} without verify-owners: OWNERS may be broken"
            )


def missing_trigger(facts: Facts) -> Iterator[Problem]:
    seen: set[str] = set()
    for repo, job in jobs_of(facts.config):
        if repo and "://" not in repo and repo not in seen and "trigger" not in _enabled(facts.plugins, repo):
            yield _at(job, f"can never run: the plugin trigger is not on for {repo}")
        seen.add(repo)


def validate_urls(facts: Facts) -> Iterator[Problem]:
    config = facts.config
    for path, url in (
        (("status_error_link",), config.status_error_link),
        *(((("tide", "target_urls", scope)), url) for scope, url in config.tide.target_urls.items()),
        *(((("tide", "pr_status_base_urls", scope)), url) for scope, url in config.tide.pr_status_base_urls.items()),
    ):
        why = urls.problem(url)
        if why:
            yield facts.at(f"{'.'.join(path)}: {why}", *path)


def unknown_fields(facts: Facts) -> Iterator[Problem]:
    yield from (problem for problem in facts.unknown if problem.file not in facts.job_files)


def unknown_fields_all(facts: Facts) -> Iterator[Problem]:
    yield from facts.unknown


def cluster_field(facts: Facts) -> Iterator[Problem]:
    for _, job in jobs_of(facts.config):
        if job.agent == "jenkins" and job.cluster not in ("", "default"):
            yield _at(job, f"names the cluster {job.cluster}, which the agent jenkins has no use for")
        known = facts.cluster_status
        if job.agent == "kubernetes" and known is not None and job.cluster not in known:
            listed = ", ".join(sorted(known)) or "none"
            yield _at(job, f"runs on cluster {job.cluster}, which is not known; known are {listed}")


def hierarchy(facts: Facts) -> Iterator[Problem]:
    """A supplemental file may speak of the org or the repo whose folder it is in, at the top of any."""
    for path, folders in facts.supplementals.items():
        if len(folders) > 2:
            yield Problem(path, 0, "is too deep: at most org/repo/ below the supplemental directory")
            continue
        own = "/".join(folders)
        for scope in sorted(facts.touched.get(path, ())):
            if own and scope != own and not (len(folders) == 1 and scope.startswith(f"{own}/")):
                yield Problem(path, 0, f"speaks of {scope}, but may speak of {own} only, by its place")


def unmanaged(facts: Facts) -> Iterator[Problem]:
    def below(level: OrgPolicy | RepoPolicy) -> bool:
        return bool(level.repos if isinstance(level, OrgPolicy) else level.branches)

    protection = facts.config.branch_protection
    if protection.unmanaged and protection.orgs:
        yield facts.at("branch-protection: is unmanaged, yet has orgs", "branch-protection", "unmanaged")
    for org, policy in protection.orgs.items():
        levels: list[tuple[tuple[str, ...], OrgPolicy | RepoPolicy]] = [((org,), policy)]
        levels += [((org, "repos", repo), inner) for repo, inner in policy.repos.items()]
        for path, level in levels:
            if level.unmanaged and below(level):
                where = ("branch-protection", "orgs", *path)
                yield facts.at(f"{'.'.join(where)}: is unmanaged, yet has settings below it", *where)


def required_annotations(facts: Facts) -> Iterator[Problem]:
    for _, job in jobs_of(facts.config):
        for name in facts.required_annotations:
            if not job.annotations.get(name):
                yield _at(job, f"lacks the annotation {name}")


def periodic_clone(facts: Facts) -> Iterator[Problem]:
    for job in facts.config.periodics:
        for key in ("clone_depth", "clone_uri", "path_alias"):
            if getattr(job, key):
                yield _at(job, f"sets {key}, which a periodic has no use for: set it on its extra_refs")


def decoration(facts: Facts) -> Iterator[Problem]:
    """Look at entries of default decoration that no job brought to light."""
    for number, entry in enumerate(facts.config.plank.default_decoration_config_entries):
        config = entry.config
        if config is not None and config.oauth_token_secret is not None and config.ssh_key_secrets:
            text = f"plank: default decoration {number}: oauth_token_secret and ssh_key_secrets exclude each other"
            yield facts.at(text, "plank")


def strict_branches(facts: Facts) -> Iterator[Problem]:
    """A strict branch must be up to date before it is merged into, which tide cannot wait for."""
    for org, policy in facts.config.branch_protection.orgs.items():
        for repo, inner in policy.repos.items() or [("", RepoPolicy())]:
            for branch in inner.branches or [""]:
                merged = branch_policy.policy_for(facts.config.branch_protection, org, repo, branch)
                checks = merged.required_status_checks
                if (
                    merged.protect
                    and checks
                    and checks.strict
                    and checkconfig_tide.merges(facts.config, org, repo, branch)
                ):
                    name = "/".join(part for part in (org, repo, branch) if part)
                    text = f"branch-protection: {name} is strict, but tide merges there"
                    yield facts.at(text, "branch-protection", "orgs", org)


def context_policies(facts: Facts) -> Iterator[Problem]:
    options = facts.config.tide.context_options
    for org, policy in options.orgs.items():
        for repo, inner in policy.repos.items() or [("", None)]:
            for branch in (inner.branches if inner is not None else {}) or [""]:
                for text in tide_context.problems(tide_context.policy_for(options, org, repo, branch)):
                    name = "/".join(part for part in (org, repo, branch) if part)
                    yield facts.at(f"tide.context_options: {name}: {text}", "tide", "context_options", "orgs", org)
    if not options.orgs:
        for text in tide_context.problems(options):
            yield facts.at(f"tide.context_options: {text}", "tide", "context_options")


def gerrit_triggers(facts: Facts) -> Iterator[Problem]:
    allowed = facts.config.gerrit.allowed_presubmit_trigger_re
    for _, job in jobs_of(facts.config):
        if allowed and isinstance(job, Presubmit) and not patterns.compile(allowed).search(job.rerun_command):
            yield _at(job, f"has the rerun_command `{job.rerun_command}`, which gerrit's `{allowed}` does not allow")


def _in_tide(facts: Facts, texts: Iterable[str]) -> Iterator[Problem]:
    yield from (facts.at(f"tide.queries: {text}", "tide", "queries") for text in texts)


DEFAULT: dict[str, Check] = {
    "mismatched-tide": lambda f: _in_tide(f, checkconfig_tide.mismatched(f.config, f.plugins, strict=True)),
    "tide-strict-branch": strict_branches,
    "tide-context-policy": context_policies,
    "mismatched-tide-lenient": lambda f: _in_tide(f, checkconfig_tide.mismatched(f.config, f.plugins, strict=False)),
    "non-decorated-jobs": non_decorated,
    "long-job-names": long_names,
    "duplicate-job-refs": duplicate_refs,
    "needs-ok-to-test": lambda f: _in_tide(f, checkconfig_tide.needs_ok_to_test(f.config)),
    "managed-webhooks": managed_webhooks,
    "validate-owners": validate_owners,
    "missing-trigger": missing_trigger,
    "validate-urls": validate_urls,
    "unknown-fields": unknown_fields,
    "validate-cluster-field": cluster_field,
    "validate-supplemental-prow-config-hierarchy": hierarchy,
    "validate-unmanaged-branchconfig-has-no-subconfig": unmanaged,
    "required-job-annotations": required_annotations,
    "periodic-default-clone-config": periodic_clone,
}
OPTIONAL: dict[str, Check] = {"valid-decoration-config": decoration, "unknown-fields-all": unknown_fields_all}
ALIASES = {"validate-supplemental-prow-config-hirarchy": "validate-supplemental-prow-config-hierarchy"}
UNCHECKED = (
    "validate-label",
    "validate-config-updater-acls",
    "verify-owners-presence",
    "validate-github-app-installation",
)
"""Names that are known and look at what is not there yet: they find nothing, and say that they did not look."""
ALWAYS: dict[str, Check] = {"gerrit-presubmit-trigger": gerrit_triggers}
EVERY: dict[str, Check] = DEFAULT | OPTIONAL
