"""Opening and merging pull requests: in git where the world has it, else in the world alone.

Generators of blocking work, as `steps` has them.
"""

from functools import partial

import msgspec

from prow_async.sandbox.github import comparing, forks, landing, shapes
from prow_async.sandbox.github.git import reading, writing
from prow_async.sandbox.github.git.writing import Method, RefMove
from prow_async.sandbox.github.ground import alone, git_of, sign
from prow_async.sandbox.github.pulls import PullForm, pull_part
from prow_async.sandbox.github.records import IssueRecord, Repository
from prow_async.sandbox.github.refusal import Refusal, invalid
from prow_async.sandbox.github.steps import Steps, ask
from prow_async.sandbox.github.world import World

_SETTING = {"merge": "allow_merge_commit", "squash": "allow_squash_merge", "rebase": "allow_rebase_merge"}
MODIFIED = "Base branch was modified. Review and try the merge again."


class MergeForm(msgspec.Struct, frozen=True):
    """How a pull request is to be merged. An empty `sha` is any head; an empty title is GitHub's own."""

    method: Method = "merge"
    title: str = ""
    message: str = ""
    sha: str = ""


def open_pull(world: World, repo: Repository, author: str, form: PullForm, now_s: float) -> Steps[IssueRecord]:
    """Open a pull request from a branch (`form.branch`) of the repository, or as `OWNER:BRANCH` of somebody's fork.

    See Pulls.open_pull_of_branch for what is refused.
    """
    fork, branch = forks.source(world, repo, form.branch)
    form = msgspec.structs.replace(form, branch=branch)
    if world.git is None:
        return world.open_pull_of_branch(repo.org, repo.name, author, form, now_s=now_s)
    git = yield from alone(world, repo)
    head, base = world.check_pull_of_branch(repo, form, fork)
    if fork is not None:
        yield from ask(partial(forks.bring, git, git_of(world, fork), head))
    tip = repo.refs[f"heads/{base}"]
    compared = yield from ask(partial(comparing.compare, git, tip, head, sign(comparing.GHOST, now_s)))
    if compared is None:
        text = f"The {base} branch has no history in common with {form.branch}"
        raise invalid("PullRequest", "base", "custom", text)
    if compared.commits == 0:
        raise invalid("PullRequest", "head", "custom", f"No commits between {base} and {form.branch}")
    record = world.new_pull_of_branch(repo, author, form, now_s, fork)
    yield from ask(partial(writing.move, git, comparing.moves_of(record.number, compared)))
    repo.compared[record.number] = compared
    world.begin_pull_of_branch(repo, record, head, now_s)
    return record


def merge(world: World, repo: Repository, number: int, form: MergeForm, *, by: str, now_s: float) -> Steps[str]:
    """Merge a pull request into its base; return the new tip.

    Raises Refusal: 405 when it cannot be merged or the base has moved meanwhile, 409 when `form.sha` is not its head.
    """
    record = world.pull_record(repo.org, repo.name, number)
    if world.git is not None:
        yield from alone(world, repo)
        yield from comparing.look(world, repo, record)
    before = world.check_merge(repo, record, form.sha)
    world.check_protection(repo, record, by)
    if repo.settings[_SETTING[form.method]] is not True:
        raise Refusal(405, f"{form.method.capitalize()} merges are not allowed on this repository.")
    if world.git is None:
        return world.merge(repo.org, repo.name, number, by=by, now_s=now_s, sha=form.sha)
    part, git = pull_part(record), git_of(world, repo)
    how: tuple[Method, str] = (form.method, _message(repo, record, form))
    tip = yield from ask(partial(writing.merge, git, before, part.head_sha, how, sign(by, now_s)))
    if tip is None:
        raise Refusal(405, "Pull Request is not mergeable")
    ref = f"heads/{part.base_ref}"
    if not (yield from ask(partial(writing.move, git, [RefMove(ref, tip, before)]))):
        raise Refusal(405, MODIFIED)
    part.merged, record.closed_s, part.merge_sha = True, now_s, tip
    yield from ask(partial(writing.move, git, [RefMove(f"pull/{number}/merge", "")]))
    repo.refs.pop(f"pull/{number}/merge", None)
    yield from landing.land(world, repo, (ref, tip), by, now_s)
    world.changed(repo, record, "closed", by, now_s)
    if part.within and repo.settings["delete_branch_on_merge"]:
        yield from _delete_branch(world, repo, f"heads/{part.head_ref}", part.head_sha, (by, now_s))
    return tip


def _delete_branch(world: World, repo: Repository, ref: str, sha: str, who: tuple[str, float]) -> Steps[None]:
    """Delete a merged branch, unless it has moved meanwhile or is the default one."""
    git = git_of(world, repo)
    if ref != f"heads/{repo.default_branch}" and (yield from ask(partial(writing.move, git, [RefMove(ref, "", sha)]))):
        yield from landing.land(world, repo, (ref, ""), *who)


def update_branch(
    world: World, repo: Repository, number: int, expected: str = "", *, by: str, now_s: float
) -> Steps[None]:
    """Merge the base branch into the head branch. Raises Refusal (422) when that cannot be done."""
    if world.git is None:
        raise Refusal(422, "There is no git behind this repository.")
    git = yield from alone(world, repo)
    record = world.pull_record(repo.org, repo.name, number)
    part = pull_part(record)
    ref, base = f"heads/{part.head_ref}", repo.refs.get(f"heads/{part.base_ref}", "")
    if expected and expected != part.head_sha:
        raise Refusal(422, "expected head sha didn’t match current head ref.")
    if not part.within or record.closed_s is not None:
        raise Refusal(422, "The head branch is not of this repository.")
    if (yield from ask(partial(reading.is_ancestor, git, base, part.head_sha))):
        raise Refusal(422, "There are no new commits on the base branch.")
    how: tuple[Method, str] = ("merge", f"Merge branch '{part.base_ref}' into {part.head_ref}")
    tip = yield from ask(partial(writing.merge, git, part.head_sha, base, how, sign(by, now_s)))
    if tip is None or not (yield from ask(partial(writing.move, git, [RefMove(ref, tip, part.head_sha)]))):
        raise Refusal(422, "merge conflict between base and head")
    yield from landing.land(world, repo, (ref, tip), by, now_s)


def _message(repo: Repository, record: IssueRecord, form: MergeForm) -> str:
    part = pull_part(record)
    if form.method == "squash":
        title, body = f"{record.title} (#{record.number})", record.body
    else:
        owner = shapes.head_owner(repo, record)
        title, body = f"Merge pull request #{record.number} from {owner}/{part.head_ref}", record.title
    title, body = form.title or title, form.message or body
    return f"{title}\n\n{body}" if body else title
