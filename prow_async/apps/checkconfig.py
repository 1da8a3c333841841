"""checkconfig: loads a configuration and warns of what it may not mean. Source: upstream cmd/checkconfig."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import yaml

from prow_async.adapters import config_disk, config_reader
from prow_async.api.config import Config
from prow_async.api.config_protection import BranchProtection, OrgPolicy
from prow_async.api.errors import CannotStart, ConfigErrors, Problem, printable
from prow_async.api.inrepo import PodPolicy
from prow_async.apps import config_flags, flag_groups, flags
from prow_async.apps.flags import Flag
from prow_async.core import (
    checkconfig,
    checkconfig_github,
    checkconfig_plugins,
    config_parse,
    goyaml,
    inrepo,
    plugin_config_parse,
)
from prow_async.core.checkconfig_facts import ANY_SCOPE, Facts
from prow_async.core.config_load import SourceFile

if TYPE_CHECKING:
    from prow_async.apps import checkconfig_github as checkconfig_asks

PROGRAM = "prow-async checkconfig"
FLAGS = (
    *flag_groups.CONFIG,
    *(flag for flag in flag_groups.PLUGINS if flag.name != "plugin-config"),
    Flag("plugin-config", "str", "", "path of plugins.yaml"),
    *flag_groups.GITHUB_FOR_CHECKS,
    *flag_groups.STORAGE,
    Flag("warnings", "strings", (), "only these warnings"),
    Flag("exclude-warning", "strings", (), "not these warnings"),
    Flag("required-job-annotations", "strings", (), "annotations that every job must have"),
    Flag("expensive-checks", "bool", False, "look at everything, GitHub too"),
    Flag("strict", "bool", False, "fail when a warning has something to say"),
    Flag("include-default-warnings", "bool", False, "with --warnings: the default ones too"),
    Flag("prow-yaml-repo-name", "str", "", "org/repo whose own configuration to check too"),
    Flag(
        "prow-yaml-path",
        "str",
        "",
        "its file or folder (default: .prow or .prow.yaml of the working directory, else of the job's clone)",
    ),
    flag_groups.IN_REPO_FORBID,
    Flag("format", "str", "text", "text, or github: annotations of lines in GitHub Actions (ours)"),
    Flag("o", "str", "", "json: one object for machines (ours)"),
)
_FORMATS = ("text", "github")
_LOAD = "load"
_NOTE = "note"


class Finding(msgspec.Struct, frozen=True):
    """One thing to say. `severity` is error, warning or notice."""

    warning: str
    severity: str
    file: str
    line: int
    text: str


class Report(msgspec.Struct, frozen=True):
    passed: bool
    findings: tuple[Finding, ...]


def main(argv: Sequence[str]) -> int:
    """Check. Exit code 1 when the configuration does not load, or when --strict is given and a warning speaks."""
    parsed = flags.parse(PROGRAM, FLAGS, argv)
    if parsed["format"] not in _FORMATS or parsed["o"] not in ("", "json"):
        raise CannotStart(f"{PROGRAM}: --format is text or github, -o is json")
    if parsed["prow-yaml-path"] and not parsed["prow-yaml-repo-name"]:
        raise CannotStart(f"{PROGRAM}: --prow-yaml-path needs --prow-yaml-repo-name: whose configuration is it?")
    names, policy = active(parsed), config_flags.in_repo_policy(parsed.values)
    found = list(_check(parsed, names, policy))
    failed = any(one.severity == "error" or (parsed["strict"] and one.severity == "warning") for one in found)
    _print(Report(not failed, tuple(found)), parsed)
    return 1 if failed else 0


def active(parsed: flags.Flags) -> list[str]:
    """Return the names of the warnings to look at. Raises CannotStart for a name there is not."""
    known = list(checkconfig.EVERY)
    wanted = [checkconfig.ALIASES.get(name, name) for name in parsed["warnings"]]
    excluded = {checkconfig.ALIASES.get(name, name) for name in parsed["exclude-warning"]}
    for name in (*wanted, *sorted(excluded)):
        if name not in known:
            raise CannotStart(f"{PROGRAM}: no such warning: {name}; there are {', '.join(sorted(known))}")
    if not wanted or parsed["include-default-warnings"]:
        every = [name for name in known if name != checkconfig_github.APP_INSTALLATION]
        wanted += every if parsed["expensive-checks"] else [*checkconfig.DEFAULT]
    if parsed["github-app-id"] and parsed["github-app-private-key-path"]:
        wanted.append(checkconfig_github.APP_INSTALLATION)
    return [name for name in dict.fromkeys(wanted) if name not in excluded]


def _check(parsed: flags.Flags, names: Sequence[str], policy: PodPolicy) -> Iterator[Finding]:
    paths = config_flags.paths(parsed.values)
    reader = config_reader.Reader(paths, known_plugins_only=True)
    reader.check_paths()
    try:
        read = reader.read()
    except ConfigErrors as error:
        yield from (_finding(_LOAD, "error", problem) for problem in error.problems)
        return
    if parsed["prow-yaml-repo-name"]:
        yield from _check_in_repo(parsed, read.config, policy)
    facts = _facts(parsed, paths, read)
    active_names = [name for name in names if not (name in checkconfig.OF_PLUGINS and not facts.plugins_path)]
    if any(name in checkconfig.OF_GITHUB for name in active_names):
        said = _ask_github(parsed, facts, active_names)
        facts = msgspec.structs.replace(
            facts, without_owners=said.without_owners, app_installations=said.app_installations
        )
        for name, why in said.failures.items():
            yield Finding(name, "warning", "", 0, f"could not be checked: {why}")
    for name in active_names:
        if checkconfig.WIDER.get(name) in names:
            continue
        yield from (_finding(name, "warning", problem) for problem in checkconfig.EVERY[name](facts))
    for name, check in checkconfig.ALWAYS.items():
        yield from (_finding(name, "error", problem) for problem in check(facts))
    yield from (_finding(_NOTE, "notice", problem) for problem in (*read.warnings, *read.unchecked))


def _ask_github(parsed: flags.Flags, facts: Facts, names: Sequence[str]) -> "checkconfig_asks.Gathered":
    from prow_async.apps import checkconfig_github as asks  # what speaks to GitHub takes long to load

    return asks.gather(parsed, facts.plugins, names)


def _check_in_repo(parsed: flags.Flags, config: Config, policy: PodPolicy) -> Iterator[Finding]:
    """Check the configuration that a repository keeps itself; keys that nobody reads are errors here, as upstream."""
    repo = parsed["prow-yaml-repo-name"]
    if repo.count("/") != 1 or not all(repo.split("/")):
        raise CannotStart(f"{PROGRAM}: --prow-yaml-repo-name={repo} is no org/repo")
    path = parsed["prow-yaml-path"] or _found(repo)
    if not path:
        text = f"{repo}: neither {inrepo.FOLDER} nor {inrepo.FILE} is here: nothing of its own is checked"
        yield Finding(_NOTE, "notice", "", 0, text)
        return
    try:
        listed = config_disk.own_files(path) if os.path.isdir(path) else [path]
        sources = [SourceFile(found, config_disk.read(found)) for found in listed]
    except OSError as error:
        where = error.filename or path
        raise CannotStart(f"{PROGRAM}: --prow-yaml-path: {where}: {error.strerror or error}") from error
    found = inrepo.parse(repo, sources)
    problems = [problem for file in found.files for problem in (*file.problems, *file.unknown)]
    try:
        inrepo.complete(found, config, policy)
    except ConfigErrors as error:
        problems = sorted({*problems, *error.problems})
    yield from (_finding(_LOAD, "error", problem) for problem in problems)


def _found(repo: str) -> str:
    """Return where the repository's own configuration is: here, or where a job has it cloned; "" where it has none."""
    for clone in ("", f"/home/prow/go/src/github.com/{repo}/"):
        if os.path.isdir(f"{clone}{inrepo.FOLDER}"):
            return f"{clone}{inrepo.FOLDER}"
        if os.path.exists(f"{clone}{inrepo.FILE}"):
            return f"{clone}{inrepo.FILE}"
    return ""


def _finding(name: str, severity: str, problem: Problem) -> Finding:
    return Finding(name, severity, problem.file, problem.line, problem.text)


def _facts(parsed: flags.Flags, paths: config_reader.Paths, read: config_reader.Read) -> Facts:
    of_config = _supplementals(paths.supplemental_prow_config_dirs, paths.supplemental_prow_configs_suffix)
    of_plugins = _supplementals(paths.supplemental_plugin_config_dirs, paths.supplemental_plugin_configs_suffix)
    return Facts(
        config=read.config,
        plugins=read.plugins,
        config_path=paths.config_path,
        plugins_path=paths.plugin_config,
        unknown=read.unknown,
        job_files=frozenset(config_disk.job_files(paths.job_config_path)) if paths.job_config_path else frozenset(),
        supplementals=of_config | of_plugins,
        touched={path: _scopes(path) for path in of_config} | {path: _plugin_scopes(path) for path in of_plugins},
        required_annotations=parsed["required-job-annotations"],
        cluster_status=_cluster_status(read.config.plank.build_cluster_status_file),
        main_line=_lines(paths.config_path),
        plugin_place=_places([paths.plugin_config, *of_plugins] if paths.plugin_config else []),
    )


def _supplementals(folders: Sequence[str], suffix: str) -> dict[str, tuple[str, ...]]:
    """Return supplemental files, each with the folders that lead to it."""
    found: dict[str, tuple[str, ...]] = {}
    for folder in folders:
        for path in config_disk.files_ending(folder, suffix):
            inner = os.path.relpath(os.path.dirname(path), folder)
            found[path] = () if inner == "." else tuple(inner.split(os.sep))
    return found


def _plugin_scopes(path: str) -> frozenset[str]:
    parsed = plugin_config_parse.parse(SourceFile(path, config_disk.read(path)), is_main=False)
    return checkconfig_plugins.touched(parsed.config)


def _scopes(path: str) -> frozenset[str]:
    """Return the orgs and repos that a supplemental file sets something for; the file is known to be sound."""
    main = config_parse.parse_supplemental(path, config_disk.read(path)).main
    if main is None:
        return frozenset()
    found = {*main.slack_reporter_configs, *(scope.partition("@")[0] for scope in main.tide.merge_method)}
    if msgspec.structs.replace(main.branch_protection, orgs={}) != BranchProtection():
        found.add(ANY_SCOPE)
    for org, policy in main.branch_protection.orgs.items():
        found |= {f"{org}/{repo}" for repo in policy.repos}
        if not policy.repos or msgspec.structs.replace(policy, repos={}) != OrgPolicy():
            found.add(org)
    for query in main.tide.queries:
        found |= {*query.orgs, *query.repos}
    return frozenset(found)


def _cluster_status(path: str) -> dict[str, str] | None:
    """Read the status of build clusters from a local file; None where there is none."""
    if not path or "://" in path or not os.path.isfile(path):
        return None
    try:
        found = yaml.load(Path(path).read_bytes(), yaml.CSafeLoader)
    except (OSError, yaml.YAMLError) as error:
        raise CannotStart(f"{PROGRAM}: {path}: cannot be read: {error}") from error
    return {str(name): str(status) for name, status in found.items()} if isinstance(found, dict) else {}


def _lines(path: str) -> Callable[[tuple[str | int, ...]], int]:
    documents: list[goyaml.Document] = []

    def line(at: tuple[str | int, ...]) -> int:
        if not documents:
            documents.append(goyaml.load(config_disk.read(path), path))
        return documents[0].line(at)

    return line


def _places(paths: Sequence[str]) -> Callable[[tuple[str | int, ...]], tuple[str, int]]:
    """Return what finds a place of the merged plugin configuration: in the first file that has most of its path."""
    documents: dict[str, goyaml.Document] = {}

    def place(at: tuple[str | int, ...]) -> tuple[str, int]:
        for path in paths if not documents else ():
            documents[path] = goyaml.load(config_disk.read(path), path)
        found = max(paths, key=lambda path: documents[path].depth(at))
        return found, documents[found].line(at)

    return place


def _print(report: Report, parsed: flags.Flags) -> None:
    if parsed["o"] == "json":
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
        return
    for one in report.findings:
        print(annotation(one) if parsed["format"] == "github" else _line(one))
    if report.passed and parsed["format"] == "text":
        print("checkconfig passes without any error!")


def _line(one: Finding) -> str:
    place = f"{one.file}:{one.line}: " if one.line else f"{one.file}: " if one.file else ""
    return printable(f"{place}[{one.warning}] {'error: ' if one.severity == 'error' else ''}{one.text}")


def annotation(one: Finding) -> str:
    """Write a GitHub Actions workflow command. Source: GitHub docs, "Workflow commands"."""
    properties = {"file": one.file, "line": str(one.line) if one.line else "", "title": f"checkconfig {one.warning}"}
    listed = ",".join(f"{key}={_escaped(value, ':,')}" for key, value in properties.items() if value)
    return f"::{one.severity} {listed}::{_escaped(one.text)}"


def _escaped(text: str, more: str = "") -> str:
    return "".join(f"%{ord(c):02X}" if c in "%\r\n" + more else c for c in text)
