"""Labels and annotations that every ProwJob and pod carries.

Source: upstream pkg/pod-utils/decorate/podspec.go LabelsAndAnnotationsForSpec.
"""

import re
from collections.abc import Mapping

import msgspec

from prow_async.api import names
from prow_async.api.prowjob import ProwJobSpec

VALUE_LIMIT_BYTES = 63
_KEY_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]", re.ASCII)
_KEY_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?")


class Marks(msgspec.Struct, frozen=True):
    """What goes into metadata. `dropped`: labels whose value Kubernetes would refuse, as `key=value`."""

    labels: dict[str, str]
    annotations: dict[str, str]
    dropped: tuple[str, ...] = ()


def is_value(text: str) -> bool:
    """True when Kubernetes takes the text as a label value. Empty is a value."""
    return len(text) <= VALUE_LIMIT_BYTES and _VALUE.fullmatch(text) is not None


def is_key(key: str) -> bool:
    """Say whether Kubernetes takes `key` as a label or annotation name: `[prefix/]name`."""
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not _KEY_PREFIX.fullmatch(prefix)):
        return False
    return len(name) <= 63 and bool(_KEY_NAME.fullmatch(name))


def cut(text: str) -> str:
    """Cut at 63 bytes and drop `.`, `_` and `-` from the new end; shorter text stays as it is."""
    raw = text.encode()
    if len(raw) <= VALUE_LIMIT_BYTES:
        return text
    return raw[:VALUE_LIMIT_BYTES].decode(errors="replace").rstrip("._-")


def for_spec(spec: ProwJobSpec, extra_labels: Mapping[str, str], extra_annotations: Mapping[str, str]) -> Marks:
    """Make labels and annotations: the computed ones, overwritten by the extra ones.

    A label value that Kubernetes would refuse becomes its path's last part (`release/1.0` -> `1.0`) if that is valid;
    else the label is dropped. The annotations keep job and context in full.
    """
    wanted = {
        names.CREATED_BY_PROW: "true",
        names.TYPE_LABEL: spec.type,
        names.JOB: cut(spec.job),
        names.CONTEXT: cut(spec.context),
        **_ref_labels(spec),
        **extra_labels,
    }
    labels: dict[str, str] = {}
    dropped: list[str] = []
    for key, value in wanted.items():
        if is_value(value):
            labels[key] = value
        elif is_value(base := value.rstrip("/").rpartition("/")[2]) and base:
            labels[key] = base
        else:
            dropped.append(f"{key}={value}")
    annotations = {names.JOB: spec.job, names.CONTEXT: spec.context, **extra_annotations}
    return Marks(labels, annotations, tuple(dropped))


def _ref_labels(spec: ProwJobSpec) -> dict[str, str]:
    refs = spec.refs or (spec.extra_refs[0] if spec.extra_refs else None)
    if refs is None:
        return {}
    found = {names.ORG_LABEL: refs.org, names.REPO_LABEL: refs.repo, names.BASE_REF_LABEL: refs.base_ref}
    if refs.pulls:
        found[names.PULL_LABEL] = str(refs.pulls[0].number)
    return found
