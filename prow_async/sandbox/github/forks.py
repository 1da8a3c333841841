"""Forks: a person's own copy of a repository, from whose branches they open pull requests. Only where there is git.

Generators of blocking work, as `steps` has them.
"""

from functools import partial

from prow_async.sandbox.github import comparing
from prow_async.sandbox.github.git import names
from prow_async.sandbox.github.git.command import Git
from prow_async.sandbox.github.ground import alone, git_of
from prow_async.sandbox.github.pulls import pull_part
from prow_async.sandbox.github.records import IssueRecord, Repository
from prow_async.sandbox.github.refusal import Refusal, invalid, missing
from prow_async.sandbox.github.steps import Steps, ask
from prow_async.sandbox.github.world import World


def make(world: World, repo: Repository, login: str, now_s: float) -> Steps[Repository]:
    """Fork a repository, or find the fork a person has already. Raises Refusal: 403 for one's own, 404 without git."""
    if world.git is None:
        raise missing()
    if repo.org.lower() == login.lower():
        raise Refusal(403, "You cannot fork your own repository.")
    known = of(world, repo, login)
    if known is not None:
        return known
    name = repo.name if (login.lower(), repo.name.lower()) not in world.repositories else f"{repo.name}-1"
    if not names.is_name(login):  # a bot's login is no name of a folder
        raise Refusal(403, "This account cannot have repositories.")
    refs = yield from ask(partial(world.git.copy, (repo.org, repo.name), (login, name), repo.default_branch))
    made = world.add_repo(login, name, repo.default_branch, repo.private, now_s)
    made.commits.clear()
    made.refs, made.fork_of = refs, repo.full_name
    return made


def of(world: World, repo: Repository, login: str) -> Repository | None:
    """Return somebody's fork of a repository."""
    found = (r for r in world.repositories.values() if r.fork_of == repo.full_name and r.org.lower() == login.lower())
    return next(found, None)


def source(world: World, repo: Repository, head: str) -> tuple[Repository | None, str]:
    """Read `branch` or `owner:branch`; return the fork it is in, if in one, and the branch. Raises Refusal (422)."""
    owner, _, branch = head.rpartition(":")
    if owner.lower() in ("", repo.org.lower()):
        return None, branch
    fork = of(world, repo, owner)
    if fork is None:
        raise invalid("PullRequest", "head", "invalid")
    return fork, branch


def bring(git: Git, fork: Git, sha: str) -> None:
    """Bring a fork's commit, with its history, into the repository it was forked from. Blocks."""
    options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-gc", "--no-recurse-submodules")
    git.run("-c", "protocol.file.allow=always", "fetch", *options, str(fork.folder), sha)


def followed(world: World, fork: Repository, ref: str, by: str, now_s: float) -> Steps[None]:
    """Let the pull requests of a fork's branch follow it; those whose branch is gone are closed. Ends the turn."""
    parent = world.repositories.get(_key(fork.fork_of))
    if parent is None:
        return
    mine = [record for record in parent.issues.values() if _is_of(record, fork, ref)]
    if not mine:
        return
    sha = fork.refs.get(ref, "")
    git = yield from alone(world, parent)
    if sha:
        yield from ask(partial(bring, git, git_of(world, fork), sha))
    for record in mine:
        if record.closed_s is not None:
            continue
        if not sha:
            world.close(parent.org, parent.name, record.number, by=by, now_s=now_s)
            continue
        yield from comparing.prepare(world, parent, record, sha)
        world.follow(parent, record, sha, by, now_s)


def _key(full_name: str) -> tuple[str, str]:
    org, _, name = full_name.lower().partition("/")
    return org, name


def _is_of(record: IssueRecord, fork: Repository, ref: str) -> bool:
    if record.pull is None or record.closed_s is not None:
        return False
    part = pull_part(record)
    return part.head_repo == fork.full_name and f"heads/{part.head_ref}" == ref
