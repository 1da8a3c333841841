"""Pull requests beside git: what they change, whether they merge, and the refs that show it.

Generators of blocking work, as `steps` has them.
"""

from functools import partial

from prow_async.sandbox.github.git import reading, writing
from prow_async.sandbox.github.git.command import Git
from prow_async.sandbox.github.git.writing import RefMove
from prow_async.sandbox.github.ground import alone, git_of, sign
from prow_async.sandbox.github.pulls import pull_part
from prow_async.sandbox.github.records import Compared, IssueRecord, Repository, Signature
from prow_async.sandbox.github.steps import Steps, ask
from prow_async.sandbox.github.world import World

GHOST = "web-flow"
"""Who makes the commits that only test a merge."""


def compare(git: Git, base: str, head: str, by: Signature) -> Compared | None:
    """Compare a head with the tip of its base; None when their histories have nothing in common. Blocks."""
    common = reading.merge_base(git, base, head)
    if common is None:
        return None
    files = reading.difference(git, common, head)
    ahead, _ = reading.count(git, base, head)
    tree = writing.merged_tree(git, base, head)
    merge = ""
    if tree is not None:
        merge = writing.commit_tree(git, tree, [base, head], f"Merge {head} into {base}", writing.who(by))
    return Compared(base, head, files, ahead, merge)


def moves_of(number: int, compared: Compared) -> list[RefMove]:
    """Return how the refs of a pull request follow."""
    return [
        RefMove(f"pull/{number}/head", compared.head_sha),
        RefMove(f"pull/{number}/merge", compared.merge_sha),
    ]


def prepare(world: World, repo: Repository, record: IssueRecord, head: str, *, base: str = "") -> Steps[Compared]:
    """Compare a pull request's next head (or its head with another `base` branch), and move its refs.

    Within a turn, before anybody is told.
    """
    part, git = pull_part(record), git_of(world, repo)
    base = repo.refs.get(f"heads/{base or part.base_ref}", part.base_sha)
    compared = yield from ask(partial(compare, git, base, head, sign(GHOST, record.created_s)))
    if compared is None:
        compared = Compared(base, head, (), 0)
    yield from ask(partial(writing.move, git, moves_of(record.number, compared)))
    repo.compared[record.number] = compared
    return compared


def renew(world: World, repo: Repository, record: IssueRecord, by: str, now_s: float) -> Steps[None]:
    """Compare an open pull request with where its base is now; one whose commits are all there is merged."""
    part = pull_part(record)
    tip = repo.refs.get(f"heads/{part.base_ref}", "")
    if not tip or record.closed_s is not None:
        return
    compared = yield from prepare(world, repo, record, part.head_sha)
    world.take_compared(repo, record, part.head_sha)
    if compared.commits == 0 and compared.merge_sha and record.closed_s is None:
        world.mark_merged(repo, record, tip, by=by, now_s=now_s)


def look(world: World, repo: Repository, record: IssueRecord) -> Steps[None]:
    """Find out whether a pull request merges, if that is not known. Within a turn."""
    part = pull_part(record)
    if record.closed_s is None and part.mergeable is None:
        yield from prepare(world, repo, record, part.head_sha)
        world.take_compared(repo, record, part.head_sha)


def looked_at(world: World, repo: Repository, record: IssueRecord) -> Steps[None]:
    """Do as `look` in a turn of its own: somebody looks at an issue or pull request."""
    if world.git is None or record.pull is None or record.closed_s is not None or record.pull.mergeable is not None:
        return
    yield from alone(world, repo)
    yield from look(world, repo, record)
