"""The bodies of webhooks, in GitHub's shape.

Source: docs.github.com, webhook events and payloads.
"""

from collections.abc import Sequence

import msgspec

from prow_async.sandbox.github import shapes
from prow_async.sandbox.github.records import (
    CommentRecord,
    Commit,
    Hook,
    IssueRecord,
    Repository,
    ReviewComment,
    ReviewRecord,
    Signature,
    StatusRecord,
)
from prow_async.sandbox.github.registry import Registry
from prow_async.sandbox.github.shapes import Json

NO_COMMIT = "0" * 40
"""Stands in a push for the side that does not exist: a branch made or deleted."""


def encode(payload: Json) -> bytes:
    return msgspec.json.encode(payload)


def ping(world: Registry, hook: Hook) -> Json:
    payload: Json = {"zen": "Keep it logically awesome.", "hook_id": hook.id, "hook": shapes.hook(world, hook)}
    if hook.repo:
        payload["repository"] = shapes.repository(world, world.repo(hook.org, hook.repo))
    elif hook.org:
        payload["organization"] = shapes.organization(world, hook.org)
    else:
        return payload
    return payload | {"sender": shapes.user(world, hook.org)}


def pull_request(world: Registry, repo: Repository, record: IssueRecord, action: str, sender: str) -> Json:
    fresh = action in ("opened", "synchronize", "reopened")
    return {
        "action": action,
        "number": record.number,
        "pull_request": shapes.pull(world, repo, record, mergeable_known=not fresh),
    } | _around(world, repo, sender)


def issues(world: Registry, repo: Repository, record: IssueRecord, action: str, sender: str) -> Json:
    return {"action": action, "issue": shapes.issue(world, repo, record)} | _around(world, repo, sender)


def issue_comment(
    world: Registry, repo: Repository, where: tuple[IssueRecord, CommentRecord], action: str, sender: str
) -> Json:
    record, said = where
    return {
        "action": action,
        "issue": shapes.issue(world, repo, record),
        "comment": shapes.comment(world, repo, record, said),
    } | _around(world, repo, sender)


def review(world: Registry, repo: Repository, record: IssueRecord, said: ReviewRecord, what: tuple[str, str]) -> Json:
    """Render a review's event; `what` is the action and who acts. States are in lower case here, as on GitHub."""
    action, sender = what
    shape = shapes.review(world, repo, record, said)
    return {
        "action": action,
        "review": shape | {"state": said.state.lower()},
        "pull_request": shapes.pull(world, repo, record),
    } | _around(world, repo, sender)


def review_comment(world: Registry, repo: Repository, record: IssueRecord, said: ReviewComment, sender: str) -> Json:
    return {
        "action": "created",
        "comment": shapes.review_comment(world, repo, record, said),
        "pull_request": shapes.pull(world, repo, record),
    } | _around(world, repo, sender)


def status(world: Registry, repo: Repository, sha: str, record: StatusRecord) -> Json:
    return {
        "id": record.id,
        "sha": sha,
        "name": repo.full_name,
        "target_url": record.target_url,
        "context": record.context,
        "description": record.description,
        "state": record.state,
        "commit": shapes.commit(world, repo, repo.commits[sha]),
        "branches": [
            {"name": ref.removeprefix("heads/"), "commit": {"sha": sha}}
            for ref, at in repo.refs.items()
            if at == sha and ref.startswith("heads/")
        ],
        "created_at": shapes.instant(record.created_s),
        "updated_at": shapes.instant(record.created_s),
    } | _around(world, repo, record.creator)


def push(world: Registry, repo: Repository, ref: str, change: tuple[str, str], sender: str) -> Json:
    """Render a push. `change` is the commit before and after; one of them may be NO_COMMIT."""
    before, after = change
    known = repo.pushes.get(change)
    commits = [_pushed(world, repo, c) for c in (known.commits if known else _between(repo, before, after))]
    tip = repo.commits.get(after)
    around = _around(world, repo, sender)
    owner = around["repository"]["owner"]
    around["repository"]["owner"] = owner | {"name": owner["login"], "email": None}
    return {
        "ref": ref,
        "before": before,
        "after": after,
        "created": before == NO_COMMIT,
        "deleted": after == NO_COMMIT,
        "forced": known is not None and known.forced,
        "base_ref": None,
        "compare": f"{world.address}/{repo.full_name}/compare/{before[:12]}...{after[:12]}",
        "commits": commits,
        "head_commit": _pushed(world, repo, tip) if tip else None,
        "pusher": {"name": world.account(sender).login, "email": f"{sender}@localhost"},
    } | around


def _between(repo: Repository, before: str, after: str) -> Sequence[Commit]:
    """List the commits a push brought, oldest first; a new branch of an old commit brings none."""
    found: list[Commit] = []
    at = after
    while before != NO_COMMIT and at != before and at in repo.commits and len(found) < 2048:
        found.append(repo.commits[at])
        at = repo.commits[at].parent
    return found[::-1]


def _pushed(world: Registry, repo: Repository, record: Commit) -> Json:
    return {
        "id": record.sha,
        "tree_id": record.tree or record.sha,
        "distinct": True,
        "message": record.message,
        "timestamp": shapes.instant(record.created_s),
        "url": f"{world.address}/{repo.full_name}/commit/{record.sha}",
        "author": _signature(record, record.written),
        "committer": _signature(record, record.committed),
        "added": [f.filename for f in record.files if f.status == "added"],
        "removed": [f.filename for f in record.files if f.status == "removed"],
        "modified": [f.filename for f in record.files if f.status not in ("added", "removed")],
    }


def _signature(record: Commit, signed: Signature | None) -> Json:
    if signed is None:
        return {"name": record.author, "email": f"{record.author}@localhost", "username": record.author}
    return {"name": signed.name, "email": signed.email} | ({"username": record.author} if record.author else {})


def _around(world: Registry, repo: Repository, sender: str) -> Json:
    """Return what every event of a repository carries."""
    around: Json = {"repository": shapes.repository(world, repo)}
    if world.account(repo.org).kind == "Organization":
        around["organization"] = shapes.organization(world, repo.org)
    return around | {"sender": shapes.user(world, sender)}
