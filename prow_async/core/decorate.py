"""Decorates a pod: code is cloned before the test, the test is wrapped, and what it leaves is uploaded.

The order of containers, volumes, mounts and variables is upstream's.

Source: upstream pkg/pod-utils/decorate/podspec.go (decorate, InjectEntrypoint, PlaceEntrypoint, Sidecar, InitUpload).
"""

from typing import Any

import msgspec

from prow_async.api import podoptions
from prow_async.api.errors import UserMistake
from prow_async.api.prowjob import (
    CensoringOptions,
    DecorationConfig,
    GCSConfiguration,
    Json,
    ProwJob,
    UtilityImages,
    UtilityResources,
)
from prow_async.core import decorate_clone, durations, podenv, quantity

LOGS, LOGS_PATH = "logs", "/logs"
TOOLS, TOOLS_PATH = "tools", "/tools"
CODE, CODE_PATH = "code", "/home/prow/go"
OUTPUT, OUTPUT_PATH = "output", "/output"
ARTIFACTS = f"{LOGS_PATH}/artifacts"
CLONE_LOG = f"{LOGS_PATH}/clone.json"
_GCS, _GCS_PATH = "gcs-credentials", "/secrets/gcs"
_S3, _S3_PATH = "s3-credentials", "/secrets/s3-storage"
_KEY_FILE = "service-account.json"

EXTRA_ENV = {"ARTIFACTS": ARTIFACTS, "GOPATH": CODE_PATH}
"""What test containers find beside podenv.environment."""


class Parts(msgspec.Struct, frozen=True):
    """What a decoration needs, all of it there."""

    config: DecorationConfig
    images: UtilityImages
    resources: UtilityResources
    gcs: GCSConfiguration


class Storage(msgspec.Struct, frozen=True):
    """How initupload and sidecar reach the storage: volumes of the pod, mounts and options of the containers."""

    volumes: list[Json]
    mounts: list[Json]
    output: list[Json]
    """The mount that comes last, of a local run."""
    options: podoptions.GCSUploadOptions


def decorate(spec: Json, job: ProwJob, build_id: str, local_output: str = "") -> Json:
    """Return a decorated pod spec. `spec` is the user's, its containers named and given the job's environment.

    Args:
        local_output: a folder on the node that takes what is uploaded otherwise; "" uploads.

    Raises UserMistake when the job's decoration lacks what every decoration needs, or cannot be read.
    """
    try:
        return _decorated(spec, job, build_id, local_output)
    except (durations.DurationError, quantity.QuantityError) as error:
        raise UserMistake(f"ProwJob {job.metadata.name} ({job.spec.job}) cannot be decorated: {error}") from error


def _decorated(spec: Json, job: ProwJob, build_id: str, local_output: str) -> Json:
    parts = _parts(job)
    job_spec = podenv.job_spec(job, build_id)
    clone = decorate_clone.clone(job, parts.images.clonerefs, parts.resources.clonerefs)
    storage = _storage(parts, local_output)
    single = len(spec["containers"]) == 1
    entries = [_entry(container, single) for container in spec["containers"]]
    containers = [
        _wrapped(container, entry, parts.config) for container, entry in zip(spec["containers"], entries, strict=True)
    ]
    volumes = [*(spec.get("volumes") or ()), _empty(LOGS), _empty(TOOLS), *storage.volumes]
    init = [*(spec.get("initContainers") or ()), _initupload(parts, storage, job_spec, clone is not None)]
    init.append(_place_entrypoint(parts))
    if clone is not None:
        volumes += [*clone.volumes, _empty(CODE)]
        init.insert(0, clone.container)
        mount = {"name": CODE, "mountPath": CODE_PATH}
        containers = [{**_mounted(c, mount), "workingDir": clone.workdir} for c in containers]
    containers = [_with_memory(container, parts.config) for container in containers]
    containers.append(_sidecar(parts, storage, job_spec, entries, _secret_mounts(spec)))
    out = {**spec, "volumes": volumes, "initContainers": init, "containers": containers}
    return _settled(out, parts.config)


def _parts(job: ProwJob) -> Parts:
    config = job.spec.decoration_config or DecorationConfig()
    images = config.utility_images or UtilityImages()
    lacking = [f"utility_images.{name}" for name in UtilityImages.__struct_fields__ if not getattr(images, name)]
    if config.gcs_configuration is None:
        lacking.append("gcs_configuration")
    if lacking or config.gcs_configuration is None:
        raise UserMistake(
            f"ProwJob {job.metadata.name} ({job.spec.job}) cannot be decorated: its decoration_config lacks "
            f"{', '.join(lacking)}; set it on the job or in plank.default_decoration_config_entries"
        )
    return Parts(config, images, config.resources or UtilityResources(), config.gcs_configuration)


def _storage(parts: Parts, local_output: str) -> Storage:
    volumes: list[Json] = []
    mounts: list[Json] = []
    files: dict[str, Any] = {}
    if not local_output:
        secrets = (
            ("gcs_credentials_file", parts.config.gcs_credentials_secret, _GCS, _GCS_PATH),
            ("s3_credentials_file", parts.config.s3_credentials_secret, _S3, _S3_PATH),
        )
        for option, secret, name, path in secrets:
            if secret:
                volumes.append({"name": name, "secret": {"secretName": secret}})
                mounts.append({"name": name, "mountPath": path})
                files[option] = f"{path}/{_KEY_FILE}"
    gcs = {name: getattr(parts.gcs, name) for name in parts.gcs.__struct_fields__}
    output: list[Json] = []
    if local_output:
        gcs["local_output_dir"] = OUTPUT_PATH
        volumes.append({"name": OUTPUT, "hostPath": {"path": local_output}})
        output.append({"name": OUTPUT, "mountPath": OUTPUT_PATH})
    return Storage(volumes, mounts, output, podoptions.GCSUploadOptions(dry_run=False, **gcs, **files))


def _entry(container: Json, single: bool) -> podoptions.WrapperOptions:
    """Return what a container runs and the files it is followed by; several containers need names of their own."""
    name = container.get("name", "")
    log, marker, metadata = (
        ("process-log.txt", "marker-file.txt", "metadata.json")
        if single
        else (f"{name}-log.txt", f"{name}-marker.txt", f"{name}-metadata.json")
    )
    return podoptions.WrapperOptions(
        args=(*(container.get("command") or ()), *(container.get("args") or ())),
        container_name=name,
        process_log=f"{LOGS_PATH}/{log}",
        marker_file=f"{LOGS_PATH}/{marker}",
        metadata_file=f"{ARTIFACTS}/{metadata}",
    )


def _wrapped(container: Json, entry: podoptions.WrapperOptions, config: DecorationConfig) -> Json:
    options = podoptions.EntrypointOptions(
        timeout=nanoseconds(config.timeout),
        grace_period=nanoseconds(config.grace_period),
        artifact_dir=ARTIFACTS,
        **msgspec.structs.asdict(entry),
    )
    out = {key: value for key, value in container.items() if key != "args"}
    out["command"] = [f"{TOOLS_PATH}/entrypoint"]
    out["env"] = [*(container.get("env") or ()), _variable(podoptions.ENTRYPOINT_ENV, options)]
    return _mounted(out, {"name": LOGS, "mountPath": LOGS_PATH}, {"name": TOOLS, "mountPath": TOOLS_PATH})


def _initupload(parts: Parts, storage: Storage, job_spec: str, cloning: bool) -> Json:
    flat = {name: getattr(storage.options, name) for name in storage.options.__struct_fields__}
    options = podoptions.InitUploadOptions(**flat, log=CLONE_LOG if cloning else "")
    logs: list[Json] = [{"name": LOGS, "mountPath": LOGS_PATH}] if cloning else []
    return utility(
        "initupload",
        parts.images.initupload,
        parts.resources.initupload,
        env=[_variable(podoptions.INITUPLOAD_ENV, options), {"name": "JOB_SPEC", "value": job_spec}],
        volumeMounts=[*logs, *storage.mounts, *storage.output],
    )


def _place_entrypoint(parts: Parts) -> Json:
    return utility(
        "place-entrypoint",
        parts.images.entrypoint,
        parts.resources.place_entrypoint,
        args=["--copy-mode-only"],
        volumeMounts=[{"name": TOOLS, "mountPath": TOOLS_PATH}],
    )


def _sidecar(
    parts: Parts, storage: Storage, job_spec: str, entries: list[podoptions.WrapperOptions], secrets: list[Json]
) -> Json:
    wanted = parts.config.censoring_options or CensoringOptions()
    censored = secrets if parts.config.censor_secrets else []
    censoring = podoptions.SidecarCensoring(
        secret_directories=tuple(mount.get("mountPath", "") for mount in censored),
        censoring_concurrency=wanted.censoring_concurrency,
        censoring_buffer_size=wanted.censoring_buffer_size,
        include_directories=wanted.include_directories or (),
        exclude_directories=wanted.exclude_directories or (),
        minimum_secret_length=wanted.minimum_secret_length,
    )
    options = podoptions.SidecarOptions(
        gcs_options=msgspec.structs.replace(storage.options, items=(ARTIFACTS,)),
        entries=tuple(entries),
        ignore_interrupts=bool(parts.config.upload_ignores_interrupts),
        censoring_options=censoring,
    )
    return utility(
        "sidecar",
        parts.images.sidecar,
        parts.resources.sidecar,
        env=[{"name": "JOB_SPEC", "value": job_spec}, _variable(podoptions.SIDECAR_ENV, options)],
        volumeMounts=[{"name": LOGS, "mountPath": LOGS_PATH}, *storage.mounts, *censored, *storage.output],
    )


def utility(name: str, image: str, resources: Json | None, **fields: Any) -> Json:
    """Return a container of ours; empty fields are left out."""
    out: Json = {"name": name, "image": image, **{key: value for key, value in fields.items() if value}}
    return {**out, "resources": resources} if resources else out


def nanoseconds(duration: str | int | None) -> int:
    """Return a decoration's duration in nanoseconds; 0 when it is not set."""
    if duration is None:
        return 0
    return durations.parse_ns(duration) if isinstance(duration, str) else duration


def _variable(name: str, options: msgspec.Struct) -> Json:
    return {"name": name, "value": podenv.go_json(options)}


def _empty(name: str) -> Json:
    return {"name": name, "emptyDir": {}}


def _mounted(container: Json, *mounts: Json) -> Json:
    return {**container, "volumeMounts": [*(container.get("volumeMounts") or ()), *mounts]}


def _secret_mounts(spec: Json) -> list[Json]:
    """Return where the user's containers see secrets; what several see at one path once.

    Two secrets at one path both stay: the API server refuses such a sidecar, where the second would not be censored.
    """
    secret = {volume.get("name") for volume in spec.get("volumes") or () if volume.get("secret") is not None}
    found = {
        tuple(str(mount.get(key, "")) for key in ("mountPath", "name", "subPath", "subPathExpr")): mount
        for container in reversed(spec["containers"])
        for mount in reversed(container.get("volumeMounts") or ())
        if mount.get("name") in secret
    }
    return list(reversed(found.values()))


def _with_memory(container: Json, config: DecorationConfig) -> Json:
    """Apply the decoration's memory rules to a test container."""
    resources = dict(container.get("resources") or {})
    requests = dict(resources.get("requests") or {})
    if config.default_memory_request is not None and not requests.get("memory"):
        requests["memory"] = quantity.canonical(config.default_memory_request)
        resources["requests"] = requests
    if config.set_limit_equals_memory_request and requests.get("memory"):
        resources["limits"] = {**(resources.get("limits") or {}), "memory": requests["memory"]}
    return {**container, "resources": resources} if resources else container


def _settled(spec: Json, config: DecorationConfig) -> Json:
    """Fill in what the decoration says of the pod as a whole; the job's own word always counts."""
    out = dict(spec)
    context = dict(out.get("securityContext") or {})
    for key, value in (
        ("runAsUser", config.run_as_user),
        ("runAsGroup", config.run_as_group),
        ("fsGroup", config.fs_group),
    ):
        if value is not None and context.get(key) is None:
            context[key] = value
    out["securityContext"] = context
    if config.scheduling_options is not None:
        if config.scheduling_options.affinity and not out.get("affinity"):
            out["affinity"] = config.scheduling_options.affinity
        if config.scheduling_options.tolerations and not out.get("tolerations"):
            out["tolerations"] = list(config.scheduling_options.tolerations)
    if out.get("terminationGracePeriodSeconds") is None and config.grace_period is not None:
        out["terminationGracePeriodSeconds"] = nanoseconds(config.grace_period) // 1_000_000_000 * 5 // 4
    if config.default_service_account_name and not out.get("serviceAccountName"):
        out["serviceAccountName"] = config.default_service_account_name
    return out
