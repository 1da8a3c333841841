"""Which files of a run are written, where, and what stays as it is."""

from typing import Any

import msgspec
import pytest

from prow_async.api.actions import WriteBlob
from prow_async.api.prowjob import DecorationConfig, GCSConfiguration, ProwJob, ProwJobStatus, Refs
from prow_async.core import crier_blobs, jobview
from tests.unit.core import samples

GCS = GCSConfiguration(bucket="logs", path_strategy="explicit", path_prefix="ci")
THEIRS = b'{"timestamp":1,"repo-commit":"x"}'


def job(status: dict[str, Any] | None = None, **spec: Any) -> ProwJob:
    made = samples.prowjob(**spec)
    begun = {"state": "pending", "build_id": "77", "start_time": "2026-01-02T03:00:00Z"}
    return msgspec.structs.replace(made, status=ProwJobStatus(**{**begun, **(status or {})}))


def place(made: ProwJob) -> crier_blobs.Place:
    found = crier_blobs.place_of(made, lambda repo, cluster: DecorationConfig(gcs_configuration=GCS))
    assert isinstance(found, crier_blobs.Place)
    return found


def facts(made: ProwJob, **more: Any) -> crier_blobs.Facts:
    return crier_blobs.Facts(job=made, raw=msgspec.json.encode(made), place=place(made), **more)


def written(made: crier_blobs.Facts) -> dict[str, WriteBlob]:
    actions = (*crier_blobs.decide(made).actions, *crier_blobs.decide_pointers(made).actions)
    assert all(isinstance(action, WriteBlob) for action in actions)
    return {action.path.rpartition("/")[2]: action for action in actions if isinstance(action, WriteBlob)}


def ours(commit: str) -> bytes:
    return msgspec.json.encode({"timestamp": 1, "repo-commit": commit, "metadata": {"uploader": "crier"}})


@pytest.mark.parametrize(
    ("changes", "speaks"),
    [
        ({"build_id": ""}, False),
        ({"build_id": "7", "state": "triggered"}, False),
        ({"build_id": "7", "state": "scheduling"}, False),
        ({"build_id": "7", "state": "pending", "completion_s": None}, True),
        ({"build_id": "7", "state": "aborted", "completion_s": None}, False),
        ({"build_id": "7", "state": "aborted"}, True),
        ({"build_id": "7", "report": False, "type": "batch"}, True),
    ],
)
def test_silence(changes: dict[str, Any], speaks: bool) -> None:
    """Whatever has a build id and has begun is stored, whether it reports to people or not."""
    assert (crier_blobs.silence(samples.view(**changes)) is None) is speaks


def test_where() -> None:
    """The job's own decoration tells; else what is the default for its repository and cluster; else nowhere."""
    asked: list[tuple[str, str]] = []

    def default(repo: str, cluster: str) -> DecorationConfig | None:
        asked.append((repo, cluster))
        return None

    own = DecorationConfig(gcs_configuration=msgspec.structs.replace(GCS, bucket="s3://own"))
    found = crier_blobs.place_of(job(decoration_config=own), default)
    assert isinstance(found, crier_blobs.Place)
    assert (found.bucket, found.folder) == ("s3://own", "ci/pr-logs/pull/o_r/5/unit/77")
    assert asked == []
    for spec in ({}, {"decoration_config": DecorationConfig()}, {"refs": None, "type": "periodic"}):
        assert isinstance(crier_blobs.place_of(job(**spec), default), str)
    extra = {"refs": None, "extra_refs": (Refs("p", "lib"),), "type": "periodic", "cluster": "build"}
    assert isinstance(crier_blobs.place_of(job(**extra), default), str)
    assert asked == [("o/r", "default"), ("o/r", "default"), ("", "default"), ("p/lib", "build")]


@pytest.mark.parametrize(
    ("changes", "default", "nowhere"),
    [
        ({}, None, True),
        ({}, DecorationConfig(), True),
        ({}, DecorationConfig(gcs_configuration=GCSConfiguration()), True),
        ({}, DecorationConfig(gcs_configuration=GCS), False),
        ({"decorated": True}, None, False),
    ],
)
def test_nowhere(changes: dict[str, Any], default: DecorationConfig | None, nowhere: bool) -> None:
    """A job without decoration of its own is stored where the default says, and nowhere when that says nothing."""
    found = crier_blobs.nowhere(samples.view(**changes), lambda repo, cluster: default)
    assert (found is not None) is nowhere


def test_a_presubmit_without_pulls_has_no_place() -> None:
    found = crier_blobs.place_of(job(refs=Refs("o", "r")), lambda *_: DecorationConfig(gcs_configuration=GCS))
    assert isinstance(found, str)
    assert "pull request" in found


def test_a_run_that_has_begun() -> None:
    """started.json where none is yet; the ProwJob each time, over what was there; all as upstream indents them."""
    found = written(facts(job()))
    assert {name: action.only_new for name, action in found.items()} == {"started.json": True, "prowjob.json": False}
    text = found["started.json"].body.decode()
    assert text == (
        '{\n\t"timestamp": 1767322800,\n\t"pull": "5",\n\t"repos": {\n\t\t"o/r": "main:' + "b" * 40 + ",5:" + "5" * 40
    ) + '"\n\t},\n\t"repo-commit": "' + "5" * 40 + '",\n\t"metadata": {\n\t\t"uploader": "crier"\n\t},\n' + (
        '\t"repo-version": "' + "5" * 40 + '"\n}'
    )
    assert found["started.json"].content_type == "application/json"
    assert jobview.read_full(found["prowjob.json"].body) == job()


def test_a_run_that_is_over() -> None:
    """finished.json only where the pod left none; its result is the ProwJob's state."""
    done = {"state": "error", "completion_time": "2026-01-02T03:10:00Z"}
    action = written(facts(job(done)))["finished.json"]
    assert action.only_new
    assert msgspec.json.decode(action.body) == {
        "timestamp": 1767323400,
        "passed": False,
        "metadata": {"uploader": "crier"},
        "result": "error",
    }
    done["state"] = "success"
    assert msgspec.json.decode(written(facts(job(done)))["finished.json"].body)["passed"] is True


@pytest.mark.parametrize(
    ("there", "spec", "wants"),
    [
        (None, {}, True),
        (b"", {}, True),
        (b"{", {}, True),
        (b'{"metadata":{"a":' + b"[" * 100_000, {}, True),
        (THEIRS, {}, False),
        (b'{"metadata":{"uploader":"x"}}', {}, False),
        (b'{"metadata":null,"timestamp":1}', {}, True),
        (ours(""), {}, True),
        (ours("5" * 40), {}, True),
        (ours("resolved"), {}, False),
        (None, {"type": "periodic", "refs": None}, False),
        (None, {"type": "periodic", "refs": None, "extra_refs": (Refs("o", "r"),)}, False),
    ],
)
def test_when_started_is_written(there: bytes | None, spec: dict[str, Any], wants: bool) -> None:
    """Not over the pod's, not once the commit is known, not for jobs without refs of their own."""
    made = job(**spec)
    assert crier_blobs.wants_records(made, there) is wants
    found = written(facts(made, started=there))
    assert ("started.json" in found) is wants
    if wants:
        assert found["started.json"].only_new is (there is None or not there.startswith(b'{"timestamp":1,"repo'))


def test_clone_records_tell_the_commit() -> None:
    """What was cloned is better than what was asked for; records that do not read are passed over."""
    refs = msgspec.to_builtins(samples.REFS)
    records = msgspec.json.encode([{"refs": refs, "commands": [], "final_sha": "f" * 40}])
    for content, commit in ((records, "f" * 40), (b"[{", "5" * 40), (b'[{"x":' + b"[" * 100_000, "5" * 40)):
        begun = msgspec.json.decode(written(facts(job(), records=content))["started.json"].body)
        assert begun["repo-commit"] == begun["repo-version"] == commit


DECORATED = {"decoration_config": DecorationConfig(gcs_configuration=GCS)}
DONE = {"state": "error", "completion_time": "2026-01-02T03:10:00Z"}
BOTH = ("pr-logs/directory/unit/latest-build.txt", "pr-logs/pull/o_r/5/unit/latest-build.txt")


@pytest.mark.parametrize(
    ("there", "status", "spec", "expected"),
    [
        (None, {}, {}, BOTH),
        (None, {}, DECORATED, ()),
        (None, DONE, DECORATED, BOTH),
        (ours("x"), DONE, DECORATED, BOTH),
        (THEIRS, DONE, DECORATED, ()),
        (None, {}, {"type": "periodic", "refs": None}, ("logs/unit/latest-build.txt",)),
        (None, {}, {"type": "batch"}, ("pr-logs/directory/unit/latest-build.txt",)),
    ],
)
def test_pointers(there: bytes | None, status: dict[str, Any], spec: dict[str, Any], expected: tuple[str, ...]) -> None:
    """Where a pod tells them, that is left to it."""
    made = job(status, **spec)
    assert crier_blobs.pointers(made, place(made), there) == expected


@pytest.mark.parametrize(
    ("there", "wins"),
    [
        (None, True),
        (b"", True),
        (b"76\n", True),
        (b"77", False),
        (b"78", False),
        (b"100", False),
        (b"latest", True),
        (b"9" * 5000, True),
    ],
)
def test_the_latest_build_never_goes_back(there: bytes | None, wins: bool) -> None:
    """Compared as numbers, whoever comes late."""
    found = crier_blobs.decide_pointers(facts(job(), latest=((BOTH[0], there),))).actions
    paths = [action.path for action in found if isinstance(action, WriteBlob)]
    assert (BOTH[0] in paths) is wins
    assert "pr-logs/directory/unit/77.txt" in paths


def test_the_alias() -> None:
    """A presubmit's run is found by its build id alone; the link stands beside it too."""
    action = written(facts(job(), latest=((BOTH[0], None),)))["77.txt"]
    assert action.body == b"gs://logs/ci/pr-logs/pull/o_r/5/unit/77"
    assert action.metadata == {"x-goog-meta-link": "gs://logs/ci/pr-logs/pull/o_r/5/unit/77"}
