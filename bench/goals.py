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
    Saturated,
    Triggering,
    Uploads,
    Waiting,
    Writes,
)

BARE_CPU_MS = 2.0
CPU_RATIO = 2.0
CPU_RATES = (20.0, 80.0)
"""At 2 jobs a second the kernel's clock ticks and a resting process' own work blur the figure."""
LATENCY_RATE, P50_RATIO, P99_RATIO = 20.0, 1.5, 3.0
SATURATED_RATIO = 0.85
WHOLE_WRITES = 7.0
WAITING_CPU_MS_PER_S = 2.0
"""Less is lost in the noise of a resting process on a machine with other work."""
SUSTAINED_RATE = 80.0
SUSTAINED_DRAIN_S = 2.0
SUSTAINED_POSTED = 0.97
WRITES = 3.0
PEAKS_MB = {20_000: 160.0, 100_000: 300.0}
READY_PROWJOBS, READY_LONGER_S = 20_000, 2.0
INTAKE_RATIO, INTAKE_P99_RATIO = 0.7, 2.0
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
    if results.saturated is not None:
        found += _saturated(results.saturated)
    if results.writes is not None:
        found += _writes(results.writes)
    if results.waiting is not None:
        found += _waiting(results.waiting)
    for memory in results.memory:
        found += _memory(memory)
    if results.intake is not None:
        found += _intake(results.intake)
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
    if row.rate == LATENCY_RATE:
        for what, ours_ms, bare_ms in (
            ("created -> pod seen", row.ours.pod_seen_ms, row.bare.pod_seen_ms),
            ("pod done -> ProwJob complete", row.ours.ended_ms, row.bare.ended_ms),
        ):
            for name, ours_at, bare_at, most in (
                ("p50", ours_ms.p50, bare_ms.p50, P50_RATIO),
                ("p99", ours_ms.p99, bare_ms.p99, P99_RATIO),
            ):
                found = _ratio(ours_at, bare_at, most)
                yield Check(f"{name} of {what} {at}, ours to bare", f"<= {most:g}", *found)
    if row.rate == SUSTAINED_RATE:
        kept_up = row.ours.drain_s <= SUSTAINED_DRAIN_S and row.ours.posted_per_s >= SUSTAINED_POSTED * row.rate
        yield Check(
            f"{row.rate:g} jobs/s sustained",
            f"done = created, the last one <= {SUSTAINED_DRAIN_S:g} s after its post",
            f"{_done(row.ours)} posted at {row.ours.posted_per_s:.1f}/s, {row.ours.drain_s:.1f} s",
            kept_up and row.ours.done == row.ours.created,
        )


def _saturated(found: Saturated) -> Iterator[Check]:
    ours = found.ours
    offered = f"{found.offered_per_s:g} jobs/s offered"
    yield Check(
        f"all jobs done, {offered}", "done = created", f"{ours.done} of {ours.created}", ours.done == ours.created
    )
    rate_found = f"{found.rate_ratio:.2f} ({ours.sustained_per_s:.0f} of {found.bare.sustained_per_s:.0f} a second)"
    enough = found.rate_ratio >= SATURATED_RATIO
    yield Check(f"sustained rate, ours to bare, {offered}", f">= {SATURATED_RATIO:g}", rate_found, enough)
    cheap = 0 < found.cpu_ratio <= CPU_RATIO
    yield Check(f"CPU a job, ours to bare, {offered}", f"<= {CPU_RATIO:g}", f"{found.cpu_ratio:.2f}", cheap)


def _writes(found: Writes) -> Iterator[Check]:
    what = "writes in a job's whole life, with reports and deletion, pod finalizers aside"
    few = 0 < found.whole_per_job <= WHOLE_WRITES
    yield Check(what, f"<= {WHOLE_WRITES:g}", f"{found.whole_per_job:g}", few)


def _waiting(found: Waiting) -> Iterator[Check]:
    of = f"{found.waiting:,} jobs that wait, {found.seconds:g} s at rest"
    most_ms = WAITING_CPU_MS_PER_S * found.seconds
    more_ms = found.waiting_cpu_ms - found.none_cpu_ms
    yield Check(f"CPU beyond that with none: {of}", f"<= {most_ms:g} ms", f"{more_ms:.0f} ms", more_ms <= most_ms)
    yield Check(f"turns of job actors: {of}", "0", str(found.turns), found.turns == 0)


def _memory(memory: Memory) -> Iterator[Check]:
    of = f"{memory.prowjobs:,} finished ProwJobs"
    asked_mb = PEAKS_MB.get(memory.prowjobs)
    yield Check(
        f"peak memory with {of}",
        "nothing" if asked_mb is None else f"<= {asked_mb:g} MB",
        f"{memory.peak_mb:.0f} MB",
        None if asked_mb is None else memory.peak_mb <= asked_mb,
    )
    if memory.prowjobs <= READY_PROWJOBS:
        longer_s = memory.ready_s - memory.bare_list_s
        what = f"start to ready with {of}, beyond the bare list"
        yield Check(what, f"<= {READY_LONGER_S:g} s", f"{longer_s:.1f} s", longer_s <= READY_LONGER_S)


def _intake(intake: Intake) -> Iterator[Check]:
    found, p99 = f"{intake.ratio:.2f}", f"{intake.p99_ratio:.2f}"
    yield Check("webhooks accepted a second, ours to bare", f">= {INTAKE_RATIO:g}", found, intake.ratio >= INTAKE_RATIO)
    fine = intake.p99_ratio <= INTAKE_P99_RATIO
    yield Check("p99 of accepting a webhook, ours to bare", f"<= {INTAKE_P99_RATIO:g}", p99, fine)


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
