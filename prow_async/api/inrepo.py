"""In-repo configuration: what is asked for, and the jobs that come of it.

Source: upstream pkg/config/inrepoconfig.go.
"""

import msgspec

from prow_async.api.errors import Problem
from prow_async.api.jobconfig import Postsubmit, Presubmit


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A state of a repository: the heads, merged in their order into the base."""

    org: str
    repo: str
    base_sha: str
    heads: tuple[str, ...] = ()
    """Commits; none for a branch as it is."""

    @property
    def full_name(self) -> str:
        return f"{self.org}/{self.repo}"


class RepoJobs(msgspec.Struct, frozen=True):
    """All jobs of one repository: those of the static configuration, then its own. `warnings` speak of its files."""

    presubmits: tuple[Presubmit, ...] = ()
    postsubmits: tuple[Postsubmit, ...] = ()
    warnings: tuple[Problem, ...] = ()
