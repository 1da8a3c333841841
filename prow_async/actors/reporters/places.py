"""Where jobs' files are kept, by the configuration in force, and what stands there."""

from prow_async.actors.reporters.reads import Reads
from prow_async.api.errors import Missing, Refused
from prow_async.api.prowjob import DecorationConfig, ProwJob
from prow_async.api.views import JobView
from prow_async.core import config_decoration, crier_blobs

FORBIDDEN = 403


class NotForUs(Refused):
    """We may not read an object. That says little about writing: to who may not list a bucket, S3 says so of every
    object that is not there.
    """


class Places:
    def __init__(self, reads: Reads) -> None:
        assert reads.storage is not None, "this reporter needs storage"
        self._storage = reads.storage
        self._config = reads.config
        self._defaults = config_decoration.Defaults((), ())
        self._digest: str | None = None

    def of(self, job: ProwJob) -> crier_blobs.Place | str:
        """Return where a job's files are kept, or why nowhere."""
        return crier_blobs.place_of(job, self._default)

    def nowhere(self, job: JobView) -> str | None:
        """Say why a job's files are kept nowhere, without reading the whole of it; None: the whole may tell."""
        return crier_blobs.nowhere(job, self._default)

    def _default(self, repo: str, cluster: str) -> DecorationConfig | None:
        snapshot = self._config.current()
        if snapshot.digest != self._digest:
            entries = snapshot.config.plank.default_decoration_config_entries
            self._defaults = config_decoration.Defaults(entries, ())
            self._digest = snapshot.digest
        return self._defaults.decoration(repo, cluster)

    async def read(self, bucket: str, path: str) -> bytes | None:
        """Read an object, cut at crier_blobs.MOST_BYTES; None when it is not there. Raises NotForUs."""
        try:
            return await self._storage.get(bucket, path, crier_blobs.MOST_BYTES)
        except Missing:
            return None
        except Refused as error:
            if error.status != FORBIDDEN:
                raise
            raise NotForUs(error.why, error.status, error.reason) from error

    async def read_if_allowed(self, bucket: str, path: str) -> bytes | None:
        """As `read`; None also when we may not look."""
        try:
            return await self.read(bucket, path)
        except NotForUs:
            return None
