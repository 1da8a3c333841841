"""The Pub/Sub reporter: a message for each state of a job that names a topic."""

from collections.abc import Hashable, Sequence

from prow_async.actors.reporters.reads import Reads
from prow_async.api import names
from prow_async.api.actions import Action, Decision
from prow_async.api.errors import Refused
from prow_async.api.views import JobView
from prow_async.core import crier_pubsub, joburl
from prow_async.ports.reporter import Judgement, Stage


class PubSubReporter:
    """Implements ports/reporter.Reporter."""

    name = names.PUBSUB_REPORTER
    repeatable = False
    in_crowd = 8

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    def silence(self, job: JobView) -> str | None:
        return crier_pubsub.silence(job)

    def crowd(self, job: JobView) -> Hashable:
        return job.job  # which topic it is only the whole job tells

    def stages(self, job: JobView) -> Sequence[Stage]:
        return (Stage(self._message),)

    def judge(self, action: Action | None, error: Refused) -> Judgement:
        return "unknown"

    async def _message(self, job: JobView, again: bool) -> Decision:
        whole = await self._reads.jobs.read_in_state(job)
        plank, pages = self._reads.config.current().config.plank, self._reads.job_pages
        prefix = joburl.prefix_of(whole.job, plank) or (f"{pages}/view" if pages else "")
        return crier_pubsub.decide(whole.job, prefix)
