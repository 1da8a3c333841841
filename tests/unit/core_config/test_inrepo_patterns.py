"""What patterns of a repository's own jobs may cost: bounded as they are read, and tried beside the event loop."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.api.errors import Refused
from prow_async.api.inrepo import Answers, Texts
from prow_async.api.jobconfig import Postsubmit, Presubmit, Source
from prow_async.core import commands, filters, inrepo_patterns, patterns
from tests.unit.core import samples

SLOW = "(a|b)*a(a|b){400}c"
"""A state for each set of places in a text of a and b: RE2 gives up on states and walks 1,209 instructions a letter."""


def own(name: str, **changes: Any) -> Presubmit:
    return Presubmit(name=name, source=Source(".prow.yaml", 3), **changes)


def problems(*jobs: Presubmit | Postsubmit) -> list[str]:
    return [str(problem) for problem in inrepo_patterns.problems(jobs, ".prow.yaml")]


def ticking(step_s: float = 1.0) -> Callable[[], float]:
    return (tick * step_s for tick in itertools.count()).__next__


def test_what_people_write_is_far_below_every_bound() -> None:
    """A thousand jobs, each with patterns of its own."""
    jobs = [
        own(f"pull-{n}", run_if_changed=rf"^(pkg/part-{n}/.*|.*\\.go|Makefile)$", branches=("main", r"release-\\d+"))
        for n in range(1000)
    ]
    assert problems(*jobs) == []
    posts = [Postsubmit(name=f"post-{n}", skip_if_only_changed=r"^docs/|\\.md$") for n in range(1000)]
    assert problems(*posts) == []


@pytest.mark.parametrize("field", ["trigger", "run_if_changed", "skip_if_only_changed"])
def test_one_large_pattern_is_told_with_its_job(field: str) -> None:
    [told] = problems(own("fine"), own("large", **{field: "(a|b){1000}(a|b){1000}(a|b){1000}"}))
    assert told.startswith(f'.prow.yaml:3: job "large": {field}: a pattern of ')
    assert told.endswith("instructions; 5000 are allowed")


def test_many_patterns_are_told_where_it_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no further pattern is compiled then; one that many jobs share counts once."""
    jobs = [own(f"j{n}", run_if_changed=f"{SLOW}{n}") for n in range(1000)]
    compiled: list[str] = []
    compile_ = patterns.compile
    monkeypatch.setattr(patterns, "compile", lambda text: (compiled.append(text), compile_(text))[1])
    [told] = problems(*jobs)
    assert "come to more than 200000 instructions, up to job" in told
    assert len(compiled) < 400
    assert problems(*(own(f"j{n}", trigger="x", rerun_command="x", run_if_changed=SLOW) for n in range(1000))) == []


def test_patterns_that_do_not_compile_count_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes as long to find out that a pattern is too large. What is wrong with a few of them others tell."""
    too_large = [own(f"j{n}", run_if_changed=rf"\\pL{{1000}}{n}") for n in range(1000)]
    tried: list[str] = []
    monkeypatch.setattr(inrepo_patterns, "_size", lambda pattern: tried.append(pattern) if "pL" in pattern else 1)
    [told] = problems(*too_large)
    assert "instructions, up to job" in told
    assert sum("pL" in pattern for pattern in tried) == 10
    assert problems(*too_large[:3]) == []


def test_a_pattern_longer_than_everything_is_not_even_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "compile", None)
    [told] = problems(own("x", trigger="a" * 300_000))
    assert "a pattern of 300000 instructions" in told


@pytest.mark.parametrize(
    "jobs",
    [
        [own("x", trigger=SLOW, rerun_command="a" * 100_000)],
        [own(f"j{n}", branches=(f"{SLOW}{n}",)) for n in range(100)],
        [own(f"j{n}", context="c", branches=("a" * 2_000,)) for n in range(10)]
        + [own(f"k{n}", context="c", skip_branches=(f"{SLOW}{n}",)) for n in range(2)],
    ],
    ids=["commands", "branches", "branches against branches"],
)
def test_what_they_are_tried_on_as_they_are_read_counts(jobs: list[Presubmit]) -> None:
    [told] = problems(*jobs)
    assert told.endswith("are too large for the branches and commands they are tried on")


JOBS = (
    own("unit", trigger="(?m)^/test unit", run_if_changed="go$"),
    own("lint", trigger="(?m)^/lint", skip_if_only_changed="md$"),
    own("same", trigger="(?m)^/lint", run_if_changed="go$", skip_if_only_changed=""),
    Postsubmit(name="post", run_if_changed="py$"),
)


def test_each_question_is_asked_once() -> None:
    texts = Texts(visible="/lint", body="/lint\n```\n/test unit\n```", files=("a.go", "b.md"))
    clock = ticking()
    assert inrepo_patterns.ask(JOBS, texts, clock, 99) == Answers(
        visible={"(?m)^/test unit": False, "(?m)^/lint": True},
        body={"(?m)^/test unit": True, "(?m)^/lint": True},
        runs={"go$": True, "py$": False},
        skips={"md$": True},
    )
    size = {text: patterns.compile(text).size for text in ("(?m)^/test unit", "(?m)^/lint", "go$", "py$", "md$")}
    lines = len(texts.visible) + len(texts.body)
    assert inrepo_patterns.steps(JOBS, texts) == (
        (size["(?m)^/test unit"] + size["(?m)^/lint"]) * lines + (size["go$"] + size["py$"] + size["md$"]) * 8
    )


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (Texts(visible="x" * 70), 'more than 2 s against a comment; given up at job "'),
        (Texts(body="x" * 70), 'more than 2 s against a comment; given up at job "'),
        (Texts(files=tuple("abcde")), 'more than 2 s against 5 changed files; given up at job "unit"'),
    ],
)
def test_given_up_when_the_time_is_over(texts: Texts, told: str) -> None:
    with pytest.raises(Refused, match=told):
        inrepo_patterns.ask(JOBS, texts, ticking(1.5), 2)


@given(st.lists(st.sampled_from(["a.go", "b.md", "c.py"])), st.sampled_from(["", "/lint", "x\n/test unit", "no"]))
def test_answers_change_nothing_but_who_asks(files: list[str], body: str) -> None:
    """Decided with answers, and on the spot: the same."""
    texts = Texts(visible=body, body=body, files=tuple(files))
    answers = inrepo_patterns.ask(JOBS, texts, ticking(), 1e9)
    pre = [job for job in JOBS if isinstance(job, Presubmit)]
    assert commands.concerns(body, pre, answers) == commands.concerns(body, pre)
    for test_all in (False, True):
        bare = filters.Request(body=body, test_all=test_all)
        told = filters.Request(body=body, test_all=test_all, answers=answers)
        assert filters.choose(told, pre, "main", files) == filters.choose(bare, pre, "main", files)
    posts = [job for job in JOBS if isinstance(job, Postsubmit)]
    assert filters.choose_postsubmits(posts, "main", files, answers) == filters.choose_postsubmits(posts, "main", files)


def test_what_is_answered_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    job = samples.presubmit("go", run_if_changed="go$")
    answers = Answers(body={job.trigger: True}, visible={job.trigger: True}, runs={"go$": True}, skips={"md$": False})
    monkeypatch.setattr(patterns, "compile", None)
    assert filters.named(job, "/test go", answers.body)
    assert filters.changes_ask(job, ("x",), answers)
    assert not filters.changes_ask(samples.presubmit(skip_if_only_changed="md$"), ("x",), answers)
