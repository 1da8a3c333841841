"""The environment every test container of a job finds.

Source: upstream pkg/pod-utils/downwardapi/jobspec.go.
"""

from collections.abc import Mapping

import msgspec

from prow_async.api import jobspec
from prow_async.api.errors import CannotStart, UserMistake
from prow_async.api.jobspec import JobSpec
from prow_async.api.prowjob import ProwJob, Refs

GO_ESCAPES = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})


def job_spec(job: ProwJob, build_id: str) -> str:
    """Render JOB_SPEC as Go's encoding/json writes it: zero values left out, `<`, `>` and `&` escaped."""
    return go_json(jobspec.of(job, build_id))


def read_job_spec(environ: Mapping[str, str]) -> JobSpec:
    """Read JOB_SPEC. Fields that are not known here are passed over, as upstream.

    Raises CannotStart when it is not set or does not read; its content is not told.
    """
    text = environ.get(jobspec.JOB_SPEC_ENV)
    if text is None:
        raise CannotStart(f"${jobspec.JOB_SPEC_ENV} is not set")
    try:
        return msgspec.json.decode(text, type=JobSpec)
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise CannotStart(f"${jobspec.JOB_SPEC_ENV} does not read: {error}") from None


def go_json(value: msgspec.Struct) -> str:
    """Write a Struct as Go's encoding/json does: fields in their order, map keys sorted, `<`, `>`, `&` escaped."""
    return msgspec.json.encode(value, order="deterministic").decode().translate(GO_ESCAPES)


def environment(job: ProwJob, build_id: str) -> dict[str, str]:
    """Return the variables for a job of this type, without those that only decoration sets.

    Raises UserMistake when the job lacks the refs or the pull that its type promises.
    """
    spec = job.spec
    found = {
        "CI": "true",
        "JOB_NAME": spec.job,
        "JOB_TYPE": spec.type,
        "BUILD_ID": build_id,
        "PROW_JOB_ID": job.metadata.name,
        "JOB_SPEC": job_spec(job, build_id),
    }
    if spec.agent == "kubernetes":
        found["BUILD_NUMBER"] = build_id
    if spec.type == "periodic":
        return found
    if spec.refs is None:
        raise UserMistake(f"ProwJob {job.metadata.name} ({spec.job}) is a {spec.type} without refs: no pod can be made")
    found.update(_refs(spec.refs))
    if spec.type == "presubmit":
        if not spec.refs.pulls:
            raise UserMistake(f"ProwJob {job.metadata.name} ({spec.job}) is a presubmit without a pull request in refs")
        found.update(_pull(spec.refs))
    return found


def refs_text(refs: Refs) -> str:
    """Render refs as PULL_REFS does: `main:sha,12:sha[:ref]`."""
    base = f"{refs.base_ref}:{refs.base_sha}" if refs.base_sha else refs.base_ref
    pulls = (f"{pull.number}:{pull.sha}{':' if pull.ref else ''}{pull.ref}" for pull in refs.pulls)
    return ",".join([base, *pulls])


def _refs(refs: Refs) -> dict[str, str]:
    host, base = _source(refs)
    return {
        "REPO_OWNER": refs.org,
        "REPO_NAME": refs.repo,
        "SRC_HOST": host,
        "SRC_BASE": base,
        "PULL_BASE_REF": refs.base_ref,
        "PULL_BASE_SHA": refs.base_sha,
        "PULL_REFS": refs_text(refs),
    }


def _pull(refs: Refs) -> dict[str, str]:
    pull = refs.pulls[0]
    return {
        "PULL_NUMBER": str(pull.number),
        "PULL_PULL_SHA": pull.sha,
        "PULL_HEAD_REF": pull.head_ref,
        "PULL_TITLE": pull.title,
    }


def _source(refs: Refs) -> tuple[str, str]:
    """Return host and path of the source: of the path alias, else of the repo's link, else of GitHub."""
    path = refs.path_alias or refs.repo_link.partition("://")[2] or refs.repo_link
    if not path:
        return "github.com", f"{refs.org}/{refs.repo}"
    host, slash, base = path.partition("/")
    return host, base if slash else f"{refs.org}/{refs.repo}"
