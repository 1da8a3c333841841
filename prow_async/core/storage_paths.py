"""Where a run's files lie in a bucket, and which small files point to them.

Source: upstream pkg/gcsupload/run.go, pkg/pod-utils/gcs/target.go.
"""

from typing import Protocol

from prow_async.api.errors import UserMistake
from prow_async.api.jobspec import JobSpec

PR_LOGS = "pr-logs"
LOGS = "logs"
LATEST_BUILD = "latest-build.txt"


class Placement(Protocol):
    """What decides over places: a gcs_configuration, or the options of an upload."""

    @property
    def bucket(self) -> str: ...
    @property
    def path_prefix(self) -> str: ...
    @property
    def path_strategy(self) -> str: ...
    @property
    def default_org(self) -> str: ...
    @property
    def default_repo(self) -> str: ...


def run_folder(spec: JobSpec, placement: Placement) -> str:
    """Return a run's folder, without a slash at either end.

    Raises UserMistake when the job lacks the refs or the pull that its type promises, or has no known type.

    >>> from prow_async.api.prowjob import GCSConfiguration
    >>> run_folder(JobSpec("periodic", "nightly", "7"), GCSConfiguration(path_prefix="ci"))
    'ci/logs/nightly/7'
    """
    return join(placement.path_prefix, _run_folder(spec, placement))


def alias(spec: JobSpec) -> str:
    """Return the object that tells where a presubmit's run is; "" for the other types. Path prefixes do not count."""
    return join(PR_LOGS, "directory", spec.job, f"{spec.buildid}.txt") if spec.type == "presubmit" else ""


def latest_builds(spec: JobSpec, placement: Placement) -> tuple[str, ...]:
    """Return the objects that hold the build id of a job's latest run. Path prefixes do not count.

    Raises UserMistake as `run_folder` does.
    """
    folder = join(root(spec), LATEST_BUILD)
    if spec.type != "presubmit":
        return (folder,)
    return folder, join(_pull_folder(spec, placement), spec.job, LATEST_BUILD)


def root(spec: JobSpec) -> str:
    """Return the folder under which all runs of a job are found.

    Raises UserMistake when the type is not known.
    """
    if spec.type in ("periodic", "postsubmit"):
        return join(LOGS, spec.job)
    if spec.type in ("presubmit", "batch"):
        return join(PR_LOGS, "directory", spec.job)
    raise UserMistake(f'job {spec.job} has the type "{spec.type}": it has no place in storage')


def full_url(bucket: str, path: str) -> str:
    """Return where something is, as an alias file tells it: a bucket without a scheme is Google's.

    >>> full_url("b", "logs/j/1"), full_url("s3://b", "logs/j/1")
    ('gs://b/logs/j/1', 's3://b/logs/j/1')
    """
    return f"{bucket}/{path}" if "://" in bucket else f"gs://{join(bucket, path)}"


def ascii_url(url: str) -> str:
    """Return a URL as a header can carry it."""
    return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in url.encode(errors="replace"))


def repo_segment(placement: Placement, org: str, repo: str) -> str:
    """Return how a repository is spelled in the path of its pull requests; "" for the one that needs no name.

    A strategy of another name counts as explicit.

    >>> from prow_async.api.prowjob import GCSConfiguration
    >>> legacy = GCSConfiguration(path_strategy="legacy", default_org="k", default_repo="k")
    >>> [repo_segment(legacy, *name.split("/")) for name in ("k/k", "k/other", "o/other")]
    ['', 'other', 'o_other']
    """
    default_org = org == placement.default_org
    if placement.path_strategy in ("legacy", "single") and default_org and repo == placement.default_repo:
        return ""
    if placement.path_strategy == "legacy" and default_org:
        return repo
    return f"{org.removeprefix('https://')}_{repo.replace('/', '_')}"


def split(place: str) -> tuple[str, str]:
    """Take one object's place apart: its bucket (of a file the folder it is in), and its path there.

    Without a scheme it is Google's; an absolute path is a file, as upstream's pkg/io/opener.go has it. Raises
    UserMistake where no object is named.
    """
    scheme, marked, rest = place.partition("://")
    if not marked:
        scheme, rest = "file" if place.startswith("/") else "gs", place
    bucket, _, path = rest.rpartition("/") if scheme == "file" else rest.partition("/")
    if not bucket or not path:
        raise UserMistake(f"{place!r} names no object: write gs://BUCKET/PATH, s3://BUCKET/PATH or /FOLDER/NAME")
    return f"{scheme}://{bucket}", path


def join(*parts: str) -> str:
    """Join path elements as Go's path.Join: empty ones fall away, `.`, `..` and doubled slashes are resolved.

    >>> join("a", "", "/b/"), join("a", "../c"), join("", "")
    ('a/b', 'c', '')
    """
    joined = "/".join(part for part in parts if part)
    kept: list[str] = []
    for part in joined.split("/"):
        if part == ".." and kept and kept[-1] != "..":
            kept.pop()
        elif part == ".." and joined.startswith("/"):
            continue
        elif part not in ("", "."):
            kept.append(part)
    clean = ("/" if joined.startswith("/") else "") + "/".join(kept)
    return clean or ("." if joined else "")


def _run_folder(spec: JobSpec, placement: Placement) -> str:
    if spec.type == "presubmit":
        return join(_pull_folder(spec, placement), spec.job, spec.buildid)
    if spec.type == "batch":
        return join(PR_LOGS, "pull", "batch", spec.job, spec.buildid)
    return join(root(spec), spec.buildid)


def _pull_folder(spec: JobSpec, placement: Placement) -> str:
    refs = spec.refs
    if refs is None or not refs.pulls:
        raise UserMistake(f"job {spec.job} is a presubmit without a pull request in refs: it has no place in storage")
    return join(PR_LOGS, "pull", repo_segment(placement, refs.org, refs.repo), str(refs.pulls[0].number))
