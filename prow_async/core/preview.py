"""Every ProwJob and pod that a configuration stands for, as upstream would make them from fixed inputs.

Objects are upstream's: our own annotations are left out, and the pod is as it is before the controller gives it a
namespace.
"""

from collections.abc import Iterator

import msgspec

from prow_async.api import config, names
from prow_async.api.errors import UserMistake
from prow_async.api.jobconfig import JobBase, Periodic, Postsubmit, Presubmit
from prow_async.api.prowjob import Json, ProwJob, ProwJobSpec, Pull, Refs
from prow_async.core import instants, newjob, podspec


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """What a job does not say itself. The defaults are those that expectations of upstream's output are made with."""

    name: str = "00000000-0000-4000-8000-000000000000"
    build_id: str = "1234567890123456789"
    start_time: str = "2026-01-02T03:04:05Z"
    link_url: str = "https://github.com"
    base_ref: str = "main"
    base_sha: str = "b0" * 20
    pull_number: int = 42
    pull_author: str = "octocat"
    pull_sha: str = "c0ffee" * 6 + "c0ff"
    pull_title: str = "A <title> & more"
    pull_head_ref: str = ""


class Row(msgspec.Struct, frozen=True):
    """One job, expanded. `source` is the file it came from; `error` says why there is no pod."""

    kind: str
    repo: str
    job: str
    source: str
    prowjob: Json
    pod: Json | None
    error: str = ""


def rows(found: config.Config, inputs: Inputs) -> Iterator[Row]:
    """Yield all jobs: presubmits and postsubmits by repo, then periodics, each in the order of the files."""
    for kind, by_repo in (("presubmit", found.presubmits), ("postsubmit", found.postsubmits)):
        for repo in sorted(by_repo):
            for job in by_repo[repo]:
                yield row(kind, repo, job, found, inputs)
    for periodic in found.periodics:
        yield row("periodic", "", periodic, found, inputs)


def row(kind: str, repo: str, job: JobBase, found: config.Config, inputs: Inputs) -> Row:
    """Expand one job."""
    made = prowjob(job, repo, found.prowjob_namespace, inputs)
    pod, error = None, ""
    if job.spec is None:
        error = f"agent {job.agent} runs no pod"
    else:
        try:
            pod = podspec.pod_for(made, inputs.build_id, "", 0)
        except UserMistake as mistake:
            error = mistake.text_for_user
    if pod is not None:
        pod = {"metadata": _metadata(pod["metadata"]), "spec": pod["spec"]}
    return Row(kind, repo, job.name, job.source.file, upstreams(made), pod, error)


def upstreams(made: ProwJob) -> Json:
    """Write a new ProwJob as upstream would."""
    shown: Json = msgspec.to_builtins(made)
    shown["metadata"] = _metadata(shown["metadata"])
    return shown


def prowjob(job: JobBase, repo: str, namespace: str, inputs: Inputs) -> ProwJob:
    """Make the ProwJob of a job; its labels and annotations are the job's own."""
    birth = newjob.Birth(inputs.name, namespace, instants.seconds(inputs.start_time), "preview")
    made = newjob.new_prowjob(_spec(job, repo, inputs), job.labels, job.annotations, birth)
    return msgspec.structs.replace(made, status=msgspec.structs.replace(made.status, build_id=inputs.build_id))


def refs(repo: str, inputs: Inputs, pull: bool) -> Refs:
    """Name the code under test. A repo with a scheme is a Gerrit one and is its own link."""
    org, _, name = repo.rpartition("/") if "://" in repo else repo.partition("/")
    link = repo if "://" in repo else f"{inputs.link_url}/{repo}"
    one = Pull(
        number=inputs.pull_number,
        author=inputs.pull_author,
        sha=inputs.pull_sha,
        title=inputs.pull_title,
        head_ref=inputs.pull_head_ref,
    )
    return Refs(org, name, link, base_ref=inputs.base_ref, base_sha=inputs.base_sha, pulls=(one,) if pull else ())


def _spec(job: JobBase, repo: str, inputs: Inputs) -> ProwJobSpec:
    match job:
        case Presubmit():
            return newjob.presubmit_spec(job, refs(repo, inputs, pull=True))
        case Postsubmit():
            return newjob.postsubmit_spec(job, refs(repo, inputs, pull=False))
        case Periodic():
            return newjob.periodic_spec(job)
        case _:
            raise TypeError(f"{type(job).__name__} is no kind of job")


def _metadata(metadata: Json) -> Json:
    """Return an object's metadata without what only we write, and without an empty namespace."""
    out = {key: value for key, value in metadata.items() if value not in (None, "", {}, [])}
    kept = {k: v for k, v in metadata.get("annotations", {}).items() if not k.startswith(names.OUR_PREFIX)}
    if kept:
        out["annotations"] = kept
    else:
        out.pop("annotations", None)
    return out
