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


class PodPolicy(msgspec.Struct, frozen=True):
    """What jobs that repositories keep themselves may not ask for: kinds (core/inrepo_pods) by scope.

    A scope is `*`, an org or `org/repo`. By default nothing is forbidden, as upstream.
    """

    forbidden: dict[str, frozenset[str]] = {}

    def of(self, org: str, repo: str) -> frozenset[str]:
        """Return what is forbidden to a repository: what its narrowest scope says, and nothing else."""
        for scope in (f"{org}/{repo}", org, "*"):
            if scope in self.forbidden:
                return self.forbidden[scope]
        return frozenset()


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery brings for patterns to be tried on."""

    visible: str = ""
    """A comment without its code blocks."""
    body: str = ""
    """The comment as written."""
    files: tuple[str, ...] = ()


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What patterns say of a delivery's texts, asked beforehand where asking may cost much. By pattern.

    A pattern that is not there was not asked: try it.
    """

    visible: dict[str, bool] = {}
    body: dict[str, bool] = {}
    runs: dict[str, bool] = {}
    """run_if_changed: some changed file matches."""
    skips: dict[str, bool] = {}
    """skip_if_only_changed: some changed file does not match, so the job is not skipped."""


NOT_ASKED = Answers()


class RepoJobs(msgspec.Struct, frozen=True):
    """All jobs of one repository: those of the static configuration, then its own. `warnings` speak of its files."""

    presubmits: tuple[Presubmit, ...] = ()
    postsubmits: tuple[Postsubmit, ...] = ()
    warnings: tuple[Problem, ...] = ()
