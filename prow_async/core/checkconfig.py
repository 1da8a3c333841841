"""What a configuration may not mean: warnings by upstream's names, each a function from facts to problems.

Source: upstream cmd/checkconfig/main.go.
"""

from collections.abc import Iterator

from prow_async.api.config import Config
from prow_async.api.errors import Problem
from prow_async.api.jobconfig import JobBase, Presubmit
from prow_async.core import (
    checkconfig_github,
    checkconfig_plugins,
    checkconfig_protection,
    checkconfig_tide,
    patterns,
    repo_sets,
    urls,
)
from prow_async.core.checkconfig_facts import ANY_SCOPE, Check, Facts

_NAME_LIMIT = 63


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


def missing_trigger(facts: Facts) -> Iterator[Problem]:
    seen: set[str] = set()
    enabled = repo_sets.enabled(facts.plugins, "trigger")
    for repo, job in jobs_of(facts.config):
        if repo and "://" not in repo and repo not in seen and repo not in enabled:
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
            if own and scope != own:
                spoken = "everything" if scope == ANY_SCOPE else scope
                yield Problem(path, 0, f"speaks of {spoken}, but may speak of {own} only, by its place")


def required_annotations(facts: Facts) -> Iterator[Problem]:
    for _, job in jobs_of(facts.config):
        for name in facts.required_annotations:
            if name not in job.annotations:
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


def gerrit_triggers(facts: Facts) -> Iterator[Problem]:
    allowed = facts.config.gerrit.allowed_presubmit_trigger_re
    for _, job in jobs_of(facts.config):
        if allowed and isinstance(job, Presubmit) and not patterns.compile(allowed).search(job.rerun_command):
            yield _at(job, f"has the rerun_command `{job.rerun_command}`, which gerrit's `{allowed}` does not allow")


DEFAULT: dict[str, Check] = {
    "mismatched-tide": checkconfig_tide.mismatched,
    "tide-strict-branch": checkconfig_protection.strict_branches,
    "tide-context-policy": checkconfig_tide.context_policies,
    "mismatched-tide-lenient": checkconfig_tide.mismatched_lenient,
    "non-decorated-jobs": non_decorated,
    "long-job-names": long_names,
    "duplicate-job-refs": duplicate_refs,
    "needs-ok-to-test": checkconfig_tide.needs_ok_to_test,
    "managed-webhooks": managed_webhooks,
    "validate-owners": checkconfig_plugins.validate_owners,
    "missing-trigger": missing_trigger,
    "validate-urls": validate_urls,
    "unknown-fields": unknown_fields,
    "validate-cluster-field": cluster_field,
    "validate-supplemental-prow-config-hierarchy": hierarchy,
    "validate-unmanaged-branchconfig-has-no-subconfig": checkconfig_protection.unmanaged,
    "validate-label": checkconfig_plugins.validate_label,
    "required-job-annotations": required_annotations,
    "periodic-default-clone-config": periodic_clone,
    "validate-config-updater-acls": checkconfig_plugins.validate_config_updater_acls,
}
OF_GITHUB: dict[str, Check] = {
    checkconfig_github.OWNERS_PRESENCE: checkconfig_github.owners_presence,
    checkconfig_github.APP_INSTALLATION: checkconfig_github.app_installation,
}
"""What asks GitHub; the second is looked at by those who give a GitHub App."""
OPTIONAL: dict[str, Check] = {"valid-decoration-config": decoration, "unknown-fields-all": unknown_fields_all}
ALIASES = {"validate-supplemental-prow-config-hirarchy": "validate-supplemental-prow-config-hierarchy"}
OF_PLUGINS = frozenset(
    {
        *("mismatched-tide", "mismatched-tide-lenient", "validate-owners", "missing-trigger"),
        *("validate-label", "validate-config-updater-acls", checkconfig_github.OWNERS_PRESENCE),
    }
)
"""What has nothing to say where there is no plugin configuration."""
WIDER = {"mismatched-tide-lenient": "mismatched-tide", "unknown-fields": "unknown-fields-all"}
"""Each with the one that finds all that it finds: of the two that one alone speaks."""
ALWAYS: dict[str, Check] = {"gerrit-presubmit-trigger": gerrit_triggers}
EVERY: dict[str, Check] = DEFAULT | OPTIONAL | OF_GITHUB
