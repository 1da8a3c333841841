"""Where runs lie, by type, strategy and prefix, and what points to them."""

import pytest

from prow_async.api.errors import UserMistake
from prow_async.api.jobspec import JobSpec
from prow_async.api.prowjob import GCSConfiguration, Pull, Refs
from prow_async.core import storage_paths

EXPLICIT = GCSConfiguration(path_strategy="explicit", path_prefix="pre/fix/")
SINGLE = GCSConfiguration(path_strategy="single", default_org="kubernetes", default_repo="kubernetes")
LEGACY = GCSConfiguration(path_strategy="legacy", default_org="kubernetes", default_repo="kubernetes")


def spec(kind: str, org: str = "org", repo: str = "repo") -> JobSpec:
    return JobSpec(kind, "job", "17", "pj", Refs(org, repo, pulls=(Pull(number=5), Pull(number=6))))


@pytest.mark.parametrize(
    ("kind", "run", "latest", "alias"),
    [
        ("periodic", "logs/job/17", ("logs/job/latest-build.txt",), ""),
        ("postsubmit", "logs/job/17", ("logs/job/latest-build.txt",), ""),
        ("batch", "pr-logs/pull/batch/job/17", ("pr-logs/directory/job/latest-build.txt",), ""),
        (
            "presubmit",
            "pr-logs/pull/org_repo/5/job/17",
            ("pr-logs/directory/job/latest-build.txt", "pr-logs/pull/org_repo/5/job/latest-build.txt"),
            "pr-logs/directory/job/17.txt",
        ),
    ],
)
def test_places_by_type(kind: str, run: str, latest: tuple[str, ...], alias: str) -> None:
    """The prefix counts for the run alone."""
    assert storage_paths.run_folder(spec(kind), EXPLICIT) == f"pre/fix/{run}"
    assert storage_paths.latest_builds(spec(kind), EXPLICIT) == latest
    assert storage_paths.alias(spec(kind)) == alias


@pytest.mark.parametrize(
    ("placement", "name", "segment"),
    [
        (EXPLICIT, ("kubernetes", "kubernetes"), "kubernetes_kubernetes"),
        (SINGLE, ("kubernetes", "kubernetes"), ""),
        (SINGLE, ("kubernetes", "release"), "kubernetes_release"),
        (LEGACY, ("kubernetes", "kubernetes"), ""),
        (LEGACY, ("kubernetes", "release"), "release"),
        (LEGACY, ("other", "kubernetes"), "other_kubernetes"),
        (EXPLICIT, ("https://gerrit.host", "a/b/c"), "gerrit.host_a_b_c"),
        (LEGACY, ("https://gerrit.host", "a/b"), "gerrit.host_a_b"),
    ],
)
def test_how_repositories_are_spelled(placement: GCSConfiguration, name: tuple[str, str], segment: str) -> None:
    assert storage_paths.repo_segment(placement, *name) == segment
    place = storage_paths.run_folder(spec("presubmit", *name), placement)
    middle = f"{segment}/" if segment else ""
    assert place.removeprefix("pre/fix/") == f"pr-logs/pull/{middle}5/job/17"


@pytest.mark.parametrize("broken", [JobSpec("presubmit", "j", "1"), JobSpec("", "j", "1"), JobSpec("odd", "j", "1")])
def test_a_job_without_a_place(broken: JobSpec) -> None:
    with pytest.raises(UserMistake, match="no place in storage"):
        storage_paths.run_folder(broken, EXPLICIT)
    with pytest.raises(UserMistake, match="no place in storage"):
        storage_paths.latest_builds(broken, EXPLICIT)


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        (("a", "b"), "a/b"),
        (("", ""), ""),
        (("/", "a"), "/a"),
        (("/", "..", "a"), "/a"),
        (("..", "a", "../.."), "../.."),
        (("a", ".."), "."),
        (("//a//b/./c/", ""), "/a/b/c"),
    ],
)
def test_join_is_gos(parts: tuple[str, ...], joined: str) -> None:
    assert storage_paths.join(*parts) == joined


@pytest.mark.parametrize(
    ("place", "bucket", "path"),
    [
        ("gs://b/x.json", "gs://b", "x.json"),
        ("b/ci/x.json", "gs://b", "ci/x.json"),
        ("s3://b/ci/x.json", "s3://b", "ci/x.json"),
        ("file:///var/ci/x.json", "file:///var/ci", "x.json"),
        ("/var/ci/x.json", "file:///var/ci", "x.json"),
    ],
)
def test_an_objects_place_is_taken_apart(place: str, bucket: str, path: str) -> None:
    assert storage_paths.split(place) == (bucket, path)


@pytest.mark.parametrize("place", ["", "b", "gs://b", "gs://b/", "gs:///x", "file://x", "file:///x/", "/x", "/x/"])
def test_a_place_without_an_object(place: str) -> None:
    with pytest.raises(UserMistake, match="names no object"):
        storage_paths.split(place)
