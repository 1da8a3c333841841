"""Which ProwJob a person means, and what is still to be asked. Source: upstream cmd/mkpj."""

from collections.abc import Mapping
from typing import Any

import msgspec

from prow_async.api import config
from prow_async.api.errors import UserMistake
from prow_async.api.jobconfig import Periodic, Postsubmit, Presubmit
from prow_async.api.prowjob import ProwJobSpec, Pull, Refs
from prow_async.core import newjob

Wanted = Presubmit | Postsubmit | Periodic


class Found(msgspec.Struct, frozen=True):
    """The job, and the repo it belongs to ("" for a periodic)."""

    job: Wanted
    repo: str

    @property
    def needs_pull(self) -> bool:
        return isinstance(self.job, Presubmit)

    @property
    def needs_base(self) -> bool:
        return not isinstance(self.job, Periodic)


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """What a person said of the code under test, completed from GitHub. Empty where nothing is known."""

    base_ref: str = ""
    base_sha: str = ""
    pull_number: int = 0
    pull_sha: str = ""
    pull_author: str = ""
    pull_head_ref: str = ""


def said(values: Mapping[str, Any], pull_number: int) -> Code:
    """Return what the flags `base-ref`, `base-sha`, `pull-sha`, `pull-author` and `pull-head-ref` say."""
    return Code(
        base_ref=values["base-ref"],
        base_sha=values["base-sha"],
        pull_number=pull_number,
        pull_sha=values["pull-sha"],
        pull_author=values["pull-author"],
        pull_head_ref=values["pull-head-ref"],
    )


def find(found: config.Config, name: str) -> Found:
    """Find a job by its name: among presubmits, then postsubmits, then periodics.

    Raises UserMistake when there is none, with names that come near.
    """
    listed: list[tuple[str, Wanted]] = [
        *((repo, job) for repo, jobs in found.presubmits.items() for job in jobs),
        *((repo, job) for repo, jobs in found.postsubmits.items() for job in jobs),
        *(("", job) for job in found.periodics),
    ]
    for repo, job in listed:
        if job.name == name:
            return Found(job, repo)
    near = sorted({job.name for _, job in listed if name and name.lower() in job.name.lower()})[:5]
    hint = f"; there are {', '.join(near)}" if near else ""
    raise UserMistake(f"no job named {name!r} in the configuration{hint}")


def spec_for(found: Found, code: Code) -> ProwJobSpec:
    """Expand the job on the code."""
    match found.job:
        case Periodic():
            return newjob.periodic_spec(found.job)
        case Postsubmit():
            return newjob.postsubmit_spec(found.job, _refs(found.repo, code, pull=False))
        case Presubmit():
            return newjob.presubmit_spec(found.job, _refs(found.repo, code, pull=True))


def _refs(repo: str, code: Code, pull: bool) -> Refs:
    org, _, name = repo.rpartition("/") if "://" in repo else repo.partition("/")
    one = Pull(number=code.pull_number, author=code.pull_author, sha=code.pull_sha, head_ref=code.pull_head_ref)
    return Refs(org, name, base_ref=code.base_ref, base_sha=code.base_sha, pulls=(one,) if pull else ())
