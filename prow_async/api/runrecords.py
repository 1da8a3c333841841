"""The two small files by which a run is known in storage: started.json and finished.json.

Field order is Go's; wire names carry dashes. Times are whole seconds since the epoch.

Source: testgrid metadata/job.go, upstream pkg/apis/prowjobs/v1/types.go (file names).
"""

from typing import Any

import msgspec

STARTED_FILE = "started.json"
FINISHED_FILE = "finished.json"
PROWJOB_FILE = "prowjob.json"
CLONE_RECORDS_FILE = "clone-records.json"
CLONE_LOG_FILE = "clone-log.txt"
BUILD_LOG_FILE = "build-log.txt"

Metadata = dict[str, Any]


class Started(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known when a run begins. `timestamp` is always written."""

    timestamp: int = msgspec.field(default_factory=int)
    node: str = ""
    pull: str = ""
    repos: dict[str, str] = {}
    """Refs by `org/repo`, as PULL_REFS writes them."""
    repo_commit: str = msgspec.field(default="", name="repo-commit")
    metadata: Metadata = {}
    job_version: str = msgspec.field(default="", name="job-version")
    repo_version: str = msgspec.field(default="", name="repo-version")
    """The same as repo_commit, under its older name."""


class Finished(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a run ended. `passed` is always written."""

    timestamp: int | None = None
    passed: bool | None = msgspec.field(default_factory=lambda: None)
    metadata: Metadata = {}
    result: str = ""
    """SUCCESS, ABORTED or FAILURE from a pod, the ProwJob's state in small letters from crier."""
    job_version: str = msgspec.field(default="", name="job-version")
    revision: str = ""
    repo_version: str = msgspec.field(default="", name="repo-version")
