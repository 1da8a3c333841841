"""What is asked of the figures, mostly as ratios to the bare loop of the same run: ratios travel, figures do not."""

from collections.abc import Iterator

from bench.results import (
    Added,
    Censoring,
    Check,
    Config,
    Decorated,
    Intake,
    Life,
    Memory,
    Rate,
    Results,
    Triggering,
    Uploads,
)

BARE_CPU_MS = 2.0
CPU_RATIO = 3.0
CPU_RATES = (20.0, 80.0)
"""At 2 jobs a second the kernel's clock ticks and a resting process' own work blur the figure."""
POD_SEEN_RATE, POD_SEEN_RATIO = 20.0, 2.0
SUSTAINED_RATE = 80.0
SUSTAINED_DRAIN_S = 2.0
SUSTAINED_POSTED = 0.97
WRITES = 3.0
PROWJOBS, PEAK_MB = 20_000, 200.0
READY_LONGER_S = 4.0
INTAKE_RATIO = 0.7
CONFIG_COLD_RATIO, CONFIG_CACHED_RATIO = 1.5, 0.4
CONFIG_ONE_MS, CONFIG_ONE_RATIO = 20.0, 1.5
CONFIG_LINEARITY = 1.25
CONFIG_PEAK_MB, CONFIG_STALL_MS = 400.0, 50.0
UPLOADS_RATIO, UPLOADS_PEAK_MB = 1.3, 100.0
CENSOR_MB_PER_S = 150.0
DECORATED_WHOLE_MS, DECORATED_OWN_MS = 1500.0, 700.0
BEYOND_CALLS_MS, ALL_CREATED_MS = 50.0, 500.0
FIRST_READS, SECOND_READS, EVERY_PLUGIN_READS = 3, 1, 9
"""Upstream's hook reads 18 times for one push with 21 plugins on, 9 of them distinct."""
RUN_ADDED_MS = 300.0


def checks(results: Results) -> list[Check]:
    """Return every check this run can make; parts that were not run are left out."""
    found: list[Check] = []
    for rate in results.jobs:
        found += _rate(rate)
    if results.memory is not None:
        found += _memory(results.memory)
    if results.intake is not None:
        found.append(_intake(results.intake))
    if results.config is not None:
        found += _config(results.config)
    if results.uploads is not None:
        found += _uploads(results.uploads)
    if results.censor is not None:
        found.append(_censor(results.censor))
    found += [_run(added) for added in results.run]
    if results.decorated is not None:
        found += _decorated(results.decorated)
    if results.triggering is not None:
        found += _triggering(results.triggering)
    return found


def unmeasured(what: str) -> Check:
    """Return the check of a part that was asked for and could not be measured."""
    return Check(what, "to be measured", "nothing measured", False)


def _rate(row: Rate) -> Iterator[Check]:
    at = f"at {row.rate:g} jobs/s"
    yield Check(f"all jobs done {at}", "done = created", _done(row.ours), row.ours.done == row.ours.created)
    yield Check(
        f"controller writes a job {at}",
        f"<= {WRITES:g}",
        f"{row.ours.writes_per_job:g}",
        row.ours.writes_per_job <= WRITES,
    )
    if row.rate in CPU_RATES:
        bare, ours = row.bare.cpu_ms_per_job, row.ours.cpu_ms_per_job
        yield Check(f"the bare loop's CPU a job {at}", f"<= {BARE_CPU_MS:g} ms", f"{bare:.2f} ms", bare <= BARE_CPU_MS)
        yield Check(f"CPU a job {at}, ours to bare", f"<= {CPU_RATIO:g}", *_ratio(ours, bare, CPU_RATIO))
    if row.rate == POD_SEEN_RATE:
        yield Check(
            f"p50 of created -> pod seen {at}, ours to bare",
            f"<= {POD_SEEN_RATIO:g}",
            *_ratio(row.ours.pod_seen_ms.p50, row.bare.pod_seen_ms.p50, POD_SEEN_RATIO),
        )
    if row.rate == SUSTAINED_RATE:
        kept_up = row.ours.drain_s <= SUSTAINED_DRAIN_S and row.ours.posted_per_s >= SUSTAINED_POSTED * row.rate
        yield Check(
            f"{row.rate:g} jobs/s sustained",
            f"done = created, the last one <= {SUSTAINED_DRAIN_S:g} s after its post",
            f"{_done(row.ours)} posted at {row.ours.posted_per_s:.1f}/s, {row.ours.drain_s:.1f} s",
            kept_up and row.ours.done == row.ours.created,
        )


def _memory(memory: Memory) -> Iterator[Check]:
    full = memory.prowjobs >= PROWJOBS
    of = f"{memory.prowjobs:,} finished ProwJobs"
    yield Check(
        f"peak memory with {of}",
        f"<= {PEAK_MB:g} MB" if full else f"<= {PEAK_MB:g} MB with {PROWJOBS:,}",
        f"{memory.peak_mb:.0f} MB",
        memory.peak_mb <= PEAK_MB if full else None,
    )
    longer_s = memory.ready_s - memory.bare_list_s
    yield Check(
        f"start to ready with {of}, beyond the bare list",
        f"<= {READY_LONGER_S:g} s",
        f"{longer_s:.1f} s",
        longer_s <= READY_LONGER_S,
    )


def _intake(intake: Intake) -> Check:
    found = f"{intake.ratio:.2f}"
    return Check(
        "webhooks accepted a second, ours to bare", f">= {INTAKE_RATIO:g}", found, intake.ratio >= INTAKE_RATIO
    )


def _config(found: Config) -> Iterator[Check]:
    of = f"{found.copies} copies, {found.jobs:,} jobs"

    def most(what: str, value: float, limit: float, unit: str = "") -> Check:
        return Check(f"{what} ({of})", f"<= {limit:g}{unit}", f"{value:.2f}{unit}", value <= limit)

    one_ms = CONFIG_ONE_MS + CONFIG_ONE_RATIO * found.one_parse_ms
    yield most("configuration cold, to CSafeLoader alone", found.cold_ratio, CONFIG_COLD_RATIO)
    yield most("configuration from the parse cache, to CSafeLoader alone", found.cached_ratio, CONFIG_CACHED_RATIO)
    yield most("one changed file", found.one_ms, round(one_ms, 1), " ms")
    yield most("growth from 1 copy to all, to linear", found.linearity, CONFIG_LINEARITY)
    yield most("peak memory of loading configuration", found.peak_mb, CONFIG_PEAK_MB, " MB")
    yield most("event-loop stall while all is reloaded", found.stall_ms, CONFIG_STALL_MS, " ms")


def _done(life: Life) -> str:
    return f"{life.done} of {life.created}"


def _ratio(ours: float | None, bare: float | None, most: float) -> tuple[str, bool]:
    """Return the ratio for people, and whether it is at most that. Nothing measured is a failure."""
    if ours is None or not bare:
        return "nothing measured", False
    return f"{ours / bare:.2f}", ours / bare <= most


def _uploads(found: Uploads) -> Iterator[Check]:
    for what, value, asked, unit in (
        ("uploads to a folder, to a bare copy", found.ratio, UPLOADS_RATIO, ""),
        ("peak memory of uploading", found.peak_mb, UPLOADS_PEAK_MB, " MB"),
    ):
        yield Check(what, f"<= {asked:g}{unit}", f"{value:g}{unit}", value <= asked)


def _censor(found: Censoring) -> Check:
    what = f"a log censored on one core ({found.secrets} secrets)"
    enough = found.ours_mb_per_s >= CENSOR_MB_PER_S
    return Check(what, f">= {CENSOR_MB_PER_S:g} MB/s", f"{found.ours_mb_per_s:g} MB/s", enough)


def _run(found: Added) -> Check:
    article = "an" if found.job.startswith("u") else "a"
    return Check(
        f"prow-async run of {article} {found.job} job, added",
        f"<= {RUN_ADDED_MS:g} ms",
        f"{found.added_ms:.0f} ms",
        found.added_ms <= RUN_ADDED_MS,
    )


def _decorated(found: Decorated) -> Iterator[Check]:
    for what, spread, asked_ms in (
        ("a decorated job, webhook to status, median", found.whole_ms, DECORATED_WHOLE_MS),
        ("a decorated job, our own share, median", found.own_ms, DECORATED_OWN_MS),
    ):
        median_ms = spread.p50
        said = "nothing measured" if median_ms is None else f"{median_ms:.0f} ms"
        yield Check(what, f"< {asked_ms:g} ms", said, median_ms is not None and median_ms < asked_ms)


def _triggering(found: Triggering) -> Iterator[Check]:
    for what, spread, asked_ms in (
        ("a webhook to its ProwJob, beyond the calls to GitHub, median", found.beyond_calls_ms, BEYOND_CALLS_MS),
        (f"a webhook to the last of {found.created} ProwJobs, median", found.all_created_ms, ALL_CREATED_MS),
    ):
        said = "nothing measured" if spread.p50 is None else f"{spread.p50:.0f} ms"
        yield Check(what, f"<= {asked_ms:g} ms", said, spread.p50 is not None and spread.p50 <= asked_ms)
    for what, reads, most in (
        ("reads of trigger for the first push to a pull request", found.first_reads, FIRST_READS),
        ("reads of trigger for the second push", found.second_reads, SECOND_READS),
        ("reads of all plugins for one push", found.every_plugin_reads, EVERY_PLUGIN_READS),
    ):
        yield Check(what, f"<= {most}", str(reads), reads <= most)
    distinct = found.every_plugin_distinct
    yield Check(
        "reads of all plugins that are distinct",
        "all",
        f"{distinct} of {found.every_plugin_reads}",
        distinct == found.every_plugin_reads,
    )
