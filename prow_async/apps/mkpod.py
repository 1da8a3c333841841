"""mkpod: the pod of a ProwJob, as YAML. Source: upstream cmd/mkpod."""

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import yaml

from prow_async.adapters import clock
from prow_async.api import names
from prow_async.api.errors import CannotStart, UserMistake
from prow_async.api.prowjob import Json, ProwJob
from prow_async.apps import flags
from prow_async.apps.flags import Flag
from prow_async.core import podspec

PROGRAM = "prow-async mkpod"
FLAGS = (
    Flag("prow-job", "str", "", "file with the ProwJob as YAML or JSON; - reads standard input"),
    Flag("build-id", "str", "", "build id; snowflake makes one (default: the ProwJob's own)"),
    Flag("local", "bool", False, "make the pod for a cluster on this machine: nothing is uploaded"),
    Flag("out-dir", "str", "", "with --local: the folder on the node that takes logs and artifacts"),
)
_KEPT = ("hostPath", "emptyDir")


def main(argv: Sequence[str]) -> int:
    """Print the pod. Raises CannotStart with one line for what cannot be done."""
    parsed = flags.parse(PROGRAM, FLAGS, argv)
    if parsed["out-dir"] and not parsed["local"]:
        raise CannotStart(f"{PROGRAM}: --out-dir needs --local")
    if parsed["local"] and not parsed["out-dir"]:
        raise CannotStart(f"{PROGRAM}: --local needs --out-dir, the folder for logs and artifacts")
    job = read_job(parsed["prow-job"])
    build_id = _build_id(parsed["build-id"], job)
    try:
        pod = pod_of(job, build_id, parsed["out-dir"])
    except UserMistake as mistake:
        raise CannotStart(f"{PROGRAM}: {mistake.text_for_user}") from mistake
    if parsed["local"]:
        pod["spec"]["volumes"] = [ask(volume) for volume in pod["spec"].get("volumes") or ()]
    sys.stdout.write(as_yaml(pod))
    return 0


def pod_of(job: ProwJob, build_id: str, local_output: str = "") -> Json:
    """Return the pod that a person gets: production's, without what belongs to a cluster's controllers.

    Raises UserMistake.
    """
    pod = podspec.pod_for(job, build_id, "", 0, local_output)
    return {**pod, "metadata": _metadata(pod["metadata"])}


def as_yaml(value: Json) -> str:
    """Write an object as upstream does: block style, keys sorted."""
    text: str = yaml.dump(value, Dumper=yaml.CSafeDumper, default_flow_style=False, allow_unicode=True, width=10_000)
    return text


def read_job(path: str) -> ProwJob:
    """Read a ProwJob. Raises CannotStart."""
    if not path:
        raise CannotStart(f"{PROGRAM}: no ProwJob: give its file with --prow-job, or - for standard input")
    shown = "standard input" if path == "-" else path
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        return msgspec.convert(yaml.load(data, yaml.CSafeLoader), ProwJob)
    except OSError as error:
        raise CannotStart(f"{PROGRAM}: {shown} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, msgspec.ValidationError, RecursionError, ValueError) as error:
        raise CannotStart(f"{PROGRAM}: {shown} is no ProwJob: {' '.join(str(error).split())}") from error


def _build_id(given: str, job: ProwJob) -> str:
    if given.lower() == "snowflake":
        return clock.SystemIds().build_id()
    found = given or job.status.build_id
    if not found:
        raise CannotStart(f"{PROGRAM}: the ProwJob has no build id: give one with --build-id, or snowflake")
    return found


def _metadata(metadata: Json) -> Json:
    """Keep sinker away from a pod that no ProwJob of the cluster owns, and leave out marks of the controller's."""
    labels = {key: value for key, value in metadata["labels"].items() if key != names.CREATED_BY_PROW}
    annotations = {k: v for k, v in metadata["annotations"].items() if not k.startswith(names.OUR_PREFIX)}
    return {"name": metadata["name"], "labels": labels, "annotations": annotations}


def ask(volume: Json) -> Json:
    """Ask what stands in for a volume that a local cluster may not have. Returns the volume to use."""
    if any(kind in volume for kind in _KEPT):
        return volume
    kind = next((key for key in volume if key != "name"), "volume")
    question = (
        f"Volume {volume.get('name')} is a {kind}. Keep it (empty answer), use an empty one (empty), or a host path: "
    )
    print(question, end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip()
    if not answer:
        return volume
    if answer.lower() in ("empty", "emptydir"):
        return {"name": volume["name"], "emptyDir": {}}
    return {"name": volume["name"], "hostPath": {"path": answer}}
