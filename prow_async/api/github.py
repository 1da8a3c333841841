"""What GitHub sends and answers, as far as Prow reads it. Unknown fields are ignored; absent ones have zero values.

Source: docs.github.com webhook events and REST; upstream pkg/github/types.go.
"""

from typing import Any, Literal

import msgspec


class _Lenient(msgspec.Struct, frozen=True):
    """GitHub adds fields at will: whatever is not named here is passed over."""


class User(_Lenient, frozen=True):
    login: str = ""
    id: int = 0
    type: str = ""
    name: str = ""
    """Only push events' repository owner has it beside `login`."""
    html_url: str = ""
    email: str | None = None
    """Only of an account that GitHub was asked for by itself, and that shows it."""


class Repo(_Lenient, frozen=True):
    name: str = ""
    owner: User = User()
    full_name: str = ""
    html_url: str = ""
    default_branch: str = ""
    private: bool = False
    archived: bool = False


class Label(_Lenient, frozen=True):
    name: str = ""


class Branch(_Lenient, frozen=True):
    ref: str = ""
    sha: str = ""
    repo: Repo | None = None
    user: User | None = None


class PullRequest(_Lenient, frozen=True):
    id: int = 0
    node_id: str = ""
    number: int = 0
    html_url: str = ""
    user: User = User()
    title: str = ""
    body: str | None = None
    state: str = ""
    draft: bool = False
    merged: bool = False
    mergeable: bool | None = None
    merge_commit_sha: str | None = None
    """Once merged, the commit that brought it into the base branch."""
    merged_at: str | None = None
    """RFC 3339, in UTC and whole seconds."""
    base: Branch = Branch()
    head: Branch = Branch()
    labels: tuple[Label, ...] = ()
    assignees: tuple[User, ...] = ()
    updated_at: str = ""


class PullLink(_Lenient, frozen=True):
    """What an issue says of the pull request that it is."""

    html_url: str = ""


class Issue(_Lenient, frozen=True):
    id: int = 0
    node_id: str = ""
    number: int = 0
    html_url: str = ""
    user: User = User()
    title: str = ""
    body: str | None = None
    state: str = ""
    labels: tuple[Label, ...] = ()
    assignees: tuple[User, ...] = ()
    updated_at: str = ""
    pull_request: PullLink | None = None
    """Present exactly when the issue is a pull request."""


class Comment(_Lenient, frozen=True):
    id: int = 0
    node_id: str = ""
    body: str | None = None
    user: User = User()
    html_url: str = ""
    created_at: str = ""
    updated_at: str = ""


class From(_Lenient, frozen=True):
    from_: str = msgspec.field(default="", name="from")


class BaseChange(_Lenient, frozen=True):
    ref: From | None = None
    sha: From | None = None


class Changes(_Lenient, frozen=True):
    base: BaseChange | None = None


class PullRequestEvent(_Lenient, frozen=True):
    action: str = ""
    number: int = 0
    pull_request: PullRequest = PullRequest()
    repository: Repo = Repo()
    label: Label | None = None
    sender: User = User()
    changes: Changes | None = None


class IssueCommentEvent(_Lenient, frozen=True):
    action: str = ""
    issue: Issue = Issue()
    comment: Comment = Comment()
    repository: Repo = Repo()
    sender: User = User()


class IssuesEvent(_Lenient, frozen=True):
    action: str = ""
    issue: Issue = Issue()
    repository: Repo = Repo()
    label: Label | None = None
    sender: User = User()


class Review(_Lenient, frozen=True):
    id: int = 0
    node_id: str = ""
    body: str | None = None
    state: str = ""
    """`approved`, `changes_requested`, `commented` or `dismissed`, in either case."""
    user: User = User()
    html_url: str = ""
    submitted_at: str | None = None


class ReviewEvent(_Lenient, frozen=True):
    action: str = ""
    pull_request: PullRequest = PullRequest()
    repository: Repo = Repo()
    review: Review = Review()
    sender: User = User()


class ReviewCommentEvent(_Lenient, frozen=True):
    action: str = ""
    pull_request: PullRequest = PullRequest()
    repository: Repo = Repo()
    comment: Comment = Comment()
    sender: User = User()


class StatusEvent(_Lenient, frozen=True):
    sha: str = ""
    state: str = ""
    context: str = ""
    description: str | None = None
    target_url: str | None = None
    repository: Repo = Repo()
    sender: User = User()


class Commit(_Lenient, frozen=True):
    id: str = ""
    message: str = ""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()


class PushEvent(_Lenient, frozen=True):
    ref: str = ""
    before: str = ""
    after: str = ""
    created: bool = False
    deleted: bool = False
    compare: str = ""
    commits: tuple[Commit, ...] = ()
    repository: Repo = Repo()
    sender: User = User()

    @property
    def branch(self) -> str:
        """The ref without `refs/heads/` or `refs/tags/`."""
        return self.ref.removeprefix("refs/heads/").removeprefix("refs/tags/")


StatusState = Literal["pending", "success", "failure", "error"]


class Status(_Lenient, frozen=True, omit_defaults=True):
    """A commit status, as sent and as read."""

    state: StatusState
    target_url: str | None = None
    description: str | None = None
    context: str = ""


class CombinedStatus(_Lenient, frozen=True):
    sha: str = ""
    state: str = ""
    statuses: tuple[Status, ...] = ()


class HookOf(msgspec.Struct, frozen=True):
    """Names a webhook: of a repository; with an empty `repo` of an organization; all empty: the App's own."""

    org: str = ""
    repo: str = ""
    id: int = 0


class HookConfig(_Lenient, frozen=True):
    url: str = ""
    content_type: str = ""


class Hook(_Lenient, frozen=True):
    """A webhook of a repository or an organization. Its secret is never shown."""

    id: int = 0
    active: bool = False
    events: tuple[str, ...] = ()
    config: HookConfig = HookConfig()


class HookWanted(msgspec.Struct, frozen=True):
    """How a webhook shall be: JSON, active, signed with `secret`."""

    url: str
    secret: str
    events: tuple[str, ...] = ("*",)


class HookDelivery(_Lenient, frozen=True):
    """One try to deliver a webhook. A redelivery has the GUID of what it repeats and an `id` of its own."""

    id: int = 0
    guid: str = ""
    delivered_at: str = ""
    redelivery: bool = False
    event: str = ""
    action: str = ""
    status_code: int = 0
    """What the receiver answered; 0 or 5xx where no answer came."""
    status: str = ""
    """`OK`, or in words what went wrong."""
    installation_id: int = 0
    repository_id: int = 0


class HookRequest(_Lenient, frozen=True):
    headers: dict[str, str] = {}
    payload: dict[str, Any] = {}
    """The decoded JSON that was sent, fields that are null left out."""


class HookDeliveryWhole(HookDelivery, frozen=True):
    request: HookRequest = HookRequest()


class HookDeliveries(msgspec.Struct, frozen=True):
    """A page of a delivery log, newest first. `cursor` asks for the next, older one; empty: there is none."""

    deliveries: tuple[HookDelivery, ...]
    cursor: str


class ChangedFile(_Lenient, frozen=True):
    filename: str = ""
    status: str = ""
    """added, removed, modified, renamed, copied, changed or unchanged."""
    previous_filename: str = ""
    additions: int = 0
    deletions: int = 0


class Team(_Lenient, frozen=True):
    name: str = ""
    slug: str = ""


class Membership(_Lenient, frozen=True):
    state: str = ""
    """`active`, or `pending` while an invitation waits."""


class Tree(_Lenient, frozen=True):
    sha: str = ""


class TreeOf(_Lenient, frozen=True):
    tree: Tree = Tree()


class CommitOf(_Lenient, frozen=True):
    """A commit as the repository's own API shows it, as far as its tree."""

    sha: str = ""
    commit: TreeOf = TreeOf()


class FileContent(_Lenient, frozen=True):
    type: str = ""
    encoding: str = ""
    content: str = ""


class WorkflowRun(_Lenient, frozen=True):
    """A run of a GitHub Actions workflow."""

    id: int = 0
    name: str = ""
    event: str = ""
    """What it was started by, such as `pull_request` or `push`."""
    head_branch: str = ""
    head_sha: str = ""
    status: str = ""
    conclusion: str = ""
    html_url: str = ""


class GitObject(_Lenient, frozen=True):
    sha: str = ""


class GitRef(_Lenient, frozen=True):
    ref: str = ""
    object: GitObject = GitObject()


class GenericComment(_Lenient, frozen=True, kw_only=True):
    """The one shape that issues, PRs, comments and reviews are reduced to before plugins look for commands.

    `user` wrote the text; it is not the sender of the webhook.
    Source: upstream pkg/github/helpers.go GeneralizeComment.
    """

    action: Literal["created", "edited", "deleted"]
    is_pr: bool
    number: int
    body: str
    html_url: str
    user: User
    repo: Repo
    issue_author: User
    issue_state: str
    issue_title: str = ""
    issue_html_url: str = ""
    issue_body: str = ""
    assignees: tuple[User, ...] = ()
    id: int = 0
    """Of the issue or pull request; 0 where a review or a comment on one was said."""
    node_id: str = ""
    """Of what `id` names; of the review or its comment where that was said."""
    comment_id: int | None = None
    guid: str = ""
