"""The blob storage reporter: started.json, finished.json, prowjob.json and the pointers to a run."""

import functools
from collections.abc import Hashable, Sequence

import msgspec

from prow_async.actors.reporters.places import NotForUs, Places
from prow_async.actors.reporters.reads import Reads
from prow_async.api import names
from prow_async.api.actions import Action, Decision
from prow_async.api.errors import Refused
from prow_async.api.runrecords import CLONE_RECORDS_FILE, STARTED_FILE
from prow_async.api.views import JobView
from prow_async.core import crier_blobs
from prow_async.ports.reporter import Judgement, Stage


class BlobReporter:
    """Implements ports/reporter.Reporter."""

    name = names.BLOB_REPORTER
    repeatable = True
    in_crowd = 24

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._places = Places(reads)

    def silence(self, job: JobView) -> str | None:
        return crier_blobs.silence(job)

    def crowd(self, job: JobView) -> Hashable:
        return job.org, job.repo  # whose bucket it is only the whole job tells

    def stages(self, job: JobView) -> Sequence[Stage]:
        why = self._places.nowhere(job)
        if why is not None:
            return (Stage(functools.partial(_nothing, why)),)
        found = _Found()
        # Runs of one job take turns where they share the pointer to the latest, and nowhere else.
        lane = ("latest", job.type, job.org, job.repo, job.job)
        return Stage(functools.partial(self._files, found)), Stage(functools.partial(self._pointers, found), lane)

    def judge(self, action: Action | None, error: Refused) -> Judgement:
        return "never" if error.reason == "BadName" else "unknown"

    async def _files(self, found: "_Found", job: JobView, again: bool) -> Decision:
        whole = await self._reads.jobs.read(job)
        place = self._places.of(whole.job)
        if isinstance(place, str):
            return Decision((), f"nothing is stored: {place}")
        begun = await self._places.read_if_allowed(place.bucket, place.of(STARTED_FILE))
        records = None
        if crier_blobs.wants_records(whole.job, begun):
            records = await self._places.read_if_allowed(place.bucket, place.of(CLONE_RECORDS_FILE))
        found.facts = crier_blobs.Facts(job=whole.job, raw=whole.raw, place=place, started=begun, records=records)
        return crier_blobs.decide(found.facts)

    async def _pointers(self, found: "_Found", job: JobView, again: bool) -> Decision:
        facts = found.facts
        if facts is None:
            return Decision((), "nor is there anything to point to")
        paths = crier_blobs.pointers(facts.job, facts.place, facts.started)
        latest = await self._latest(facts.place, paths)
        return crier_blobs.decide_pointers(msgspec.structs.replace(facts, latest=latest))

    async def _latest(self, place: crier_blobs.Place, pointers: Sequence[str]) -> tuple[tuple[str, bytes | None], ...]:
        """Read pointers; none where we may not look: one that points to a later run must stay."""
        try:
            return tuple([(path, await self._places.read(place.bucket, path)) for path in pointers])
        except NotForUs:
            return ()


class _Found:
    """What the first stage of a report leaves to the second."""

    facts: crier_blobs.Facts | None = None


async def _nothing(why: str, job: JobView, again: bool) -> Decision:
    return Decision((), f"nothing is stored: {why}")
