"""What the small GitHub remembers. Data only; times are seconds since the Unix epoch."""

from typing import Any

import msgspec

from prow_async.api.github import ChangedFile, StatusState

Permission = str
"""One of PERMISSIONS."""

PERMISSIONS = ("pull", "triage", "push", "maintain", "admin")
"""What a collaborator may do, least first."""


class Account(msgspec.Struct):
    """A user, a bot or an organization. Logins are unique whatever their case."""

    id: int
    login: str
    kind: str = "User"
    """`User`, `Bot` or `Organization`, as GitHub's field `type`."""
    name: str = ""
    everywhere: bool = False
    """May write to every repository: the account an installation of Prow acts as."""


class Hook(msgspec.Struct):
    """A registered webhook of a repository (`repo` set), of a whole organization, or (neither set) of an App."""

    id: int
    org: str
    repo: str
    target_id: int
    url: str
    secret: bytes
    events: tuple[str, ...]
    """Event names; `*` stands for all."""
    active: bool = True
    own: bool = False
    """It is the one of the Prow in the same process, whose address is another at each start."""


class App(msgspec.Struct):
    """A GitHub App. `public_key` is PEM; `installations` maps lower-case organizations to their installation's id."""

    id: int
    slug: str
    public_key: bytes
    account: Account
    installations: dict[str, int] = {}
    hook: Hook | None = None
    """Told of what happens wherever the App is installed."""
    permissions: dict[str, str] = {}
    """GitHub's name of a permission -> `read` or `write`; empty: the App may do everything."""


class Team(msgspec.Struct):
    """A team of an organization. Its slug is made of the name it was given first."""

    id: int
    name: str
    slug: str
    description: str = ""
    privacy: str = "closed"
    parent: str = ""
    """Slug of the team above; empty for none."""
    members: dict[str, str] = {}
    """Lower-case login -> role, `member` or `maintainer`."""
    repos: dict[str, Permission] = {}
    """Lower-case name of a repository of the organization -> permission."""


class Organization(msgspec.Struct):
    account: Account
    members: dict[str, Account] = {}
    """Lower-case login -> account. Owners are members."""
    owners: set[str] = msgspec.field(default_factory=set)
    """Lower-case logins."""
    hooks: list[Hook] = []
    teams: dict[str, Team] = {}
    """By slug."""
    profile: dict[str, str] = {}
    """What PATCH /orgs/ORG has set: description, company, location, ..."""


class Signature(msgspec.Struct, frozen=True):
    """Who wrote or committed something, and when, as git keeps it."""

    name: str
    email: str
    at_s: float


class FileChange(ChangedFile, frozen=True):
    """A changed file as git sees it; `sha` is the new blob."""

    sha: str = ""


class Commit(msgspec.Struct, frozen=True):
    """A commit. What follows `files` is known of commits that are in git alone."""

    sha: str
    message: str
    author: str
    parent: str
    created_s: float
    files: tuple[FileChange, ...] = ()
    tree: str = ""
    more_parents: tuple[str, ...] = ()
    written: Signature | None = None
    committed: Signature | None = None

    @property
    def parents(self) -> tuple[str, ...]:
        return ((self.parent,) if self.parent else ()) + self.more_parents


class Push(msgspec.Struct, frozen=True):
    """What git knows of a push: the commits it brought, oldest first, and whether it threw some away."""

    commits: tuple[Commit, ...]
    forced: bool = False


class Compared(msgspec.Struct, frozen=True):
    """What git knows of a pull request's head against the tip of its base."""

    base_sha: str
    head_sha: str
    files: tuple[FileChange, ...]
    commits: int
    merge_sha: str = ""
    """The commit that merges both; empty when they conflict."""


class StatusRecord(msgspec.Struct, frozen=True):
    """One commit status as posted. Never changed: a newer one of the same context outdoes it."""

    id: int
    state: StatusState
    context: str
    creator: str
    created_s: float
    target_url: str | None = None
    description: str | None = None


class Reaction(msgspec.Struct, frozen=True):
    id: int
    login: str
    content: str
    created_s: float


class CommentRecord(msgspec.Struct):
    id: int
    number: int
    author: str
    body: str
    created_s: float
    updated_s: float
    reactions: list[Reaction] = []


class ReviewRecord(msgspec.Struct):
    """A review as submitted. `state` is APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED or PENDING."""

    id: int
    author: str
    body: str
    state: str
    sha: str
    submitted_s: float


class ReviewComment(msgspec.Struct):
    """A comment on a line of a difference."""

    id: int
    review: int
    author: str
    body: str
    path: str
    line: int | None
    sha: str
    created_s: float
    reply_to: int | None = None


class HappenedRecord(msgspec.Struct, frozen=True):
    """One event of an issue's history, as `/issues/N/events` lists them."""

    id: int
    event: str
    actor: str
    at_s: float
    label: str = ""


class LabelRecord(msgspec.Struct):
    name: str
    color: str = "ededed"
    description: str = ""


class MilestoneRecord(msgspec.Struct):
    id: int
    number: int
    title: str
    creator: str
    created_s: float
    description: str = ""
    state: str = "open"


class CheckRun(msgspec.Struct):
    """A check run. `conclusion` is empty until `status` is `completed`."""

    id: int
    sha: str
    name: str
    app: str
    status: str = "queued"
    conclusion: str = ""
    details_url: str = ""
    title: str = ""
    started_s: float | None = None
    completed_s: float | None = None


class WorkflowRunRecord(msgspec.Struct):
    """A run of a GitHub Actions workflow, which nothing runs here: tests and people say how it stands."""

    id: int
    sha: str
    branch: str
    name: str
    status: str = "completed"
    conclusion: str = "success"
    attempt: int = 1
    event: str = "pull_request"


class PullPart(msgspec.Struct):
    """What a pull request has beyond an issue."""

    head_ref: str
    head_sha: str
    base_ref: str
    base_sha: str
    files: dict[str, FileChange]
    within: bool = False
    """The head is a branch of the repository itself, not of the author's fork."""
    head_repo: str = ""
    """The fork it is from; empty where the head is within, or the fork is not kept."""
    draft: bool = False
    merged: bool = False
    mergeable: bool | None = True
    merge_sha: str = ""
    """The commit it was merged by; with git, while it is open, the one that would merge it."""
    commits: int = 1
    reviews: list[ReviewRecord] = []
    review_comments: list[ReviewComment] = []
    requested: list[str] = []
    """Logins asked for a review."""
    requested_teams: list[str] = []
    """Slugs."""


class IssueRecord(msgspec.Struct):
    """An issue, and with `pull` a pull request: both share one row of numbers."""

    id: int
    number: int
    author: str
    title: str
    body: str
    created_s: float
    updated_s: float
    closed_s: float | None = None
    labels: list[str] = []
    comments: list[CommentRecord] = []
    pull: PullPart | None = None
    assignees: list[str] = []
    milestone: int | None = None
    """Its number."""
    locked: str | None = None
    """The reason it is locked for, which may be empty; None while it is not."""
    reactions: list[Reaction] = []
    happened: list[HappenedRecord] = []

    @property
    def state(self) -> str:
        return "open" if self.closed_s is None else "closed"


SETTINGS: dict[str, Any] = {
    "description": None,
    "homepage": None,
    "archived": False,
    "has_issues": True,
    "has_projects": True,
    "has_wiki": False,
    "allow_merge_commit": True,
    "allow_squash_merge": True,
    "allow_rebase_merge": True,
    "delete_branch_on_merge": False,
}
"""What PATCH /repos/ORG/REPO may set, and what a new repository has."""


class Repository(msgspec.Struct):
    id: int
    org: str
    name: str
    default_branch: str
    created_s: float
    private: bool = False
    fork_of: str = ""
    """What it is a fork of, as `ORG/REPO`."""
    refs: dict[str, str] = {}
    """Full ref without `refs/` (`heads/main`, `pull/7/head`) -> commit."""
    commits: dict[str, Commit] = {}
    collaborators: dict[str, Permission] = {}
    """Lower-case login -> permission."""
    issues: dict[int, IssueRecord] = {}
    labels: dict[str, LabelRecord] = {}
    """By lower-case name."""
    milestones: dict[int, MilestoneRecord] = {}
    protections: dict[str, dict[str, Any]] = {}
    """Branch -> its protection, as it was put."""
    check_runs: dict[str, list[CheckRun]] = {}
    """Commit -> check runs, oldest first."""
    workflow_runs: list[WorkflowRunRecord] = []
    """Oldest first."""
    settings: dict[str, Any] = msgspec.field(default_factory=lambda: dict(SETTINGS))
    statuses: dict[str, list[StatusRecord]] = {}
    """Commit -> statuses, oldest first."""
    hooks: list[Hook] = []
    comments: dict[int, tuple[IssueRecord, CommentRecord]] = {}
    """Comment id -> where it stands."""
    compared: dict[int, Compared] = {}
    """Number -> what git knows of a pull request's next head. Empty without git."""
    pushes: dict[tuple[str, str], Push] = {}
    """Commit before and after -> what git knows of it, while that push is told of. Empty without git."""

    @property
    def full_name(self) -> str:
        return f"{self.org}/{self.name}"
