"""What a run of the bench finds, as it stands in the JSON files."""

from typing import Literal

import msgspec

SystemName = Literal["bare", "ours"]


class Spread(msgspec.Struct, frozen=True):
    """Milliseconds; None where nothing was seen."""

    p50: float | None
    p99: float | None


class Life(msgspec.Struct, frozen=True):
    """Job life at one rate with one system, all its runs together."""

    created: int
    done: int
    posted_per_s: float
    drain_s: float
    """The longest wait from the last post of a run to its last job done."""
    pod_seen_ms: Spread
    done_ms: Spread
    ended_ms: Spread
    """From the pod's success to the ProwJob's."""
    cpu_ms_per_job: float
    writes_per_job: float
    api_server_cpu_ms_per_job: float
    """kube-apiserver and etcd together."""
    foreign_share: float
    """Share of the machine's CPU that strangers used, in the worst run: many such, and the figures say little."""


class Rate(msgspec.Struct, frozen=True):
    rate: float
    seconds: float
    rounds: int
    bare: Life
    ours: Life


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What one system took of more jobs than it can take; medians of the rounds."""

    created: int
    done: int
    sustained_per_s: float
    cpu_ms_per_job: float
    writes_per_job: float
    foreign_share: float


class Saturated(msgspec.Struct, frozen=True, kw_only=True):
    """Both systems offered more than they can take. Ratios are medians of each round's own, ours to bare."""

    offered_per_s: float
    in_flight: int
    """So many jobs at most were posted and not done."""
    seconds: float
    rounds: int
    bare: Taken
    ours: Taken
    rate_ratio: float
    cpu_ratio: float


class Writes(msgspec.Struct, frozen=True, kw_only=True):
    """Whole lives of jobs with every component in one process, as the API server counts writes, a job."""

    jobs: int
    whole_per_job: float
    """All writes after a job's creation, to the deletion of pod and ProwJob; pod finalizers aside."""
    finalizers_per_job: float
    by_action: dict[str, float]
    """The same as our own metrics have it, by kind of action, a job; writes of other kinds are not in it."""
    reports: dict[str, int]
    """Reports that worked, by reporter."""


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """One controller at rest for some seconds: with no jobs, then with many that wait for a slot."""

    waiting: int
    seconds: float
    none_cpu_ms: float
    """CPU time of the controller in that time."""
    waiting_cpu_ms: float
    turns: int
    """Of job actors, in the time with jobs that wait."""


class Lag(msgspec.Struct, frozen=True):
    """Edges of histogram buckets: it was at most so much. None: beyond the last edge, or nothing seen."""

    rate: float
    p99_ms: float | None
    max_ms: float | None


class Memory(msgspec.Struct, frozen=True):
    prowjobs: int
    served_bytes_per_prowjob: int
    peak_mb: float
    """VmHWM in units of 10^6 bytes, all components in the process, the worst of the rounds."""
    resting_mb: float
    """The same with no ProwJobs."""
    ready_s: float
    """From the start of the process to ready, the mean of the rounds."""
    bare_list_s: float
    """The mean of the rounds."""
    rounds: int


class Intake(msgspec.Struct, frozen=True):
    """Webhooks accepted a second, the medians of the rounds. `detail` is what bench.intake has written."""

    bare_per_s: float
    ours_per_s: float
    ratio: float
    p99_ratio: float
    detail: object = None


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Loading configuration in fresh processes, medians of the rounds. `bare` is CSafeLoader alone on the same files.

    Ratios are medians of each round's own ratio.
    """

    copies: int
    jobs: int
    size_mb: float
    bare_s: float
    cold_s: float
    cold_ratio: float
    cached_s: float
    cached_ratio: float
    one_ms: float
    """One changed file among all."""
    one_parse_ms: float
    """CSafeLoader on that file alone."""
    linearity: float
    """The ratio to bare with all copies over the same ratio with one copy: 1 is linear."""
    peak_mb: float
    stall_ms: float
    """The longest time that a running event loop stood still while everything was reloaded."""
    rounds: int


class Uploads(msgspec.Struct, frozen=True, kw_only=True):
    """Uploading one run to a folder in fresh processes, medians of the rounds. `bare` copies the files one by one."""

    log_mb: int
    artifacts: int
    bare_s: float
    ours_s: float
    ratio: float
    """Median of each round's own ratio."""
    peak_mb: float
    rounds: int


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Starting one pod utility with nothing to do, medians of the starts. `bare` is `python -c pass`."""

    program: str
    starts: int
    bare_ms: float
    ours_ms: float
    ratio: float
    """Median of each pair's own ratio."""
    bare_peak_mb: float
    peak_mb: float


class Censoring(msgspec.Struct, frozen=True, kw_only=True):
    """Taking secrets out of a log on one core in fresh processes, medians of the rounds. `bare` reads and writes."""

    log_mb: int
    secrets: int
    masked: int
    """Pieces of 256 KiB in which a secret stood."""
    bare_mb_per_s: float
    ours_mb_per_s: float
    ours_mb_per_cpu_s: float
    """The same by the process' own CPU time: what a machine that does nothing else would show."""
    ratio: float
    """Of times, ours to bare; median of each round's own ratio."""
    peak_mb: float
    rounds: int


class Stage(msgspec.Struct, frozen=True):
    """A part of a run, from the end of the one before it to its own."""

    name: str
    ms: float


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """`prow-async run` of one job, medians of the runs. `bare` is what the job comes to, in a shell by hand."""

    job: str
    runs: int
    bare_ms: float
    ours_ms: float
    added_ms: float
    """Median of each pair's own difference."""
    stages: list[Stage]
    """Where ours goes, measured in runs of their own."""


class Decorated(msgspec.Struct, frozen=True, kw_only=True):
    """A decorated job that does nothing, on the embedded default, from its webhook to its final status."""

    jobs: int
    whole_ms: Spread
    git_ms: Spread
    """What the clone records say of git's commands."""
    test_ms: Spread
    own_ms: Spread
    """The whole without git and test, of each job."""
    bare_ms: Spread
    """The same git commands and the test by a plain loop, on the same machine at rest."""
    ratio: float
    """Median of each job's own ratio."""


class Triggering(msgspec.Struct, frozen=True, kw_only=True):
    """Webhooks of a trusted author's pushes, to ProwJobs on the real API server."""

    deliveries: int
    delay_ms: float
    """Of every call to GitHub."""
    beyond_calls_ms: Spread
    """To the one ProwJob of a delivery, without the time in which calls to GitHub were under way."""
    created: int
    all_created_ms: Spread
    """To the last of so many ProwJobs, with a GitHub that answers at once."""
    first_reads: int
    """The most that trigger alone read with for the first push to a pull request; 304s do not count."""
    second_reads: int
    every_plugin_reads: int
    """The most that all plugins read with for one push."""
    every_plugin_distinct: int


class Check(msgspec.Struct, frozen=True):
    """One thing asked for. `passed` is None where this run cannot tell."""

    what: str
    asked: str
    found: str
    passed: bool | None


class Results(msgspec.Struct, frozen=True, kw_only=True):
    date: str
    kind: str
    """`full`, `quick`, and the part where only one was run."""
    cpu: str
    cpus: int
    versions: dict[str, str]
    jobs: list[Rate] = []
    lag: Lag | None = None
    saturated: Saturated | None = None
    writes: Writes | None = None
    waiting: Waiting | None = None
    memory: list[Memory] = []
    """The fewest ProwJobs first."""
    intake: Intake | None = None
    config: Config | None = None
    uploads: Uploads | None = None
    podutils: list[Start] = []
    censor: Censoring | None = None
    run: list[Added] = []
    decorated: Decorated | None = None
    triggering: Triggering | None = None
    notes: list[str] = []
    checks: list[Check] = []
