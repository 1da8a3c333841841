"""Completes and checks the main configuration, jobs aside.

Source: upstream pkg/config/config.go (finalize, validation and defaults of the prow part).
"""

import re
from typing import TypeVar

import msgspec

from prow_async.api import config
from prow_async.core import config_decoration, durations, gotemplate
from prow_async.core.goconvert import Finding

S = TypeVar("S", bound=msgspec.Struct)

LOG_LEVELS = frozenset({"panic", "fatal", "error", "warn", "warning", "info", "debug", "trace"})
_REPORTED = frozenset({"presubmit", "postsubmit"})
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_FIRST_PART = re.compile(r"[/?#]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*", re.ASCII)


def complete(raw: config.Config, keys: frozenset[str]) -> tuple[config.Config, list[Finding], list[Finding]]:
    """Fill in what depends on other values, and check.

    Args:
        keys: dotted names of what the file sets, two levels deep (config_parse.ParsedFile.main_keys).

    Returns: the complete configuration, errors, warnings. With errors the configuration must not be used.
    """
    errors = _errors(raw)
    warnings: list[Finding] = []
    sinker = raw.sinker
    if "sinker.terminated_pod_ttl" not in keys:
        sinker = msgspec.structs.replace(sinker, terminated_pod_ttl=sinker.max_pod_age)
    done = msgspec.structs.replace(
        raw,
        prowjob_namespace=raw.prowjob_namespace or config.Config().prowjob_namespace,
        pod_namespace=raw.pod_namespace or config.Config().pod_namespace,
        log_level=raw.log_level or config.Config().log_level,
        status_error_link=raw.status_error_link or config.Config().status_error_link,
        plank=_plank(raw.plank, warnings),
        sinker=_with_seconds(sinker),
        horologium=_with_seconds(raw.horologium),
        github_reporter=_reporter(raw.github_reporter),
        github=msgspec.structs.replace(raw.github, link_url=raw.github.link_url or config.GitHubOptions().link_url),
    )
    return done, errors, warnings


def _plank(plank: config.Plank, warnings: list[Finding]) -> config.Plank:
    templates = plank.report_templates
    if plank.report_template:
        warnings.append(Finding(("plank", "report_template"), "is deprecated; use report_templates with the key '*'"))
        templates = {**templates, "*": plank.report_template}
    entries = plank.default_decoration_config_entries
    if plank.default_decoration_configs:
        entries = config_decoration.as_entries(plank.default_decoration_configs)
    return _with_seconds(
        msgspec.structs.replace(
            plank,
            report_templates=templates,
            max_goroutines=plank.max_goroutines or config.Plank().max_goroutines,
            default_decoration_configs={},
            default_decoration_config_entries=entries,
        )
    )


def _reporter(reporter: config.GitHubReporter) -> config.GitHubReporter:
    if reporter.job_types_to_report:
        return reporter
    return msgspec.structs.replace(reporter, job_types_to_report=config.GitHubReporter().job_types_to_report)


def _with_seconds(struct: S) -> S:
    """Fill each `NAME_s` from the duration text in `NAME`."""
    fields = struct.__struct_fields__
    timed = [name for name in fields if f"{name}_s" in fields]
    return msgspec.structs.replace(struct, **{f"{name}_s": durations.parse_s(getattr(struct, name)) for name in timed})


def _errors(raw: config.Config) -> list[Finding]:
    found = _plank_errors(raw.plank)
    if raw.log_level and raw.log_level.lower() not in LOG_LEVELS:
        text = f'"{raw.log_level}" is no log level; use one of {", ".join(sorted(LOG_LEVELS))}'
        found.append(Finding(("log_level",), text))
    for kind in raw.github_reporter.job_types_to_report:
        if kind not in _REPORTED:
            text = f'"{kind}" cannot be reported; only presubmit and postsubmit can'
            found.append(Finding(("github_reporter", "job_types_to_report"), text))
    why = url_problem(raw.github.link_url)
    if why:
        found.append(Finding(("github", "link_url"), why))
    return found


def _plank_errors(plank: config.Plank) -> list[Finding]:
    found: list[Finding] = []

    def wrong(text: str, *path: str) -> None:
        found.append(Finding(("plank", *path), text))

    if plank.report_template and plank.report_templates:
        wrong("report_template and report_templates cannot both be set", "report_template")
    if plank.max_concurrency < 0:
        wrong("must not be negative", "max_concurrency")
    if plank.max_goroutines < 0:
        wrong("must not be negative", "max_goroutines")
    if plank.default_decoration_configs and plank.default_decoration_config_entries:
        text = "default_decoration_configs and default_decoration_config_entries cannot both be set"
        wrong(text, "default_decoration_configs")
    for scope, url in plank.job_url_prefix_config.items():
        why = url_problem(url)
        if why:
            wrong(why, "job_url_prefix_config", scope)
    for path, text in _templates(plank):
        try:
            gotemplate.parse(text, path[0])
        except gotemplate.TemplateError as error:
            wrong(str(error), *path)
    return found


def _templates(plank: config.Plank) -> list[tuple[tuple[str, ...], str]]:
    out: list[tuple[tuple[str, ...], str]] = [(("job_url_template",), plank.job_url_template)]
    out.append((("report_template",), plank.report_template))
    out += [(("report_templates", scope), text) for scope, text in plank.report_templates.items()]
    return out


def url_problem(url: str) -> str | None:
    """Return why Go's url.Parse refuses a URL, or None when it takes it."""
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in url):
        return f"{url!r} is no URL: it contains a control character"
    if _BAD_ESCAPE.search(url.partition("#")[0]):
        return f'"{url}" is no URL: invalid escape after %'
    scheme, colon, _ = _FIRST_PART.split(url, maxsplit=1)[0].partition(":")
    if colon and not _SCHEME.fullmatch(scheme):
        return f'"{url}" is no URL: "{scheme}" before the colon is no scheme'
    host = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    port = host.rpartition(":")[2] if ":" in host and not host.endswith("]") else ""
    if " " in host or (port and not port.isdigit()):
        return f'"{url}" is no URL: invalid host "{host}"'
    return None
