"""Where the world and its git repositories meet: whose git, whose turn, and which commits are known.

Generators of blocking work, as `steps` has them.
"""

from functools import partial

import msgspec

from prow_async.sandbox.github.git import reading
from prow_async.sandbox.github.git.command import Git
from prow_async.sandbox.github.records import Commit, Repository, Signature
from prow_async.sandbox.github.refusal import missing
from prow_async.sandbox.github.steps import Steps, Turn, ask
from prow_async.sandbox.github.world import World

KEPT_COMMITS = 20_000
"""So many commits of a repository are held in memory; others are read again."""


def git_of(world: World, repo: Repository) -> Git:
    """Return git on a repository of a world that has git."""
    assert world.git is not None, "asked only where there is git"
    return world.git.at(repo.org, repo.name)


def alone(world: World, repo: Repository) -> Steps[Git]:
    """Be the only one who moves refs of a repository from here on; return git on it."""
    assert world.git is not None, "asked only where there is git"
    yield Turn(world.git.lock(repo.org, repo.name))
    return git_of(world, repo)


def sign(login: str, now_s: float) -> Signature:
    """Return what the small GitHub writes into commits it makes for a person."""
    return Signature(login, f"{login}@localhost", now_s)


def remember(world: World, repo: Repository, commits: list[Commit] | tuple[Commit, ...]) -> None:
    """Keep commits that git has shown, credited to the accounts whose they are."""
    for commit in commits:
        repo.commits[commit.sha] = msgspec.structs.replace(commit, author=_account_of(world, commit))
    while len(repo.commits) > KEPT_COMMITS:
        del repo.commits[next(iter(repo.commits))]


def _account_of(world: World, commit: Commit) -> str:
    """Say whose a commit is: by the mail address LOGIN@localhost, else by the name; empty for a stranger's."""
    written = commit.written
    if written is None:
        return commit.author
    login, _, domain = written.email.partition("@")
    for candidate in (login if domain == "localhost" else "", written.name):
        account = world.accounts.get(candidate.lower())
        if account is not None:
            return account.login
    return ""


def known(world: World, repo: Repository, ref: str) -> Steps[str]:
    """Resolve a commit, branch, tag or ref to a commit the world has. Raises Refusal (404)."""
    if world.git is None:
        return world.commit_of(repo, ref)
    sha = ref if ref in repo.commits else None
    if sha is None:
        git = git_of(world, repo)
        sha = yield from ask(partial(reading.resolve, git, ref))
        if sha is not None and sha not in repo.commits:
            commit = yield from ask(partial(reading.commit, git, sha))
            remember(world, repo, [commit] if commit is not None else [])
    if sha is None or sha not in repo.commits:
        raise missing()
    return sha
