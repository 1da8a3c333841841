"""Renders results as Markdown tables that read well in a terminal too, and writes them where they are kept."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.results import (
    Added,
    Censoring,
    Config,
    Decorated,
    Intake,
    Lag,
    Life,
    Memory,
    Rate,
    Results,
    Saturated,
    Spread,
    Start,
    Taken,
    Triggering,
    Uploads,
    Waiting,
    Writes,
)

HERE = Path(__file__).resolve().parent
LATEST = HERE / "results" / "latest.json"
HISTORY = HERE / "results" / "history.jsonl"
PAGE = HERE.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
VERDICT = {True: "PASS", False: "FAIL", None: "not judged"}
JOB_HEAD = (
    "jobs/s",
    "system",
    "created -> pod seen, p50 / p99 ms",
    "created -> done, p50 / p99 ms",
    "pod done -> ProwJob complete, p50 / p99 ms",
    "done / created",
    "CPU ms a job",
    "writes a job",
    "last done after, s",
    "API server CPU ms a job",
    "strangers' CPU",
)

SATURATED_HEAD = ("system", "done a second", "CPU ms a job", "writes a job", "done / created", "strangers' CPU")

START_HEAD = ("program", "starts", "ours, ms", "python -c pass, ms", "ratio", "peak, MB", "python -c pass, MB")

RUN_HEAD = ("job", "runs", "ours, ms", "in a shell, ms", "added, ms")


def render(results: Results) -> str:
    """Return everything there is to say of a run."""
    parts = [_heading(results)]
    if results.jobs:
        parts += ["**Job life**", _table(JOB_HEAD, [row for rate in results.jobs for row in _life_rows(rate)])]
    if results.lag is not None:
        parts.append(_lag(results.lag))
    parts += _on_cluster(results)
    if results.intake is not None:
        parts += ["**Webhooks accepted**", _table(("", "bare", "ours", "ratio"), _intake_rows(results.intake))]
    if results.config is not None:
        parts += ["**Configuration**", _table(("what", "ours", "CSafeLoader", "ratio"), _config_rows(results.config))]
    if results.uploads is not None:
        parts += ["**Uploads to a folder**", _table(("what", "ours", "bare", "ratio"), _upload_rows(results.uploads))]
    if results.podutils:
        parts += ["**Starts of the pod utilities**", _table(START_HEAD, [_start_row(one) for one in results.podutils])]
    if results.censor is not None:
        parts += ["**Censoring**", _table(("what", "ours", "bare", "ratio"), _censor_rows(results.censor))]
    parts += _whole(results)
    if results.checks:
        rows = [(check.what, check.asked, check.found, VERDICT[check.passed]) for check in results.checks]
        parts += ["**Asked and found**", _table(("what", "asked", "found", "verdict"), rows)]
    parts += [f"Note: {note}" for note in results.notes]
    return "\n\n".join(parts) + "\n"


def _on_cluster(results: Results) -> list[str]:
    """Return what is said of the controllers, job life at steady rates aside."""
    parts: list[str] = []
    if results.saturated is not None:
        parts += ["**More jobs than it can take**", _table(SATURATED_HEAD, _saturated_rows(results.saturated))]
    if results.writes is not None:
        parts += ["**Writes in a job's whole life**", _table(("what", "a job"), _writes_rows(results.writes))]
    if results.waiting is not None:
        parts += ["**Jobs that wait**", _table(("at rest", "CPU, ms", "turns"), _waiting_rows(results.waiting))]
    if results.memory:
        rows = [row for memory in results.memory for row in _memory_rows(memory)]
        rows.append(("peak (VmHWM), no ProwJobs", f"{results.memory[0].resting_mb:.1f} MB", ""))
        parts += ["**Memory and start**", _table(("what", "ours", "bare list"), rows)]
    return parts


def _whole(results: Results) -> list[str]:
    """Return what is said of whole ways through the system."""
    parts: list[str] = []
    if results.decorated is not None:
        rows = _decorated_rows(results.decorated)
        parts += ["**Decorated jobs**", _table((f"{results.decorated.jobs} jobs", "p50, ms", "p99, ms"), rows)]
    if results.run:
        parts += ["**prow-async run**", _table(RUN_HEAD, [_run_row(added) for added in results.run])]
        parts += [_table((f"where it goes, {one.job}", "ms"), _stage_rows(one)) for one in results.run]
    if results.triggering is not None:
        rows = _triggering_rows(results.triggering)
        parts += ["**Webhooks to ProwJobs**", _table((f"{results.triggering.deliveries} pushes", "p50", "p99"), rows)]
    return parts


def _heading(results: Results) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    return f"{results.date}, {results.kind} run; {results.cpus} x {results.cpu}; {versions}."


def _life_rows(rate: Rate) -> list[tuple[str, ...]]:
    bare, ours = rate.bare, rate.ours
    ratios = (
        f"{rate.rate:g}",
        "ours / bare",
        f"{_over(ours.pod_seen_ms.p50, bare.pod_seen_ms.p50)} / {_over(ours.pod_seen_ms.p99, bare.pod_seen_ms.p99)}",
        f"{_over(ours.done_ms.p50, bare.done_ms.p50)} / {_over(ours.done_ms.p99, bare.done_ms.p99)}",
        f"{_over(ours.ended_ms.p50, bare.ended_ms.p50)} / {_over(ours.ended_ms.p99, bare.ended_ms.p99)}",
        "",
        _over(ours.cpu_ms_per_job, bare.cpu_ms_per_job),
        _over(ours.writes_per_job, bare.writes_per_job),
        "",
        _over(ours.api_server_cpu_ms_per_job, bare.api_server_cpu_ms_per_job),
        "",
    )
    return [_life_row(rate.rate, "bare", bare), _life_row(rate.rate, "ours", ours), ratios]


def _life_row(rate: float, name: str, life: Life) -> tuple[str, ...]:
    return (
        f"{rate:g}",
        name,
        f"{_ms(life.pod_seen_ms.p50)} / {_ms(life.pod_seen_ms.p99)}",
        f"{_ms(life.done_ms.p50)} / {_ms(life.done_ms.p99)}",
        f"{_ms(life.ended_ms.p50)} / {_ms(life.ended_ms.p99)}",
        f"{life.done} / {life.created}",
        f"{life.cpu_ms_per_job:.2f}",
        f"{life.writes_per_job:.2f}",
        f"{life.drain_s:.2f}",
        f"{life.api_server_cpu_ms_per_job:.1f}",
        f"{life.foreign_share:.0%}",
    )


def _lag(lag: Lag) -> str:
    p99, worst = _ms(lag.p99_ms), _ms(lag.max_ms)
    return f"Loop lag of ours at {lag.rate:g} jobs/s: p99 at most {p99} ms, the worst at most {worst} ms."


def _saturated_rows(found: Saturated) -> list[tuple[str, ...]]:
    def row(name: str, taken: Taken) -> tuple[str, ...]:
        figures = (f"{taken.sustained_per_s:.1f}", f"{taken.cpu_ms_per_job:.2f}", f"{taken.writes_per_job:.2f}")
        return (name, *figures, f"{taken.done} / {taken.created}", f"{taken.foreign_share:.0%}")

    ratios = ("ours / bare", f"x {found.rate_ratio:.2f}", f"x {found.cpu_ratio:.2f}", "", "", "")
    return [row("bare", found.bare), row("ours", found.ours), ratios]


def _writes_rows(found: Writes) -> list[tuple[str, ...]]:
    return [
        (f"after its creation, of {found.jobs} jobs, pod finalizers aside", f"{found.whole_per_job:g}"),
        ("pod finalizers", f"{found.finalizers_per_job:g}"),
        *((f"by our own metrics: {name}", f"{value:g}") for name, value in found.by_action.items()),
        *((f"reports of {name}", f"{value / found.jobs:g}") for name, value in found.reports.items()),
    ]


def _waiting_rows(found: Waiting) -> list[tuple[str, ...]]:
    return [
        (f"{found.seconds:g} s with no jobs", f"{found.none_cpu_ms:.0f}", ""),
        (f"{found.seconds:g} s with {found.waiting:,} that wait", f"{found.waiting_cpu_ms:.0f}", str(found.turns)),
    ]


def _memory_rows(memory: Memory) -> list[tuple[str, ...]]:
    many = f"{memory.prowjobs:,} finished ProwJobs of {memory.served_bytes_per_prowjob:,} bytes as served"
    return [
        (f"peak (VmHWM), {many}", f"{memory.peak_mb:.1f} MB", ""),
        (
            f"start to ready with {memory.prowjobs:,}; the list alone",
            f"{memory.ready_s:.2f} s",
            f"{memory.bare_list_s:.2f} s",
        ),
    ]


def _intake_rows(intake: Intake) -> list[tuple[str, ...]]:
    rate = "a second", f"{intake.bare_per_s:,.0f}", f"{intake.ours_per_s:,.0f}", f"{intake.ratio:.2f}"
    return [rate, ("p99 of the answers", "", "", f"{intake.p99_ratio:.2f}")]


def _config_rows(found: Config) -> list[tuple[str, ...]]:
    bare = f"{found.bare_s:.3f} s"
    of = f"{found.copies} copies, {found.size_mb:g} MB, {found.jobs:,} jobs"
    return [
        (f"cold, {of}", f"{found.cold_s:.3f} s", bare, f"{found.cold_ratio:.2f}"),
        ("from the parse cache", f"{found.cached_s:.3f} s", bare, f"{found.cached_ratio:.2f}"),
        ("one changed file", f"{found.one_ms:.1f} ms", f"{found.one_parse_ms:.1f} ms", ""),
        ("10 copies to 1, over linear", f"{found.linearity:.2f}", "", ""),
        ("peak (VmHWM)", f"{found.peak_mb:.1f} MB", "", ""),
        ("longest stall of the loop", f"{found.stall_ms:.1f} ms", "", ""),
    ]


def _upload_rows(found: Uploads) -> list[tuple[str, ...]]:
    of = f"a log of {found.log_mb:,} MB, {found.artifacts:,} artifacts"
    return [
        (of, f"{found.ours_s:.2f} s", f"{found.bare_s:.2f} s", f"{found.ratio:.2f}"),
        ("peak (VmHWM)", f"{found.peak_mb:.1f} MB", "", ""),
    ]


def _start_row(one: Start) -> tuple[str, ...]:
    figures = (one.ours_ms, one.bare_ms, one.ratio, one.peak_mb, one.bare_peak_mb)
    return (one.program, str(one.starts), *(f"{figure:g}" for figure in figures))


def _censor_rows(found: Censoring) -> list[tuple[str, ...]]:
    of = f"{found.log_mb:,} MB, {found.secrets} secrets, in {found.masked:,} pieces"
    return [
        (of, f"{found.ours_mb_per_s:.0f} MB/s", f"{found.bare_mb_per_s:.0f} MB/s", f"{found.ratio:.2f}"),
        ("the same by CPU time", f"{found.ours_mb_per_cpu_s:.0f} MB/s", "", ""),
        ("peak (VmHWM)", f"{found.peak_mb:.1f} MB", "", ""),
    ]


def _run_row(added: Added) -> tuple[str, ...]:
    figures = (added.ours_ms, added.bare_ms, added.added_ms)
    return (added.job, str(added.runs), *(f"{figure:.0f}" for figure in figures))


def _stage_rows(added: Added) -> list[tuple[str, ...]]:
    return [(stage.name, f"{stage.ms:.1f}") for stage in added.stages]


def _decorated_rows(found: Decorated) -> list[tuple[str, ...]]:
    def row(name: str, spread: Spread) -> tuple[str, ...]:
        return name, _ms(spread.p50), _ms(spread.p99)

    return [
        row("webhook to final status", found.whole_ms),
        row("of it git", found.git_ms),
        row("of it the test", found.test_ms),
        row("of it our own share", found.own_ms),
        row("git and test by a plain loop", found.bare_ms),
        ("the whole to the plain loop", f"x {found.ratio:.2f}", ""),
    ]


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _over(ours: float | None, bare: float | None) -> str:
    return "-" if ours is None or not bare else f"x {ours / bare:.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, rows)])


def write(results: Results) -> None:
    """Write latest.json, add a line to history.jsonl; a full run's tables go into the page too."""
    LATEST.parent.mkdir(exist_ok=True)
    LATEST.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    with HISTORY.open("ab") as history:
        history.write(msgspec.json.encode(results) + b"\n")
    if results.kind == "full":
        PAGE.write_text(with_figures(PAGE.read_text(), render(results)))


def with_figures(page: str, figures: str) -> str:
    """Return the page with what stands between its two marks replaced. Raises ValueError where they are missing."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the marks {BEGIN} and {END}")
    return f"{head}{BEGIN}\n\n{figures}\n{END}{tail}"


def _triggering_rows(found: Triggering) -> list[tuple[str, ...]]:
    beyond, created = found.beyond_calls_ms, found.all_created_ms
    return [
        (f"one ProwJob, beyond calls of {found.delay_ms:.0f} ms each, ms", _ms(beyond.p50), _ms(beyond.p99)),
        (f"last of {found.created} ProwJobs, GitHub at once, ms", _ms(created.p50), _ms(created.p99)),
        ("reads, first and second push", str(found.first_reads), str(found.second_reads)),
        ("reads with all plugins, all and distinct", str(found.every_plugin_reads), str(found.every_plugin_distinct)),
    ]
