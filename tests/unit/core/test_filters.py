"""Which jobs run: branches, changed files, and the five filters."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.api.jobconfig import Postsubmit, Presubmit
from prow_async.core import filters
from tests.unit.core import samples

ALL = filters.Request(test_all=True)


@pytest.mark.parametrize(
    ("branches", "skip", "branch", "allowed"),
    [
        ((), (), "main", True),
        (("main",), (), "main", True),
        (("main",), (), "main-x", True),
        (("^main$",), (), "main-x", False),
        (("a", "b"), (), "b", True),
        (("a", "b"), (), "c", False),
        ((r"release-\d+",), (), "release-12", True),
        ((), ("main",), "main", False),
        ((), ("main",), "main-x", False),
        ((), ("main",), "dev", True),
        (("main",), ("main",), "main", False),
        (("release",), (r"release-1\.",), "release-1.2", False),
        (("release",), (r"release-1\.",), "release-2.0", True),
    ],
)
def test_branches(branches: tuple[str, ...], skip: tuple[str, ...], branch: str, allowed: bool) -> None:
    """Skipped branches lose, named ones must match, both unanchored."""
    job = samples.presubmit(branches=branches, skip_branches=skip)
    assert filters.branch_allows(job, branch) is allowed


@pytest.mark.parametrize(
    ("run", "skip", "files", "asks"),
    [
        (r"\.go$", "", ("a.go",), True),
        (r"\.go$", "", ("a.md", "b.go"), True),
        (r"\.go$", "", ("a.md",), False),
        (r"\.go$", "", (), False),
        ("^docs/", "", ("x/docs/a",), False),
        ("docs/", "", ("x/docs/a",), True),
        ("", r"\.md$", ("a.md",), False),
        ("", r"\.md$", ("a.md", "b.go"), True),
        ("", r"\.md$", (), False),
    ],
)
def test_changes(run: str, skip: str, files: tuple[str, ...], asks: bool) -> None:
    """Any match asks, or any file that does not match the skip pattern; no files ask for nothing."""
    job = samples.presubmit(run_if_changed=run, skip_if_only_changed=skip)
    assert filters.changes_ask(job, files) is asks


AUTO: dict[str, Any] = {"always_run": True}
GO: dict[str, Any] = {"run_if_changed": r"\.go$"}
MANUAL: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("request_", "job", "files", "runs"),
    [
        # by name: forced, whatever the files
        ({"body": "/test unit"}, MANUAL, (), True),
        ({"body": "/test unit"}, GO, ("a.md",), True),
        ({"body": "/test other"}, AUTO, (), False),
        ({"body": "/test unit"}, {"branches": ("dev",)}, (), False),
        ({"body": "/test unit"}, {"trigger": ""}, (), False),
        # test all: what runs by itself
        ({"test_all": True}, AUTO, (), True),
        ({"test_all": True}, MANUAL, (), False),
        ({"test_all": True}, {"run_before_merge": True}, (), False),
        ({"test_all": True}, GO, ("a.go",), True),
        ({"test_all": True}, GO, ("a.md",), False),
        ({"test_all": True}, {"skip_if_only_changed": "md"}, ("a.md",), False),
        ({"test_all": True}, {**AUTO, "optional": True}, (), True),
        ({"test_all": True}, {**AUTO, "skip_branches": ("main",)}, (), False),
        # retest: failed, or automatic and never seen
        ({"retest": True, "failed": {"unit"}, "seen": {"unit"}}, MANUAL, (), True),
        ({"retest": True, "failed": {"unit"}, "seen": {"unit"}}, GO, ("a.md",), True),
        ({"retest": True, "seen": {"unit"}}, AUTO, (), False),
        ({"retest": True}, AUTO, (), True),
        ({"retest": True}, MANUAL, (), False),
        ({"retest": True}, GO, ("a.md",), False),
        ({"retest": True}, GO, ("a.go",), True),
        ({"retest": True, "failed": {"unit"}, "seen": {"unit"}}, {"optional": True}, (), True),
        # retest-required: the same without optional ones
        ({"retest_required": True, "failed": {"unit"}, "seen": {"unit"}}, MANUAL, (), True),
        ({"retest_required": True, "failed": {"unit"}, "seen": {"unit"}}, {"optional": True}, (), False),
        ({"retest_required": True}, AUTO, (), True),
        ({"retest_required": True}, {**AUTO, "optional": True}, (), False),
        # test-manual-required
        ({"test_manual_required": True}, MANUAL, (), True),
        ({"test_manual_required": True}, {"optional": True}, (), False),
        ({"test_manual_required": True}, AUTO, (), False),
        ({"test_manual_required": True}, GO, ("a.go",), False),
        # the first filter that matches decides: by name beats everything, retest beats test all
        ({"body": "/test unit", "test_all": True}, GO, ("a.md",), True),
        ({"retest": True, "test_all": True, "failed": {"unit"}, "seen": {"unit"}}, GO, ("a.md",), True),
        ({"retest": True, "test_all": True, "seen": {"unit"}}, AUTO, (), True),
        ({}, AUTO, (), False),
    ],
)
def test_choice(request_: dict[str, Any], job: dict[str, Any], files: tuple[str, ...], runs: bool) -> None:
    """Each filter runs exactly the jobs it should on branch main."""
    sets: dict[str, Any] = {k: frozenset(v) if isinstance(v, set) else v for k, v in request_.items()}
    request = filters.Request(**sets)
    (choice,) = filters.choose(request, [samples.presubmit(**job)], "main", files)
    assert (choice.runs, bool(choice.why)) == (runs, True)


@pytest.mark.parametrize(
    ("request_", "job", "wants"),
    [
        (ALL, AUTO, False),
        (ALL, MANUAL, False),
        (ALL, GO, True),
        (ALL, {**GO, "branches": ("dev",)}, False),
        (filters.Request(body="/test unit"), GO, False),
        (filters.Request(body="/test other"), GO, False),
        (filters.Request(retest=True), GO, True),
        (filters.Request(retest=True, failed=frozenset({"unit"}), seen=frozenset({"unit"})), GO, False),
    ],
)
def test_wants_files(request_: filters.Request, job: dict[str, Any], wants: bool) -> None:
    """Changed files are asked for only where they make a difference."""
    assert filters.wants_files(request_, [samples.presubmit(**job)], "main") is wants


JOBS = st.builds(
    samples.presubmit,
    always_run=st.booleans(),
    optional=st.booleans(),
    run_if_changed=st.sampled_from(["", "go$", "md$"]),
    branches=st.sampled_from([(), ("main",), ("dev",)]),
)
REQUESTS = st.builds(
    filters.Request,
    body=st.sampled_from(["", "/test unit"]),
    test_all=st.booleans(),
    retest=st.booleans(),
    retest_required=st.booleans(),
    test_manual_required=st.booleans(),
    failed=st.sampled_from([frozenset(), frozenset({"unit"})]),
    seen=st.just(frozenset({"unit"})),
)


@given(REQUESTS, JOBS, st.lists(st.sampled_from(["a.go", "b.md"]), unique=True))
def test_files_only_matter_when_wanted(request: filters.Request, job: Presubmit, files: list[str]) -> None:
    """Where wants_files says no, the files change nothing."""
    if not filters.wants_files(request, [job], "main"):
        assert (
            filters.choose(request, [job], "main", files)[0].runs is filters.choose(request, [job], "main", ())[0].runs
        )


@pytest.mark.parametrize(
    ("job", "runs"),
    [
        ({}, True),
        ({"always_run": True}, True),
        ({"always_run": False}, False),
        ({"run_if_changed": "go$"}, True),
        ({"run_if_changed": "md$"}, False),
        ({"skip_if_only_changed": "go$"}, False),
        ({"always_run": False, "run_if_changed": "go$"}, True),
        ({"branches": ("dev",)}, False),
    ],
)
def test_postsubmits(job: dict[str, Any], runs: bool) -> None:
    """A postsubmit runs on every push to its branches unless files or always_run say otherwise."""
    (choice,) = filters.choose_postsubmits([Postsubmit(name="p", **job)], "main", ["a.go"])
    assert (choice.runs, bool(choice.why)) == (runs, True)


@pytest.mark.parametrize(
    ("job", "explicit", "required"),
    [
        ({}, True, True),
        (AUTO, False, True),
        (GO, False, True),
        ({"optional": True}, True, False),
        ({"skip_report": True}, True, False),
    ],
)
def test_kinds(job: dict[str, Any], explicit: bool, required: bool) -> None:
    """Jobs that need a command, and contexts a merge needs."""
    made = samples.presubmit(**job)
    assert (filters.needs_explicit_trigger(made), filters.context_required(made)) == (explicit, required)


def test_explain() -> None:
    """Reasons come once each, the jobs that run first."""
    jobs = [
        samples.presubmit("a"),
        samples.presubmit("b", **AUTO),
        samples.presubmit("c", **AUTO),
        samples.presubmit("d"),
    ]
    assert filters.explain(filters.choose(ALL, jobs, "main", ())) == (
        "runs: b, c (it runs by itself)\ndoes not run: a, d (it runs only when a command names it)"
    )
