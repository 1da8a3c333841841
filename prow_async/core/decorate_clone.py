"""The container that clones a job's code, and all it needs.

Source: upstream pkg/pod-utils/decorate/podspec.go (CloneRefs, DetermineWorkDir), pkg/pod-utils/clone/clone.go.
"""

import msgspec

from prow_async.api import podoptions
from prow_async.api.prowjob import DecorationConfig, Json, ProwJob, SecretKey
from prow_async.core import podenv
from prow_async.core.clone import folder_for

SRC_ROOT = "/home/prow/go"
_LOG = "/logs/clone.json"
_USER, _EMAIL = "ci-robot", "ci-robot@k8s.io"
_GITHUB_API = "https://api.github.com"
_SSH_PATH, _OAUTH_PATH, _APP_PATH, _COOKIE_PATH = (
    "/secrets/ssh",
    "/secrets/oauth",
    "/secrets/github-app",
    "/secrets/cookiefile",
)
_PRIVATE = 0o400


class Clone(msgspec.Struct, frozen=True):
    """The init container, the volumes it brings (the code's aside), and where tests start."""

    container: Json
    volumes: list[Json]
    workdir: str


def clone(job: ProwJob, image: str, resources: Json | None) -> Clone | None:
    """Return how a job's code is cloned, or None when there is nothing to clone or the job does not want it."""
    config = job.spec.decoration_config or DecorationConfig()
    refs = (*((job.spec.refs,) if job.spec.refs is not None else ()), *job.spec.extra_refs)
    if config.skip_cloning or not refs:
        return None
    volumes: list[Json] = []
    mounts: list[Json] = [{"name": "logs", "mountPath": "/logs"}, {"name": "code", "mountPath": SRC_ROOT}]

    def secret(name: str, source: Json, path: str) -> None:
        volumes.append({"name": name, "secret": source})
        mounts.append({"name": name, "mountPath": path, "readOnly": True})

    def secret_file(key: SecretKey | None, path: str) -> str:
        if key is None:
            return ""
        items = [{"key": key.key, "path": f"./{key.key}"}]
        secret(key.name, {"secretName": key.name, "items": items}, path)
        return f"{path}/{key.key}"

    for name in config.ssh_key_secrets:
        secret(f"ssh-keys-{name}", {"secretName": name, "defaultMode": _PRIVATE}, f"{_SSH_PATH}/{name}")
    token_file = secret_file(config.oauth_token_secret, _OAUTH_PATH)
    app_file = secret_file(config.github_app_private_key_secret, _APP_PATH)
    volumes.append({"name": "clonerefs-tmp", "emptyDir": {}})
    mounts.append({"name": "clonerefs-tmp", "mountPath": "/tmp"})  # noqa: S108 - a path in the pod
    cookie_path = ""
    if config.cookiefile_secret:
        name, _, key = config.cookiefile_secret.partition("/")
        secret("cookiefile", {"secretName": name, "defaultMode": _PRIVATE}, _COOKIE_PATH)
        cookie_path = f"{_COOKIE_PATH}/{key or name}"
    options = podoptions.CloneRefsOptions(
        src_root=SRC_ROOT,
        log=_LOG,
        git_user_name=_USER,
        git_user_email=_EMAIL,
        refs=refs,
        key_files=tuple(f"{_SSH_PATH}/{name}" for name in config.ssh_key_secrets),
        oauth_token_file=token_file,
        host_fingerprints=config.ssh_host_fingerprints,
        cookie_path=cookie_path,
        github_api_endpoints=config.github_api_endpoints or (_GITHUB_API,),
        github_app_id=config.github_app_id,
        github_app_private_key_file=app_file,
    )
    container: Json = {
        "name": "clonerefs",
        "image": image,
        **({"args": [f"--cookiefile={cookie_path}"]} if cookie_path else {}),
        "env": [{"name": podoptions.CLONEREFS_ENV, "value": podenv.go_json(options)}],
        "volumeMounts": mounts,
        **({"resources": resources} if resources else {}),
    }
    return Clone(container, volumes, folder_for(next((one for one in refs if one.workdir), refs[0]), SRC_ROOT))
