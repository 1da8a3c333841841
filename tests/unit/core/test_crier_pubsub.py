"""What subscribers of Pub/Sub get."""

import msgspec
import pytest

from prow_async.api import names
from prow_async.api.actions import PublishMessage
from prow_async.api.prowjob import ProwJobStatus, Refs
from prow_async.core import crier_pubsub
from tests.unit.core import samples

MARKS = {names.PUBSUB_PROJECT: "p", names.PUBSUB_TOPIC: "t", names.PUBSUB_RUN_ID: "r"}


def message(labels: dict[str, str], annotations: dict[str, str], **spec: object) -> tuple[PublishMessage, str]:
    job = samples.prowjob(**spec)
    meta = msgspec.structs.replace(job.metadata, labels=labels, annotations=annotations)
    status = ProwJobStatus(state="failure", url="https://ci/view/gs/b/1?a&b", description="Job <failed>.")
    (action,) = crier_pubsub.decide(
        msgspec.structs.replace(job, metadata=meta, status=status), "https://ci/view/"
    ).actions
    assert isinstance(action, PublishMessage)
    return action, action.data.decode()


def test_the_message() -> None:
    """Upstream's fields in upstream's order, written as Go writes them."""
    action, text = message({}, MARKS, extra_refs=(Refs("o", "lib", base_ref="main"),))
    assert (action.project, action.topic) == ("p", "t")
    assert text.startswith(
        '{"project":"p","topic":"t","runid":"r","status":"failure","url":"https://ci/view/gs/b/1?a\\u0026b",'
        '"gcs_path":"gs://b/1?a\\u0026b","refs":[{"org":"o","repo":"r",'
    )
    assert text.endswith(
        '{"org":"o","repo":"lib","base_ref":"main"}],"job_type":"presubmit","job_name":"unit",'
        '"message":"Job \\u003cfailed\\u003e."}'
    )


def test_labels_stand_in_for_annotations() -> None:
    """The older form; an annotation wins. Without refs there are none."""
    action, text = message(MARKS, {names.PUBSUB_TOPIC: "newer"}, refs=None, type="periodic")
    assert (action.project, action.topic) == ("p", "newer")
    assert '"refs"' not in text


@pytest.mark.parametrize(
    ("url", "prefix", "path"),
    [
        ("", "https://ci/view/", ""),
        ("https://ci/view/gs/b/logs/1", "https://ci/view/", "gs://b/logs/1"),
        ("https://ci/view/gcs/b/logs/1", "https://ci/view/", "gs://b/logs/1"),
        ("https://ci/view/s3/b/logs/1", "https://ci/view/", "s3://b/logs/1"),
        ("https://ci/view/b/logs/1", "https://ci/view/", "gs://b/logs/1"),
        ("https://ci/view/gs/b/logs/1", "https://ci/view", "gs://b/logs/1"),
        ("https://other/x", "https://ci/view/", "gs://https://other/x"),
    ],
)
def test_where_the_files_are(url: str, prefix: str, path: str) -> None:
    assert crier_pubsub.storage_path(url, prefix) == path


def test_silence() -> None:
    assert crier_pubsub.silence(samples.view()) is not None
    assert crier_pubsub.silence(samples.view(pubsub=True, state="")) is not None
    assert crier_pubsub.silence(samples.view(pubsub=True, report=False, state="scheduling")) is None
