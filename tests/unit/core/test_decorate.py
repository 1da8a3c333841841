"""Decorated pods: what each setting adds, and in which order."""

import json
from typing import Any

import msgspec
import pytest

from prow_async.api.errors import UserMistake
from prow_async.api.prowjob import (
    CensoringOptions,
    DecorationConfig,
    GCSConfiguration,
    Json,
    Pull,
    Refs,
    SchedulingOptions,
    SecretKey,
    UtilityImages,
    UtilityResources,
)
from prow_async.core import podspec
from tests.unit.core import samples

CONFIG = DecorationConfig(
    timeout="2h",
    grace_period="15s",
    utility_images=UtilityImages("img/clone", "img/init", "img/entry", "img/side"),
    gcs_configuration=GCSConfiguration("bucket", path_strategy="explicit"),
    gcs_credentials_secret="gcs",
)
CONTAINER = {"image": "i", "command": ["make"], "args": ["test"]}
Env = dict[str, Any]


def decorated(
    pod_spec: Json | None = None, local_output: str = "", refs: Refs | None = samples.REFS, **config: Any
) -> Json:
    """The pod spec of a presubmit (a periodic where there are no refs)."""
    job = samples.prowjob(
        type="presubmit" if refs else "periodic",
        refs=refs,
        pod_spec=pod_spec or {"containers": [CONTAINER]},
        decoration_config=msgspec.structs.replace(CONFIG, **config),
    )
    found: Json = podspec.pod_for(job, "42", "pods", 0, local_output)["spec"]
    return found


def named(items: list[Json]) -> dict[str, Json]:
    return {item["name"]: item for item in items}


def names(items: list[Json]) -> list[str]:
    return [item["name"] for item in items]


def options(container: Json) -> Any:
    [text] = [e["value"] for e in container["env"] if e["name"].endswith("_OPTIONS")]
    return json.loads(text)


def mounts(container: Json) -> list[tuple[str, str]]:
    return [(mount["name"], mount["mountPath"]) for mount in container["volumeMounts"]]


def test_the_order_of_everything() -> None:
    """Clonerefs comes before the user's init containers, the other two after; the sidecar is last."""
    spec = decorated(
        {"containers": [CONTAINER], "initContainers": [{"name": "mine", "image": "x"}], "volumes": [{"name": "v"}]}
    )
    assert names(spec["initContainers"]) == ["clonerefs", "mine", "initupload", "place-entrypoint"]
    assert names(spec["containers"]) == ["test", "sidecar"]
    assert names(spec["volumes"]) == ["v", "logs", "tools", "gcs-credentials", "clonerefs-tmp", "code"]
    mine = named(spec["initContainers"])["mine"]
    assert mine == {"name": "mine", "image": "x", "terminationMessagePolicy": "FallbackToLogsOnError"}
    assert all(c["terminationMessagePolicy"] for c in [*spec["containers"], *spec["initContainers"]])


def test_the_test_container_is_wrapped() -> None:
    """Its own command and args go to entrypoint; it starts in the clone."""
    test = decorated()["containers"][0]
    assert test["command"] == ["/tools/entrypoint"]
    assert "args" not in test
    assert test["workingDir"] == "/home/prow/go/src/github.com/o/r"
    assert mounts(test) == [("logs", "/logs"), ("tools", "/tools"), ("code", "/home/prow/go")]
    env = {e["name"]: e["value"] for e in test["env"]}
    assert (env["ARTIFACTS"], env["GOPATH"]) == ("/logs/artifacts", "/home/prow/go")
    assert names(test["env"])[-1] == "ENTRYPOINT_OPTIONS"
    assert env["ENTRYPOINT_OPTIONS"] == (
        '{"timeout":7200000000000,"grace_period":15000000000,"artifact_dir":"/logs/artifacts","args":["make","test"],'
        '"container_name":"test","process_log":"/logs/process-log.txt","marker_file":"/logs/marker-file.txt",'
        '"metadata_file":"/logs/artifacts/metadata.json"}'
    )


def test_unset_durations_are_written_as_zero() -> None:
    """Entrypoint has its own defaults for them."""
    found = options(decorated(timeout=None, grace_period=None)["containers"][0])
    assert (found["timeout"], found["grace_period"]) == (0, 0)
    assert "terminationGracePeriodSeconds" not in decorated(grace_period=None)
    assert decorated(grace_period="0s")["terminationGracePeriodSeconds"] == 0
    assert options(decorated(timeout=5_000_000_000)["containers"][0])["timeout"] == 5_000_000_000


def test_several_containers_have_files_of_their_own() -> None:
    spec = decorated({"containers": [{**CONTAINER, "name": "a"}, {**CONTAINER, "name": "b"}]})
    assert names(spec["containers"]) == ["a", "b", "sidecar"]
    assert options(spec["containers"][1])["marker_file"] == "/logs/b-marker.txt"
    entries = options(spec["containers"][2])["entries"]
    assert [entry["process_log"] for entry in entries] == ["/logs/a-log.txt", "/logs/b-log.txt"]
    assert [entry["metadata_file"] for entry in entries] == [
        "/logs/artifacts/a-metadata.json",
        "/logs/artifacts/b-metadata.json",
    ]


def test_a_clone_with_every_secret() -> None:
    """Volumes and mounts in upstream's order; keys are private to their owner."""
    spec = decorated(
        ssh_key_secrets=("k1", "k2"),
        ssh_host_fingerprints=("fp",),
        cookiefile_secret="cook/jar",
        oauth_token_secret=SecretKey("tok", "oauth"),
        github_app_id="7",
        github_app_private_key_secret=SecretKey("app", "cert"),
        github_api_endpoints=("https://ghproxy",),
    )
    clone = spec["initContainers"][0]
    assert mounts(clone) == [
        ("logs", "/logs"),
        ("code", "/home/prow/go"),
        ("ssh-keys-k1", "/secrets/ssh/k1"),
        ("ssh-keys-k2", "/secrets/ssh/k2"),
        ("tok", "/secrets/oauth"),
        ("app", "/secrets/github-app"),
        ("clonerefs-tmp", "/tmp"),
        ("cookiefile", "/secrets/cookiefile"),
    ]
    assert clone["args"] == ["--cookiefile=/secrets/cookiefile/jar"]
    volumes = named(spec["volumes"])
    assert volumes["ssh-keys-k1"]["secret"] == {"secretName": "k1", "defaultMode": 0o400}
    assert volumes["tok"]["secret"] == {"secretName": "tok", "items": [{"key": "oauth", "path": "./oauth"}]}
    assert volumes["cookiefile"]["secret"] == {"secretName": "cook", "defaultMode": 0o400}
    found = options(clone)
    assert list(found) == [
        "src_root", "log", "git_user_name", "git_user_email", "refs", "key_files", "oauth_token_file",
        "host_fingerprints", "cookie_path", "github_api_endpoints", "github_app_id", "github_app_private_key_file",
    ]  # fmt: skip
    assert found["key_files"] == ["/secrets/ssh/k1", "/secrets/ssh/k2"]
    assert (found["oauth_token_file"], found["github_app_private_key_file"]) == (
        "/secrets/oauth/oauth",
        "/secrets/github-app/cert",
    )


def test_a_cookie_file_without_a_key_is_named_as_its_secret() -> None:
    assert options(decorated(cookiefile_secret="jar")["initContainers"][0])["cookie_path"] == "/secrets/cookiefile/jar"
    assert "args" not in decorated(cookiefile_secret="")["initContainers"][0]


@pytest.mark.parametrize("config", [{"skip_cloning": True}, {"refs": None}])
def test_nothing_to_clone(config: dict[str, Any]) -> None:
    """Then there is no code volume, no working directory, and no clone log to upload."""
    spec = decorated(**config)
    assert names(spec["initContainers"]) == ["initupload", "place-entrypoint"]
    assert names(spec["volumes"]) == ["logs", "tools", "gcs-credentials"]
    assert "workingDir" not in spec["containers"][0]
    assert "log" not in options(spec["initContainers"][0])
    assert mounts(spec["initContainers"][0]) == [("gcs-credentials", "/secrets/gcs")]


@pytest.mark.parametrize(
    ("extra", "path"),
    [
        ((), "github.com/o/r"),
        ((Refs("p", "q", path_alias="k8s.io/q", workdir=True),), "k8s.io/q"),
        ((Refs("p", "q", path_alias="k8s.io//q/", workdir=True),), "k8s.io/q"),
        ((Refs("p", "q", repo_link="https://git.example.com/p/q/", workdir=True),), "git.example.com/p/q"),
        ((Refs("p", "q", "https://git.example/p/q", workdir=True),), "git.example/p/q"),
        ((Refs("p", "q"), Refs("p", "z", workdir=True)), "github.com/p/z"),
    ],
)
def test_tests_start_in_the_first_ref_that_asks_for_it(extra: tuple[Refs, ...], path: str) -> None:
    job = samples.prowjob(pod_spec={"containers": [CONTAINER]}, decoration_config=CONFIG, extra_refs=extra)
    test = podspec.pod_for(job, "42", "pods", 0)["spec"]["containers"][0]
    assert test["workingDir"] == f"/home/prow/go/src/{path}"


def test_both_kinds_of_storage_and_none() -> None:
    spec = decorated(s3_credentials_secret="s3")
    assert mounts(spec["containers"][-1])[1:] == [
        ("gcs-credentials", "/secrets/gcs"),
        ("s3-credentials", "/secrets/s3-storage"),
    ]
    assert (
        options(spec["containers"][-1])["gcs_options"]["s3_credentials_file"]
        == "/secrets/s3-storage/service-account.json"
    )
    spec = decorated(gcs_credentials_secret="")
    assert mounts(spec["containers"][-1]) == [("logs", "/logs")]
    assert "gcs_credentials_file" not in options(spec["containers"][-1])["gcs_options"]


def test_a_local_run_keeps_what_would_be_uploaded() -> None:
    """On the node; credentials stay away."""
    spec = decorated(local_output="/srv/out")
    assert named(spec["volumes"])["output"] == {"name": "output", "hostPath": {"path": "/srv/out"}}
    assert mounts(spec["containers"][-1]) == [("logs", "/logs"), ("output", "/output")]
    assert options(spec["containers"][-1])["gcs_options"]["local_output_dir"] == "/output"


def test_options_of_storage_are_written_flat_and_in_order() -> None:
    gcs = GCSConfiguration("b", "p", "single", "o", "r", {"z": "a/b", "log": "text/plain"}, "u", "", ("txt",))
    [text] = [
        e["value"]
        for e in decorated(gcs_configuration=gcs)["initContainers"][1]["env"]
        if e["name"] == "INITUPLOAD_OPTIONS"
    ]
    assert text == (
        '{"bucket":"b","path_prefix":"p","path_strategy":"single","default_org":"o","default_repo":"r",'
        '"mediaTypes":{"log":"text/plain","z":"a/b"},"job_url_prefix":"u","compress_file_types":["txt"],'
        '"gcs_credentials_file":"/secrets/gcs/service-account.json","dry_run":false,"log":"/logs/clone.json"}'
    )


SECRETS = {
    "containers": [
        {
            **CONTAINER,
            "name": "a",
            "volumeMounts": [{"name": "s", "mountPath": "/s"}, {"name": "e", "mountPath": "/e"}],
        },
        {
            **CONTAINER,
            "name": "b",
            "volumeMounts": [{"name": "s", "mountPath": "/s"}, {"name": "s", "mountPath": "/t"}],
        },
    ],
    "volumes": [{"name": "s", "secret": {"secretName": "x"}}, {"name": "e", "emptyDir": {}}],
}


def test_censoring_mounts_the_tests_secrets() -> None:
    """Each path once; without censor_secrets the options are there all the same, empty."""
    sidecar = decorated(
        SECRETS, censor_secrets=True, censoring_options=CensoringOptions(5, include_directories=("x",))
    )["containers"][-1]
    assert mounts(sidecar)[2:] == [("s", "/s"), ("s", "/t")]
    assert options(sidecar)["censoring_options"] == {
        "secret_directories": ["/s", "/t"],
        "censoring_concurrency": 5,
        "include_directories": ["x"],
    }
    assert options(decorated(SECRETS)["containers"][-1])["censoring_options"] == {}


def test_no_secret_hides_behind_another_at_its_path() -> None:
    """The API server refuses this pod; with one of the two alone it would run, and the other secret be uploaded."""
    volumes = [{"name": name, "secret": {"secretName": name}} for name in ("s", "t")]
    containers = [{**CONTAINER, "name": name, "volumeMounts": [{"name": name, "mountPath": "/s"}]} for name in "st"]
    sidecar = decorated({"containers": containers, "volumes": volumes}, censor_secrets=True)["containers"][-1]
    assert mounts(sidecar)[2:] == [("s", "/s"), ("t", "/s")]


@pytest.mark.parametrize(
    ("config", "resources"),
    [
        ({}, {"limits": {"cpu": "1"}}),
        ({"default_memory_request": "4096Mi"}, {"limits": {"cpu": "1"}, "requests": {"memory": "4Gi"}}),
        (
            {"default_memory_request": "1Gi", "set_limit_equals_memory_request": True},
            {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"memory": "1Gi"}},
        ),
    ],
)
def test_memory(config: dict[str, Any], resources: Json) -> None:
    """The tests' containers only, never the utilities'."""
    spec = decorated({"containers": [{**CONTAINER, "resources": {"limits": {"cpu": "1"}}}]}, **config)
    assert spec["containers"][0]["resources"] == resources
    assert "resources" not in spec["containers"][1]


def test_a_request_of_its_own_is_the_limit() -> None:
    own = {"containers": [{**CONTAINER, "resources": {"requests": {"memory": "2Gi"}}}]}
    spec = decorated(own, default_memory_request="1Gi", set_limit_equals_memory_request=True)
    assert spec["containers"][0]["resources"] == {"requests": {"memory": "2Gi"}, "limits": {"memory": "2Gi"}}


def test_what_is_said_of_the_pod_as_a_whole() -> None:
    """The job's own word counts; an account given by default still mounts no token, as upstream."""
    spec = decorated(
        {"containers": [CONTAINER], "securityContext": {"runAsUser": 1}},
        run_as_user=5,
        run_as_group=6,
        fs_group=7,
        default_service_account_name="builder",
        scheduling_options=SchedulingOptions({"nodeAffinity": {}}, ({"key": "k"},)),
        grace_period="15m",
    )
    assert spec["securityContext"] == {"runAsUser": 1, "runAsGroup": 6, "fsGroup": 7}
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("builder", False)
    assert (spec["affinity"], spec["tolerations"]) == ({"nodeAffinity": {}}, [{"key": "k"}])
    assert spec["terminationGracePeriodSeconds"] == 1125
    own = {
        "containers": [CONTAINER],
        "terminationGracePeriodSeconds": 0,
        "tolerations": [{"key": "mine"}],
        "serviceAccountName": "me",
    }
    spec = decorated(own, scheduling_options=SchedulingOptions(None, ({"key": "k"},)), default_service_account_name="b")
    assert (spec["terminationGracePeriodSeconds"], spec["tolerations"]) == (0, [{"key": "mine"}])
    assert spec["serviceAccountName"] == "me"
    assert decorated()["securityContext"] == {}


def test_utilities_have_the_resources_they_are_given() -> None:
    given = UtilityResources(*({"requests": {"cpu": f"{n}m"}} for n in (1, 2, 3, 4)))
    spec = decorated(resources=given)
    every = named([*spec["initContainers"], *spec["containers"]])
    found = [
        every[name]["resources"]["requests"]["cpu"]
        for name in ("clonerefs", "initupload", "place-entrypoint", "sidecar")
    ]
    assert found == ["1m", "2m", "3m", "4m"]


def test_text_from_outside_is_escaped_as_go_does() -> None:
    """A title from GitHub can hold anything."""
    pull = Pull(5, "ann", "5" * 40, "<b>&\u2028 \x7f é")
    spec = decorated(refs=Refs("o", "r", base_ref="main", pulls=(pull,)))
    [text] = [e["value"] for e in spec["initContainers"][0]["env"]]
    assert '"title":"\\u003cb\\u003e\\u0026\\u2028 \x7f é"' in text


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"utility_images": None}, "lacks utility_images.clonerefs, utility_images.initupload"),
        ({"utility_images": UtilityImages("a", "b", "c")}, "lacks utility_images.sidecar;"),
        ({"gcs_configuration": None}, "lacks gcs_configuration"),
        ({"timeout": "soon"}, "soon"),
        ({"default_memory_request": "much"}, "much"),
    ],
)
def test_what_cannot_be_decorated_is_told_by_name(config: dict[str, Any], words: str) -> None:
    with pytest.raises(UserMistake, match=words) as caught:
        decorated(**config)
    assert "job-1 (unit)" in caught.value.text_for_user
