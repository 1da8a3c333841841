"""Loads plugins.yaml and its supplemental files: which plugin is on where, and the sections of the plugins we have.

Both forms of `plugins` are read: a list of names, and `{plugins, excluded_repos}`. Names of plugins we do not have are
kept; who starts plugins skips them. Sections of other plugins are passed over until their plugin comes.

Source: upstream pkg/plugins/config.go, pkg/plugins/plugins.go.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from prow_async.api import plugin_config
from prow_async.api.errors import ConfigErrors, Problem
from prow_async.api.plugin_config import ExternalPlugin, OrgPlugins, PluginConfig
from prow_async.core import goconvert, goyaml
from prow_async.core.config_load import SourceFile
from prow_async.core.config_parse import place
from prow_async.core.goconvert import DROP, Finding, Report, Shape

SECTIONS = frozenset(
    {
        "plugins",
        "external_plugins",
        "owners",
        "approve",
        "blockades",
        "blunderbuss",
        "rifle",
        "bugzilla",
        "branch_cleaner",
        "cat",
        "cherry_pick_approved",
        "cherry_pick_unapproved",
        "config_updater",
        "dco",
        "golint",
        "goose",
        "heart",
        "help",
        "invalid_commit_msg",
        "jira",
        "label",
        "lgtm",
        "milestone_applier",
        "override",
        "project_config",
        "project_manager",
        "release_note",
        "repo_milestone",
        "require_matching_label",
        "retitle",
        "sigmention",
        "size",
        "slack",
        "triggers",
        "welcome",
    }
)
MERGEABLE = frozenset({"approve", "bugzilla", "external_plugins", "label", "lgtm", "plugins", "triggers", "welcome"})
"""Sections that a supplemental file may have."""


class Loaded(msgspec.Struct, frozen=True):
    """A plugin configuration without problems. `warnings` are worth a log line; `unknown` are keys nobody reads."""

    config: PluginConfig
    warnings: tuple[Problem, ...] = ()
    unknown: tuple[Problem, ...] = ()


class _File(msgspec.Struct, frozen=True):
    """One file's part, with the line of each key of `plugins` and `external_plugins`."""

    path: str
    config: PluginConfig
    lines: dict[tuple[str, str], int]


def load(main: SourceFile, supplementals: Sequence[SourceFile] = ()) -> Loaded:
    """Load and merge.

    Raises: ConfigErrors with every problem of every file.
    """
    reading = _Reading()
    files = [reading.file(main, is_main=True), *(reading.file(file, is_main=False) for file in supplementals)]
    merged = _merge(files, reading.errors)
    reading.errors += _double_plugins(merged, files)
    if reading.errors:
        raise ConfigErrors(reading.errors)
    if not merged.plugins:
        reading.warnings.append(Problem(main.path, 0, "no plugin is on anywhere"))
    return Loaded(merged, tuple(reading.warnings), tuple(reading.unknown))


def _org_plugins(converter: goconvert.Converter) -> Shape:
    new_form = converter.shape_of(OrgPlugins)
    names = goconvert.list_of(goconvert.string, str)

    def shape(value: Any, report: Report) -> Any:
        if not isinstance(value, list):
            return new_form(value, report)
        listed = names(value, report)
        return DROP if listed is DROP else {"plugins": listed}

    return shape


def _converter() -> goconvert.Converter:
    plain = goconvert.Converter()
    return goconvert.Converter({(PluginConfig, "plugins"): goconvert.map_of(_org_plugins(plain), dict)})


_CONVERTER = _converter()


class _Reading:
    """Reads files and gathers what is to be said about them."""

    def __init__(self) -> None:
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []
        self.unknown: list[Problem] = []

    def file(self, source: SourceFile, is_main: bool) -> _File:
        try:
            document = goyaml.load(source.data, source.path)
        except ConfigErrors as error:
            self.errors += error.problems
            return _File(source.path, PluginConfig(), {})
        report = Report()
        value = {} if document.value is None else document.value
        config = _CONVERTER.convert(value, PluginConfig, report) or PluginConfig()
        if not is_main and isinstance(value, dict):
            report.errors += _foreign(value)
        report.unknown = [finding for finding in report.unknown if finding.path not in _SECTION_PATHS]
        for i, entry in enumerate(config.triggers):
            if entry.trusted_org:
                report.warnings.append(Finding(("triggers", i, "trusted_org"), "is deprecated; use only_org_members"))
        self.warnings += document.problems
        for findings, problems in (
            (report.errors, self.errors),
            (report.warnings, self.warnings),
            (report.unknown, self.unknown),
        ):
            problems += [
                Problem(source.path, document.line(f.path), f"{place(f.path)}: {f.text}" if f.path else f.text)
                for f in findings
            ]
        lines = {
            (section, key): document.line((section, key))
            for section, table in (("plugins", config.plugins), ("external_plugins", config.external_plugins))
            for key in table
        }
        return _File(source.path, _with_defaults(config), lines)


_SECTION_PATHS = frozenset((section,) for section in SECTIONS)


def _foreign(value: Mapping[str, Any]) -> list[Finding]:
    """Return sections that a supplemental file must not have. Empty ones are let pass, as upstream."""
    out = []
    for key, part in value.items():
        if key in SECTIONS - MERGEABLE and part:
            out.append(Finding((key,), "must be in the main plugin configuration, not in a supplemental file"))
        if key == "label" and isinstance(part, dict) and part.keys() - {"restricted_labels"}:
            out.append(Finding((key,), "a supplemental file may set label.restricted_labels only"))
    return out


def _with_defaults(config: PluginConfig) -> PluginConfig:
    external = {
        key: tuple(p if p.endpoint else msgspec.structs.replace(p, endpoint=f"http://{p.name}") for p in listed)
        for key, listed in config.external_plugins.items()
    }
    return msgspec.structs.replace(
        config, external_plugins=external, triggers=tuple(_trigger(entry) for entry in config.triggers)
    )


def _trigger(entry: plugin_config.Trigger) -> plugin_config.Trigger:
    if not entry.trusted_org or entry.join_org_url:
        return entry
    return msgspec.structs.replace(entry, join_org_url=f"https://github.com/orgs/{entry.trusted_org}/people")


def _merge(files: list[_File], errors: list[Problem]) -> PluginConfig:
    plugins: dict[str, OrgPlugins] = {}
    external: dict[str, tuple[ExternalPlugin, ...]] = {}
    seen: dict[tuple[str, str], _File] = {}
    triggers: list[plugin_config.Trigger] = []
    for file in files:
        for section, key in file.lines:
            first = seen.setdefault((section, key), file)
            if first is not file:
                where = f"{first.path}:{first.lines[section, key]}"
                text = f'{section}: "{key}" is set in two files; the other is {where}'
                errors.append(Problem(file.path, file.lines[section, key], text))
        plugins = {**file.config.plugins, **plugins}
        external = {**file.config.external_plugins, **external}
        triggers += file.config.triggers
    return PluginConfig(plugins=plugins, external_plugins=external, triggers=tuple(triggers))


def _double_plugins(config: PluginConfig, files: list[_File]) -> Iterator[Problem]:
    """Yield plugins that are on twice for a repo: listed twice, or for the repo and its org."""
    by_section: dict[str, dict[str, OrgPlugins]] = {
        "plugins": config.plugins,
        "external_plugins": {
            key: OrgPlugins(tuple(plugin.name for plugin in listed)) for key, listed in config.external_plugins.items()
        },
    }
    for section, table in by_section.items():
        for key, own in table.items():
            file = next(file for file in files if (section, key) in file.lines)
            line = file.lines[section, key]
            for name in sorted({name for name in own.plugins if own.plugins.count(name) > 1}):
                yield Problem(file.path, line, f'{section}: "{name}" is listed twice for {key}')
            org, slash, repo = key.partition("/")
            above = table.get(org, OrgPlugins()) if slash else OrgPlugins()
            if repo in above.excluded_repos:
                continue
            for name in sorted(set(own.plugins).intersection(above.plugins)):
                yield Problem(file.path, line, f'{section}: "{name}" is on for {key} and for its org {org}')
