"""From job configuration to the object that is created."""

from typing import Any

import msgspec
import pytest

from prow_async.api import names
from prow_async.api.github import PushEvent, Repo, User
from prow_async.api.jobconfig import Periodic, Postsubmit
from prow_async.api.prowjob import DecorationConfig, JenkinsSpec, Refs, ReporterConfig, SlackReporterConfig
from prow_async.core import identity, newjob
from tests.unit.core import samples

BASE = Refs("o", "r", base_ref="main", base_sha="b")
SHARED: dict[str, Any] = {
    "agent": "kubernetes",
    "cluster": "build",
    "namespace": "pods",
    "max_concurrency": 3,
    "error_on_eviction": True,
    "spec": {"containers": [{"image": "i"}]},
    "hidden": True,
    "job_queue_name": "q",
    "extra_refs": (Refs("x", "y"),),
}
IN_ALL = {
    "job": "j",
    "agent": "kubernetes",
    "cluster": "build",
    "namespace": "pods",
    "max_concurrency": 3,
    "error_on_eviction": True,
    "pod_spec": {"containers": [{"image": "i"}]},
    "hidden": True,
    "job_queue_name": "q",
    "extra_refs": [{"org": "x", "repo": "y"}],
}
REFS = {"org": "o", "repo": "r", "base_ref": "main", "base_sha": "b"}


def plain(content: object) -> object:
    """What the server is sent."""
    return msgspec.json.decode(msgspec.json.encode(content))


def test_presubmit_spec() -> None:
    """A presubmit has refs, context, rerun command, and reports."""
    job = samples.presubmit("j", **SHARED, context="ci/j", jenkins_spec=JenkinsSpec(True))
    assert plain(newjob.presubmit_spec(job, BASE)) == {
        **IN_ALL,
        "type": "presubmit",
        "refs": REFS,
        "report": True,
        "context": "ci/j",
        "rerun_command": "/test j",
        "jenkins_spec": {"github_branch_source_job": True},
    }
    assert not newjob.presubmit_spec(msgspec.structs.replace(job, skip_report=True), BASE).report


def test_postsubmit_spec() -> None:
    """A postsubmit has no rerun command."""
    job = Postsubmit(name="j", **SHARED, context="ci/j")
    expected = {**IN_ALL, "type": "postsubmit", "refs": REFS, "report": True, "context": "ci/j"}
    assert plain(newjob.postsubmit_spec(job, BASE)) == expected


def test_periodic_spec() -> None:
    """A periodic always reports and has neither context nor primary refs."""
    job = Periodic(name="j", **SHARED, cron="@daily")
    assert plain(newjob.periodic_spec(job)) == {**IN_ALL, "type": "periodic", "report": True}


def test_batch_spec() -> None:
    """A batch reports nowhere and has no rerun command and no Jenkins part."""
    job = samples.presubmit("j", **SHARED, context="ci/j", jenkins_spec=JenkinsSpec(True))
    expected = {**IN_ALL, "type": "batch", "refs": REFS, "context": "ci/j"}
    assert plain(newjob.batch_spec(job, BASE)) == expected


@pytest.mark.parametrize(
    ("given", "job", "expected"),
    [
        ({}, {}, {}),
        ({"path_alias": "a", "clone_depth": 2}, {}, {"path_alias": "a", "clone_depth": 2}),
        (
            {"path_alias": "a", "clone_depth": 2},
            {"path_alias": "b", "clone_depth": 5, "clone_uri": "u", "skip_submodules": True, "skip_fetch_head": True},
            {"path_alias": "b", "clone_depth": 5, "clone_uri": "u", "skip_submodules": True, "skip_fetch_head": True},
        ),
        ({}, {"decoration_config": DecorationConfig(blobless_fetch=True)}, {"blobless_fetch": True}),
        (
            {"blobless_fetch": False, "sparse_checkout_files": ("old",)},
            {"decoration_config": DecorationConfig(blobless_fetch=True, sparse_checkout_files=("new",))},
            {"blobless_fetch": False, "sparse_checkout_files": ("new",)},
        ),
        (
            {"sparse_checkout_files": ("old",)},
            {"decoration_config": DecorationConfig()},
            {"sparse_checkout_files": ("old",)},
        ),
    ],
)
def test_refs_are_completed(given: dict[str, object], job: dict[str, Any], expected: dict[str, object]) -> None:
    """What the job says of cloning goes into its refs; what it leaves unset stays."""
    refs = msgspec.structs.replace(BASE, **given)
    assert newjob.presubmit_spec(samples.presubmit(**job), refs).refs == msgspec.structs.replace(BASE, **expected)


def test_extra_refs_take_blobless_only() -> None:
    """Extra refs inherit blobless_fetch where they say nothing themselves, and nothing else."""
    decoration = DecorationConfig(blobless_fetch=True, sparse_checkout_files=("f",))
    job = samples.presubmit(
        extra_refs=(Refs("x", "y"), Refs("x", "z", blobless_fetch=False)), decoration_config=decoration, path_alias="p"
    )
    wanted = (Refs("x", "y", blobless_fetch=True), Refs("x", "z", blobless_fetch=False))
    assert newjob.presubmit_spec(job, BASE).extra_refs == wanted


@pytest.mark.parametrize(
    ("report", "states", "settled"),
    [
        (None, None, True),
        (None, ("failure",), True),
        (None, (), False),
        (True, (), True),
        (False, None, False),
    ],
)
def test_slack_report(report: bool | None, states: tuple[str, ...] | None, settled: bool) -> None:
    """Unset means yes, unless the list of states is there and empty."""
    slack = SlackReporterConfig(channel="c", job_states_to_report=states, report=report)
    spec = newjob.periodic_spec(Periodic(name="j", reporter_config=ReporterConfig(slack)))
    made = newjob.new_prowjob(spec, {}, {}, newjob.Birth("n", "ci", 0.0, "test")).spec.reporter_config
    assert made is not None
    assert made.slack == msgspec.structs.replace(slack, report=settled)


def test_new_prowjob() -> None:
    """The object has its name, its marks, its start time and state, and nothing else in its status."""
    spec = newjob.periodic_spec(Periodic(name="j"))
    job = newjob.new_prowjob(
        spec, {"l": "1"}, {"a": "2"}, newjob.Birth("n", "ci", 1767323045.7, "because", "scheduling")
    )
    assert plain(job) == {
        "apiVersion": "prow.k8s.io/v1",
        "kind": "ProwJob",
        "metadata": {
            "name": "n",
            "namespace": "ci",
            "labels": {
                names.CREATED_BY_PROW: "true",
                names.TYPE_LABEL: "periodic",
                names.JOB: "j",
                names.CONTEXT: "",
                "l": "1",
            },
            "annotations": {
                names.JOB: "j",
                names.CONTEXT: "",
                "a": "2",
                names.DIGEST: identity.spec_digest(job),
                names.CAUSE: "because",
            },
        },
        "spec": {"type": "periodic", "job": "j", "report": True},
        "status": {"startTime": "2026-01-02T03:04:05Z", "state": "scheduling"},
    }


def test_pull_refs() -> None:
    """A pull request's refs link to its repository, base, commit and author."""
    refs = newjob.pull_refs(samples.REPO, samples.pull_request(), "b" * 40)
    assert plain(refs) == {
        "org": "o",
        "repo": "r",
        "repo_link": "https://github.com/o/r",
        "base_ref": "main",
        "base_sha": "b" * 40,
        "base_link": f"https://github.com/o/r/commit/{'b' * 40}",
        "pulls": [
            {
                "number": 5,
                "author": "ann",
                "sha": "5" * 40,
                "title": "Fix <it> & more",
                "head_ref": "topic",
                "link": "https://github.com/o/r/pull/5",
                "commit_link": f"https://github.com/o/r/pull/5/commits/{'5' * 40}",
                "author_link": "https://github.com/ann",
            }
        ],
    }


@pytest.mark.parametrize(
    ("ref", "owner", "base_ref"),
    [
        ("refs/heads/main", User(name="o"), "main"),
        ("refs/heads/release/1.0", User(login="o"), "release/1.0"),
        ("refs/tags/v1", User(login="ignored", name="o"), "v1"),
    ],
)
def test_push_refs(ref: str, owner: User, base_ref: str) -> None:
    """A push's refs name the branch or tag and the new commit."""
    push = PushEvent(
        ref=ref, after="c" * 40, compare="https://cmp", repository=Repo(name="r", owner=owner, html_url="https://h")
    )
    expected = Refs("o", "r", "https://h", base_ref=base_ref, base_sha="c" * 40, base_link="https://cmp")
    assert newjob.push_refs(push) == expected
