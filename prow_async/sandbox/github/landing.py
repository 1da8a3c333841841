"""What happens in git lands in the world: pushes are told of, pull requests follow, commits become known.

Each function is a generator of blocking work (see `steps`): it looks at git, and then changes the world in one go.
"""

from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from prow_async.sandbox.github import comparing, forks
from prow_async.sandbox.github.git import names, reading, writing
from prow_async.sandbox.github.git.command import Git
from prow_async.sandbox.github.git.writing import NOTHING, RefMove
from prow_async.sandbox.github.ground import alone, git_of, remember, sign
from prow_async.sandbox.github.pulls import pull_part
from prow_async.sandbox.github.records import Commit, IssueRecord, PullPart, Push, Repository
from prow_async.sandbox.github.refusal import Refusal
from prow_async.sandbox.github.steps import Steps, ask
from prow_async.sandbox.github.world import World

PUSH_COMMITS_LIMIT = 2048
"""So many commits of one push are told, as on GitHub."""
TAGS_LIMIT = 3
"""A push of more tags than this tells of none of them, as on GitHub."""
RETESTED_PULLS = 100
"""So many open pull requests are compared anew at once when their base moves; the rest when somebody looks."""


def make_repo(
    world: World,
    where: tuple[str, str],
    *,
    files: Mapping[str, bytes] = {},
    default_branch: str = "main",
    private: bool = False,
    now_s: float,
) -> Steps[Repository]:
    """Add a repository (`where` is its organization and name), in git with `files` in its first commit.

    Raises Refusal (422) when it exists or cannot be called so.
    """
    org, name = where
    if world.git is None:
        return world.add_repo(org, name, default_branch, private, now_s)
    if not names.is_name(org) or not names.is_name(name):
        raise Refusal(422, "Repository creation failed.")
    refs = yield from ask(partial(world.git.make, org, name, default_branch, files or _readme(name), sign(org, now_s)))
    tip = yield from ask(partial(reading.commit, world.git.at(org, name), refs[f"heads/{default_branch}"]))
    repo = world.add_repo(org, name, default_branch, private, now_s)
    repo.commits.clear()
    if tip is not None:
        remember(world, repo, [tip])
    repo.refs = refs
    return repo


def _readme(name: str) -> dict[str, bytes]:
    return {"README.md": f"# {name}\n".encode()}


def settle(world: World, repo: Repository, by: str, now_s: float) -> Steps[None]:
    """Bring the world up to what git shows, telling of every ref that has moved. Within a turn."""
    refs = yield from ask(partial(reading.refs, git_of(world, repo)))
    moves = [(ref, refs.get(ref, "")) for ref in sorted({*refs, *repo.refs}) if refs.get(ref) != repo.refs.get(ref)]
    moves = [(ref, sha) for ref, sha in moves if not ref.startswith("pull/")]
    tags = [ref for ref, _ in moves if ref.startswith("tags/")]
    for ref, sha in moves:
        told = ref.startswith("heads/") or (ref.startswith("tags/") and len(tags) <= TAGS_LIMIT)
        if told:
            yield from land(world, repo, (ref, sha), by, now_s)
        elif sha:
            repo.refs[ref] = sha
        else:
            repo.refs.pop(ref, None)


def land(world: World, repo: Repository, move: tuple[str, str], by: str, now_s: float) -> Steps[None]:
    """Tell of one ref that git has moved already (`move` is the ref and where it is now; empty: gone)."""
    ref, sha = move
    git = git_of(world, repo)
    change = (repo.refs.get(ref, NOTHING), sha or NOTHING)
    others = [at for name, at in repo.refs.items() if name.startswith("heads/") and name != ref]
    push, tip = yield from ask(partial(_brought, git, change, others))
    remember(world, repo, [*push.commits, *([tip] if tip else [])])
    push = msgspec.structs.replace(push, commits=tuple(repo.commits[c.sha] for c in push.commits))
    if sha:
        for record in _open(repo, lambda part: part.within and f"heads/{part.head_ref}" == ref):
            yield from comparing.prepare(world, repo, record, sha)
    repo.pushes[change] = push
    try:
        world.move(repo, ref, sha, world.add_user(by).login, now_s)
    finally:
        del repo.pushes[change]
    if ref.startswith("heads/"):
        onto = _open(repo, lambda part: f"heads/{part.base_ref}" == ref)
        for record in onto:
            pull_part(record).mergeable = None
            if not sha:
                world.close(repo.org, repo.name, record.number, by=by, now_s=now_s)
        for record in onto[:RETESTED_PULLS]:
            yield from comparing.renew(world, repo, record, by, now_s)
    if repo.fork_of:
        yield from forks.followed(world, repo, ref, by, now_s)
        yield from alone(world, repo)


def _brought(git: Git, change: tuple[str, str], others: list[str]) -> tuple[Push, Commit | None]:
    """Ask git what a push brought; also for the commit it ends at."""
    before, after = change
    if after == NOTHING:
        return Push(()), None
    tip = reading.resolve(git, after)
    if tip is None:
        return Push(()), None
    head = reading.commit(git, tip)
    if tip != after:  # an annotated tag brings no commits
        return Push(()), head
    hidden = [f"^{sha}" for sha in dict.fromkeys(others)] if before == NOTHING else [f"^{before}"]
    commits = reading.commits(git, [after, *hidden[:1000]], PUSH_COMMITS_LIMIT)
    forced = before != NOTHING and not reading.is_ancestor(git, before, after)
    return Push(tuple(reversed(commits)), forced), head


def _open(repo: Repository, fits: Callable[[PullPart], bool]) -> list[IssueRecord]:
    return [r for r in repo.issues.values() if r.pull and r.closed_s is None and fits(r.pull)]


def set_ref(
    world: World, repo: Repository, move: tuple[str, str], *, by: str, now_s: float, force: bool
) -> Steps[None]:
    """Move, make or (with an empty commit) delete a ref, as the REST API asks.

    Raises Refusal (422): a ref that cannot be called so, a commit that is not there, no fast forward without `force`.
    """
    ref, sha = move
    if world.git is None:
        world.set_ref(repo.org, repo.name, ref, sha, by=by, now_s=now_s)
        return
    if not names.is_ref(f"refs/{ref}") or ref.startswith("pull/"):
        raise Refusal(422, "Reference name is not valid.")
    git = yield from alone(world, repo)
    world.check_ref(repo, ref, sha)
    before = repo.refs.get(ref, NOTHING)
    if sha:
        yield from _check_move(git, before, sha, force)
    if not (yield from ask(partial(writing.move, git, [RefMove(ref, sha, before)]))):
        raise Refusal(422, "Reference cannot be updated")
    yield from land(world, repo, (ref, sha), by, now_s)


def _check_move(git: Git, before: str, sha: str, force: bool) -> Steps[None]:
    if not names.is_sha(sha) or (yield from ask(partial(reading.kind, git, sha))) not in ("commit", "tag"):
        raise Refusal(422, "Object does not exist")
    if before != NOTHING and not force and not (yield from ask(partial(reading.is_ancestor, git, before, sha))):
        raise Refusal(422, "Update is not a fast forward")


def commit_files(
    world: World, repo: Repository, branch: str, what: tuple[str, Mapping[str, bytes | None]], by: str, now_s: float
) -> Steps[str]:
    """Commit files (`what` is the message and contents by path; None removes) to a branch; return the commit.

    Raises Refusal: 404 for a branch that is not there, 409 when it has moved, 422 for a path that cannot be called so.
    """
    message, files = what
    if not names.is_ref(f"refs/heads/{branch}") or not all(map(names.is_path, files)):
        raise Refusal(422, "path contains a malformed path component")
    git = yield from alone(world, repo)
    now = repo.refs.get(f"heads/{branch}")
    if now is None:
        raise Refusal(404, f"Branch {branch} not found")
    sha = yield from ask(partial(writing.commit_files, git, now, files, message, sign(by, now_s)))
    if not (yield from ask(partial(writing.move, git, [RefMove(f"heads/{branch}", sha, now)]))):
        raise Refusal(409, f"is at {now} but expected another commit")
    yield from land(world, repo, (f"heads/{branch}", sha), by, now_s)
    return sha
