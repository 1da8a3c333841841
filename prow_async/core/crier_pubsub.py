"""The Pub/Sub reporter: the message about each state of a job that names a project and a topic.

Source: upstream pkg/crier/reporters/pubsub/reporter.go.
"""

import msgspec

from prow_async.api import names
from prow_async.api.actions import Decision, PublishMessage
from prow_async.api.prowjob import ProwJob, Refs
from prow_async.api.views import JobView
from prow_async.core import podenv

_PROVIDERS = ("gs", "s3", "file")
_GOOGLE = "gcs"
"""How the older addresses of pages call Google's storage."""


class ReportMessage(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What subscribers get, in Go's order of fields; only refs and message are left out when empty."""

    project: str
    topic: str
    runid: str
    status: str
    url: str
    gcs_path: str
    refs: tuple[Refs, ...] = ()
    job_type: str
    job_name: str
    message: str = ""


def silence(job: JobView) -> str | None:
    """Say why nothing is published of a job in its state; None when something is."""
    if not job.pubsub:
        return "it names no project and topic of Pub/Sub"
    return None if job.state else "it has no state yet"


def decide(job: ProwJob, url_prefix: str) -> Decision:
    """Return the message to publish.

    Args:
        url_prefix: what the addresses of pages begin with (joburl.prefix_of); what follows is a place in storage.
    """
    project, topic, run_id = (
        _named(job, name) for name in (names.PUBSUB_PROJECT, names.PUBSUB_TOPIC, names.PUBSUB_RUN_ID)
    )
    message = ReportMessage(
        project=project,
        topic=topic,
        runid=run_id,
        status=job.status.state,
        url=job.status.url,
        gcs_path=storage_path(job.status.url, url_prefix),
        refs=(job.spec.refs, *job.spec.extra_refs) if job.spec.refs is not None else job.spec.extra_refs,
        job_type=job.spec.type,
        job_name=job.spec.job,
        message=job.status.description,
    )
    why = f"{job.spec.job} is {job.status.state}"
    action = PublishMessage(project=project, topic=topic, data=podenv.go_json(message).encode(), why=why)
    return Decision((action,), f"{why}: published to {project}/{topic}")


def storage_path(url: str, prefix: str) -> str:
    """Return the place in storage that a page shows; empty without a URL.

    >>> storage_path("https://prow.example/view/gs/logs/ci/1", "https://prow.example/view/")
    'gs://logs/ci/1'
    >>> storage_path("https://prow.example/view/logs/ci/1", "https://prow.example/view")
    'gs://logs/ci/1'
    """
    if not url:
        return ""
    path = url.removeprefix(prefix).removeprefix("/")
    if path.startswith(_GOOGLE):
        path = path.replace(_GOOGLE, "gs", 1)
    provider, slash, rest = path.partition("/")
    return f"{provider}://{rest}" if slash and provider in _PROVIDERS else f"gs://{path}"


def _named(job: ProwJob, name: str) -> str:
    return job.metadata.annotations.get(name) or job.metadata.labels.get(name, "")
