"""The pod of an undecorated job, and the environment every job finds."""

import json
from typing import Any

import msgspec
import pytest

from prow_async.api import names
from prow_async.api.errors import UserMistake
from prow_async.api.prowjob import DecorationConfig, Pull, Refs
from prow_async.core import identity, podenv, podspec
from tests.unit.core import samples

JOB_SPEC = (
    '{"type":"presubmit","job":"unit","buildid":"42","prowjobid":"job-1","refs":{"org":"o","repo":"r",'
    '"repo_link":"https://github.com/o/r","base_ref":"main","base_sha":"' + "b" * 40 + '","pulls":[{"number":5,'
    '"author":"ann","sha":"' + "5" * 40 + '","title":"Fix \\u003cit\\u003e \\u0026 more","head_ref":"topic"}]}}'
)
COMMON = {"CI", "JOB_NAME", "JOB_TYPE", "BUILD_ID", "BUILD_NUMBER", "PROW_JOB_ID", "JOB_SPEC"}
REFS = {"REPO_OWNER", "REPO_NAME", "SRC_HOST", "SRC_BASE", "PULL_BASE_REF", "PULL_BASE_SHA", "PULL_REFS"}
PULL = {"PULL_NUMBER", "PULL_PULL_SHA", "PULL_HEAD_REF", "PULL_TITLE"}


def test_whole_pod() -> None:
    """The pod inherits labels and annotations, runs once, and carries our three marks."""
    job = samples.prowjob()
    pod = podspec.pod_for(job, "42", "pods", 2)
    env = pod["spec"]["containers"][0].pop("env")
    assert {e["name"]: e["value"] for e in env} == podenv.environment(job, "42")
    assert [e["name"] for e in env] == sorted(e["name"] for e in env)
    assert pod == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "job-1",
            "namespace": "pods",
            "labels": {
                names.CREATED_BY_PROW: "true",
                names.TYPE_LABEL: "presubmit",
                names.JOB: "unit",
                names.CONTEXT: "unit",
                names.ORG_LABEL: "o",
                names.REPO_LABEL: "r",
                names.BASE_REF_LABEL: "main",
                names.PULL_LABEL: "5",
                "team": "a",
                names.ID_LABEL: "job-1",
                names.BUILD_ID_LABEL: "42",
            },
            "annotations": {
                names.JOB: "unit",
                names.CONTEXT: "ci/unit",
                "note": "x",
                names.OWNER_UID: "uid-1",
                names.ATTEMPT: "2",
                names.DIGEST: identity.pod_digest(podspec.pod_for(job, "42", "pods", 2)),
            },
        },
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "test",
                    "image": "img",
                    "command": ["true"],
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                }
            ],
        },
    }


@pytest.mark.parametrize(
    ("spec", "part", "expected"),
    [
        ({}, "automountServiceAccountToken", False),
        ({"automountServiceAccountToken": None}, "automountServiceAccountToken", False),
        ({"automountServiceAccountToken": True}, "automountServiceAccountToken", True),
        ({"serviceAccountName": "sa"}, "automountServiceAccountToken", None),
        ({"restartPolicy": "Always"}, "restartPolicy", "Never"),
        ({"nodeSelector": {"a": "b"}}, "nodeSelector", {"a": "b"}),
        (
            {"initContainers": [{"name": "i", "image": "x"}]},
            "initContainers",
            [{"name": "i", "image": "x", "terminationMessagePolicy": "FallbackToLogsOnError"}],
        ),
    ],
)
def test_pod_spec_parts(spec: dict[str, Any], part: str, expected: object) -> None:
    """Only what Prow rules is ruled; the rest of the pod spec stays as it was."""
    job = samples.prowjob(pod_spec={"containers": [{"image": "i"}], **spec})
    assert podspec.pod_for(job, "1", "pods", 0)["spec"].get(part) == expected


def test_containers() -> None:
    """Several containers keep their names; own variables come first, a policy that is set stays."""
    spec = {
        "containers": [
            {"name": "a", "image": "i", "env": [{"name": "Z", "value": "z"}], "terminationMessagePolicy": "File"},
            {"name": "b", "image": "i"},
        ]
    }
    before = json.dumps(spec)
    first, second = podspec.pod_for(samples.prowjob(pod_spec=spec), "1", "pods", 0)["spec"]["containers"]
    assert (first["name"], second["name"]) == ("a", "b")
    assert first["terminationMessagePolicy"] == "File"
    assert first["env"][0] == {"name": "Z", "value": "z"}
    assert first["env"][1:] == second["env"]
    assert json.dumps(spec) == before, "the job's own spec stays untouched"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pod_spec": None}, "no pod_spec"),
        ({"pod_spec": {}}, "no pod_spec with containers"),
        ({"pod_spec": {"containers": []}}, "no pod_spec with containers"),
        ({"pod_spec": {"containers": "x"}}, "no pod_spec with containers"),
        ({"pod_spec": {"containers": ["x"]}}, "no pod_spec with containers"),
        ({"pod_spec": {"containers": [{"env": "x"}]}}, "no pod_spec with containers"),
        ({"pod_spec": {"containers": [{}], "initContainers": [1]}}, "no pod_spec with containers"),
        ({"pod_spec": {"containers": [{}], "volumes": ["v"]}}, "no pod_spec with containers"),
        ({"pod_spec": {"containers": [{}], "volumes": [{"name": [], "secret": {}}]}}, "no pod_spec with containers"),
        ({"pod_spec": {"containers": [{"volumeMounts": [{"name": {}}]}]}}, "no pod_spec with containers"),
        ({"pod_spec": {"containers": [{"volumeMounts": [{"mountPath": []}]}]}}, "no pod_spec with containers"),
        ({"pod_spec": {"containers": [{"command": [1]}]}}, "no pod_spec with containers"),
        ({"pod_spec": {"containers": [{"resources": {"limits": 1}}]}}, "no pod_spec with containers"),
        ({"decoration_config": DecorationConfig()}, "lacks utility_images.clonerefs, .*, gcs_configuration"),
        ({"refs": None}, "without refs"),
        ({"refs": Refs("o", "r")}, "without a pull request"),
    ],
)
def test_impossible_pods(changes: dict[str, Any], words: str) -> None:
    """A job no pod can be made of is told to its owner by name."""
    with pytest.raises(UserMistake, match=words) as caught:
        podspec.pod_for(samples.prowjob(**changes), "1", "pods", 0)
    assert "job-1 (unit)" in caught.value.text_for_user


@pytest.mark.parametrize(
    ("job_type", "variables"),
    [
        ("periodic", COMMON),
        ("postsubmit", COMMON | REFS),
        ("batch", COMMON | REFS),
        ("presubmit", COMMON | REFS | PULL),
    ],
)
def test_variables_by_type(job_type: str, variables: set[str]) -> None:
    """Each type of job finds exactly the variables documented for it."""
    assert set(podenv.environment(samples.prowjob(type=job_type), "42")) == variables


def test_values() -> None:
    """The variables of a presubmit, JOB_SPEC byte for byte as Go writes it."""
    job = samples.prowjob()
    assert podenv.environment(job, "42") == {
        "CI": "true",
        "JOB_NAME": "unit",
        "JOB_TYPE": "presubmit",
        "BUILD_ID": "42",
        "BUILD_NUMBER": "42",
        "PROW_JOB_ID": "job-1",
        "JOB_SPEC": JOB_SPEC,
        "REPO_OWNER": "o",
        "REPO_NAME": "r",
        "SRC_HOST": "github.com",
        "SRC_BASE": "o/r",
        "PULL_BASE_REF": "main",
        "PULL_BASE_SHA": "b" * 40,
        "PULL_REFS": f"main:{'b' * 40},5:{'5' * 40}",
        "PULL_NUMBER": "5",
        "PULL_PULL_SHA": "5" * 40,
        "PULL_HEAD_REF": "topic",
        "PULL_TITLE": "Fix <it> & more",
    }
    assert "BUILD_NUMBER" not in podenv.environment(samples.prowjob(agent="jenkins"), "42")


def test_job_spec_reads_back() -> None:
    """Escaping changes how JOB_SPEC looks, never what it says."""
    hostile = '\u2028</script>&"\\\t\u00e9'
    refs = msgspec.structs.replace(samples.REFS, pulls=(Pull(5, "a", "s", title=hostile),))
    text = podenv.job_spec(samples.prowjob(refs=refs), "42")
    assert json.loads(text)["refs"]["pulls"][0]["title"] == hostile
    assert not set(text) & set("<>&\u2028")


@pytest.mark.parametrize(
    ("refs", "text"),
    [
        (Refs("o", "r", base_ref="main"), "main"),
        (Refs("o", "r", base_ref="main", base_sha="b"), "main:b"),
        (
            Refs("o", "r", base_ref="main", base_sha="b", pulls=(Pull(1, "a", ""), Pull(2, "a", "s", ref="x"))),
            "main:b,1:,2:s:x",
        ),
    ],
)
def test_refs_text(refs: Refs, text: str) -> None:
    """PULL_REFS: the colon before a pull's SHA is always there."""
    assert podenv.refs_text(refs) == text


@pytest.mark.parametrize(
    ("refs", "host", "base"),
    [
        (Refs("o", "r"), "github.com", "o/r"),
        (Refs("o", "r", repo_link="https://ghe.example/o/r"), "ghe.example", "o/r"),
        (Refs("o", "r", repo_link="https://ghe.example/o/r", path_alias="k8s.io/kubernetes"), "k8s.io", "kubernetes"),
        (Refs("o", "r", path_alias="k8s.io"), "k8s.io", "o/r"),
    ],
)
def test_source(refs: Refs, host: str, base: str) -> None:
    """SRC_HOST and SRC_BASE come from the path alias, else from the repository's link, else from GitHub."""
    env = podenv.environment(samples.prowjob(type="postsubmit", refs=refs), "1")
    assert (env["SRC_HOST"], env["SRC_BASE"]) == (host, base)
