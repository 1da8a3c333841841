"""Checks the sections of plugins.yaml, complete as upstream completes them.

Source: upstream pkg/plugins/config.go (Validate, compileRegexpsAndDurations and what they call).
"""

from collections.abc import Sequence

from prow_async.api.plugin_bugzilla import BugzillaBranch
from prow_async.api.plugin_config import PluginConfig
from prow_async.api.plugin_labels import COMMIT_MSG_CHECKS, RequireMatchingLabel, Size
from prow_async.api.plugin_projects import ManagedProject, ProjectManager
from prow_async.api.plugin_review import Blunderbuss
from prow_async.api.plugin_scopes import Scoped
from prow_async.core import config_updater_check, durations, gotemplate, patterns, plugin_enablement
from prow_async.core.config_findings import Findings
from prow_async.core.goconvert import Finding
from prow_async.core.goyaml import Path

_COLUMN_STATES = ("", "open", "closed", "all")


def check(config: PluginConfig, known_plugins_only: bool) -> tuple[list[Finding], list[Finding]]:
    """Look at everything.

    Args:
        known_plugins_only: take a name of a plugin that nobody has for an error.

    Returns: errors and warnings. With errors the configuration must not be used.
    """
    found = Findings()
    plugin_enablement.check(config, found)
    if known_plugins_only:
        plugin_enablement.check_known(config, found)
    _reviewers(config.blunderbuss, found, "blunderbuss")
    _reviewers(config.rifle, found, "rifle")
    config_updater_check.check(config.config_updater, found)
    _size(config.size, found)
    for number, entry in enumerate(config.require_matching_label):
        _matching_label(entry, found, "require_matching_label", number)
    _project_manager(config.project_manager, found)
    for section in ("approve", "invalid_commit_msg", "welcome"):
        _once(getattr(config, section), found, section)
    for number, checks in enumerate(config.invalid_commit_msg):
        for place, one in enumerate(checks.checks):
            if one.name not in COMMIT_MSG_CHECKS:
                text = f'"{one.name}" is no check; there are {", ".join(sorted(COMMIT_MSG_CHECKS))}'
                found.wrong(text, "invalid_commit_msg", number, "checks", place)
    _patterns(config, found)
    _templates(config, found)
    _deprecated(config, found)
    return found.errors, found.warnings


def _reviewers(section: Blunderbuss, found: Findings, name: str) -> None:
    if section.request_count < 1:
        found.wrong(f"must be at least 1, not {section.request_count}", name, "request_count")
    if section.wait_for_status is not None:
        found.pattern(section.wait_for_status.description, name, "wait_for_status", "description")


def _size(size: Size, found: Findings) -> None:
    bounds = (size.s, size.m, size.l, size.xl, size.xxl)
    if list(bounds) != sorted(bounds):
        found.wrong(f"the bounds s, m, l, xl, xxl must not fall: {', '.join(map(str, bounds))}", "size")


def _matching_label(entry: RequireMatchingLabel, found: Findings, *path: str | int) -> None:
    for name in ("org", "regexp", "missing_label"):
        if not getattr(entry, name):
            found.wrong(f"{name} is missing", *path)
    if "/" in entry.repo:
        found.wrong(f'"{entry.repo}" must be a name without its org; that goes into org', *path, "repo")
    if not entry.prs and not entry.issues:
        found.wrong("looks at nothing: set prs, issues or both", *path)
    if entry.branch and not entry.prs:
        found.wrong("counts only with prs: true", *path, "branch")
    try:
        durations.parse_s(entry.grace_period)
    except durations.DurationError as error:
        found.wrong(str(error), *path, "grace_period")
    why = patterns.problem(entry.regexp)
    if why:
        found.wrong(why, *path, "regexp")
    elif entry.regexp and entry.missing_label and patterns.compile(entry.regexp).search(entry.missing_label):
        found.wrong(f'fits the missing_label "{entry.missing_label}" itself', *path, "regexp")


def _project_manager(section: ProjectManager, found: Findings) -> None:
    for scope, managed in section.orgs_repos.items():
        path: Path = ("project_manager", "orgsRepos", scope)
        if scope.count("/") > 1 or not all(scope.split("/")):
            found.warn("is neither an org nor an org/repo", *path)
        if not managed.projects:
            found.wrong("has no projects", *path)
        for name, project in managed.projects.items():
            if not project.columns:
                found.wrong("has no columns", *path, "projects", name)
            _columns(project, found, *path, "projects", name)


def _columns(project: ManagedProject, found: Findings, *path: str | int) -> None:
    seen: set[frozenset[str]] = set()
    for number, column in enumerate(project.columns):
        at = (*path, "columns", number)
        if column.id is None and not column.name:
            found.wrong("needs an id or a name", *at)
        for name in ("labels", "org"):
            if not getattr(column, name):
                found.wrong(f"{name} is missing", *at)
        if column.state not in _COLUMN_STATES:
            found.warn(f'"{column.state}" fits no issue; use open, closed or all', *at, "state")
        labels = frozenset(column.labels)
        if labels in seen:
            found.wrong("another column of the project has the same labels", *at)
        seen.add(labels)


def _once(entries: Sequence[Scoped], found: Findings, section: str) -> None:
    """Note orgs and repos that two entries name, or one names twice."""
    seen: set[str] = set()
    for number, entry in enumerate(entries):
        for place, scope in enumerate(entry.repos):
            if scope in seen:
                found.wrong(f'"{scope}" has an entry already', section, number, "repos", place)
            seen.add(scope)


def _patterns(config: PluginConfig, found: Findings) -> None:
    found.pattern(config.sigmention.regexp, "sigmention", "regexp")
    found.pattern(config.cherry_pick_unapproved.branch_regexp, "cherry_pick_unapproved", "branchregexp")
    found.pattern(config.heart.comment_regexp, "heart", "commentregexp")
    for number, approved in enumerate(config.cherry_pick_approved):
        found.pattern(approved.branch_regexp, "cherry_pick_approved", number, "branchregexp")
    for number, blockade in enumerate(config.blockades):
        if blockade.branch_regexp is not None:
            found.pattern(blockade.branch_regexp, "blockades", number, "branchregexp")
        for key, listed in (("blockregexps", blockade.block_regexps), ("exceptionregexps", blockade.exception_regexps)):
            for place, text in enumerate(listed):
                why = patterns.problem(text)
                if why:  # upstream finds out when it is used, and goes on without it
                    found.warn(f"passed over: {why}", "blockades", number, key, place)


def _templates(config: PluginConfig, found: Findings) -> None:
    """Warn of welcome templates that do not parse: upstream finds out when there is somebody to welcome."""
    for number, entry in enumerate(config.welcome):
        try:
            gotemplate.parse(entry.message_template, "message_template")
        except gotemplate.TemplateError as error:
            found.warn(str(error), "welcome", number, "message_template")


def _deprecated(config: PluginConfig, found: Findings) -> None:
    if not config.plugins:
        found.warn("no plugin is on anywhere")
    for number, entry in enumerate(config.triggers):
        if entry.trusted_org:
            found.warn("is deprecated; use only_org_members", "triggers", number, "trusted_org")
    for scope, milestone in config.repo_milestone.items():
        if milestone.maintainers_id:
            found.warn("is deprecated; use maintainers_team", "repo_milestone", scope, "maintainers_id")
    bugzilla = config.bugzilla
    _old_release(bugzilla.default, found, "bugzilla", "default")
    for name, org in bugzilla.orgs.items():
        _old_release(org.default, found, "bugzilla", "orgs", name, "default")
        for repo, own in org.repos.items():
            _old_release(own.branches, found, "bugzilla", "orgs", name, "repos", repo, "branches")


def _old_release(table: dict[str, BugzillaBranch] | None, found: Findings, *path: str | int) -> None:
    for branch, options in (table or {}).items():
        if options.dependent_bug_target_release is not None:
            at = (*path, branch, "dependent_bug_target_release")
            found.warn("is deprecated; use dependent_bug_target_releases", *at)
