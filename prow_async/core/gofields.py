"""Go's names of a ProwJob's fields, for templates: `.Spec.Refs.BaseSHA`, `.Status.BuildID`, `.Name`.

The names are built from the wire names by Go's habits, and listed where Go differs. Fields of pod specs and other plain
mappings are looked up by core/gotemplate_run itself.

Source: upstream pkg/apis/prowjobs/v1/types.go.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from prow_async.api import prowjob

_INITIALISMS = {
    "api": "API",
    "gcs": "GCS",
    "github": "GitHub",
    "id": "ID",
    "ids": "IDs",
    "s3": "S3",
    "sha": "SHA",
    "ssh": "SSH",
    "uid": "UID",
    "uri": "URI",
    "url": "URL",
}
_ODD: Mapping[type, Mapping[str, str]] = {
    prowjob.ProwJobSpec: {"ProwJobDefault": "prowjob_defaults"},
    prowjob.GCSConfiguration: {"JobURLPrefix": "job_url_prefix"},
    prowjob.ResultStoreConfig: {"ProjectID": "project_id"},
    prowjob.TektonPipelineRunSpec: {"V1Beta1": "v1beta1"},
}
_META = (
    "name",
    "generate_name",
    "namespace",
    "uid",
    "resource_version",
    "creation_timestamp",
    "deletion_timestamp",
    "labels",
    "annotations",
    "finalizers",
)


def go_name(attribute: str) -> str:
    """Return the usual Go name of a field.

    >>> go_name("base_sha"), go_name("rerun_command"), go_name("clone_uri")
    ('BaseSHA', 'RerunCommand', 'CloneURI')
    """
    return "".join(_INITIALISMS.get(word, word[:1].upper() + word[1:]) for word in attribute.split("_"))


def get(value: msgspec.Struct, name: str) -> Any:
    """Return the field of `value` with this Go name. Raises LookupError when there is none."""
    return _getters(type(value))[name](value)


Getter = Callable[[Any], Any]


def _attribute(name: str) -> Getter:
    return lambda value: getattr(value, name)


@functools.lru_cache(maxsize=64)
def _getters(struct: type[msgspec.Struct]) -> Mapping[str, Getter]:
    table = {go_name(field): _attribute(field) for field in struct.__struct_fields__}
    table.update({name: _attribute(field) for name, field in _ODD.get(struct, {}).items()})
    if struct is prowjob.ProwJob:
        table.update({go_name(field): _of_metadata(field) for field in _META})
        table["ObjectMeta"] = _attribute("metadata")
        table["TypeMeta"] = lambda job: {"Kind": job.kind, "APIVersion": job.api_version}
        table["APIVersion"] = _attribute("api_version")
        table["ClusterAlias"] = lambda job: job.spec.cluster or "default"
        table["Complete"] = _attribute("complete")
        del table["Metadata"]
    if struct is prowjob.Refs:
        table["OrgRepoString"] = _attribute("full_name")
        table["String"] = _refs_text
    return table


def _of_metadata(name: str) -> Getter:
    return lambda job: getattr(job.metadata, name)


def _refs_text(refs: prowjob.Refs) -> str:
    """Return PULL_REFS form: `base_ref[:base_sha]`, then `,number:sha[:ref]` of each pull."""
    parts = [f"{refs.base_ref}:{refs.base_sha}" if refs.base_sha else refs.base_ref]
    parts += [f"{pull.number}:{pull.sha}" + (f":{pull.ref}" if pull.ref else "") for pull in refs.pulls]
    return ",".join(parts)
