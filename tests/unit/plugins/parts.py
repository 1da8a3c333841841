"""What tests of plugins share: a GitHub that answers from a few values and notes what it is asked; actions in short."""

import posixpath
from collections.abc import Collection, Sequence
from typing import Any, cast

import msgspec

from prow_async.api import actions
from prow_async.api.config import Config
from prow_async.api.errors import Missing, ProwError
from prow_async.api.github import (
    ChangedFile,
    Comment,
    GenericComment,
    PullRequest,
    PullRequestEvent,
    Team,
    User,
)
from prow_async.api.plugin_config import PluginConfig
from prow_async.core.owners import Owners
from prow_async.ports.clock import Clock
from prow_async.ports.code import FileAt, RepoCode
from prow_async.ports.config import Snapshot
from prow_async.ports.github import GitHubReads
from prow_async.ports.plugin import Event, JobsOf, Plugin, Reads
from tests.unit.core import samples

ROBOT = "robot"


class World(msgspec.Struct, kw_only=True):
    """Answers of one GitHub; `asked` is what was read, in order."""

    git_trouble: ProwError | None = None
    """Raised where git is asked how deep a commit lies."""
    labels_: tuple[str, ...] = ()
    repo_labels_: tuple[str, ...] = ()
    members: frozenset[str] = frozenset()
    collaborators: frozenset[str] = frozenset()
    teams_: dict[str, frozenset[str]] = {}
    """Members by slug; a team's name is its slug with a capital."""
    teams_trouble: ProwError | None = None
    """Raised where the teams are asked for."""
    comments_: tuple[Comment, ...] = ()
    files: tuple[ChangedFile, ...] = ()
    contents: dict[str, str] = {}
    """Text of files by path, at whatever commit."""
    trees: dict[str, str] = {}
    tree: dict[str, bytes] = {}
    """Plain files at every commit, by path."""
    owners: Owners = Owners()
    pr: PullRequest = PullRequest()
    asked: list[str] = []

    async def bot_user(self) -> User:
        return User(login=ROBOT)

    async def labels(self, org: str, repo: str, number: int) -> tuple[str, ...]:
        self.asked.append("labels")
        return self.labels_

    async def pull(self, org: str, repo: str, number: int) -> PullRequest:
        self.asked.append("pull")
        return self.pr

    async def branch_sha(self, org: str, repo: str, branch: str) -> str:
        self.asked.append(f"branch {branch}")
        return "b" * 40

    async def changed_files(self, org: str, repo: str, number: int) -> tuple[str, ...]:
        return tuple(changed.filename for changed in await self.file_changes(org, repo, number))

    async def owners_of(self, org: str, repo: str, sha: str) -> Owners:
        self.asked.append(f"owners {sha[:1]}")
        return self.owners

    async def repo_labels(self, org: str, repo: str) -> tuple[str, ...]:
        self.asked.append("repo labels")
        return self.repo_labels_

    async def is_member(self, org: str, login: str) -> bool:
        self.asked.append(f"member {login}")
        return login in self.members

    async def is_collaborator(self, org: str, repo: str, login: str) -> bool:
        self.asked.append(f"collaborator {login}")
        return login in self.collaborators

    async def teams(self, org: str) -> tuple[Team, ...]:
        self.asked.append("teams")
        if self.teams_trouble is not None:
            raise self.teams_trouble
        return tuple(Team(slug.capitalize(), slug) for slug in self.teams_)

    async def is_team_member(self, org: str, slug: str, login: str) -> bool:
        self.asked.append(f"team {slug} {login}")
        return login in self.teams_.get(slug, frozenset())

    async def comments(self, org: str, repo: str, number: int) -> tuple[Comment, ...]:
        self.asked.append("comments")
        return self.comments_

    async def file_changes(self, org: str, repo: str, number: int) -> tuple[ChangedFile, ...]:
        self.asked.append("files")
        return self.files

    async def file_content(self, org: str, repo: str, path: str, ref: str) -> bytes:
        self.asked.append(f"content {path}")
        if path not in self.contents:
            raise Missing(f"no {path}")
        return self.contents[path].encode()

    async def tree_sha(self, org: str, repo: str, commit: str) -> str:
        self.asked.append(f"tree {commit[:1]}")
        if commit not in self.trees:
            raise Missing(f"no commit {commit}")
        return self.trees[commit]

    async def find(self, org: str, repo: str, sha: str, names: Collection[str], ends: str = "") -> tuple[FileAt, ...]:
        self.asked.append(f"find {sha[:1]}")
        return tuple(FileAt(path, path) for path in self.tree if posixpath.basename(path) in names)

    async def read(self, org: str, repo: str, sha: str, files: Sequence[FileAt], limit_bytes: int) -> list[bytes]:
        self.asked.append(f"read {sha[:1]}")
        return [self.tree[file.id] for file in files]

    async def depth(self, org: str, repo: str, sha: str) -> int:
        self.asked.append(f"depth {sha[:1]}")
        if self.git_trouble is not None:
            raise self.git_trouble
        return 12


class Noon(Clock):
    def now(self) -> float:
        return 43200.0


def reads(world: World, plugins: PluginConfig) -> Reads:
    async def unfinished(org: str, repo: str, number: int) -> list[JobsOf]:
        return []

    github = cast(GitHubReads, world)
    now = Snapshot(Config(), plugins, 0.0, "d")
    return Reads(
        github, now, Noon(), unfinished, None, "inst", world.owners_of, lambda: github, code=cast(RepoCode, world)
    )


def said(body: str, **changes: Any) -> GenericComment:
    """A new comment by ann on pull request o/r#5 of ben."""
    comment = GenericComment(
        action="created",
        is_pr=True,
        number=5,
        body=body,
        html_url="https://github.com/o/r/pull/5#c",
        user=User(login="ann"),
        repo=samples.REPO,
        issue_author=User(login="ben"),
        issue_state="open",
    )
    return msgspec.structs.replace(comment, **changes)


def happened(action: str, **changes: Any) -> PullRequestEvent:
    """Something happened to pull request o/r#5."""
    event = PullRequestEvent(
        action=action, number=5, pull_request=samples.pull_request(), repository=samples.REPO, sender=User(login="ben")
    )
    return msgspec.structs.replace(event, **changes)


async def run(plugin: Plugin, event: Event, world: World, plugins: PluginConfig | None = None) -> list[str] | None:
    """Gather and decide; return the actions in short, None when the event is none of the plugin's business."""
    facts = await plugin.gather(reads(world, plugins or PluginConfig()), event, samples.GUID)
    if facts is None:
        return None
    decision = plugin.decide(facts)
    assert decision.why, "a decision says why"
    return [brief(action) for action in decision.actions]


def brief(action: actions.Action) -> str:
    match action:
        case actions.AddLabel(label=label):
            return f"+{label}"
        case actions.RemoveLabel(label=label):
            return f"-{label}"
        case actions.CreateComment(body=body):
            return f"says {body.partition('<details>')[0].strip()}"
        case actions.DeleteComment(comment_id=number):
            return f"unsays {number}"
        case actions.Assign(logins=logins):
            return f"assigns {','.join(logins)}"
        case actions.Unassign(logins=logins):
            return f"unassigns {','.join(logins)}"
        case actions.RequestReviews(logins=logins):
            return f"asks {','.join(logins)}"
        case _:
            return type(action).__name__
