"""Names and digests that make writes idempotent: the same cause gives the same name, the same content the same digest.

A ProwJob's name is a UUID of version 5 of what made it exist. Whoever repeats the creation after a crash, or beside
us, arrives at the same name, and the server refuses the second one.
"""

import hashlib
from uuid import UUID, uuid5

import msgspec

from prow_async.api import names
from prow_async.api.prowjob import Json, ProwJob

NAMESPACE = UUID("e83aabc7-100e-47c8-b978-02d558f4c8c9")
"""The UUID namespace of all derived names. To change it is to give every job a second life."""
FIRST = "first"
"""Key of a periodic that has no previous run."""
_DIGEST_CHARACTERS = 32


def name_for(  # noqa: PLR0913 - the name is made of exactly these seven parts
    installation: str, creator: str, full_repo: str, job_type: str, job: str, key: str, retry: int = 0
) -> str:
    """Derive a ProwJob's name from what made it exist.

    Args:
        installation: tells installations apart that share a cluster.
        creator: the component or plugin (`trigger`, `horologium`).
        full_repo: `org/repo`; empty for a periodic.
        key: the delivery GUID of a webhook, the slot of a cron, the previous run's UID (or FIRST) of an interval.
        retry: number of the retry; 0 is the run itself.
    """
    parts = msgspec.json.encode([installation, creator, full_repo, job_type, job, key, retry])
    return str(uuid5(NAMESPACE, parts.decode()))


def spec_digest(job: ProwJob) -> str:
    """Digest a ProwJob's spec; the order of keys in free-form parts does not count."""
    return _digest(job.spec)


def pod_digest(pod: Json) -> str:
    """Digest a whole pod but for the annotation that carries this digest."""
    meta = pod.get("metadata") or {}
    annotations = {key: value for key, value in (meta.get("annotations") or {}).items() if key != names.DIGEST}
    return _digest({**pod, "metadata": {**meta, "annotations": annotations}})


def _digest(content: object) -> str:
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:_DIGEST_CHARACTERS]
