"""The JSON shapes of GitHub's answers, each with the fields that programs read and the links people follow.

Source: docs.github.com REST reference, API version 2022-11-28.
"""

import zlib
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from prow_async.sandbox.github.records import (
    CheckRun,
    CommentRecord,
    Commit,
    FileChange,
    Hook,
    IssueRecord,
    LabelRecord,
    MilestoneRecord,
    PullPart,
    Reaction,
    Repository,
    ReviewComment,
    ReviewRecord,
    Signature,
    StatusRecord,
    Team,
    WorkflowRunRecord,
)
from prow_async.sandbox.github.registry import Registry

Json = dict[str, Any]

_SHARED = (
    *("node_id", "html_url", "number", "state", "locked", "active_lock_reason", "title", "user", "body", "labels"),
    "milestone",
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
        **world.org(name).profile,
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
        "fork": bool(owner or repo.fork_of),
        "url": f"{world.address}/repos/{full_name}",
        "clone_url": f"{html_url}.git",
        "ssh_url": f"git@github.invalid:{full_name}.git",
        "created_at": created,
        "updated_at": created,
        "pushed_at": created,
        **repo.settings,
        "disabled": False,
        "permissions": {"admin": False, "push": False, "pull": True},
        "topics": [],
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
    known = repo.labels.get(name.lower()) or LabelRecord(name)
    return {
        "id": zlib.crc32(name.lower().encode()),
        "node_id": node_id("LA", zlib.crc32(name.lower().encode())),
        "url": f"{world.address}/repos/{repo.full_name}/labels/{quote(name, safe='')}",
        "name": known.name,
        "color": known.color,
        "default": False,
        "description": known.description or None,
    }


def milestone(world: Registry, repo: Repository, record: MilestoneRecord) -> Json:
    planned = [r for r in repo.issues.values() if r.milestone == record.number]
    return {
        "url": f"{world.address}/repos/{repo.full_name}/milestones/{record.number}",
        "html_url": f"{world.address}/{repo.full_name}/milestone/{record.number}",
        "id": record.id,
        "node_id": node_id("MI", record.id),
        "number": record.number,
        "title": record.title,
        "description": record.description or None,
        "creator": user(world, record.creator),
        "open_issues": sum(r.closed_s is None for r in planned),
        "closed_issues": sum(r.closed_s is not None for r in planned),
        "state": record.state,
        "created_at": instant(record.created_s),
        "updated_at": instant(record.created_s),
        "due_on": None,
        "closed_at": None,
    }


def team(world: Registry, org: str, record: Team) -> Json:
    parent = world.org(org).teams.get(record.parent)
    return {
        "id": record.id,
        "node_id": node_id("T", record.id),
        "name": record.name,
        "slug": record.slug,
        "description": record.description,
        "privacy": record.privacy,
        "permission": "pull",
        "url": f"{world.address}/orgs/{org}/teams/{record.slug}",
        "html_url": f"{world.address}/orgs/{org}/teams/{record.slug}",
        "members_url": f"{world.address}/orgs/{org}/teams/{record.slug}/members{{/member}}",
        "repositories_url": f"{world.address}/orgs/{org}/teams/{record.slug}/repos",
        "parent": team(world, org, parent) if parent else None,
    }


def reaction(world: Registry, record: Reaction) -> Json:
    return {
        "id": record.id,
        "node_id": node_id("REA", record.id),
        "user": user(world, record.login),
        "content": record.content,
        "created_at": instant(record.created_s),
    }


def review(world: Registry, repo: Repository, record: IssueRecord, said: ReviewRecord) -> Json:
    html_url = f"{world.address}/{repo.full_name}/pull/{record.number}"
    return {
        "id": said.id,
        "node_id": node_id("PRR", said.id),
        "user": user(world, said.author),
        "body": said.body,
        "state": said.state,
        "html_url": f"{html_url}#pullrequestreview-{said.id}",
        "pull_request_url": f"{world.address}/repos/{repo.full_name}/pulls/{record.number}",
        "submitted_at": instant(said.submitted_s),
        "commit_id": said.sha,
        "author_association": association(world, repo, said.author),
    }


def review_comment(world: Registry, repo: Repository, record: IssueRecord, said: ReviewComment) -> Json:
    shape: Json = {
        "id": said.id,
        "node_id": node_id("PRRC", said.id),
        "pull_request_review_id": said.review or None,
        "user": user(world, said.author),
        "body": said.body,
        "path": said.path,
        "line": said.line,
        "position": said.line,
        "commit_id": said.sha,
        "original_commit_id": said.sha,
        "diff_hunk": "",
        "html_url": f"{world.address}/{repo.full_name}/pull/{record.number}#discussion_r{said.id}",
        "url": f"{world.address}/repos/{repo.full_name}/pulls/comments/{said.id}",
        "pull_request_url": f"{world.address}/repos/{repo.full_name}/pulls/{record.number}",
        "created_at": instant(said.created_s),
        "updated_at": instant(said.created_s),
        "author_association": association(world, repo, said.author),
    }
    return shape if said.reply_to is None else shape | {"in_reply_to_id": said.reply_to}


def check_run(world: Registry, repo: Repository, run: CheckRun) -> Json:
    return {
        "id": run.id,
        "node_id": node_id("CR", run.id),
        "head_sha": run.sha,
        "name": run.name,
        "status": run.status,
        "conclusion": run.conclusion or None,
        "details_url": run.details_url or None,
        "html_url": f"{world.address}/{repo.full_name}/runs/{run.id}",
        "url": f"{world.address}/repos/{repo.full_name}/check-runs/{run.id}",
        "external_id": "",
        "started_at": instant(run.started_s),
        "completed_at": instant(run.completed_s),
        "output": {"title": run.title or None, "summary": None, "text": None, "annotations_count": 0},
        "app": {"id": 1, "slug": run.app, "name": run.app},
        "pull_requests": [],
    }


def workflow_run(world: Registry, repo: Repository, run: WorkflowRunRecord) -> Json:
    return {
        "id": run.id,
        "name": run.name,
        "event": run.event,
        "head_branch": run.branch,
        "head_sha": run.sha,
        "status": run.status,
        "conclusion": run.conclusion or None,
        "run_attempt": run.attempt,
        "html_url": f"{world.address}/{repo.full_name}/actions/runs/{run.id}",
        "url": f"{world.address}/repos/{repo.full_name}/actions/runs/{run.id}",
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
        "locked": record.locked is not None,
        "active_lock_reason": record.locked or None,
        "assignee": user(world, record.assignees[0]) if record.assignees else None,
        "assignees": [user(world, login) for login in record.assignees],
        "milestone": milestone(world, repo, repo.milestones[record.milestone]) if record.milestone else None,
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
        "requested_reviewers": [user(world, login) for login in part.requested],
        "requested_teams": [team(world, repo.org, world.org(repo.org).teams[slug]) for slug in part.requested_teams],
        "draft": part.draft,
        "head": _branch(
            world,
            world.repositories.get(_key(part.head_repo), repo),
            part.head_ref,
            part.head_sha,
            "" if part.within or part.head_repo else record.author,
        ),
        "base": _branch(world, repo, part.base_ref, part.base_sha, ""),
        "auto_merge": None,
        "merged": part.merged,
        "mergeable": mergeable,
        "mergeable_state": _state(world, repo, record) if mergeable else {False: "dirty", None: "unknown"}[mergeable],
        "review_comments": len(part.review_comments),
        "maintainer_can_modify": True,
        "commits": part.commits,
        "additions": sum(f.additions for f in part.files.values()),
        "deletions": sum(f.deletions for f in part.files.values()),
        "changed_files": len(part.files),
    }


def _key(full_name: str) -> tuple[str, str]:
    org, _, name = full_name.lower().partition("/")
    return org, name


def head_owner(repo: Repository, record: IssueRecord) -> str:
    """Say whose the branch of a pull request is."""
    part = _pull_part(record)
    return repo.org if part.within else part.head_repo.partition("/")[0] or record.author


def _state(world: Registry, repo: Repository, record: IssueRecord) -> str:
    """Say in GitHub's word how a pull request without conflicts stands."""
    part = _pull_part(record)
    if part.draft or world.blocked_by(repo, record):
        return "draft" if part.draft else "blocked"
    return "clean"


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


def changed_file(changed: FileChange) -> Json:
    shape: Json = {
        "sha": changed.sha,
        "filename": changed.filename,
        "status": changed.status or "modified",
        "additions": changed.additions,
        "deletions": changed.deletions,
        "changes": changed.additions + changed.deletions,
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
    owner = f"repos/{record.org}/{record.repo}" if record.repo else f"orgs/{record.org}" if record.org else "app"
    return {
        "type": "Repository" if record.repo else "Organization" if record.org else "App",
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
