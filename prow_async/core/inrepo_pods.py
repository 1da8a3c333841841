"""What the pods of a repository's own jobs may ask for, where `--in-repo-forbid` says so: no more than trust allows.

Whoever opens a pull request writes these jobs, and one `/ok-to-test` on a harmless commit runs the next one as well.
Upstream bounds the cluster alone; what a cluster grants its pods (Secrets, accounts, the host) it grants these too.

Keys are looked for wherever they stand in a pod spec and however they are capitalised: components written in Go read
them so. What is new to us (a volume plugin's `...SecretRef`) is refused rather than let through. Keys that people
choose themselves (labels, node selectors) are passed over.
"""

from collections.abc import Collection, Iterable, Iterator

from prow_async.api.errors import Problem
from prow_async.api.inrepo import PodPolicy
from prow_async.api.jobconfig import JobBase, Preset
from prow_async.api.prowjob import DecorationConfig, Json

SECRETS = "secrets"
ACCOUNTS = "service-accounts"
HOST = "host"
PRIVILEGED = "privileged"
VOLUMES = "volumes"
AGENTS = "agents"
KINDS = (SECRETS, ACCOUNTS, HOST, PRIVILEGED, VOLUMES, AGENTS)

_KEYS = {
    SECRETS: "csi",
    ACCOUNTS: "serviceAccountName serviceAccount automountServiceAccountToken serviceAccountToken podCertificate",
    HOST: "hostPath hostNetwork hostPID hostIPC hostPort nodeName resourceClaims gitRepo",
    PRIVILEGED: "privileged allowPrivilegeEscalation hostProcess seLinuxOptions sysctls runtimeClassName "
    "priorityClassName",
    VOLUMES: "persistentVolumeClaim nfs iscsi glusterfs rbd cephfs fc cinder flexVolume flocker quobyte storageos "
    "scaleIO portworxVolume vsphereVolume photonPersistentDisk gcePersistentDisk awsElasticBlockStore azureDisk "
    "azureFile",
}
_KIND_OF = {key.casefold(): kind for kind, keys in _KEYS.items() for key in keys.split()}
_CHOSEN = frozenset({"labels", "annotations", "matchlabels", "nodeselector", "limits", "requests", "volumeattributes"})
"""Maps whose keys are people's own."""
_UNCONFINED = "unconfined"
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_CREDENTIALS = (
    *("utility_images", "gcs_credentials_secret", "s3_credentials_secret", "ssh_key_secrets", "cookiefile_secret"),
    *("oauth_token_secret", "github_app_private_key_secret", "github_api_endpoints", "censoring_options"),
)
"""Fields of decoration that name Secrets, or decide who gets to see those that every job has."""


class PolicyError(ValueError):
    """A policy that cannot be read. The message says why; tell whoever wrote the flag."""


def policy(values: Iterable[str]) -> PodPolicy:
    """Read `[SCOPE=]KIND[,KIND...]`, one for each scope. `all` and `none` are kinds too.

    Raises: PolicyError.
    """
    forbidden: dict[str, frozenset[str]] = {}
    for value in values:
        scope, given, listed = value.rpartition("=")
        scope = scope if given else "*"
        kinds = {kind.strip() for kind in listed.split(",")}
        if unknown := sorted(kinds - {*KINDS, "all", "none"}):
            raise PolicyError(f"{value!r}: {unknown[0]!r} is none of {', '.join(KINDS)}, all and none")
        if len(kinds) > 1 and kinds & {"all", "none"}:
            raise PolicyError(f"{value!r}: all and none stand alone")
        if not scope or scope.count("/") > 1 or not all(scope.split("/")):
            raise PolicyError(f"{value!r}: {scope!r} is neither *, nor an org, nor org/repo")
        if scope in forbidden:
            raise PolicyError(f"{value!r}: {scope} has a value already; name all its kinds in one")
        forbidden[scope] = frozenset(KINDS) if "all" in kinds else frozenset(kinds - {"none"})
    return PodPolicy(forbidden)


def given_to_all(presets: Iterable[Preset]) -> tuple[Json, ...]:
    """Return what presets of the installation put into every pod, asked or not: those that have no labels."""
    return tuple(part for preset in presets if not preset.labels for part in (*preset.env, *preset.volumes))


def problems(
    written: JobBase, job: JobBase, forbidden: frozenset[str], given: Collection[Json] = ()
) -> Iterator[Problem]:
    """Yield what a job asks for that is forbidden.

    Args:
        written: as its file has it: the installation's own defaults for decoration are not the repository's.
        job: the same, completed: what presets bring, the installation's too, the job has asked for by their labels.
        given: what the job has without asking (given_to_all).
    """
    if not forbidden:
        return
    asked = (*_pod(job.spec or {}, "spec", given), *_annotations(written), *_decoration(written.decoration_config))
    for where, kind in (*asked, *_clones(written), *_agents(written)):
        if kind in forbidden:
            text = f'job "{job.name}": {where}: not allowed to a repository\'s own jobs here ({kind})'
            yield Problem(job.source.file, job.source.line, text, kind)


def _pod(value: object, where: str, given: Collection[Json], under: str = "") -> Iterator[tuple[str, str]]:
    """Yield (place, kind) of everything in a pod spec that has one. `under` is the key that the value stands under."""
    if isinstance(value, list):
        for number, part in enumerate(value):
            if part not in given:
                yield from _pod(part, f"{where}[{number}]", given, under)
    if not isinstance(value, dict) or under in _CHOSEN:
        return
    for name, part in value.items():
        key, place = str(name).casefold(), f"{where}.{name}"
        kind = _kind(key, under, part)
        if kind:
            yield place, kind
        else:
            yield from _pod(part, place, given, key)


def _kind(key: str, under: str, value: object) -> str:
    if value in (None, False, "", [], {}):
        return ""
    if "secret" in key:
        return SECRETS
    if key == "add" and under == "capabilities":
        return PRIVILEGED
    if key == "type" and under in {"seccompprofile", "apparmorprofile"}:
        return PRIVILEGED if str(value).casefold() == _UNCONFINED else ""
    if key == "procmount":
        return "" if value == "Default" else PRIVILEGED
    return _KIND_OF.get(key, "")


def _annotations(job: JobBase) -> Iterator[tuple[str, str]]:
    """Yield what a pod's annotations say instead of its spec."""
    for key, value in job.annotations.items():
        if key.startswith(_APPARMOR) and value == _UNCONFINED:
            yield f"annotations.{key}", PRIVILEGED


def _decoration(config: DecorationConfig | None) -> Iterator[tuple[str, str]]:
    """Yield what changes the containers beside the test, which hold the installation's credentials."""
    if config is None:
        return
    for name in _CREDENTIALS:
        if getattr(config, name):
            yield f"decoration_config.{name}", SECRETS
    if config.censor_secrets is False:
        yield "decoration_config.censor_secrets", SECRETS
    if config.gcs_configuration and config.gcs_configuration.bucket:
        yield "decoration_config.gcs_configuration.bucket", SECRETS
    if config.default_service_account_name:
        yield "decoration_config.default_service_account_name", ACCOUNTS


def _clones(job: JobBase) -> Iterator[tuple[str, str]]:
    """Yield addresses that the token for clones would be sent to: it goes to whatever http address is cloned from."""
    refs = ((f"extra_refs[{number}].clone_uri", ref.clone_uri) for number, ref in enumerate(job.extra_refs))
    for where, uri in (("clone_uri", job.clone_uri), *refs):
        if uri.lower().startswith(("http:", "https:")):
            yield where, SECRETS


def _agents(job: JobBase) -> Iterator[tuple[str, str]]:
    """Yield what other agents run: nobody here can tell what that asks for."""
    specs: dict[str, Json | object] = {
        "pipeline_run_spec": job.pipeline_run_spec,
        "tekton_pipeline_run_spec": job.tekton_pipeline_run_spec,
        "jenkins_spec": getattr(job, "jenkins_spec", None),
    }
    for name, spec in specs.items():
        if spec is not None:
            yield name, AGENTS
    if job.agent not in {"", "kubernetes"}:
        yield "agent", AGENTS
