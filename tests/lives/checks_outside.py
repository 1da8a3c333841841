"""What must hold of pods that live, of limits, deadlines, storage and leases, at the end of every life."""

import math
from collections.abc import Iterable, Iterator

import msgspec

from tests.lives import setup
from tests.lives.checks import FINAL, Check, Evidence, say, straggles
from tests.lives.ledger import Life

ENDS_WITHIN_S = 1500.0
"""Of trouble's end or its creation: what its pods may wait for a machine (plank's deadlines), and for their turn."""


def no_live_pod_is_deleted(seen: Evidence) -> Iterator[str]:
    """The engine takes away only pods that have ended, were lost, or whose ProwJob was over or aborted by then."""
    by_uid = {job.uid: job for job in seen.worlds.jobs}
    for cluster in seen.worlds.clusters.values():
        for pod in cluster.pods.lives.values():
            at_s = _deleted_s(pod)
            if at_s is None or pod.uid in cluster.node.lost or _finished(pod, at_s):
                continue
            job = by_uid.get(pod.attempt[0])
            if job is not None and not _over(job, at_s) and not straggles(seen, pod, job):
                yield f"pod {pod.name} (attempt {pod.attempt[1]}) was deleted alive, while {say(job)} went on"


def _deleted_s(pod: Life) -> float | None:
    times = (s.at_s for s in pod.states if s.kind == "DELETED" or "deletionTimestamp" in s.content["metadata"])
    return next(times, None)


def _finished(pod: Life, at_s: float) -> bool:
    return any(
        s.at_s <= at_s and s.content.get("status", {}).get("phase") in {"Succeeded", "Failed"} for s in pod.states
    )


def _over(job: Life, at_s: float) -> bool:
    return any(
        s.at_s <= at_s and (s.kind == "DELETED" or s.content["status"].get("state") in FINAL) for s in job.states
    )


def limits_hold(seen: Evidence) -> Iterator[str]:
    """At no moment more jobs run than may: together, of a queue, of a job."""
    events: list[tuple[float, int, Life]] = []
    for job in seen.worlds.jobs:
        pods = [pod for pod in seen.worlds.pods if pod.attempt[0] == job.uid and not straggles(seen, pod, job)]
        for began_s, ended_s in _ran(job, pods):
            events += [(began_s, 1, job), (ended_s, 0, job)]
    running: set[str] = set()
    by_uid = {job.uid: job for job in seen.worlds.jobs}
    for at_s, begins, job in sorted(events, key=lambda event: event[:2]):
        (running.add if begins else running.discard)(job.uid)
        now = [by_uid[uid] for uid in running]
        same = [one for one in now if one.spec("job") == job.spec("job")]
        queued = [one for one in now if one.spec("job_queue_name") == job.spec("job_queue_name")]
        limit, queue = job.spec("max_concurrency") or 0, job.spec("job_queue_name")
        over = len(now) > setup.TOTAL or (limit and len(same) > limit) or (queue and len(queued) > setup.QUEUES[queue])
        if begins and over:
            yield f"at {at_s:.2f} {len(now)} jobs run, {len(same)} of {job.spec('job')}: {', '.join(map(say, now))}"


def _ran(job: Life, pods: list[Life]) -> list[tuple[float, float]]:
    """Return from when to when a job ran: while it was pending, and while a pod of it was there before its end.

    One whose pod was taken away before anything was written down runs no more: it stands in line once again.
    """

    def first(times: Iterable[float]) -> float:
        return min(times, default=math.inf)

    def state(*names: str) -> float:
        return first(s.at_s for s in job.states if s.content["status"].get("state") in names)

    ended_s = first(s.at_s for s in job.states if s.kind == "DELETED" or s.content["status"].get("completionTime"))
    spans = [(state("pending"), min(ended_s, state("aborted")))]
    spans += [(p.states[0].at_s, min(ended_s, first(s.at_s for s in p.states if s.kind == "DELETED"))) for p in pods]
    whole: list[tuple[float, float]] = []
    for begins_s, ends_s in sorted(span for span in spans if span[0] < span[1]):
        if whole and begins_s <= whole[-1][1]:
            whole[-1] = whole[-1][0], max(ends_s, whole[-1][1])
        else:
            whole.append((begins_s, ends_s))
    return whole


def jobs_end_in_time(seen: Evidence) -> Iterator[str]:
    """Every ProwJob ends within its deadline, trouble aside."""
    since_start_s = seen.worlds.clock.now() - seen.worlds.clock.monotonic()
    for job in seen.worlds.jobs:
        ended = [s.at_s for s in job.states if s.content["status"].get("completionTime")]
        since_s = max(job.created_s, since_start_s + seen.calm_s)
        if not ended or ended[0] > since_s + ENDS_WITHIN_S:
            yield f"{say(job)} did not end within {ENDS_WITHIN_S:.0f} s of its creation, or of the end of trouble"


def runs_are_stored(seen: Evidence) -> Iterator[str]:
    """Of each run there is one finished.json that tells how it ended and never told otherwise; nothing of no run."""
    stored = dict(seen.worlds.buckets.contents)
    finished = {path: states for (_, path), states in stored.items() if path.endswith("/finished.json")}
    known: set[str] = set()
    for job in seen.worlds.jobs:
        build_id = job.status("build_id")
        if not build_id:
            continue
        tail = f"/{job.spec('job')}/{build_id}/finished.json"
        paths = [path for path in finished if path.endswith(tail)]
        known.update(paths)
        if len(paths) != 1:
            yield f"{say(job)} of build {build_id} has {len(paths)} finished.json"
            continue
        told = [msgspec.json.decode(content) for content in finished[paths[0]]]
        if any(one != told[0] for one in told):
            yield f"{paths[0]} told different things: {told}"
        if told[-1].get("passed") != (job.status("state") == "success"):
            yield f"{paths[0]} says {told[-1]}; {say(job)}"
        folder = paths[0].removesuffix("finished.json")
        if job.spec("refs") is not None and not any(path == f"{folder}started.json" for _, path in stored):
            yield f"{folder} holds no started.json"
        latest = next((states[-1] for (_, path), states in stored.items() if path == _latest_of(paths[0])), b"")
        if not latest.isdigit() or int(latest) < int(build_id):
            yield f"{_latest_of(paths[0])} tells of {latest!r}, and {paths[0]} is newer"
    yield from (f"{path} belongs to no run" for path in finished if path not in known)


def _latest_of(path: str) -> str:
    """Return where the newest build of a run's job is told, for jobs without a pull request; else of that one."""
    return f"{path.rsplit('/', 2)[0]}/latest-build.txt"


def nobody_trespasses(seen: Evidence) -> Iterator[str]:
    """No replica that others have replaced sends a write to an API server."""
    yield from seen.trespasses


ALL: tuple[Check, ...] = (no_live_pod_is_deleted, limits_hold, jobs_end_in_time, runs_are_stored, nobody_trespasses)
