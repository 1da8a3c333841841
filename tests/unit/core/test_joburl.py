"""The Details link: prefixes and places of decorated jobs, the template of the others."""

import msgspec
import pytest

from prow_async.api.config import Plank
from prow_async.api.prowjob import (
    DecorationConfig,
    GCSConfiguration,
    JobType,
    ObjectMeta,
    ProwJob,
    ProwJobSpec,
    ProwJobStatus,
    Pull,
    Refs,
)
from prow_async.core import joburl

STORAGE = GCSConfiguration(bucket="bucket", path_strategy="explicit")
REFS = Refs("org", "repo", base_ref="main", pulls=(Pull(number=1, sha="abc"),))
PREFIX = {"*": "https://host/view/"}
FOLDER = "pr-logs/pull/org_repo/1/job/123"


def made(
    storage: GCSConfiguration | None = STORAGE,
    refs: Refs | None = REFS,
    extra_refs: tuple[Refs, ...] = (),
    kind: JobType = "presubmit",
) -> ProwJob:
    decoration = None if storage is None else DecorationConfig(gcs_configuration=storage)
    spec = ProwJobSpec(type=kind, job="job", refs=refs, extra_refs=extra_refs, decoration_config=decoration)
    return ProwJob(metadata=ObjectMeta(name="pj"), spec=spec, status=ProwJobStatus(build_id="123"))


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("https://host/view/", f"https://host/view/gs/bucket/{FOLDER}"),
        ("https://host/view", f"https://host/view/gs/bucket/{FOLDER}"),
        ("https://host", f"https://host/gs/bucket/{FOLDER}"),
        ("https://host/v%20iew/?a=b#c", f"https://host/v%20iew/gs/bucket/{FOLDER}?a=b#c"),
        ("https://host/a/../view/", f"https://host/view/gs/bucket/{FOLDER}"),
        ("https://ho st/%zz", ""),
        ("https://[", ""),
        ("https://[::g]/view", ""),
        ("https://[::1]:8/view", f"https://[::1]:8/view/gs/bucket/{FOLDER}"),
    ],
)
def test_prefix_and_place(prefix: str, expected: str) -> None:
    assert joburl.render(made(), Plank(job_url_prefix_config={"*": prefix})) == expected


@pytest.mark.parametrize(
    ("bucket", "expected"),
    [("gs://b", "gs/b"), ("s3://b", "s3/b"), ("b/below", "gs/b/below"), ("s3://b/below/", "s3/b/below")],
)
def test_how_a_bucket_is_spelled(bucket: str, expected: str) -> None:
    job = made(msgspec.structs.replace(STORAGE, bucket=bucket))
    assert joburl.render(job, Plank(job_url_prefix_config=PREFIX)) == f"https://host/view/{expected}/{FOLDER}"
    plain = Plank(job_url_prefix_config=PREFIX, job_url_prefix_disable_append_storage_provider=True)
    assert joburl.render(job, plain) == f"https://host/view/{expected.partition('/')[2]}/{FOLDER}"


def test_path_prefix_counts() -> None:
    job = made(msgspec.structs.replace(STORAGE, path_prefix="deep/er"))
    url = joburl.render(job, Plank(job_url_prefix_config=PREFIX))
    assert url == f"https://host/view/gs/bucket/deep/er/{FOLDER}"


def test_the_nearest_prefix_wins_and_empty_ones_fall_through() -> None:
    table = {"org/repo": "https://repo", "org": "https://org", "*": "https://all", "org/empty": "", "none": ""}
    plank = Plank(job_url_prefix_config=table)
    own = msgspec.structs.replace(STORAGE, job_url_prefix="https://own")
    other = Refs("org", "other")
    assert joburl.prefix_of(made(own), plank) == "https://own"
    assert joburl.prefix_of(made(), plank) == "https://repo"
    assert joburl.prefix_of(made(refs=other), plank) == "https://org"
    assert joburl.prefix_of(made(refs=Refs("org", "empty")), plank) == "https://org"
    assert joburl.prefix_of(made(refs=Refs("none", "x")), plank) == "https://all"
    assert joburl.prefix_of(made(refs=None, extra_refs=(other, REFS)), plank) == "https://org"
    assert joburl.prefix_of(made(refs=None), plank) == "https://all"
    assert joburl.prefix_of(made(refs=None), Plank()) == ""


def test_the_template_serves_whatever_has_no_prefix() -> None:
    plank = Plank(job_url_template="https://t/{{.Spec.Job}}/{{.Status.BuildID}}")
    assert joburl.render(made(), plank) == "https://t/job/123"
    prefixed = msgspec.structs.replace(plank, job_url_prefix_config=PREFIX)
    assert joburl.render(made(storage=None), prefixed) == "https://t/job/123"
    assert joburl.render(made(), prefixed).startswith("https://host/view/")
    assert joburl.render(made(), Plank(job_url_template="{{.Nope}}")) == ""
    assert joburl.render(made(), Plank()) == ""


def test_without_either_links_lead_to_our_own_pages() -> None:
    """To what is stored of a decorated job, to the state of another; a template of the installation comes first."""
    assert joburl.render(made(storage=None), Plank(), "http://us") == "http://us/job/pj"
    stored = joburl.render(made(), Plank(), "http://us")
    assert stored == "http://us/view/gs/bucket/pr-logs/pull/org_repo/1/job/123"
    template = Plank(job_url_template="https://t/{{.Spec.Job}}")
    assert joburl.render(made(), template, "http://us") == "https://t/job"


def test_a_run_without_a_place_has_no_url() -> None:
    assert joburl.render(made(refs=None), Plank(job_url_prefix_config=PREFIX)) == ""
    periodic = made(refs=None, kind="periodic")
    assert joburl.render(periodic, Plank(job_url_prefix_config=PREFIX)) == "https://host/view/gs/bucket/logs/job/123"
