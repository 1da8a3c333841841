"""One plugins.yaml to typed parts: what it says, before any default that depends on other values is filled in.

Source: upstream pkg/plugins/config.go.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from prow_async.api.errors import ConfigErrors, Problem
from prow_async.api.plugin_config import OrgPlugins, PluginConfig
from prow_async.core import goconvert, goyaml
from prow_async.core.config_load import SourceFile
from prow_async.core.config_parse import place
from prow_async.core.goconvert import DROP, Finding, Report, Shape

SECTIONS = frozenset(PluginConfig.__struct_encode_fields__)
MERGEABLE = frozenset({"approve", "bugzilla", "external_plugins", "label", "lgtm", "plugins", "triggers", "welcome"})
"""Sections that a supplemental file may have."""
_KEYED = frozenset({"dco", "milestone_applier", "repo_milestone"})
"""Sections with free keys: an empty value says something there."""


class ParsedPlugins(msgspec.Struct, frozen=True, kw_only=True):
    """What one file says, and the document that knows the lines; short-lived, as that is.

    `broken` are the sections with values that cannot be read: places in their lists are not to be trusted.
    """

    path: str
    config: PluginConfig = PluginConfig()
    document: goyaml.Document | None = None
    broken: frozenset[str] = frozenset()
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    unknown: tuple[Problem, ...] = ()

    def problem(self, finding: Finding) -> Problem:
        """Say where in the file a finding is."""
        line = 0 if self.document is None else self.document.line(finding.path)
        return Problem(self.path, line, f"{place(finding.path)}: {finding.text}" if finding.path else finding.text)

    def depth(self, path: goyaml.Path) -> int:
        """Return how many steps of a path the file has."""
        return 0 if self.document is None else self.document.depth(path)


def parse(source: SourceFile, is_main: bool) -> ParsedPlugins:
    """Read a file. Never raises for bad input: what is wrong stands in `errors`, with lines."""
    try:
        document = goyaml.load(source.data, source.path)
    except ConfigErrors as error:
        return ParsedPlugins(path=source.path, errors=error.problems)
    report = Report()
    value = {} if document.value is None else document.value
    config = _CONVERTER.convert(value, PluginConfig, report) or PluginConfig()
    broken = frozenset(str(finding.path[0]).casefold() for finding in report.errors if finding.path)
    if not is_main and isinstance(value, dict):
        report.errors += _foreign(value)
    bare = ParsedPlugins(path=source.path, config=config, document=document, broken=broken)
    return msgspec.structs.replace(
        bare,
        errors=tuple(bare.problem(finding) for finding in report.errors),
        warnings=(*document.problems, *(bare.problem(finding) for finding in report.warnings)),
        unknown=tuple(bare.problem(finding) for finding in report.unknown),
    )


def _org_plugins(converter: goconvert.Converter) -> Shape:
    """Shape what stands under a key of `plugins`: a list of names, or the newer form with excluded repos."""
    new_form = converter.shape_of(OrgPlugins)
    names = goconvert.list_of(goconvert.string, str)

    def shape(value: Any, report: Report) -> Any:
        if not isinstance(value, list):
            return new_form(value, report)
        listed = names(value, report)
        return DROP if listed is DROP else {"plugins": listed}

    return shape


def _converter() -> goconvert.Converter:
    plugins = goconvert.map_of(_org_plugins(goconvert.Converter()), dict)
    return goconvert.Converter({(PluginConfig, "plugins"): plugins}, frozenset({"grace_period_s"}))


_CONVERTER = _converter()


def _foreign(value: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield sections that a supplemental file must not have. Those that say nothing pass, as upstream."""
    for key, part in value.items():
        name = key.casefold()
        if name in SECTIONS - MERGEABLE and not _says_nothing(name, part):
            yield Finding((key,), "must be in the main plugin configuration, not in a supplemental file")
        if name == "label" and isinstance(part, dict):
            for inner, below in part.items():
                if inner.casefold() == "additional_labels" and below:
                    yield Finding((key,), "a supplemental file may set label.restricted_labels only")


def _says_nothing(section: str, part: Any) -> bool:
    if isinstance(part, dict) and section not in _KEYED:
        return not any(part.values())
    return not part
