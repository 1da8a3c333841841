"""What people are told who ask why the jobs of a pull request did or did not run."""

from collections.abc import Iterator, Sequence

from prow_async.api.explained import Answer, Explained, JobAnswer
from prow_async.core import instants

Decided = tuple[Explained, Answer | None]
"""A decision and what it says when taken again; None where it can only be told as it was then."""


def text(place: str, decided: Sequence[Decided], now: Answer | None, job: str = "") -> str:
    """Render the answer.

    Args:
        place: `org/repo#number`.
        decided: oldest first.
        now: what would be decided if the pull request were pushed to at this moment; None when nobody asked.
        job: tell of this job alone; empty tells of all.
    """
    return "\n".join([*_lines(place, decided, now, job), ""])


def _lines(place: str, decided: Sequence[Decided], now: Answer | None, job: str) -> Iterator[str]:
    yield f"{place}{f' {job}' if job else ''}"
    if not decided:
        yield "nothing decided about it is on record here"
    for record, answer in decided:
        yield ""
        yield f"{instants.rfc3339(record.decided_s)}  {record.plugin}: {_printable(record.occasion)}"
        yield f"  delivery {record.guid}"
        if answer is None:
            yield from (f"  {_printable(line)}" for line in record.why.splitlines())
        else:
            yield from _answer(answer, job)
        yield from (f"  did: {_printable(line)}" for line in record.outcome if not job or _names(line, job))
    if now is not None:
        yield ""
        yield "a push at this moment, by what GitHub and the configuration say now:"
        yield from _answer(now, job)


def _answer(answer: Answer, job: str) -> Iterator[str]:
    if answer.target:
        yield f"  at {_printable(answer.target)}"
    if answer.why_not:
        yield f"  starts nothing: {_printable(answer.why_not)}"
        if not job:
            return
    shown = [one for one in answer.jobs if not job or one.job == job]
    if job and not shown:
        yield f"  {job}: no job of this name is configured here"
        return
    width = max((len(one.job) for one in shown), default=0)
    for one in sorted(shown, key=lambda one: not one.runs):
        yield f"  {one.job:<{width}}  {'runs' if one.runs else 'does not run'}: {_printable(one.why)}{_hint(one)}"


def _hint(one: JobAnswer) -> str:
    return "" if one.runs or not one.command else f" ({_printable(one.command)!r} starts it)"


def _names(line: str, job: str) -> bool:
    """True when an action's line is of the job, or of no job at all."""
    return not line.startswith("CreateProwJob: ") or line.startswith(f"CreateProwJob: {job}: ")


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in line)
