"""The blob storage reporter: the small files by which a run is known, for whatever ran it.

Pods that were decorated upload their own; what stands there from them stays. `latest-build.txt` never goes back to an
older build, whoever is late.

Source: upstream pkg/crier/reporters/gcs/reporter.go, pkg/crier/reporters/gcs/util/util.go.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from prow_async.api import clonerecords, jobspec
from prow_async.api.actions import Decision, WriteBlob
from prow_async.api.errors import UserMistake
from prow_async.api.prowjob import DecorationConfig, GCSConfiguration, ProwJob
from prow_async.api.runrecords import FINISHED_FILE, PROWJOB_FILE, STARTED_FILE, Finished, Started
from prow_async.api.views import JobView
from prow_async.core import content_types, instants, podenv, started, storage_paths

UPLOADER = "crier"
_OURS = {"uploader": UPLOADER}
MOST_BYTES = 4 << 20
"""Of what is read from storage: a repository's own jobs may name a bucket of anybody's. What is cut does not read."""
_MOST_DIGITS = 63
"""Of a build id, which has to fit into a label."""
DefaultDecoration = Callable[[str, str], DecorationConfig | None]
"""Default decoration of a job of (`org/repo`, cluster alias), None when there is none."""


class Place(msgspec.Struct, frozen=True):
    """Where a run's files are kept."""

    bucket: str
    folder: str
    """In the bucket, without a slash at either end."""
    settings: GCSConfiguration

    def of(self, name: str) -> str:
        return f"{self.folder}/{name}"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in storage; None for what is not there."""

    job: ProwJob
    raw: bytes
    """The whole ProwJob as the API server sent it."""
    place: Place
    started: bytes | None = None
    records: bytes | None = None
    """clone-records.json; read only where wants_records says so."""
    latest: tuple[tuple[str, bytes | None], ...] = ()
    """Pointers to the latest build, as pointers() names them, with their content; read for decide_pointers."""


def silence(job: JobView) -> str | None:
    """Say why nothing is stored of a job in its state; None when something is."""
    if not job.build_id:
        return "it has no build id, so no place in storage"
    if job.state in {"", "scheduling", "triggered"}:
        return "it has not begun"
    if job.state == "aborted" and not job.complete:
        return "it was aborted, but is not over yet"
    return None


NO_BUCKET = "no bucket is configured for it"


def nowhere(job: JobView, default: DefaultDecoration) -> str | None:
    """Say why a job's files are kept nowhere, where the view tells already; None: ask `place_of`."""
    if job.decorated:
        return None
    settings = _by_default(default, job.full_name if job.org else next(iter(job.extra_repos), ""), job.cluster)
    return NO_BUCKET if settings is None or not settings.bucket else None


def place_of(job: ProwJob, default: DefaultDecoration) -> Place | str:
    """Return where a job's files are kept, or why nowhere: its own decoration tells, else the default one."""
    spec = job.spec
    settings = spec.decoration_config.gcs_configuration if spec.decoration_config is not None else None
    if settings is None:
        refs = spec.refs or next(iter(spec.extra_refs), None)
        settings = _by_default(default, f"{refs.org}/{refs.repo}" if refs is not None else "", spec.cluster)
    if settings is None or not settings.bucket:
        return NO_BUCKET
    try:
        return Place(settings.bucket, storage_paths.run_folder(_spec(job), settings), settings)
    except UserMistake as mistake:
        return mistake.text_for_user


def _by_default(default: DefaultDecoration, repo: str, cluster: str) -> GCSConfiguration | None:
    guessed = default(repo, cluster)
    return guessed.gcs_configuration if guessed is not None else None


def wants_records(job: ProwJob, there: bytes | None) -> bool:
    """True when started.json is to be written, so that clone-records.json has to be read first."""
    known = _started(there)
    if job.spec.refs is None or (known is not None and not _is_ours(known)):
        return False
    revision = started.revision(job.spec.refs, job.spec.extra_refs)
    return known is None or known.repo_commit in ("", revision)


def pointers(job: ProwJob, place: Place, there: bytes | None) -> tuple[str, ...]:
    """Name the objects that tell a job's latest build, where no pod writes them: read them before deciding.

    A decorated pod does so as soon as it runs; for one that never ran it is done at the end.
    """
    known = _started(there)
    if (known is not None and not _is_ours(known)) or not (job.complete or job.spec.decoration_config is None):
        return ()
    return storage_paths.latest_builds(_spec(job), place.settings)


def decide(facts: Facts) -> Decision:
    """Return the files of the run to write."""
    actions = tuple(_records(facts))
    written = ", ".join(f"{a.path.rpartition('/')[2]}{' if none is there' * a.only_new}" for a in actions)
    return Decision(actions, f"{facts.job.status.state}: writes {written} in {facts.place.bucket}/{facts.place.folder}")


def decide_pointers(facts: Facts) -> Decision:
    """Return the pointers to write, once there is something that they point to."""
    actions = tuple(_pointing(facts))
    return Decision(actions, f"points to it from {', '.join(a.path for a in actions) or 'nowhere'}")


def write_json(place: Place, name: str, text: bytes, why: str, only_new: bool = False) -> WriteBlob:
    """Write one JSON file of a run, indented by tabs as upstream's are."""
    pretty = json.dumps(json.loads(text), indent="\t", ensure_ascii=False).translate(podenv.GO_ESCAPES)
    return WriteBlob(
        bucket=place.bucket,
        path=place.of(name),
        body=pretty.encode(errors="replace"),
        content_type="application/json",
        only_new=only_new,
        why=why,
    )


def _records(facts: Facts) -> Iterator[WriteBlob]:
    job, why = facts.job, f"{facts.job.spec.job} is {facts.job.status.state}"
    if wants_records(job, facts.started):
        ours = msgspec.structs.replace(_begun(facts), metadata=_OURS)
        yield _write(facts, STARTED_FILE, ours, why, only_new=_started(facts.started) is None)
    if job.status.completion_time is not None:
        finished = Finished(
            timestamp=int(instants.seconds(job.status.completion_time)),
            passed=job.status.state == "success",
            metadata=_OURS,
            result=job.status.state,
        )
        yield _write(facts, FINISHED_FILE, finished, why, only_new=True)
    yield write_json(facts.place, PROWJOB_FILE, facts.raw, why)


def _write(facts: Facts, name: str, content: msgspec.Struct, why: str, only_new: bool) -> WriteBlob:
    return write_json(facts.place, name, msgspec.json.encode(content, order="deterministic"), why, only_new)


def _begun(facts: Facts) -> Started:
    start = facts.job.status.start_time
    return started.started(_spec(facts.job), _clones(facts.records), int(instants.seconds(start)) if start else 0)


def _clones(content: bytes | None) -> Sequence[clonerecords.Record]:
    """Read clone records; those that do not read are as if they were not there."""
    if content is None:
        return ()
    try:
        return clonerecords.decode(content)
    except (ValueError, RecursionError):
        return ()


def _pointing(facts: Facts) -> Iterator[WriteBlob]:
    place, spec = facts.place, _spec(facts.job)
    alias = storage_paths.alias(spec)
    if alias and facts.latest:
        url = storage_paths.full_url(place.bucket, place.folder)
        yield _pointer(place, alias, url, {"x-goog-meta-link": storage_paths.ascii_url(url)})
    for path, there in facts.latest:
        if _is_newer(spec.buildid, there):
            yield _pointer(place, path, spec.buildid, {})


def _pointer(place: Place, path: str, content: str, metadata: dict[str, str]) -> WriteBlob:
    return WriteBlob(
        bucket=place.bucket,
        path=path,
        body=content.encode(),
        content_type=content_types.TEXT,
        metadata=metadata,
        why="no pod of this run has told where it is",
    )


def _is_newer(build_id: str, there: bytes | None) -> bool:
    """True unless a build id stands there that is as great: ids grow with time, whoever gives them."""
    text = (there or b"").strip()
    if not (text.isdigit() and len(text) <= _MOST_DIGITS and build_id.isascii() and build_id.isdigit()):
        return True
    return int(build_id) > int(text)


def _started(content: bytes | None) -> Started | None:
    """Read a started.json; one that does not read is as if it were not there, but for being written over."""
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=Started)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _is_ours(begun: Started) -> bool:
    metadata: dict[str, Any] = begun.metadata or {}
    return metadata.get("uploader") == UPLOADER


def _spec(job: ProwJob) -> jobspec.JobSpec:
    return jobspec.of(job, job.status.build_id)
