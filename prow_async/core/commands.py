"""Commands in comments: what is recognised, and what people are told when a command cannot be followed.

Source: upstream pkg/plugins/trigger/generic-comment.go, pkg/pjutil/{filter,help}.go, pkg/markdown. Commands are
case-sensitive and stand at the start of a line.
"""

from collections.abc import Iterable

import msgspec

from prow_async.api.inrepo import NOT_ASKED, Answers
from prow_async.api.jobconfig import Presubmit
from prow_async.core import filters, patterns

TEST_ALL = r"(?m)^/test all,?($|\s.*)"
RETEST = r"(?m)^/retest\s*$"
RETEST_REQUIRED = r"(?m)^/retest-required\s*$"
TEST_MANUAL_REQUIRED = r"(?m)^/test-manual-required\s*$"
OK_TO_TEST = r"(?m)^/ok-to-test\s*$"
OK_TO_TEST_CANCEL = r"(?m)^/ok-to-test\s+cancel\s*$"
TEST_QUESTION = r"(?m)^/test[ \t]*\?\s*$"
TEST_BARE = r"(?m)^/test\s*$"
RETEST_TARGET = r"(?m)^/retest[ \t]+\S+"
TEST_TARGET = r"(?m)^/test[ \t]+\S+"
ANY_TEST = r"(?m)^/(re)?test"

_KNOWN = (
    TEST_ALL,
    RETEST,
    RETEST_REQUIRED,
    TEST_MANUAL_REQUIRED,
    OK_TO_TEST,
    OK_TO_TEST_CANCEL,
    TEST_QUESTION,
    TEST_BARE,
    RETEST_TARGET,
    TEST_TARGET,
)

HELP_MARKER = "<!-- prow test help -->"
"""In every help reply, so that the next command can take old help away."""
WHY_MAX = 200
"""So many jobs are explained in one reply."""
NOTE_BARE = "`/test` needs one or more names of jobs to run."
NOTE_RETEST_TARGET = "`/retest` takes no names: it runs what failed. To run one job, say `/test NAME`."
NOTE_NO_TEST_ALL = "Nothing here can be run by `/test all`."
NOTE_UNKNOWN = "I know no job by the names given with `/test`."


class Offer(msgspec.Struct, frozen=True):
    """What can be run here. `test_all` are job names, the other two rerun commands; each sorted, without doubles."""

    test_all: tuple[str, ...]
    required: tuple[str, ...]
    optional: tuple[str, ...]


def says(pattern: str, text: str) -> bool:
    """True when one of the patterns above is found in the text."""
    return bool(patterns.compile(pattern).search(text))


def without_code(body: str) -> str:
    """Drop fenced code blocks, fences and all, as GitHub shows them. An indented fence is text.

    Upstream ends a block at nothing but a bare fence of three before a line feed, so that a block in a comment from
    GitHub's own form (its lines end in CR LF), a longer fence and a block left open are text there.
    """
    kept: list[str] = []
    fence = ""
    for line in body.split("\n"):
        opened = "" if fence else _fence(line)
        if fence:
            end = line.rstrip()
            fence = "" if len(end) >= len(fence) and not end.strip(fence[0]) else fence
        elif opened:
            fence = opened
        else:
            kept.append(line)
    return "\n".join(kept)


def _fence(line: str) -> str:
    """Return the marks that open a block in this line, "" where none does. Backticks behind backticks are inline."""
    mark = line[:1]
    if mark not in {"`", "~"}:
        return ""
    rest = line.lstrip(mark)
    count = len(line) - len(rest)
    return mark * count if count >= 3 and not (mark == "`" and "`" in rest) else ""


def concerns(text: str, jobs: Iterable[Presubmit], answers: Answers = NOT_ASKED) -> bool:
    """True when the text (without code) holds any command of trigger, or any job's own trigger."""
    if any(says(known, text) for known in _KNOWN):
        return True
    return any(filters.named(job, text, answers.visible) for job in jobs)


def wants_statuses(body: str) -> bool:
    """True when the commands need the statuses of the head commit."""
    return says(RETEST, body) or says(RETEST_REQUIRED, body)


def request_of(body: str, honour_ok_to_test: bool, failed: frozenset[str], seen: frozenset[str]) -> filters.Request:
    """Read what a comment asks for. `failed` and `seen` are contexts; see filters.Request."""
    return filters.Request(
        body=body,
        test_all=says(TEST_ALL, body) or (honour_ok_to_test and says(OK_TO_TEST, body)),
        retest=says(RETEST, body),
        retest_required=says(RETEST_REQUIRED, body),
        test_manual_required=says(TEST_MANUAL_REQUIRED, body),
        failed=failed,
        seen=seen,
    )


def help_note(body: str, chosen: int) -> str | None:
    """Return what to tell a person who needs help, empty when help was asked for; None when all is well.

    Args:
        chosen: how many jobs the comment runs.
    """
    if says(TEST_QUESTION, body):
        return ""
    if says(TEST_BARE, body):
        return NOTE_BARE
    if says(RETEST_TARGET, body):
        return NOTE_RETEST_TARGET
    if chosen == 0 and says(TEST_ALL, body):
        return NOTE_NO_TEST_ALL
    if chosen == 0 and says(TEST_TARGET, body):
        return NOTE_UNKNOWN
    return None


def offer(jobs: tuple[Presubmit, ...], branch: str, files: tuple[str, ...], answers: Answers = NOT_ASKED) -> Offer:
    """List what can be run on a branch, as help shows it. `files`: the changed ones."""
    automatic = filters.choose(filters.Request(test_all=True, answers=answers), jobs, branch, files)
    named = [job for job in jobs if filters.branch_allows(job, branch) and says(job.trigger, job.rerun_command)]
    return Offer(
        test_all=tuple(sorted({c.job.name for c in automatic if c.runs})),
        required=tuple(sorted({job.rerun_command for job in named if not job.optional})),
        optional=tuple(sorted({job.rerun_command for job in named if job.optional})),
    )


def help_text(note: str, offered: Offer, full_repo: str, branch: str) -> str:
    """Render the help reply, marker included."""
    count = len(offered.required) + len(offered.optional)
    if not count and not offered.test_all:
        return f"No presubmit jobs are there to run for {full_repo}@{branch}.\n\n{HELP_MARKER}"
    parts = [note] if note else []
    if offered.required:
        parts.append("These commands run required jobs:\n" + _fenced(offered.required))
    if offered.optional:
        parts.append("These commands run optional jobs:\n" + _fenced(offered.optional))
    if offered.test_all and len(offered.test_all) == count:
        parts.append("`/test all` runs all of them.")
    elif offered.test_all:
        parts.append("`/test all` runs these jobs, which also start by themselves:\n" + _fenced(offered.test_all))
    return "\n\n".join([*parts, HELP_MARKER])


def why_text(jobs: tuple[Presubmit, ...], branch: str, files: tuple[str, ...], answers: Answers = NOT_ASKED) -> str:
    """Say of every job, in Markdown, whether it starts by itself here, and why or why not."""
    judged = filters.choose(filters.Request(test_all=True, answers=answers), jobs, branch, files)
    lines = [f"* `{c.job.name}` {'runs' if c.runs else 'does not run'}: {c.why}" for c in judged[:WHY_MAX]]
    if len(judged) > WHY_MAX:
        lines.append(f"* and {len(judged) - WHY_MAX} more")
    return "\n".join(lines)


def _fenced(lines: Iterable[str]) -> str:
    """Put each line into a block of its own: people copy one of them with a click."""
    return "\n".join(f"```\n{line}\n```" for line in lines)
