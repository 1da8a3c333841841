"""The nodes of a GraphQL answer, each a mapping from fields to values, or to functions for what is worth waiting for.

A function is called with the query's `info` and the field's arguments.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from prow_async.sandbox.github import searching, shapes
from prow_async.sandbox.github.pulls import pull_part
from prow_async.sandbox.github.records import Commit, IssueRecord, Repository, StatusRecord
from prow_async.sandbox.github.refusal import Refusal
from prow_async.sandbox.github.world import World

T = TypeVar("T")
Node = dict[str, Any]

NODES_LIMIT = 20_000
"""So many nodes one answer has at most."""
PAGE_LIMIT = 100


class Graph:
    """What one query sees of the world.

    `nodes` counts what it has been given; `unknown` are the pull requests seen whose mergeability was not known.
    """

    def __init__(self, world: World, login: str, now_s: float) -> None:
        self.world = world
        self.login = login
        self.now_s = now_s
        self.nodes = 0
        self.unknown: list[tuple[Repository, IssueRecord]] = []

    def root(self) -> Node:
        """Return the query's own fields."""
        return {
            "rateLimit": lambda info, **asked: self._rate_limit(),
            "viewer": lambda info: self.actor(self.login),
            "repository": lambda info, owner, name, **asked: self._repository(owner, name),
            "organization": lambda info, login: self.actor(self.world.org(login).account.login),
            "user": lambda info, login: self.actor(login),
            "search": lambda info, **asked: self._search(**asked),
        }

    def _rate_limit(self) -> Node:
        bucket = self.world.graphql_limits.bucket(self.login, self.now_s)
        counted = {"limit": bucket.limit, "remaining": bucket.remaining, "used": bucket.used}
        at = shapes.instant(bucket.reset_s)
        return counted | {"cost": 1, "nodeCount": lambda info: self.nodes, "resetAt": at}

    def _search(self, query: str, type: str, **page: Any) -> Node:
        if type not in ("ISSUE", "ISSUE_ADVANCED"):
            raise Refusal(422, f"The small GitHub does not search for {type}.")
        found = searching.search(self.world, self.login, query)
        kept = found[: searching.RESULTS_LIMIT]
        shown = self.connection(kept, lambda one: self.issue_or_pull(one.repo, one.record), **page)
        return shown | {"issueCount": len(found)}

    def _repository(self, owner: str, name: str) -> Node:
        repo = self.world.repo(owner, name)
        if repo.private and self.world.permission(repo, self.login) is None:
            raise Refusal(404, f"Could not resolve to a Repository with the name '{owner}/{name}'.")
        return self.repository(repo)

    def connection(
        self,
        records: Sequence[T],
        render: Callable[[T], Node],
        first: int | None = None,
        last: int | None = None,
        after: str | None = None,
        before: str | None = None,
    ) -> Node:
        """Cut a page out of a list, as GraphQL cursors have it, and count its nodes. Raises Refusal (422)."""
        begin = _place(after) + 1 if after else 0
        end = min(_place(before), len(records)) if before else len(records)
        for size in (first, last):
            if size is not None and not 0 <= size <= PAGE_LIMIT:
                raise Refusal(422, f"Requesting {size} records exceeds the limit of {PAGE_LIMIT} records.")
        if first is None and last is None:
            first = PAGE_LIMIT
        if first is not None:
            end = min(end, begin + first)
        if last is not None:
            begin = max(begin, end - last)
        end = max(end, begin)
        self.nodes += end - begin
        if self.nodes > NODES_LIMIT:
            raise Refusal(422, f"This query asks for more than {NODES_LIMIT} nodes.")
        page = {
            "hasNextPage": end < len(records),
            "hasPreviousPage": begin > 0,
            "startCursor": _cursor(begin) if end > begin else None,
            "endCursor": _cursor(end - 1) if end > begin else None,
        }
        nodes = [render(record) for record in records[begin:end]]
        return {"nodes": nodes, "pageInfo": page, "totalCount": len(records)}

    def listed(self, records: Callable[[], Sequence[T]], render: Callable[[T], Node]) -> Callable[..., Node]:
        """Make a field that is a connection over a list."""
        return lambda info, **page: self.connection(records(), render, **page)

    def actor(self, login: str) -> Node:
        account = self.world.account(login)
        return {
            "__typename": account.kind,
            "id": shapes.node_id("U", account.id),
            "login": account.login,
            "name": account.name or None,
            "url": f"{self.world.address}/{account.login}",
        }

    def repository(self, repo: Repository) -> Node:
        return {
            "__typename": "Repository",
            "id": shapes.node_id("R", repo.id),
            "name": repo.name,
            "nameWithOwner": repo.full_name,
            "owner": lambda info: self.actor(repo.org),
            "url": f"{self.world.address}/{repo.full_name}",
            "isPrivate": repo.private,
            "isArchived": repo.settings["archived"],
            "mergeCommitAllowed": repo.settings["allow_merge_commit"],
            "squashMergeAllowed": repo.settings["allow_squash_merge"],
            "rebaseMergeAllowed": repo.settings["allow_rebase_merge"],
            "defaultBranchRef": lambda info: self.ref(repo, f"heads/{repo.default_branch}"),
            "ref": lambda info, **asked: self._named_ref(repo, asked["qualifiedName"]),
            "pullRequest": lambda info, number: self._numbered(repo, number, pull=True),
            "issue": lambda info, number: self._numbered(repo, number, pull=False),
            "pullRequests": lambda info, states=None, **page: self._pulls(repo, states, **page),
        }

    def _named_ref(self, repo: Repository, name: str) -> Node | None:
        names = (name.removeprefix("refs/"), f"heads/{name}")
        return next((self.ref(repo, one) for one in names if one in repo.refs), None)

    def _numbered(self, repo: Repository, number: int, *, pull: bool) -> Node:
        record = repo.issues.get(number)
        if record is None or (record.pull is not None) != pull:
            kind = "PullRequest" if pull else "Issue"
            raise Refusal(404, f"Could not resolve to a {kind} with the number of {number}.")
        return self.issue_or_pull(repo, record)

    def _pulls(self, repo: Repository, states: list[str] | None, **page: Any) -> Node:
        found = [r for r in repo.issues.values() if r.pull and (states is None or _state(r) in states)]
        return self.connection(found, lambda record: self.issue_or_pull(repo, record), **page)

    def ref(self, repo: Repository, ref: str) -> Node | None:
        """Render a ref; None when it is gone."""
        sha = repo.refs.get(ref)
        if sha is None:
            return None
        space, _, name = ref.partition("/")
        target = {"target": lambda info: self.commit(repo, sha)}
        return {"id": shapes.node_id("REF", repo.id), "name": name, "prefix": f"refs/{space}/"} | target

    def issue_or_pull(self, repo: Repository, record: IssueRecord) -> Node:
        kind = "pull" if record.pull else "issues"
        milestone = repo.milestones.get(record.milestone or 0)
        node: Node = {
            "__typename": "PullRequest" if record.pull else "Issue",
            "id": shapes.node_id("I", record.id),
            "number": record.number,
            "title": record.title,
            "body": record.body,
            "url": f"{self.world.address}/{repo.full_name}/{kind}/{record.number}",
            "state": _state(record),
            "author": lambda info: self.actor(record.author),
            "repository": lambda info: self.repository(repo),
            "milestone": milestone
            and {
                "id": shapes.node_id("MI", milestone.id),
                "number": milestone.number,
                "title": milestone.title,
            },
            "createdAt": shapes.instant(record.created_s),
            "updatedAt": shapes.instant(record.updated_s),
            "closed": record.closed_s is not None,
            "locked": record.locked is not None,
            "labels": self.listed(lambda: record.labels, lambda name: self._label(repo, name)),
            "assignees": self.listed(lambda: record.assignees, self.actor),
            "comments": self.listed(lambda: record.comments, lambda said: self._comment(repo, record, said)),
        }
        return node | (self._pull(repo, record) if record.pull else {})

    def _label(self, repo: Repository, name: str) -> Node:
        shape = shapes.label(self.world, repo, name)
        return {"id": shape["node_id"], **{key: shape[key] for key in ("name", "color", "description")}}

    def _comment(self, repo: Repository, record: IssueRecord, said: Any) -> Node:
        shape = shapes.comment(self.world, repo, record, said)
        around = {"id": shape["node_id"], "author": lambda info: self.actor(said.author), "url": shape["html_url"]}
        return around | {"body": said.body, "createdAt": shape["created_at"]}

    def _pull(self, repo: Repository, record: IssueRecord) -> Node:
        part = pull_part(record)
        files = list(part.files.values())
        shown = [shapes.changed_file(one) for one in files]
        at = shapes.instant(record.closed_s) if part.merged else None
        return {
            "mergedAt": at,
            "merged": part.merged,
            "isDraft": part.draft,
            "isCrossRepository": not part.within,
            "additions": sum(one["additions"] for one in shown),
            "deletions": sum(one["deletions"] for one in shown),
            "changedFiles": len(files),
            "baseRef": lambda info: self.ref(repo, f"heads/{part.base_ref}"),
            "baseRefName": part.base_ref,
            "baseRefOid": repo.refs.get(f"heads/{part.base_ref}", part.base_sha),
            "headRef": lambda info: self.ref(repo, f"heads/{part.head_ref}") if part.within else None,
            "headRefName": part.head_ref,
            "headRefOid": part.head_sha,
            "headRepository": lambda info: self._head_repository(repo, record),
            "mergeable": lambda info: self._mergeable(repo, record),
            "mergeStateStatus": lambda info: shapes.pull(self.world, repo, record)["mergeable_state"].upper(),
            "canBeRebased": part.mergeable is not False,
            "reviewDecision": lambda info: self.world.review_decision(repo, record),
            "commits": lambda info, **page: self._commits(repo, record, **page),
            "reviews": self.listed(lambda: part.reviews, lambda one: self._review(one)),
            "latestReviews": self.listed(
                lambda: list({review.author: review for review in part.reviews}.values()), lambda one: self._review(one)
            ),
            "files": self.listed(
                lambda: shown,
                lambda one: {"path": one["filename"], "additions": one["additions"], "deletions": one["deletions"]},
            ),
        }

    def _head_repository(self, repo: Repository, record: IssueRecord) -> Node | None:
        part = pull_part(record)
        known = [one for one in self.world.repositories.values() if one.full_name == part.head_repo]
        return self.repository(repo) if part.within else self.repository(known[0]) if known else None

    def _review(self, review: Any) -> Node:
        author = {"author": lambda info: self.actor(review.author), "submittedAt": shapes.instant(review.submitted_s)}
        return {"id": shapes.node_id("PRR", review.id), "body": review.body, "state": review.state} | author

    def _mergeable(self, repo: Repository, record: IssueRecord) -> str:
        known = pull_part(record).mergeable
        if known is None and record.closed_s is None:
            self.unknown.append((repo, record))
        return {True: "MERGEABLE", False: "CONFLICTING", None: "UNKNOWN"}[known]

    def _commits(self, repo: Repository, record: IssueRecord, **page: Any) -> Node:
        """Render the commits of a pull request that are known, oldest first; its head is always among them."""
        part = pull_part(record)
        shas, at = [part.head_sha], part.head_sha
        while at in repo.commits and len(shas) < min(part.commits, 250):
            at = repo.commits[at].parent
            if at in ("", part.base_sha) or at not in repo.commits:
                break
            shas.append(at)
        url = f"{self.world.address}/{repo.full_name}/pull/{record.number}/commits"
        shown = self.connection(
            shas[::-1],
            lambda sha: {"commit": self.commit(repo, sha), "url": f"{url}/{sha}"},
            **page,
        )
        return shown | {"totalCount": max(part.commits, len(shas))}

    def commit(self, repo: Repository, sha: str) -> Node:
        """Render a commit with what was said of it."""
        known = repo.commits.get(sha) or Commit(sha, "", "", "", 0.0)
        bare = shapes.bare_commit(known)
        account = known.author if known.author.lower() in self.world.accounts else ""
        return {
            "__typename": "Commit",
            "id": shapes.node_id("C", int(sha[:8] or "0", 16)),
            "oid": sha,
            "message": known.message,
            "messageHeadline": known.message.partition("\n")[0],
            "committedDate": bare["committer"]["date"],
            "author": lambda info: bare["author"] | {"user": self.actor(account) if account else None},
            "status": lambda info: self._status(repo, sha),
            "statusCheckRollup": lambda info: self._rollup(repo, sha),
        }

    def _status(self, repo: Repository, sha: str) -> Node | None:
        newest = self.world.newest_statuses(repo, sha)
        if not newest:
            return None
        contexts = [_context(record) for record in newest]
        self.nodes += len(contexts)
        return {"contexts": contexts, "state": _together([context["state"] for context in contexts])}

    def _rollup(self, repo: Repository, sha: str) -> Node | None:
        runs = {run.name: run for run in repo.check_runs.get(sha, ())}
        contexts = [_context(record) for record in self.world.newest_statuses(repo, sha)]
        contexts += [
            {
                "__typename": "CheckRun",
                "id": shapes.node_id("CR", run.id),
                "name": run.name,
                "title": run.title or None,
                "status": run.status.upper(),
                "conclusion": run.conclusion.upper() or None,
                "detailsUrl": run.details_url or None,
            }
            for run in runs.values()
        ]
        if not contexts:
            return None
        states = [one.get("conclusion", one.get("state")) or "PENDING" for one in contexts]
        shown = self.listed(lambda: contexts, lambda one: one)
        return {"state": _together(states), "contexts": shown}


def _context(record: StatusRecord) -> Node:
    return {
        "__typename": "StatusContext",
        "id": shapes.node_id("SC", record.id),
        "context": record.context,
        "description": record.description,
        "state": record.state.upper(),
        "targetUrl": record.target_url,
        "createdAt": shapes.instant(record.created_s),
    }


def _together(states: Sequence[str]) -> str:
    """Say what states come to together."""
    passed = {"SUCCESS", "NEUTRAL", "SKIPPED"}
    if any(state == "ERROR" for state in states):
        return "ERROR"
    if any(state not in passed | {"PENDING", "EXPECTED"} for state in states):
        return "FAILURE"
    return "SUCCESS" if all(state in passed for state in states) else "PENDING"


def _state(record: IssueRecord) -> str:
    if record.pull is not None and record.pull.merged:
        return "MERGED"
    return record.state.upper()


def _cursor(place: int) -> str:
    return base64.b64encode(f"cursor:{place}".encode()).decode()


def _place(cursor: str) -> int:
    try:
        name, _, place = base64.b64decode(cursor, validate=True).decode().partition(":")
        if name == "cursor" and place.isascii() and place.isdigit() and len(place) < 10:
            return int(place)
    except (binascii.Error, ValueError):
        pass
    raise Refusal(422, f"`{cursor}` does not appear to be a valid cursor.")
