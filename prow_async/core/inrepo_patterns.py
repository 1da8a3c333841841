"""What the patterns of a repository's own jobs may cost: when they are read, and on every delivery.

RE2 never takes more time than pattern times text. Mostly it takes far less, but whoever writes the pattern can have it
take just that: some 10 ns for each instruction and character, so that a few hundred patterns and a long comment are
minutes. Nobody has to be trusted for it: own triggers are tried on strangers' comments.

So patterns are bounded when they are read. On a delivery they are tried at once where even the worst is soon over
(`FEW_STEPS`); else beside the event loop, with an eye on the clock (`ask`), and the decision has what they said.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from prow_async.api.errors import Problem, Refused
from prow_async.api.inrepo import Answers, Texts
from prow_async.api.jobconfig import Postsubmit, Presubmit
from prow_async.core import config_jobs, patterns

Job = Presubmit | Postsubmit
MAX_PROGRAM = 200_000
"""Instructions of all patterns of a repository. The largest of Kubernetes' hundreds of repositories has 4,503."""
MAX_ONE = 5_000
"""Of one pattern: nobody can look at the clock while it is tried on a text. Kubernetes' largest has 215."""
FAILED = 20_000
"""What a pattern counts that does not compile: most likely it is too large, which takes long to find out."""
FEW_STEPS = 20_000_000
"""Instructions times characters: a fifth of a second at the worst."""
LONGEST_BRANCH = 255
_What = Literal["visible", "body", "runs", "skips"]


def problems(jobs: Sequence[Job], file: str) -> Iterator[Problem]:
    """Yield what is too much of the patterns of one repository's files, as written. Stops where it is.

    Each pattern counts once, however many jobs have it. Patterns that do not compile are told by others.
    """
    sizes: dict[str, int] = {}
    total = steps_ = 0
    for job in jobs:
        for key, pattern, length in _patterns(job):
            if pattern in sizes:
                continue
            size = _size(pattern)
            sizes[pattern] = FAILED if size is None else size
            total += sizes[pattern]
            steps_ += sizes[pattern] * length
            if size is not None and size > MAX_ONE:
                text = f'job "{job.name}": {key}: a pattern of {size} instructions; {MAX_ONE} are allowed'
                yield Problem(job.source.file, job.source.line, text)
                return
            if total > MAX_PROGRAM:
                text = f"the patterns of the repository's jobs come to more than {MAX_PROGRAM} instructions"
                yield Problem(file, 0, f'{text}, up to job "{job.name}"')
                return
    if steps_ + _meetings(jobs, sizes) > FEW_STEPS:
        text = "the patterns of the repository's jobs are too large for the branches and commands they are tried on"
        yield Problem(file, 0, text)


def _patterns(job: Job) -> Iterator[tuple[str, str, int]]:
    """Yield key, pattern and the length of what it is tried on apart from a delivery's texts."""
    if isinstance(job, Presubmit):
        yield "trigger", job.trigger or config_jobs.trigger_for(job.name), len(job.rerun_command)
    yield "run_if_changed", job.run_if_changed, 0
    yield "skip_if_only_changed", job.skip_if_only_changed, 0
    yield "branches", "|".join(job.branches), LONGEST_BRANCH
    yield "skip_branches", "|".join(job.skip_branches), LONGEST_BRANCH


def _size(pattern: str) -> int | None:
    """Return the instructions of a pattern; None where it does not compile."""
    if not pattern:
        return 0
    if len(pattern) > MAX_PROGRAM:
        return len(pattern)  # each character is an instruction or more: no need to compile it
    try:
        return patterns.compile(pattern).size
    except patterns.PatternError:
        return None


def _meetings(jobs: Sequence[Job], sizes: dict[str, int]) -> int:
    """Count the steps it takes to find jobs of one name or context that meet on a branch.

    Where one job names branches and another skips some, each branch is tried on what the other skips.
    """
    named: dict[tuple[str, str], int] = {}
    skipping: dict[tuple[str, str], int] = {}
    for job in jobs:
        for group in (("name", job.name), ("context", job.context or job.name)):
            if job.branches:
                named[group] = named.get(group, 0) + sum(map(len, job.branches))
            elif job.skip_branches:
                skipping[group] = skipping.get(group, 0) + sizes["|".join(job.skip_branches)]
    return sum(length * skipping.get(group, 0) for group, length in named.items())


def steps(jobs: Sequence[Job], texts: Texts) -> int:
    """Return how many steps it takes at the worst to try the jobs' patterns on a delivery's texts."""
    lengths = {
        "visible": len(texts.visible),
        "body": len(texts.body),
        "runs": (files := sum(map(len, texts.files))),
        "skips": files,
    }
    return sum(patterns.compile(pattern).size * lengths[what] for what, pattern, _ in _questions(jobs, texts))


def ask(jobs: Sequence[Job], texts: Texts, clock: Callable[[], float], most_s: float) -> Answers:
    """Try the jobs' patterns on a delivery's texts. Blocks; the clock is looked at after each of them.

    Args:
        clock: tells seconds, of which `most_s` may pass: those this thread has worked, not waited.

    Raises: Refused when they have passed.
    """
    found: dict[_What, dict[str, bool]] = {"visible": {}, "body": {}, "runs": {}, "skips": {}}
    begun_s = clock()
    for what, pattern, job in _questions(jobs, texts):
        search = patterns.compile(pattern).search
        found[what][pattern] = False
        for text in _subjects(what, texts):
            hit = search(text) is (what != "skips")
            if clock() - begun_s > most_s:
                against = f"{len(texts.files)} changed files" if texts.files else "a comment"
                given_up = f'given up at job "{job.name}"'
                raise Refused(f"their patterns take more than {most_s:.0f} s against {against}; {given_up}")
            if hit:
                found[what][pattern] = True
                break
    return Answers(visible=found["visible"], body=found["body"], runs=found["runs"], skips=found["skips"])


def joined(one: Answers, other: Answers) -> Answers:
    """Return what both know, of the texts of one delivery."""
    return Answers(
        visible=one.visible | other.visible,
        body=one.body | other.body,
        runs=one.runs | other.runs,
        skips=one.skips | other.skips,
    )


def _subjects(what: _What, texts: Texts) -> Sequence[str]:
    match what:
        case "visible":
            return (texts.visible,)
        case "body":
            return (texts.body,)
        case "runs" | "skips":
            return texts.files


def _questions(jobs: Sequence[Job], texts: Texts) -> Iterator[tuple[_What, str, Job]]:
    """Yield every question that there is a text for, once, with the first job that asks it."""
    seen: set[tuple[_What, str]] = set()
    for job in jobs:
        for what, pattern in _asked(job, texts):
            if pattern and (what, pattern) not in seen:
                seen.add((what, pattern))
                yield what, pattern, job


def _asked(job: Job, texts: Texts) -> Iterator[tuple[_What, str]]:
    if isinstance(job, Presubmit):
        if texts.visible:
            yield "visible", job.trigger
        if texts.body:
            yield "body", job.trigger
    if texts.files:
        yield "runs", job.run_if_changed
        yield "skips", job.skip_if_only_changed
