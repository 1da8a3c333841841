"""Warnings about branch protection, level by level."""

import pytest

from prow_async.api.config import Config
from prow_async.api.plugin_config import PluginConfig
from prow_async.core import checkconfig_protection, config_load
from prow_async.core.checkconfig_facts import Check, Facts
from prow_async.core.config_load import SourceFile

UNMANAGED: list[tuple[str, list[str]]] = [
    ("{unmanaged: true}", []),
    ("{unmanaged: true, protect: true}", ["branch-protection: is unmanaged, yet has settings of its own"]),
    ("{unmanaged: true, orgs: {o: {}, p: {}}}", ["branch-protection: is unmanaged, yet has settings below it: o, p"]),
    ("{unmanaged: true, protect: true, orgs: {o: {unmanaged: false}}}", []),
    ("{unmanaged: true, orgs: {o: {repos: {r: {unmanaged: false}}}}}", []),
    ("{orgs: {o: {unmanaged: true}}}", []),
    ("{orgs: {o: {unmanaged: true, repos: {r: {branches: {b: {unmanaged: false}}}}}}}", []),
    (
        "{orgs: {o: {unmanaged: true, repos: {r: {unmanaged: false}, q: {}}}}}",
        ["branch-protection.orgs.o: is unmanaged, yet has settings below it: q"],
    ),
    (
        "{orgs: {o: {repos: {r: {unmanaged: true, branches: {b: {protect: true}}}}}}}",
        ["branch-protection.orgs.o.repos.r: is unmanaged, yet has settings below it: b"],
    ),
    (
        "{orgs: {o: {repos: {r: {branches: {b: {unmanaged: true, protect: true}}}}}}}",
        ["branch-protection.orgs.o.repos.r.branches.b: is unmanaged, yet has settings of its own"],
    ),
]
CHECKS = "required_status_checks: {strict: true}"
STRICT: list[tuple[str, str, list[str]]] = [
    ("orgs: [o]", f"{{protect: true, {CHECKS}}}", ["branch-protection: is strict for everything, but tide merges"]),
    ("", f"{{protect: true, {CHECKS}}}", []),
    ("orgs: [o]", f"{{orgs: {{o: {{{CHECKS}}}}}}}", []),
    (
        "orgs: [o]",
        f"{{protect: true, orgs: {{o: {{{CHECKS}, repos: {{r: {{}}}}}}}}}}",
        ["branch-protection: o is strict, but tide merges there"],
    ),
    (
        "repos: [o/z]",
        f"{{protect: true, orgs: {{o: {{{CHECKS}, repos: {{r: {{protect: false}}}}}}}}}}",
        ["branch-protection: o/z is strict, but tide merges there"],
    ),
    ("repos: [o/r]", f"{{protect: true, orgs: {{o: {{{CHECKS}, repos: {{r: {{protect: false}}}}}}}}}}", []),
    (
        "orgs: [o]",
        f"{{orgs: {{o: {{repos: {{r: {{branches: {{b: {{protect: true, {CHECKS}}}}}}}, q: {{}}}}}}}}}}",
        ["branch-protection: o/r is strict, but tide merges there"],
    ),
    (
        "orgs: [o], excludedRepos: [o/r]",
        f"{{orgs: {{o: {{repos: {{r: {{protect: true, {CHECKS}}}}}}}}}}}",
        [],
    ),
]


def config(queries: str, protection: str) -> Config:
    text = f"branch-protection: {protection}\n" + (f"tide: {{queries: [{{{queries}}}]}}\n" if queries else "")
    return config_load.load(SourceFile("config.yaml", text.encode())).config


def found(check: Check, queries: str, protection: str) -> list[str]:
    facts = Facts(config=config(queries, protection), plugins=PluginConfig(), config_path="config.yaml")
    return [problem.text for problem in check(facts)]


@pytest.mark.parametrize(("protection", "expected"), UNMANAGED)
def test_what_is_unmanaged_has_no_settings(protection: str, expected: list[str]) -> None:
    """But what says `unmanaged: false` below it has."""
    assert found(checkconfig_protection.unmanaged, "", protection) == expected


@pytest.mark.parametrize(("queries", "protection", "expected"), STRICT)
def test_tide_does_not_merge_where_branches_are_strict(queries: str, protection: str, expected: list[str]) -> None:
    """One strict branch counts for its repo; a repo that is none of it is left out."""
    assert found(checkconfig_protection.strict_branches, queries, protection) == expected
