"""In-repo configuration from mirrors on disk; implements ports.inrepo.InRepo.

What a state of a repository says is remembered by the ids of its files, so that a push that leaves them alone costs
no reading. git runs in worker threads, for one repository in one thread at a time.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.to_thread
import structlog

from prow_async.adapters.git import mirror, prow_files
from prow_async.adapters.git.command import Failed, Remote
from prow_async.adapters.git.recent import Recent
from prow_async.api.config import Config
from prow_async.api.errors import ConfigErrors, Problem, Refused, Retry
from prow_async.api.inrepo import Answers, PodPolicy, RepoJobs, Texts, Wanted
from prow_async.api.jobconfig import Postsubmit, Presubmit
from prow_async.core import inrepo, inrepo_patterns
from prow_async.ports.metrics import Metrics

log = structlog.get_logger()
THREADS = 8
ASK_S = 5.0
"""So long may a thread work on the patterns of one repository's jobs, for one delivery's comment or its files."""
CACHE_BYTES = 64 * 1024 * 1024
_LOOKUPS = "inRepoConfigCache_lookups"
_HITS = "inRepoConfigCache_hits"
_MISSES = "inRepoConfigCache_misses"
_EVICTIONS = "inRepoConfigCache_evictions_forced"
_USAGE = "inRepoConfigCache_cache_usage_size"
_REFUSED = "prow_async_inrepo_refused_total"
_FORBIDDEN = "prow_async_inrepo_forbidden_total"
_READ_S = "inRepoConfigCache_GetProwYAML_duration"
_FETCH_S = "inrepoconfig_git_client_acquisition_duration"
_OTHER_S = "inrepoconfig_git_other_duration"


_NO_POLICY = PodPolicy()


class _Repo:
    """One repository: its mirror and the lock that keeps it to one thread."""

    def __init__(self, folder: Path, remote: Remote, org: str, repo: str) -> None:
        self.mirror = mirror.Mirror(folder / org / f"{repo}.git", remote, org, repo)
        self.lock = anyio.Lock()


def _short(error: Exception) -> str:
    """Bound what strangers write into the log."""
    return str(error)[:2000]


class InRepoConfig:
    """Implements ports.inrepo.InRepo.

    Args:
        folder: of all mirrors; they outlive the process, and processes may share them.
        entries: how many states of files to remember.
        policy: what the jobs' pods may not ask for.
    """

    def __init__(
        self, folder: Path, remote: Remote, metrics: Metrics, entries: int = 200, policy: PodPolicy = _NO_POLICY
    ) -> None:
        self._folder = folder
        self._remote = remote
        self._metrics = metrics
        self._policy = policy
        self._repos: dict[str, _Repo] = {}
        self._states: Recent[str] = Recent(entries * 10, CACHE_BYTES)
        """(repo, base and heads) to the key of their files: a state never changes."""
        self._files: Recent[inrepo.Parsed] = Recent(entries, CACHE_BYTES)
        """(repo, key of files) to what they say."""
        self._jobs: Recent[tuple[Config, RepoJobs]] = Recent(entries, CACHE_BYTES)
        """The same to the jobs they make under the configuration in force."""
        self._refused: Recent[tuple[Config, tuple[Problem, ...]]] = Recent(entries, CACHE_BYTES)
        """And to what is wrong with them: whoever comments again does not have bad files looked through again."""
        self._config: Config | None = None
        self._threads = anyio.CapacityLimiter(THREADS)

    async def jobs(self, config: Config, wanted: Wanted) -> RepoJobs:
        mirror.check(wanted)
        if config is not self._config:
            self._jobs.clear()
            self._refused.clear()
            self._config = config
        name = wanted.full_name
        repo = self._repo(wanted.org, wanted.repo)
        async with repo.lock:
            known = self._known(config, wanted)
            if known is not None:
                return known
            try:
                return await anyio.to_thread.run_sync(self._work, repo.mirror, config, wanted, limiter=self._threads)
            except (ConfigErrors, Refused) as error:
                self._count_refusal(wanted.org, wanted.repo, error)
                log.warning("a repository's own jobs do not count", repo=name, heads=wanted.heads, why=_short(error))
                raise

    async def answers(self, org: str, repo: str, jobs: Sequence[Presubmit | Postsubmit], texts: Texts) -> Answers:
        """Whoever writes patterns that take long holds up no other repository: each has one thread at a time."""
        async with self._repo(org, repo).lock:
            try:
                return await anyio.to_thread.run_sync(
                    inrepo_patterns.ask, jobs, texts, time.thread_time, ASK_S, limiter=self._threads
                )
            except Refused as error:
                self._count_refusal(org, repo, error)
                log.warning("a repository's own jobs do not count", repo=f"{org}/{repo}", why=_short(error))
                raise

    def _repo(self, org: str, repo: str) -> _Repo:
        return self._repos.setdefault(f"{org}/{repo}", _Repo(self._folder, self._remote, org, repo))

    def _count_refusal(self, org: str, repo: str, error: ConfigErrors | Refused) -> None:
        labels = {"org": org, "repo": repo}
        self._metrics.count(_REFUSED, **labels)
        rules = {problem.rule for problem in error.problems} if isinstance(error, ConfigErrors) else set()
        for rule in sorted(rules - {""}):
            self._metrics.count(_FORBIDDEN, **labels, rule=rule)

    def _known(self, config: Config, wanted: Wanted) -> RepoJobs | None:
        """Answer without git, and count."""
        name = wanted.full_name
        labels = {"org": wanted.org, "repo": wanted.repo}
        self._metrics.count(_LOOKUPS, **labels)
        key = self._states.get((name, _state(wanted)))
        known = None if key is None else self._jobs.get((name, key))
        if known is None or known[0] is not config:
            return None
        self._metrics.count(_HITS, **labels)
        return known[1]

    def _work(self, source: mirror.Mirror, config: Config, wanted: Wanted) -> RepoJobs:
        """Find the files, read and complete them. In a worker thread, under the repository's lock."""
        labels = {"org": wanted.org, "repo": wanted.repo}
        started_s = time.monotonic()
        parsed, key = self._parsed(source, wanted)
        refused = self._refused.get((wanted.full_name, key))
        if refused is not None and refused[0] is config:
            raise ConfigErrors(refused[1])
        try:
            done = inrepo.complete(parsed, config, self._policy)
        except ConfigErrors as error:
            self._refused.put((wanted.full_name, key), (config, error.problems))
            raise
        self._jobs.put((wanted.full_name, key), (config, done))
        self._metrics.observe(_READ_S, time.monotonic() - started_s, **labels)
        return done

    def _parsed(self, source: mirror.Mirror, wanted: Wanted) -> tuple[inrepo.Parsed, str]:
        labels = {"org": wanted.org, "repo": wanted.repo}
        state, name = _state(wanted), wanted.full_name
        key = self._states.get((name, state))
        parsed = None if key is None else self._files.get((name, key))
        if parsed is None or key is None:
            parsed, key = self._read(source, wanted)
            self._states.put((name, state), key)
        else:
            self._metrics.count(_HITS, **labels)
        return parsed, key

    def _read(self, source: mirror.Mirror, wanted: Wanted) -> tuple[inrepo.Parsed, str]:
        """Ask git. A mirror that turns out damaged is made anew, once."""
        try:
            return self._ask(source, wanted)
        except Failed as error:
            log.warning("mirror of a repository is damaged; made anew", repo=wanted.full_name, why=str(error))
            source.forget()
        try:
            return self._ask(source, wanted)
        except Failed as error:
            raise Retry(f"{wanted.full_name}: its mirror cannot be used: {error}") from error

    def _ask(self, source: mirror.Mirror, wanted: Wanted) -> tuple[inrepo.Parsed, str]:
        labels = {"org": wanted.org, "repo": wanted.repo}
        begun_s = time.monotonic()
        with source.locked():
            tree = source.merged(wanted)
            merged_s = time.monotonic()
            self._metrics.observe(_FETCH_S, merged_s - begun_s, **labels)
            place = prow_files.find(source, tree)
            parsed = self._files.get((wanted.full_name, place.key))
            if parsed is not None:
                self._metrics.count(_HITS, **labels)
                return parsed, place.key
            self._metrics.count(_MISSES, **labels)
            files = prow_files.read(source, place)
        parsed = inrepo.parse(wanted.full_name, files)
        gone = self._files.put((wanted.full_name, place.key), parsed, sum(len(file.data) for file in files))
        for name, _ in gone:
            org, _, repo = name.partition("/")
            self._metrics.count(_EVICTIONS, org=org, repo=repo)
            self._metrics.gauge(_USAGE, self._files.count(name), org=org, repo=repo)
        self._metrics.gauge(_USAGE, self._files.count(wanted.full_name), **labels)
        self._metrics.observe(_OTHER_S, time.monotonic() - merged_s, **labels)
        return parsed, place.key


def _state(wanted: Wanted) -> str:
    return " ".join((wanted.base_sha, *wanted.heads))
