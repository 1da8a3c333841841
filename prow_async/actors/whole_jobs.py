"""Whole ProwJobs, read from the API server for those who need more than the view; several of them share one reading."""

from collections import OrderedDict

import msgspec

from prow_async.api.errors import Missing, Refused, Stale
from prow_async.api.prowjob import ProwJob
from prow_async.api.views import JobView
from prow_async.core import jobview, objects
from prow_async.ports.kube import Collection

KEPT = 64


class Moved(Stale):
    """The ProwJob is gone, or not as we know it any more: the watch is behind, and will tell."""


class Whole(msgspec.Struct, frozen=True):
    job: ProwJob
    raw: bytes
    """As the API server sent it."""


class WholeJobs:
    """Reads ProwJobs; the last few are remembered, by what is known of them."""

    def __init__(self, source: Collection) -> None:
        self._source = source
        self._known: OrderedDict[tuple[str, str], Whole] = OrderedDict()

    async def read(self, job: JobView) -> Whole:
        """Return the object as it was at `job` or later.

        Raises Moved when it is gone, or another took its name; Refused when it does not read; Retry.
        """
        key = (job.uid, job.resource_version)
        if key not in self._known:
            self._known[key] = await self._ask(job)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return self._known[key]

    async def read_in_state(self, job: JobView) -> Whole:
        """As `read`, for those who tell of a state just once: raises Moved too when the job is in another one."""
        whole = await self.read(job)
        state = whole.job.status.state
        if state != job.state:
            self._known.pop((job.uid, job.resource_version), None)
            raise Moved(f"ProwJob {job.name} is {state} by now, not {job.state}")
        return whole

    async def _ask(self, job: JobView) -> Whole:
        try:
            raw = await self._source.get(job.name)
            whole = Whole(jobview.read_full(raw), raw)
        except Missing as error:
            raise Moved(f"ProwJob {job.name} is gone") from error
        except objects.Unreadable as error:
            raise Refused(f"ProwJob {job.name} does not read: {error.why}", 422, "Malformed") from error
        if whole.job.metadata.uid != job.uid:
            raise Moved(f"another ProwJob has the name {job.name} by now")
        return whole
