"""How one ProwJob stands, in words for a person."""

from collections.abc import Iterable

from prow_async.api.views import JobView
from prow_async.core import instants
from prow_async.core.slots import Standing

Line = tuple[float, str]
"""When, in seconds since the epoch, and what."""


def text(
    name: str, job: JobView | None, standing: Standing | None, story: Iterable[Line], reports: Iterable[str] = ()
) -> str:
    """Say state, why, and what happened last.

    Args:
        standing: where it stands in line, None when it does not wait.
        reports: what its reporters are about.
    """
    lines = [f"ProwJob {name}"]
    if job is None:
        lines.append("is gone: it was finished and has been swept away, or somebody deleted it")
    else:
        lines += [*_facts(job), *(f"          {line}" for line in reports)]
        if job.state == "scheduling":
            lines.append("waits     for a controller manager with --enable-controller=scheduler to name its cluster")
        if standing is not None:
            lines.append(f"waits     {ordinal(standing.place)} of {standing.of} in line: {standing.why}")
    lines += ["", "what happened last in this process:"]
    lines += [f"  {instants.rfc3339(at)}  {line}" for at, line in story] or ["  (nothing remembered)"]
    return "\n".join(lines) + "\n"


def ordinal(number: int) -> str:
    """Write 1st, 2nd, 3rd, 4th ..."""
    if number % 100 in {11, 12, 13}:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def _facts(job: JobView) -> list[str]:
    pulls = " ".join(f"#{p.number}@{p.sha[:10]}" for p in job.pulls)
    refs = f"{job.full_name} {job.base_ref}@{job.base_sha[:10]} {pulls}".rstrip() if job.org else "-"
    attempts = f", {job.revivals} pods lost before" if job.revivals else ""
    limits = [f"max_concurrency {job.max_concurrency}"] if job.max_concurrency else []
    limits += [f"queue {job.job_queue_name}"] if job.job_queue_name else []
    return [
        f"job       {job.job} ({job.type})",
        f"refs      {refs}",
        f"state     {job.state}" + (f": {job.description}" if job.description else ""),
        *([f"failure   {job.failure_class}"] if job.failure_class else []),
        f"cluster   {job.cluster}, pod {job.pod_name or '(none yet)'}, build {job.build_id or '(none yet)'}{attempts}",
        *([f"limits    {', '.join(limits)}"] if limits else []),
        f"times     started {_at(job.start_s)}, pending {_at(job.pending_s)}, done {_at(job.completion_s)}",
        f"cause     {job.cause or '(not recorded)'}",
        f"reported  {', '.join(f'{k}: {v}' for k, v in job.reported.items()) or '(nothing yet)'}",
    ]


def _at(seconds: float | None) -> str:
    return "-" if seconds is None else instants.rfc3339(seconds)
