"""In-repo configuration: the jobs of a repository, its own among them."""

from collections.abc import Sequence
from typing import Protocol

from prow_async.api.config import Config
from prow_async.api.inrepo import Answers, RepoJobs, Texts, Wanted
from prow_async.api.jobconfig import Postsubmit, Presubmit


class InRepo(Protocol):
    async def jobs(self, config: Config, wanted: Wanted) -> RepoJobs:
        """Return all jobs of a repository in a certain state, those of the static configuration first.

        Raises: Retry for trouble on the way to it; Refused when its heads do not merge or a commit is gone;
        ConfigErrors for what is wrong with its files, with their paths and lines.
        """

    async def answers(self, org: str, repo: str, jobs: Sequence[Presubmit | Postsubmit], texts: Texts) -> Answers:
        """Try the patterns of a repository's own jobs on a delivery's texts, beside the event loop.

        Raises: Refused when they take too long.
        """
