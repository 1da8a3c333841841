"""Commands in comments, and the help people get."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.core import commands
from tests.unit.core import samples

JOBS = (
    samples.presubmit("unit", always_run=True),
    samples.presubmit("lint", optional=True),
    samples.presubmit("go", run_if_changed="go$"),
)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (commands.TEST_ALL, "/test all", True),
        (commands.TEST_ALL, "/test all,", True),
        (commands.TEST_ALL, "hello\r\n/test all\r\nbye", True),
        (commands.TEST_ALL, "/test all please", True),
        (commands.TEST_ALL, "/test allx", False),
        (commands.TEST_ALL, " /test all", False),
        (commands.TEST_ALL, "/Test all", False),
        (commands.TEST_ALL, "say /test all", False),
        (commands.RETEST, "/retest", True),
        (commands.RETEST, "/retest  \r", True),
        (commands.RETEST, "/retest x", False),
        (commands.RETEST, "/retest-required", False),
        (commands.RETEST_REQUIRED, "a\n/retest-required\nb", True),
        (commands.RETEST_REQUIRED, "/retest-required x", False),
        (commands.TEST_MANUAL_REQUIRED, "/test-manual-required", True),
        (commands.TEST_MANUAL_REQUIRED, "/test-manual-required x", False),
        (commands.OK_TO_TEST, "/ok-to-test", True),
        (commands.OK_TO_TEST, "/ok-to-test cancel", False),
        (commands.OK_TO_TEST, "not /ok-to-test", False),
        (commands.OK_TO_TEST_CANCEL, "/ok-to-test cancel", True),
        (commands.OK_TO_TEST_CANCEL, "/ok-to-test   cancel \n", True),
        (commands.OK_TO_TEST_CANCEL, "/ok-to-test", False),
        (commands.TEST_QUESTION, "/test ?", True),
        (commands.TEST_QUESTION, "/test?", True),
        (commands.TEST_QUESTION, "/test what?", False),
        (commands.TEST_BARE, "/test", True),
        (commands.TEST_BARE, "/test unit", False),
        (commands.RETEST_TARGET, "/retest unit", True),
        (commands.RETEST_TARGET, "/retest\nunit", False),
        (commands.TEST_TARGET, "/test unit", True),
        (commands.TEST_TARGET, "/test\nunit", False),
        (commands.ANY_TEST, "/test x", True),
        (commands.ANY_TEST, "/retest", True),
        (commands.ANY_TEST, "/ok-to-test", False),
    ],
)
def test_patterns(pattern: str, text: str, found: bool) -> None:
    """Commands stand alone at the start of a line, in lower case."""
    assert commands.says(pattern, text) is found


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ("a\nb", "a\nb"),
        ("a\n```\n/test all\n```\nb", "a\nb"),
        ("a\n```sh\n/test all\n```  \nb", "a\nb"),
        ("~~~\n/test all\n```\nstill\n~~~\nb", "b"),
        ("a\n```\nopen", "a"),
        ("```sh\n```python\n/test all\n```\nb", "b"),
        ("````\n```\n/test all\n```\n````\nb", "b"),
        ("```\n/test all\n`````\nb", "b"),
        ("```\n~~~\n/test all\n``` x\n```\nb", "b"),
        ("``` `/test all` ```\n/test all", "``` `/test all` ```\n/test all"),
        ("``\n/test all\n``", "``\n/test all\n``"),
        ("  ```\n/test all\n  ```", "  ```\n/test all\n  ```"),
        ("`/test all`", "`/test all`"),
        ("a\r\n```\r\nx\r\n```\r\nb", "a\r\nb"),
        ("", ""),
    ],
)
def test_without_code(body: str, left: str) -> None:
    """Fenced code is left out; an indented fence is text."""
    assert commands.without_code(body) == left


@given(st.lists(st.sampled_from(["```", "~~~", "/test all", "text", ""])))
def test_without_code_adds_nothing(lines: list[str]) -> None:
    """What is left are lines of the body, in order, none of them a fence."""
    rest = iter(lines)
    for line in commands.without_code("\n".join(lines)).split("\n") if lines else []:
        assert line == "" or line in rest
        assert line not in {"```", "~~~"}


@pytest.mark.parametrize(
    ("text", "matters"),
    [
        ("looks good", False),
        ("/lgtm", False),
        ("/test unit", True),
        ("/test nothing-here", True),
        ("/retest", True),
        ("/ok-to-test cancel", True),
        ("/run special", True),
    ],
)
def test_concerns(text: str, matters: bool) -> None:
    """A comment matters when it holds a command, or any job's own trigger."""
    jobs = (*JOBS, samples.presubmit("s", trigger=r"(?m)^/run special\s*$"))
    assert commands.concerns(text, jobs) is matters


@pytest.mark.parametrize(
    ("body", "chosen", "note"),
    [
        ("/test ?", 0, ""),
        ("/test ?\n/test unit", 1, ""),
        ("/test", 0, commands.NOTE_BARE),
        ("/retest unit", 0, commands.NOTE_RETEST_TARGET),
        ("/retest unit\n/test unit", 1, commands.NOTE_RETEST_TARGET),
        ("/test all", 0, commands.NOTE_NO_TEST_ALL),
        ("/test all", 1, None),
        ("/test nope", 0, commands.NOTE_UNKNOWN),
        ("/test nope\n/test unit", 1, None),
        ("/retest", 0, None),
        ("/ok-to-test", 0, None),
    ],
)
def test_help_note(body: str, chosen: int, note: str | None) -> None:
    """Help is given when asked for, and when a command cannot be followed."""
    assert commands.help_note(body, chosen) == note


@pytest.mark.parametrize(
    ("body", "honour", "expected"),
    [
        ("/test all", False, (True, False, False, False)),
        ("/ok-to-test", True, (True, False, False, False)),
        ("/ok-to-test", False, (False, False, False, False)),
        ("/retest", True, (False, True, False, False)),
        ("/retest-required", True, (False, False, True, False)),
        ("/test-manual-required", True, (False, False, False, True)),
        ("/test all\n/retest", True, (True, True, False, False)),
    ],
)
def test_request_of(body: str, honour: bool, expected: tuple[bool, ...]) -> None:
    """Each command sets its own part of the request."""
    asked = commands.request_of(body, honour, frozenset(), frozenset())
    assert (asked.test_all, asked.retest, asked.retest_required, asked.test_manual_required) == expected


def test_offer() -> None:
    """Help lists rerun commands by what a merge needs, and the names that run by themselves."""
    dev_only = samples.presubmit("dev", branches=("dev",))
    odd = samples.presubmit("odd", rerun_command="/never matches")
    assert commands.offer((*JOBS, dev_only, odd), "main", ("a.go",)) == commands.Offer(
        test_all=("go", "unit"), required=("/test go", "/test unit"), optional=("/test lint",)
    )
    assert commands.offer(JOBS, "main", ("a.md",)).test_all == ("unit",)


@pytest.mark.parametrize(
    ("offered", "has", "lacks"),
    [
        (commands.Offer((), (), ()), ["No presubmit jobs are there to run for o/r@main."], ["/test"]),
        (
            commands.Offer(("a",), ("/test a",), ("/test b",)),
            ["note", "```\n/test a\n```", "```\n/test b\n```", "start by themselves:\n```\na\n```"],
            ["all of them"],
        ),
        (commands.Offer(("a", "b"), ("/test a", "/test b"), ()), ["```\n/test a\n```\n```\n/test b\n```"], []),
        (commands.Offer(("a",), ("/test a",), ()), ["`/test all` runs all of them."], ["optional"]),
        (commands.Offer((), (), ("/test b",)), ["optional"], ["/test all", "required"]),
    ],
)
def test_help_text(offered: commands.Offer, has: list[str], lacks: list[str]) -> None:
    """The reply lists what there is and ends with the mark by which it is found again."""
    text = commands.help_text("note", offered, "o/r", "main")
    assert all(part in text for part in has)
    assert not any(part in text for part in lacks)
    assert text.endswith(commands.HELP_MARKER)
