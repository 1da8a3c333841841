"""What pods of a repository's own jobs may ask for, where it is forbidden to ask for everything."""

import json
from typing import Any

import pytest

from prow_async.api.config import Config
from prow_async.api.config_sections import InRepoConfig
from prow_async.api.errors import ConfigErrors
from prow_async.api.inrepo import PodPolicy
from prow_async.api.jobconfig import Preset
from prow_async.core import inrepo, inrepo_pods
from prow_async.core.config_load import SourceFile

ALL = inrepo_pods.policy(["all"])
CONTAINER: dict[str, Any] = {"image": "i"}


def job(**changes: Any) -> dict[str, Any]:
    return {"name": "own", "spec": {"containers": [CONTAINER]}, **changes}


def pod(**spec: Any) -> dict[str, Any]:
    return job(spec={"containers": [CONTAINER], **spec})


def container(**changes: Any) -> dict[str, Any]:
    return pod(containers=[{**CONTAINER, **changes}])


def secure(**context: Any) -> dict[str, Any]:
    return container(securityContext=context)


def volume(**kind: Any) -> dict[str, Any]:
    return pod(volumes=[{"name": "v", **kind}])


def decorated(**config: Any) -> dict[str, Any]:
    return job(decoration_config=config)


def told(
    policy: PodPolicy,
    written: dict[str, Any],
    presets: tuple[Preset, ...] = (),
    kind: str = "presubmits",
    own: dict[str, Any] | None = None,
) -> list[tuple[str, str]]:
    """Return (rule, text) of each problem that the policy makes. `own` is a preset of the file, `presets` are not."""
    main = Config(presets=presets, in_repo_config=InRepoConfig(allowed_clusters={"*": ("default",)}))
    content = {kind: [written], "presets": [own] if own else []}
    source = SourceFile(".prow.yaml", json.dumps(content).encode())
    try:
        inrepo.complete(inrepo.parse("o/r", [source]), main, policy)
    except ConfigErrors as error:
        return [(problem.rule, problem.text) for problem in error.problems if problem.rule]
    return []


ASKS: list[tuple[dict[str, Any], str, str]] = [
    (volume(secret={"secretName": "s"}), "secrets", "spec.volumes[0].secret"),
    (volume(projected={"sources": [{"secret": {"name": "s"}}]}), "secrets", ".projected.sources[0].secret"),
    (volume(csi={"driver": "secrets-store"}), "secrets", "spec.volumes[0].csi"),
    (volume(cephfs={"monitors": ["m"]}), "volumes", "spec.volumes[0].cephfs"),
    (volume(brandNew={"storeSecretRef": {"name": "s"}}), "secrets", ".brandNew.storeSecretRef"),
    (
        container(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]),
        *("secrets", "containers[0].env[0].valueFrom.secretKeyRef"),
    ),
    (container(envFrom=[{"secretRef": {"name": "s"}}]), "secrets", "containers[0].envFrom[0].secretRef"),
    (pod(imagePullSecrets=[{"name": "s"}]), "secrets", "spec.imagePullSecrets"),
    (pod(serviceAccountName="admin"), "service-accounts", "spec.serviceAccountName"),
    (pod(serviceAccount="admin"), "service-accounts", "spec.serviceAccount"),
    (pod(automountServiceAccountToken=True), "service-accounts", "spec.automountServiceAccountToken"),
    (volume(projected={"sources": [{"serviceAccountToken": {"path": "t"}}]}), "service-accounts", "sources[0]"),
    (volume(hostPath={"path": "/"}), "host", "spec.volumes[0].hostPath"),
    (volume(gitRepo={"repository": "x"}), "host", "spec.volumes[0].gitRepo"),
    (pod(hostNetwork=True), "host", "spec.hostNetwork"),
    (pod(HostNetwork=True), "host", "spec.HostNetwork"),
    (pod(hostPID=True), "host", "spec.hostPID"),
    (pod(hostIPC=True), "host", "spec.hostIPC"),
    (pod(nodeName="n"), "host", "spec.nodeName"),
    (container(ports=[{"hostPort": 22, "containerPort": 22}]), "host", "ports[0].hostPort"),
    (secure(privileged=True), "privileged", "securityContext.privileged"),
    (secure(allowPrivilegeEscalation=True), "privileged", "allowPrivilegeEscalation"),
    (secure(capabilities={"add": ["SYS_ADMIN"]}), "privileged", "capabilities.add"),
    (secure(procMount="Unmasked"), "privileged", "procMount"),
    (secure(seccompProfile={"type": "Unconfined"}), "privileged", "seccompProfile.type"),
    (pod(securityContext={"sysctls": [{"name": "a", "value": "1"}]}), "privileged", "sysctls"),
    (pod(runtimeClassName="runc"), "privileged", "runtimeClassName"),
    (
        pod(initContainers=[{"name": "s", "restartPolicy": "Always", "securityContext": {"privileged": True}}]),
        *("privileged", "spec.initContainers[0].securityContext.privileged"),
    ),
    (
        job(annotations={"container.apparmor.security.beta.kubernetes.io/test": "unconfined"}),
        *("privileged", "annotations.container.apparmor"),
    ),
    (volume(persistentVolumeClaim={"claimName": "c"}), "volumes", "spec.volumes[0].persistentVolumeClaim"),
    (volume(nfs={"server": "s", "path": "/"}), "volumes", "spec.volumes[0].nfs"),
    (decorated(gcs_credentials_secret="s"), "secrets", "decoration_config.gcs_credentials_secret"),
    (decorated(ssh_key_secrets=["s"]), "secrets", "decoration_config.ssh_key_secrets"),
    (decorated(oauth_token_secret={"name": "s", "key": "k"}), "secrets", "oauth_token_secret"),
    (decorated(utility_images={"sidecar": "mine"}), "secrets", "decoration_config.utility_images"),
    (decorated(github_api_endpoints=["https://mine"]), "secrets", "github_api_endpoints"),
    (decorated(gcs_configuration={"bucket": "gs://theirs"}), "secrets", "gcs_configuration.bucket"),
    (decorated(censor_secrets=False), "secrets", "decoration_config.censor_secrets"),
    (decorated(default_service_account_name="a"), "service-accounts", "default_service_account_name"),
    (job(clone_uri="https://mine/r.git"), "secrets", "clone_uri"),
    (job(extra_refs=[{"org": "o", "repo": "x", "clone_uri": "HTTP://mine/r"}]), "secrets", "extra_refs[0].clone_uri"),
    (job(agent="jenkins"), "agents", "agent"),
    (job(agent="tekton-pipeline", pipeline_run_spec={"serviceAccountName": "a"}), "agents", "pipeline_run_spec"),
]


@pytest.mark.parametrize(("written", "rule", "where"), ASKS, ids=[f"{rule} {where}" for _, rule, where in ASKS])
def test_what_is_forbidden_is_named(written: dict[str, Any], rule: str, where: str) -> None:
    """The job, the field and the rule stand in the problem; without the rule, and without a policy, there is none."""
    found = told(ALL, written)
    assert [text for found_rule, text in found if found_rule == rule and where in text and 'job "own"' in text], found
    others = ",".join(kind for kind in inrepo_pods.KINDS if kind != rule)
    assert all(found_rule != rule for found_rule, _ in told(inrepo_pods.policy([others]), written))
    assert told(PodPolicy(), written) == []


HARMLESS = [
    pod(volumes=[{"name": "a", "emptyDir": {}}, {"name": "b", "configMap": {"name": "c"}}]),
    pod(hostNetwork=False, automountServiceAccountToken=False, serviceAccountName=""),
    pod(nodeSelector={"privileged": "true", "secret": "x"}, tolerations=[{"key": "hostPath", "operator": "Exists"}]),
    secure(privileged=False, capabilities={"drop": ["ALL"]}, procMount="Default", runAsNonRoot=True),
    secure(seccompProfile={"type": "RuntimeDefault"}),
    container(env=[{"name": "SECRET", "value": "hostPath"}], resources={"requests": {"nvidia.com/secret": "1"}}),
    decorated(timeout="1h", skip_cloning=True, gcs_configuration={"path_strategy": "explicit"}),
    job(clone_uri="git@github.com:o/r.git", extra_refs=[{"org": "o", "repo": "x"}], annotations={"secret": "x"}),
    job(labels={"privileged": "true"}, agent="kubernetes"),
]


@pytest.mark.parametrize("written", HARMLESS)
def test_everything_else_runs(written: dict[str, Any]) -> None:
    assert told(ALL, written) == []


def test_presets_and_postsubmits_count() -> None:
    """A label is enough to be given what a preset of the installation holds: that is asked for as well."""
    preset = Preset({"p": "creds"}, volumes=({"name": "c", "secret": {"secretName": "s"}},))
    assert told(ALL, job(labels={"p": "creds"}), (preset,)) == [
        ("secrets", 'job "own": spec.volumes[0].secret: not allowed to a repository\'s own jobs here (secrets)')
    ]
    assert told(ALL, job(), (preset,)) == []
    assert [rule for rule, _ in told(ALL, pod(hostIPC=True), kind="postsubmits")] == ["host"]


def test_what_every_job_is_given_nobody_has_asked_for() -> None:
    """A preset of the installation without labels; the same from the repository's own file is asked for."""
    secret = {"name": "c", "secret": {"secretName": "s"}}
    variable = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    for_all = Preset(volumes=(secret,), env=(variable,))
    assert told(ALL, job(), (for_all,)) == []
    assert [rule for rule, _ in told(ALL, job(), own={"volumes": [secret]})] == ["secrets"]


@pytest.mark.parametrize(
    ("values", "repo", "forbidden"),
    [
        ([], "o/r", set()),
        (["secrets, host"], "o/r", {"secrets", "host"}),
        (["all"], "o/r", set(inrepo_pods.KINDS)),
        (["all", "o/r=none"], "o/r", set()),
        (["all", "o/r=none"], "o/other", set(inrepo_pods.KINDS)),
        (["o=host", "all", "o/r=secrets"], "o/r", {"secrets"}),
        (["o=host", "*=all"], "o/r", {"host"}),
        (["o=host"], "p/r", set()),
    ],
)
def test_the_narrowest_scope_decides_alone(values: list[str], repo: str, forbidden: set[str]) -> None:
    assert inrepo_pods.policy(values).of(*repo.split("/")) == forbidden


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (["secret"], "'secret' is none of secrets, service-accounts"),
        ([""], "'' is none of"),
        (["all,host"], "stand alone"),
        (["a/b/c=all"], "neither"),
        (["=all"], "neither"),
        (["o/=all"], "neither"),
        (["o=host", "o=secrets"], "has a value already"),
    ],
)
def test_flags_that_do_not_read(values: list[str], why: str) -> None:
    with pytest.raises(inrepo_pods.PolicyError, match=why):
        inrepo_pods.policy(values)
