"""Everything the engine may write, as data. Imperative names; a closed union that the executor matches exhaustively.

Each action carries `why` in words for logs and events. Order in a decision is order of execution.
"""

import msgspec

from prow_async.api.github import HookOf, Status
from prow_async.api.prowjob import Json, ProwJob


class _Action(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    why: str


class CreateProwJob(_Action, frozen=True, kw_only=True):
    """Create the object under its derived name; an equal one that stands there already counts as created."""

    job: ProwJob


class PatchProwJob(_Action, frozen=True, kw_only=True):
    """Merge-patch a ProwJob; Stale when it has moved on. `resource_version` is never empty: a patch that was decided
    upon by somebody whose time is over must have no effect.
    """

    namespace: str
    name: str
    patch: Json
    resource_version: str


class AbortProwJob(_Action, frozen=True, kw_only=True):
    """Set state aborted, unless the job is complete by then. Read afresh and conditional: never flips a result."""

    namespace: str
    name: str
    description: str


class DeleteProwJob(_Action, frozen=True, kw_only=True):
    namespace: str
    name: str
    uid: str
    reason: str


class CreatePod(_Action, frozen=True, kw_only=True):
    """Create the pod in a build cluster. Raises Exists when the name is taken: core/adoption says what then."""

    cluster: str
    pod: Json


class PatchPod(_Action, frozen=True, kw_only=True):
    """Merge-patch a pod; conditional as PatchProwJob."""

    cluster: str
    namespace: str
    name: str
    patch: Json
    resource_version: str


class DeletePod(_Action, frozen=True, kw_only=True):
    cluster: str
    namespace: str
    name: str
    uid: str
    reason: str


class RecordEvent(_Action, frozen=True, kw_only=True):
    """Write a Kubernetes Event beside an object of the infrastructure cluster."""

    namespace: str
    kind: str
    name: str
    uid: str
    api_version: str
    reason: str
    message: str
    warning: bool = False


class WriteBlob(_Action, frozen=True, kw_only=True):
    """Write an object whole. With `only_new` one that stands there stays, and that counts as written."""

    bucket: str
    """As configurations spell it: NAME, gs://NAME, s3://NAME or file:///FOLDER."""
    path: str
    body: bytes
    content_type: str = ""
    cache_control: str = ""
    metadata: dict[str, str] = {}
    only_new: bool = False


class UpdateConfigMap(_Action, frozen=True, kw_only=True):
    """Set and remove keys of a ConfigMap, which is made where there is none. Keys that are not named stay.

    So do keys that stand there by an update of a later `order`: the newest one of each key wins, whichever comes last.
    """

    cluster: str
    """Alias; `default` is the cluster of the ProwJobs."""
    namespace: str
    name: str
    data: dict[str, str] = {}
    binary_data: dict[str, bytes] = {}
    removed: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    """Put on a ConfigMap that has none."""
    sources: dict[str, str] = {}
    """Files the content comes from, by key: for people."""
    order: str = ""
    """Sorts as what the update stands for came about, and is equal for none but the same; "" always writes."""


class PostSlackMessage(_Action, frozen=True, kw_only=True):
    host: str
    """Names the token; `*` is the default one."""
    channel: str
    text: str


class PublishMessage(_Action, frozen=True, kw_only=True):
    """Publish to a topic of Google's Pub/Sub."""

    project: str
    topic: str
    data: bytes


class PostStatus(_Action, frozen=True, kw_only=True):
    org: str
    repo: str
    sha: str
    status: Status


class CreateComment(_Action, frozen=True, kw_only=True):
    org: str
    repo: str
    number: int
    body: str


class EditComment(_Action, frozen=True, kw_only=True):
    org: str
    repo: str
    comment_id: int
    body: str


class DeleteComment(_Action, frozen=True, kw_only=True):
    org: str
    repo: str
    comment_id: int


class AddLabel(_Action, frozen=True, kw_only=True):
    org: str
    repo: str
    number: int
    label: str


class RemoveLabel(_Action, frozen=True, kw_only=True):
    org: str
    repo: str
    number: int
    label: str


class Assign(_Action, frozen=True, kw_only=True):
    """Assign people; GitHub leaves out whom it does not know here."""

    org: str
    repo: str
    number: int
    logins: tuple[str, ...]


class Unassign(_Action, frozen=True, kw_only=True):
    org: str
    repo: str
    number: int
    logins: tuple[str, ...]


class RequestReviews(_Action, frozen=True, kw_only=True):
    """Ask people to review a pull request; those GitHub does not take are left out."""

    org: str
    repo: str
    number: int
    logins: tuple[str, ...]


class RedeliverHook(_Action, frozen=True, kw_only=True):
    """Ask GitHub to send a delivery of a webhook's log again. Twice is harmless: the inbox takes a GUID once."""

    hook: HookOf
    delivery_id: int


class ApproveRun(_Action, frozen=True, kw_only=True):
    """Let a GitHub Actions run begin that waits for somebody to vouch for its author."""

    org: str
    repo: str
    run_id: int


class RerunFailedJobs(_Action, frozen=True, kw_only=True):
    """Begin the failed jobs of a GitHub Actions run again."""

    org: str
    repo: str
    run_id: int


Action = (
    CreateProwJob
    | PatchProwJob
    | AbortProwJob
    | DeleteProwJob
    | CreatePod
    | PatchPod
    | DeletePod
    | RecordEvent
    | WriteBlob
    | UpdateConfigMap
    | PostSlackMessage
    | PublishMessage
    | PostStatus
    | CreateComment
    | EditComment
    | DeleteComment
    | AddLabel
    | RemoveLabel
    | Assign
    | Unassign
    | RequestReviews
    | ApproveRun
    | RerunFailedJobs
    | RedeliverHook
)


class Decision(msgspec.Struct, frozen=True):
    """What a deciding function returns: actions in execution order (empty means settled), and why, in words."""

    actions: tuple[Action, ...]
    why: str
    kept: bytes = b""
    """What a plugin's `after` needs to know besides the actions; its own JSON."""
