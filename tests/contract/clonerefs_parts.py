"""Real repositories, and clonerefs run on them in this process."""

import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from prow_async.api import clonerecords, podoptions
from prow_async.api.clonerecords import Record
from prow_async.api.prowjob import Pull, Refs
from prow_async.core import podenv
from prow_async.podutils import clone_run, clonerefs, logs
from tests import gitrepo

NO_WAITS = clone_run.Limits(waits_s=())


class Ran(msgspec.Struct):
    """What a run left behind."""

    code: int
    records: Sequence[Record]
    lines: Sequence[Mapping[str, Any]]
    everything: str
    """The records file and the log, as bytes on disk and on the wire."""

    @property
    def clone(self) -> Record:
        """The record of the only clone."""
        assert len(self.records) == 2, self.records
        return self.records[1]

    @property
    def error(self) -> str:
        """Why the only clone failed."""
        assert self.clone.failed, self.clone
        return self.clone.commands[-1].error


class Place:
    """A folder with repositories to clone and a root to clone to."""

    def __init__(self, folder: Path) -> None:
        self.origins = folder / "origins"
        self.root = folder / "go"
        self.log = folder / "clone.json"
        self.home = folder / "home"
        self.home.mkdir()
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "TMPDIR": str(folder),
        }

    def origin(self, name: str = "o/r") -> gitrepo.Origin:
        return gitrepo.Origin(self.origins, name)

    def options(self, *refs: Refs, **changes: Any) -> podoptions.CloneRefsOptions:
        made = podoptions.CloneRefsOptions(
            src_root=str(self.root), log=str(self.log), git_user_name="ci", git_user_email="ci@example.com", refs=refs
        )
        return msgspec.structs.replace(made, **changes)

    def run(self, options: podoptions.CloneRefsOptions, limits: clone_run.Limits = NO_WAITS) -> Ran:
        out = io.BytesIO()
        environ = {**self.environ, podoptions.CLONEREFS_ENV: podenv.go_json(options)}
        code = clonerefs.main([], environ, limits, logs.Log("clonerefs", out))
        data = self.log.read_bytes() if self.log.exists() else b"[]"
        lines = [json.loads(line) for line in out.getvalue().splitlines()]
        return Ran(code, clonerecords.decode(data), lines, (data + out.getvalue()).decode())

    def clone(self, *refs: Refs, **changes: Any) -> Ran:
        return self.run(self.options(*refs, **changes))

    def git(self, path: str, *arguments: str) -> str:
        """Run git in what was cloned to a path below the sources."""
        return gitrepo.git(self.root / "src" / path, *arguments)


def refs(origin: gitrepo.Origin, base_sha: str = "", *pulls: Pull, **changes: Any) -> Refs:
    """Refs of an origin's main branch, by its address on disk."""
    org, repo = origin.folder.parent.name, origin.folder.name.removesuffix(".git")
    made = Refs(org, repo, base_ref="main", base_sha=base_sha, pulls=pulls, clone_uri=f"file://{origin.folder}")
    return msgspec.structs.replace(made, **changes)


def point(origin: gitrepo.Origin, ref: str, sha: str) -> None:
    gitrepo.git(origin.folder, "update-ref", ref, sha)


def main_at(origin: gitrepo.Origin, sha: str) -> str:
    point(origin, "refs/heads/main", sha)
    return sha
