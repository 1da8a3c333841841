"""In-repo configuration: a repository's own files in, its jobs beside the static ones out.

Source: upstream pkg/config/inrepoconfig.go (ReadProwYAML, DefaultAndValidateProwYAML).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from prow_async.api.config import Config
from prow_async.api.errors import ConfigErrors, Problem
from prow_async.api.inrepo import PodPolicy, RepoJobs
from prow_async.api.jobconfig import Postsubmit, Presubmit
from prow_async.core import (
    config_check_all,
    config_join,
    config_parse,
    goyaml,
    inrepo_limits,
    inrepo_patterns,
    inrepo_pods,
)
from prow_async.core.config_jobs import Context
from prow_async.core.config_load import SourceFile
from prow_async.core.config_parse import ParsedFile

FOLDER = ".prow"
FILE = ".prow.yaml"
IGNORE_FILE = ".prowignore"
MAX_FILES = 1000
MAX_BYTES = 16 * 1024 * 1024
"""Of all files together. Anyone who opens a pull request may write them."""


_NO_POLICY = PodPolicy()


class Parsed(msgspec.Struct, frozen=True):
    """A repository's files as read, without what depends on the static configuration. Kept as long as they are."""

    repo: str
    files: tuple[ParsedFile, ...]
    sources: tuple[SourceFile, ...]
    """To look lines up in."""


def parse(repo: str, sources: Sequence[SourceFile]) -> Parsed:
    """Read the files of `org/repo`, in the order of their paths. What is wrong comes out at `complete`."""
    files = tuple(config_parse.parse_in_repo(source.path, source.data, repo) for source in sources)
    return Parsed(repo, files, tuple(sources))


def complete(parsed: Parsed, config: Config, policy: PodPolicy = _NO_POLICY) -> RepoJobs:
    """Fill in defaults, apply the repository's presets and the global ones, and check all jobs of the repo together.

    Args:
        policy: what the jobs' pods may not ask for; by default nothing is forbidden.

    Raises: ConfigErrors with every problem; their files are paths within the repository.
    """
    raw: list[Presubmit | Postsubmit] = [one.job for file in parsed.files for one in file.presubmits]
    raw += [one.job for file in parsed.files for one in file.postsubmits]
    for limit in (inrepo_limits.problems, inrepo_patterns.problems):
        if too_much := list(limit(raw, _first(parsed))):
            raise ConfigErrors(too_much)  # to look closer would cost what the limit is there to save
    presets = (*(one.preset for file in parsed.files for one in file.presets), *config.presets)
    context = Context(config, presets)
    forbidden, given = policy.of(*parsed.repo.split("/", 1)), inrepo_pods.given_to_all(config.presets)
    problems = [problem for file in parsed.files for problem in file.problems]
    warnings = [warning for file in parsed.files for warning in (*file.warnings, *file.unknown)]
    presubmits: list[Presubmit] = []
    postsubmits: list[Postsubmit] = []
    for file, source in zip(parsed.files, parsed.sources, strict=True):
        done = config_join.complete_file(file, context, config_join.lines_of(_reader(source)))
        problems += done.problems
        warnings += done.warnings
        presubmits += (job for _, job in done.presubmits)
        postsubmits += (job for _, job in done.postsubmits)
        for pre, (_, job) in zip(file.presubmits, done.presubmits, strict=True):
            problems += inrepo_pods.problems(pre.job, job, forbidden, given)
        for post, (_, made) in zip(file.postsubmits, done.postsubmits, strict=True):
            problems += inrepo_pods.problems(post.job, made, forbidden, given)
    problems += inrepo_limits.problems((*presubmits, *postsubmits), _first(parsed))
    problems += _clusters((*presubmits, *postsubmits), config, parsed.repo)
    whole = RepoJobs(
        (*config.presubmits.get(parsed.repo, ()), *presubmits),
        (*config.postsubmits.get(parsed.repo, ()), *postsubmits),
        tuple(warnings),
    )
    problems += _together(parsed, whole)
    if problems:
        raise ConfigErrors(problems)
    return whole


def _first(parsed: Parsed) -> str:
    return parsed.sources[0].path if parsed.sources else FILE


def static(config: Config, repo: str) -> RepoJobs:
    """Return the jobs that the static configuration has for `org/repo`."""
    return RepoJobs(config.presubmits.get(repo, ()), config.postsubmits.get(repo, ()))


def _reader(source: SourceFile) -> Callable[[], goyaml.Document]:
    return lambda: goyaml.load(source.data, source.path)


def _clusters(jobs: Iterable[Presubmit | Postsubmit], config: Config, repo: str) -> Iterator[Problem]:
    org, _, name = repo.partition("/")
    allowed = config.in_repo_config.clusters(org, name)
    for job in jobs:
        if job.cluster not in allowed:
            listed = ", ".join(sorted(allowed)) or "none"
            text = f'job "{job.name}": cluster: {job.cluster} is not allowed for {repo}; allowed are {listed}'
            yield Problem(job.source.file, job.source.line, text)


def _together(parsed: Parsed, whole: RepoJobs) -> Iterator[Problem]:
    """Yield collisions among all jobs of the repository, blaming its own files."""
    own = {source.path for source in parsed.sources}
    presubmits = [job for job in whole.presubmits if config_join.comparable(job)]
    postsubmits = [job for job in whole.postsubmits if config_join.comparable(job)]
    settled = {job.source.file for job in (*presubmits, *postsubmits)} - own
    yield from config_check_all.repo_problems("presubmit", parsed.repo, presubmits, settled)
    yield from config_check_all.repo_problems("postsubmit", parsed.repo, postsubmits, settled)
