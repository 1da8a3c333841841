"""The flags and mistakes of whatever uploads a run's files: gcsupload, initupload, sidecar.

Source: upstream pkg/gcsupload/options.go, pkg/flagutil (storage), pkg/apis/prowjobs/v1/types.go (Validate).
"""

import re
from typing import Any

from prow_async.api.errors import CannotStart
from prow_async.api.podoptions import GCSUploadOptions
from prow_async.core import goflags
from prow_async.core.goflags import Flag
from prow_async.core.podflags import PodFlag

ZERO = {"dry_run": False}
"""What the JSON may leave out."""

_STRATEGIES = ("legacy", "single", "explicit")
_MEDIA_TYPE = re.compile(r"[^\s/;:]+/[^\s/;:]+(\s*;.*)?")


def flags(above: str = "") -> tuple[PodFlag, ...]:
    """Return the flags, for options that lie below a key (`gcs_options.`) or at the top."""
    return (
        PodFlag(Flag("sub-dir", "str", "", "folder below the run's, to upload to"), f"{above}sub_dir"),
        PodFlag(Flag("path-strategy", "str", "explicit", "explicit, legacy or single"), f"{above}path_strategy"),
        PodFlag(Flag("default-org", "str", "", "organization that paths leave out"), f"{above}default_org"),
        PodFlag(Flag("default-repo", "str", "", "repository that paths leave out"), f"{above}default_repo"),
        PodFlag(
            Flag("gcs-path", "str", "", "where to upload: gs://BUCKET/PREFIX, s3://BUCKET/PREFIX or file:///FOLDER"), ""
        ),
        PodFlag(Flag("dry-run", "bool", True, "only say what would be uploaded"), f"{above}dry_run"),
        PodFlag(Flag("media-type", "strings", (), "EXTENSION:TYPE, commas between several; may be repeated"), ""),
        PodFlag(Flag("local-output-dir", "str", "", "copy to this folder instead"), f"{above}local_output_dir"),
        PodFlag(
            Flag("gcs-credentials-file", "str", "", "credentials for gs://; those of the surroundings if not given"),
            f"{above}gcs_credentials_file",
        ),
        PodFlag(
            Flag("s3-credentials-file", "str", "", "credentials for s3://; those of the surroundings if not given"),
            f"{above}s3_credentials_file",
        ),
    )


def finish(options: dict[str, Any], parsed: goflags.Flags) -> None:
    """Fill what two flags say together into the options they lie in. Raises CannotStart."""
    path = parsed["gcs-path"]
    if path.startswith("file://"):  # a folder is a bucket, however deep it lies
        options["bucket"], options["path_prefix"] = path.rstrip("/"), ""
    elif path:
        scheme, marked, rest = path.partition("://")
        bucket, _, prefix = (rest if marked else path).partition("/")
        options["bucket"] = f"{scheme}://{bucket}" if marked and scheme != "gs" else bucket
        options["path_prefix"] = prefix.rstrip("/")
    for entry in ",".join(parsed["media-type"]).split(","):
        extension, marked, media_type = entry.partition(":")
        if entry and not marked:
            raise CannotStart(f"--media-type={entry!r} has no colon: write EXTENSION:TYPE")
        if entry:
            options.setdefault("mediaTypes", {})[extension] = media_type


def mistake(options: GCSUploadOptions) -> str:
    """Return what makes an upload impossible, "" if nothing does."""
    if options.local_output_dir:
        return ""
    if not options.dry_run and not options.bucket:
        return "an upload was asked for, and no bucket given"
    for extension, media_type in sorted(options.media_types.items()):
        if not _MEDIA_TYPE.fullmatch(media_type):
            return f'"{media_type}" for {extension} is no media type'
    if options.path_strategy not in _STRATEGIES:
        return f'path_strategy "{options.path_strategy}" must be one of {", ".join(_STRATEGIES)}'
    if options.path_strategy != "explicit" and not (options.default_org and options.default_repo):
        return f"path_strategy {options.path_strategy} needs default_org and default_repo"
    return ""
