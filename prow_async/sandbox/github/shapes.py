"""The JSON shapes of GitHub's answers, each with the fields that programs read and the links people follow.

Source: docs.github.com REST reference, API version 2022-11-28.
"""

import zlib
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from prow_async.api.github import ChangedFile
from prow_async.sandbox.github.records import (
    CommentRecord,
    Commit,
    FileChange,
    Hook,
    IssueRecord,
    PullPart,
    Repository,
    Signature,
    StatusRecord,
)
from prow_async.sandbox.github.registry import Registry

Json = dict[str, Any]

_SHARED = (
    *("node_id", "html_url", "number", "state", "locked", "title", "user", "body", "labels", "milestone"),
    *("assignee", "assignees", "created_at", "updated_at", "closed_at", "author_association", "comments"),
)
"""Fields that a pull request has as its issue has them."""

_ASSOCIATIONS = {"admin": "COLLABORATOR", "maintain": "COLLABORATOR", "push": "COLLABORATOR", "triage": "COLLABORATOR"}


def instant(at_s: float | None) -> str | None:
    """Render a time as GitHub does: UTC, whole seconds."""
    return None if at_s is None else datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def node_id(kind: str, number: int) -> str:
    return f"{kind}_{number:08x}"


def user(world: Registry, login: str) -> Json:
    account = world.account(login)
    return {
        "login": account.login,
        "id": account.id,
        "node_id": node_id("U", account.id),
        "avatar_url": "",
        "url": f"{world.address}/users/{account.login}",
        "html_url": f"{world.address}/{account.login}",
        "type": account.kind,
        "site_admin": False,
    }


def organization(world: Registry, name: str) -> Json:
    account = world.org(name).account
    return {
        "login": account.login,
        "id": account.id,
        "node_id": node_id("O", account.id),
        "url": f"{world.address}/orgs/{account.login}",
        "hooks_url": f"{world.address}/orgs/{account.login}/hooks",
        "description": None,
    }


def repository(world: Registry, repo: Repository, owner: str = "") -> Json:
    """Render a repository; with `owner` it is that person's fork of it."""
    of = owner or repo.org
    full_name = f"{of}/{repo.name}"
    html_url = f"{world.address}/{full_name}"
    created = instant(repo.created_s)
    return {
        "id": repo.id if not owner else repo.id + 1_000_000_000,
        "node_id": node_id("R", repo.id),
        "name": repo.name,
        "full_name": full_name,
        "private": repo.private,
        "owner": user(world, of),
        "html_url": html_url,
        "description": None,
        "fork": bool(owner),
        "url": f"{world.address}/repos/{full_name}",
        "clone_url": f"{html_url}.git",
        "ssh_url": f"git@github.invalid:{full_name}.git",
        "created_at": created,
        "updated_at": created,
        "pushed_at": created,
        "archived": False,
        "disabled": False,
        "has_issues": True,
        "visibility": "private" if repo.private else "public",
        "default_branch": repo.default_branch,
    }


def association(world: Registry, repo: Repository, login: str) -> str:
    if repo.org.lower() == login.lower():
        return "OWNER"
    if world.is_member(repo.org, login):
        return "MEMBER"
    return _ASSOCIATIONS.get(world.permission(repo, login) or "", "NONE")


def label(world: Registry, repo: Repository, name: str) -> Json:
    return {
        "id": zlib.crc32(name.lower().encode()),
        "url": f"{world.address}/repos/{repo.full_name}/labels/{quote(name, safe='')}",
        "name": name,
        "color": "ededed",
        "default": False,
        "description": None,
    }


def issue(world: Registry, repo: Repository, record: IssueRecord) -> Json:
    """Render an issue; a pull request seen as an issue has the extra field `pull_request`."""
    kind = "pull" if record.pull else "issues"
    html_url = f"{world.address}/{repo.full_name}/{kind}/{record.number}"
    url = f"{world.address}/repos/{repo.full_name}/issues/{record.number}"
    shape: Json = {
        "url": url,
        "repository_url": f"{world.address}/repos/{repo.full_name}",
        "labels_url": url + "/labels{/name}",
        "comments_url": f"{url}/comments",
        "html_url": html_url,
        "id": record.id,
        "node_id": node_id("I", record.id),
        "number": record.number,
        "title": record.title,
        "user": user(world, record.author),
        "labels": [label(world, repo, name) for name in record.labels],
        "state": record.state,
        "locked": False,
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "comments": len(record.comments),
        "created_at": instant(record.created_s),
        "updated_at": instant(record.updated_s),
        "closed_at": instant(record.closed_s),
        "author_association": association(world, repo, record.author),
        "body": record.body or None,
    }
    if record.pull:
        shape["draft"] = record.pull.draft
        shape["pull_request"] = {
            "url": f"{world.address}/repos/{repo.full_name}/pulls/{record.number}",
            "html_url": html_url,
            "merged_at": instant(record.closed_s) if record.pull.merged else None,
        }
    return shape


def pull(world: Registry, repo: Repository, record: IssueRecord, mergeable_known: bool = True) -> Json:
    """Render a pull request. `mergeable` is null while GitHub has not computed it, as in fresh webhooks."""
    part = _pull_part(record)
    seen_as_issue = issue(world, repo, record)
    html_url = seen_as_issue["html_url"]
    mergeable = part.mergeable if mergeable_known and record.state == "open" else None
    shape = {name: seen_as_issue[name] for name in _SHARED}
    return shape | {
        "url": f"{world.address}/repos/{repo.full_name}/pulls/{record.number}",
        "id": record.id,
        "diff_url": f"{html_url}.diff",
        "patch_url": f"{html_url}.patch",
        "issue_url": seen_as_issue["url"],
        "comments_url": seen_as_issue["comments_url"],
        "statuses_url": f"{world.address}/repos/{repo.full_name}/statuses/{part.head_sha}",
        "merged_at": instant(record.closed_s) if part.merged else None,
        "merge_commit_sha": part.merge_sha or None,
        "requested_reviewers": [],
        "requested_teams": [],
        "draft": part.draft,
        "head": _branch(world, repo, part.head_ref, part.head_sha, "" if part.within else record.author),
        "base": _branch(world, repo, part.base_ref, part.base_sha, ""),
        "auto_merge": None,
        "merged": part.merged,
        "mergeable": mergeable,
        "mergeable_state": {True: "clean", False: "dirty", None: "unknown"}[mergeable],
        "review_comments": 0,
        "maintainer_can_modify": True,
        "commits": part.commits,
        "additions": sum(f.additions if isinstance(f, FileChange) else 1 for f in part.files.values()),
        "deletions": sum(f.deletions for f in part.files.values() if isinstance(f, FileChange)),
        "changed_files": len(part.files),
    }


def _pull_part(record: IssueRecord) -> PullPart:
    assert record.pull is not None, "callers look the number up as a pull request"
    return record.pull


def _branch(world: Registry, repo: Repository, ref: str, sha: str, fork_of: str) -> Json:
    owner = fork_of or repo.org
    return {
        "label": f"{owner}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": user(world, owner),
        "repo": repository(world, repo, fork_of),
    }


def comment(world: Registry, repo: Repository, record: IssueRecord, said: CommentRecord) -> Json:
    seen = issue(world, repo, record)
    return {
        "url": f"{world.address}/repos/{repo.full_name}/issues/comments/{said.id}",
        "html_url": f"{seen['html_url']}#issuecomment-{said.id}",
        "issue_url": seen["url"],
        "id": said.id,
        "node_id": node_id("IC", said.id),
        "user": user(world, said.author),
        "created_at": instant(said.created_s),
        "updated_at": instant(said.updated_s),
        "author_association": association(world, repo, said.author),
        "body": said.body,
    }


def status(world: Registry, repo: Repository, sha: str, record: StatusRecord) -> Json:
    created = instant(record.created_s)
    return {
        "url": f"{world.address}/repos/{repo.full_name}/statuses/{sha}",
        "avatar_url": "",
        "id": record.id,
        "node_id": node_id("SC", record.id),
        "state": record.state,
        "description": record.description,
        "target_url": record.target_url,
        "context": record.context,
        "created_at": created,
        "updated_at": created,
    }


def changed_file(changed: ChangedFile) -> Json:
    known = changed if isinstance(changed, FileChange) else FileChange(sha="0" * 40, additions=1)
    shape: Json = {
        "sha": known.sha,
        "filename": changed.filename,
        "status": changed.status or "modified",
        "additions": known.additions,
        "deletions": known.deletions,
        "changes": known.additions + known.deletions,
    }
    if changed.previous_filename:
        shape["previous_filename"] = changed.previous_filename
    return shape


def commit(world: Registry, repo: Repository, record: Commit) -> Json:
    known = user(world, record.author) if record.author else None
    return {
        "url": f"{world.address}/repos/{repo.full_name}/commits/{record.sha}",
        "sha": record.sha,
        "node_id": node_id("C", int(record.sha[:8], 16)),
        "html_url": f"{world.address}/{repo.full_name}/commit/{record.sha}",
        "commit": bare_commit(record),
        "author": known,
        "committer": known,
        "parents": [{"sha": parent} for parent in record.parents],
        "files": [changed_file(changed) for changed in record.files],
    }


def bare_commit(record: Commit) -> Json:
    """Render what git knows of a commit."""
    return {
        "message": record.message,
        "author": _signature(record, record.written),
        "committer": _signature(record, record.committed),
        "tree": {"sha": record.tree or record.sha},
    }


def _signature(record: Commit, signed: Signature | None) -> Json:
    if signed is None:
        signed = Signature(record.author, f"{record.author}@localhost", record.created_s)
    return {"name": signed.name, "email": signed.email, "date": instant(signed.at_s)}


def git_ref(world: Registry, repo: Repository, ref: str) -> Json:
    """Render a ref; `ref` is without `refs/`."""
    sha = repo.refs[ref]
    return {
        "ref": f"refs/{ref}",
        "node_id": node_id("REF", repo.id),
        "url": f"{world.address}/repos/{repo.full_name}/git/refs/{ref}",
        "object": {
            "sha": sha,
            "type": "commit",
            "url": f"{world.address}/repos/{repo.full_name}/git/commits/{sha}",
        },
    }


def hook(world: Registry, record: Hook) -> Json:
    """Render a webhook; the secret is starred out, as GitHub does."""
    owner = f"repos/{record.org}/{record.repo}" if record.repo else f"orgs/{record.org}"
    return {
        "type": "Repository" if record.repo else "Organization",
        "id": record.id,
        "name": "web",
        "active": record.active,
        "events": list(record.events),
        "config": {
            "content_type": "json",
            "insecure_ssl": "0",
            "url": record.url,
            "secret": "********" if record.secret else "",
        },
        "url": f"{world.address}/{owner}/hooks/{record.id}",
    }
