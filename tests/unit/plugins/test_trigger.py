"""trigger, from event to actions: what it reads, what it decides, and why."""

from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest

from prow_async.api import actions, names
from prow_async.api.config import Config
from prow_async.api.errors import Retry
from prow_async.api.github import (
    BaseChange,
    Branch,
    Changes,
    Comment,
    Commit,
    From,
    GenericComment,
    IssueCommentEvent,
    Label,
    PullRequest,
    PullRequestEvent,
    PushEvent,
    Status,
    User,
    WorkflowRun,
)
from prow_async.api.jobconfig import Postsubmit, Presubmit
from prow_async.api.plugin_config import OrgInvite, PluginConfig, ProminentInvite, Trigger
from prow_async.core import commands, identity, trigger
from prow_async.plugins import trigger as plugin
from prow_async.ports.clock import Clock
from prow_async.ports.config import Snapshot
from prow_async.ports.github import GitHub
from prow_async.ports.plugin import Event, JobsOf, Reads
from tests.unit.core import samples
from tests.unit.plugins import parts

pytestmark = pytest.mark.anyio

UNIT = samples.presubmit("unit", always_run=True)
GO = samples.presubmit("go", run_if_changed=r"\.go$", optional=True)
SLOW = samples.presubmit("slow")
DEV = samples.presubmit("dev", always_run=True, branches=("dev",))
JOBS = (UNIT, GO, SLOW, DEV)
RUN = WorkflowRun(name="ci", event="pull_request", head_branch="topic")


class World:
    """GitHub as trigger may read it: ann wrote o/r#5, ben is a member, col a collaborator, eve nobody."""

    def __init__(self, **changes: Any) -> None:
        self.asked: list[str] = []
        self.pr: PullRequest = changes.get("pr", samples.pull_request())
        self.members: set[str] = changes.get("members", {"o/ben"})
        self.labels_: tuple[str, ...] = changes.get("labels", ())
        self.files: tuple[str, ...] = changes.get("files", ("a.md",))
        self.statuses: tuple[Status, ...] = changes.get("statuses", ())
        self.comments_: tuple[Comment, ...] = changes.get("comments", ())
        self.down: str = changes.get("down", "")
        self.merged: int = changes.get("merged", 0)
        self.runs: dict[str, int] = changes.get("runs", {})
        """Id of the one Actions run by how it stands."""
        self.run: WorkflowRun = changes.get("run", RUN)

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if what == self.down:
            raise Retry(f"{what}: connection refused")

    async def bot_user(self) -> User:
        return User(login="robot")

    async def is_member(self, org: str, login: str) -> bool:
        self._ask(f"member {org}/{login}")
        return f"{org}/{login}" in self.members

    async def is_collaborator(self, org: str, repo: str, login: str) -> bool:
        self._ask(f"collaborator {login}")
        return login == "col"

    async def pull(self, org: str, repo: str, number: int) -> PullRequest:
        self._ask("pull")
        return self.pr

    async def labels(self, org: str, repo: str, number: int) -> tuple[str, ...]:
        self._ask("labels")
        return self.labels_

    async def changed_files(self, org: str, repo: str, number: int) -> tuple[str, ...]:
        self._ask("files")
        return self.files

    async def branch_sha(self, org: str, repo: str, branch: str) -> str:
        self._ask(f"branch {branch}")
        return "b" * 40

    async def comments(self, org: str, repo: str, number: int) -> tuple[Comment, ...]:
        self._ask("comments")
        return self.comments_

    async def count_issues(self, org: str, query: str) -> int:
        self._ask("merged")
        assert query.startswith("type:pr is:merged org:o author:")
        return self.merged

    async def workflow_runs(self, org: str, repo: str, sha: str, status: str = "") -> tuple[WorkflowRun, ...]:
        self._ask(f"runs {status}")
        return (msgspec.structs.replace(self.run, id=self.runs[status]),) if status in self.runs else ()

    async def combined_status(self, org: str, repo: str, sha: str) -> tuple[Status, ...]:
        self._ask(f"statuses {sha[:1]}")
        return self.statuses


class Noon(Clock):
    def now(self) -> float:
        return 43200.0


def reads(world: World, settings: Trigger, jobs: tuple[Presubmit, ...], posts: tuple[Postsubmit, ...] = ()) -> Reads:
    async def unfinished(org: str, repo: str, number: int) -> list[JobsOf]:
        world.asked.append("unfinished")
        return [JobsOf("pj-1", "ci", "3", "unit"), JobsOf("pj-2", "ci", "4", "slow")]

    config = Config(prowjob_namespace="ci", presubmits={"o/r": jobs}, postsubmits={"o/r": posts})
    rules = msgspec.structs.replace(settings, repos=("o/r",))
    snapshot = Snapshot(config, PluginConfig(triggers=(rules,)), 0.0, "digest")
    return Reads(cast(GitHub, world), snapshot, Noon(), unfinished, None, "inst", None, lambda: cast(GitHub, world))


def event(action: str, **changes: Any) -> PullRequestEvent:
    pr = changes.pop("pr", samples.pull_request())
    made = PullRequestEvent(action=action, number=5, pull_request=pr, repository=samples.REPO, sender=User(login="ben"))
    return msgspec.structs.replace(made, **changes)


async def settle(
    of: Event, world: World, settings: Trigger | None = None, jobs: tuple[Presubmit, ...] = JOBS
) -> tuple[list[str], str]:
    """Run one event; return its actions in short, and why."""
    facts = await plugin.gather(reads(world, settings or Trigger(), jobs), of, samples.GUID)
    if facts is None:
        return [], "(not for trigger)"
    decision = plugin.decide(facts)
    check_explained(facts, decision)
    return [brief(action) for action in decision.actions], decision.why


def check_explained(facts: Any, decision: actions.Decision) -> None:
    """What is kept of the facts, decided again, must say of every job what was done about it."""
    explains = plugin.PLUGIN.explains
    assert explains is not None
    kept = explains.keep(facts)
    answer = explains.answer(kept.kind, kept.facts)
    created = [a.job.spec.job for a in decision.actions if isinstance(a, actions.CreateProwJob)]
    assert [one.job for one in answer.jobs if one.runs] == created
    assert all(one.why for one in answer.jobs)
    assert not answer.why_not or answer.why_not in decision.why


def brief(action: actions.Action) -> str:
    match action:
        case actions.CreateProwJob(job=job):
            return f"run {job.spec.job}"
        case actions.AbortProwJob(name=name):
            return f"abort {name}"
        case actions.CreateComment():
            return "comment"
        case actions.DeleteComment(comment_id=comment_id):
            return f"delete comment {comment_id}"
        case actions.ApproveRun(run_id=run_id):
            return f"approve {run_id}"
        case actions.RerunFailedJobs(run_id=run_id):
            return f"rerun {run_id}"
        case _:
            return parts.brief(action)


MEMBER = {"members": {"o/ben", "o/ann"}}
DRAFT = samples.pull_request(draft=True)
CONFLICT = samples.pull_request(mergeable=False)
BASE_CHANGED = Changes(base=BaseChange(ref=From("old")))
ABORTS = ["abort pj-1", "abort pj-2"]


@pytest.mark.parametrize(
    ("of", "world", "done"),
    [
        (event("opened"), MEMBER, ["run unit"]),
        (event("opened"), {**MEMBER, "files": ("a.go",)}, ["run unit", "run go"]),
        (event("opened"), {}, ["comment", "+needs-ok-to-test"]),
        (event("opened", pr=DRAFT), MEMBER, ["comment"]),
        (event("opened", pr=DRAFT), {}, ["comment", "+needs-ok-to-test"]),
        (event("opened", pr=CONFLICT), MEMBER, []),
        (event("opened"), {"labels": ("OK-to-test",)}, ["comment"]),
        (event("opened", pr=samples.pull_request(labels=(Label("ok-to-test"),))), {}, ["comment", "+needs-ok-to-test"]),
        (event("reopened"), MEMBER, ["run unit"]),
        (event("reopened"), {}, []),
        (event("reopened"), {"labels": ("ok-to-test",)}, ["run unit"]),
        (event("reopened"), {"labels": ("ok-to-test", "needs-ok-to-test")}, ["-needs-ok-to-test", "run unit"]),
        (event("reopened"), {"labels": ("needs-ok-to-test",)}, []),
        (event("reopened", pr=DRAFT), {"labels": ("ok-to-test", "needs-ok-to-test")}, ["-needs-ok-to-test"]),
        (event("reopened", pr=DRAFT), MEMBER, []),
        (event("ready_for_review"), MEMBER, ["run unit"]),
        (event("edited"), MEMBER, []),
        (event("edited", changes=Changes()), MEMBER, []),
        (event("edited", changes=BASE_CHANGED), MEMBER, ["run unit"]),
        (event("edited", changes=Changes(BaseChange(sha=From("old")))), MEMBER, ["run unit"]),
        (event("edited", changes=BASE_CHANGED), {}, []),
        (event("synchronize"), MEMBER, [*ABORTS, "run unit"]),
        (event("synchronize"), {}, ABORTS),
        (event("synchronize", pr=CONFLICT), MEMBER, ABORTS),
        (event("synchronize"), {"labels": ("ok-to-test",)}, [*ABORTS, "run unit"]),
        (event("closed"), MEMBER, ABORTS),
        (event("converted_to_draft"), {}, ABORTS),
        (event("labeled", label=Label("lgtm")), {}, ["run unit"]),
        (event("labeled", label=Label("lgtm")), MEMBER, []),
        (event("labeled", label=Label("lgtm")), {"labels": ("ok-to-test",)}, []),
        (event("labeled", label=Label("ok-to-test")), {}, ["run unit"]),
        (event("labeled", label=Label("ok-to-test"), sender=User(login="robot")), {}, []),
        (event("labeled", label=Label("ok-to-test"), pr=DRAFT), {}, []),
        (event("labeled", label=Label("bug")), MEMBER, []),
        (event("unlabeled", label=Label("ok-to-test")), MEMBER, []),
        (event("assigned"), MEMBER, []),
    ],
)
async def test_pull_request_events(of: PullRequestEvent, world: dict[str, Any], done: list[str]) -> None:
    """Each kind of event starts, aborts, labels and comments as documented."""
    found, why = await settle(of, World(**world))
    assert found == done
    assert why


@pytest.mark.parametrize(
    ("of", "world", "jobs", "asked"),
    [
        (event("opened"), MEMBER, (UNIT,), ["member o/ann", "branch main"]),
        (event("opened"), MEMBER, JOBS, ["member o/ann", "branch main", "files"]),
        (event("opened"), {}, JOBS, ["member o/ann", "collaborator ann", "merged", "labels"]),
        (event("opened", pr=DRAFT), MEMBER, JOBS, ["member o/ann"]),
        (event("reopened"), {}, JOBS, ["member o/ann", "collaborator ann", "labels"]),
        (event("closed"), {}, JOBS, ["unfinished"]),
        (event("synchronize"), MEMBER, (UNIT,), ["member o/ann", "unfinished", "branch main"]),
        (event("labeled", label=Label("ok-to-test")), {}, (UNIT,), ["branch main"]),
        (event("labeled", label=Label("bug")), {}, JOBS, []),
        (event("opened"), {}, (), []),
    ],
)
async def test_pull_request_reads(
    of: Event, world: dict[str, Any], jobs: tuple[Presubmit, ...], asked: list[str]
) -> None:
    """Nothing is read that the decision does not need."""
    github = World(**world)
    await settle(of, github, jobs=jobs)
    assert sorted(github.asked) == sorted(asked)


@pytest.mark.parametrize(
    ("settings", "login", "members", "done"),
    [
        (Trigger(), "col", set(), ["run unit"]),
        (Trigger(only_org_members=True), "col", set(), ["comment", "+needs-ok-to-test"]),
        (Trigger(trusted_org="other"), "eve", {"other/eve"}, ["run unit"]),
        (Trigger(trusted_apps=("dependabot",)), "dependabot[bot]", set(), ["run unit"]),
        (Trigger(ignore_ok_to_test=True), "eve", set(), ["comment"]),
        (Trigger(), "robot", set(), ["run unit"]),
    ],
)
async def test_trust_settings(settings: Trigger, login: str, members: set[str], done: list[str]) -> None:
    """The settings of the repository decide who is trusted."""
    pr = samples.pull_request(user=User(login=login))
    found, _ = await settle(event("opened", pr=pr), World(members=members), settings)
    assert found == done


def said(body: str, by: str = "ben", **changes: Any) -> GenericComment:
    return samples.comment(body, user=User(login=by), **changes)


FAILED = (Status("failure", context="slow"), Status("success", context="unit"), Status("pending", context="go"))
HELP = Comment(id=8, body=f"@ben: no\n{commands.HELP_MARKER}", user=User(login="robot"))


@pytest.mark.parametrize(
    ("of", "world", "done"),
    [
        (said("/test unit"), {}, ["run unit"]),
        (said("/test slow go"), {}, ["run go", "run slow"]),
        (said("/test all"), {}, ["run unit"]),
        (said("/test all"), {"files": ("a.go",)}, ["run unit", "run go"]),
        (said("/test dev"), {}, ["comment"]),
        (said("/test all\n/test slow"), {}, ["run unit", "run slow"]),
        (said("nothing to do"), {}, []),
        (said("```\n/test all\n```"), {}, []),
        (said("/test unit", action="edited"), {}, []),
        (said("/test unit", issue_state="closed"), {}, []),
        (said("/test unit", is_pr=False), {}, []),
        (said("/test unit", by="robot"), {}, []),
        (said("/test unit"), {"pr": CONFLICT}, []),
        (said("/test unit"), {"pr": DRAFT}, ["run unit"]),
        (said("/test unit"), {"comments": (HELP,)}, ["delete comment 8", "run unit"]),
        (said("/test unit"), {"comments": (msgspec.structs.replace(HELP, user=User(login="eve")),)}, ["run unit"]),
        (said("/retest"), {"statuses": FAILED}, ["run slow"]),
        (said("/retest"), {"statuses": ()}, ["run unit"]),
        (said("/retest"), {"statuses": FAILED[1:]}, []),
        (said("/retest-required"), {"statuses": (Status("error", context="go"), *FAILED)}, ["run slow"]),
        (said("/test-manual-required"), {}, ["run slow"]),
        # help
        (said("/test ?"), {}, ["comment"]),
        (said("/test"), {}, ["comment"]),
        (said("/retest unit"), {}, ["comment"]),
        (said("/test nope"), {}, ["comment"]),
        # trust
        (said("/test unit", by="eve"), {}, ["comment"]),
        (said("/test unit", by="ann"), {}, ["comment"]),
        (said("/test unit", by="ann"), MEMBER, ["run unit"]),
        (said("/test unit", by="eve"), MEMBER, ["run unit"]),
        (said("/test unit", by="eve"), {"labels": ("ok-to-test",)}, ["run unit"]),
        (said("/ok-to-test", by="eve"), {}, ["comment"]),
        (said("/ok-to-test"), {}, ["+ok-to-test", "run unit"]),
        (said("/ok-to-test"), {"labels": ("needs-ok-to-test",)}, ["+ok-to-test", "-needs-ok-to-test", "run unit"]),
        (said("/ok-to-test"), {"labels": ("ok-to-test",)}, ["run unit"]),
        (said("/test unit"), {"labels": ("ok-to-test", "needs-ok-to-test")}, ["-needs-ok-to-test", "run unit"]),
        (said("/ok-to-test cancel"), {"labels": ("ok-to-test",)}, ["-ok-to-test", "+needs-ok-to-test"]),
        (said("/ok-to-test cancel"), {"labels": ("needs-ok-to-test",)}, []),
        (said("/ok-to-test cancel", by="eve"), {"labels": ("ok-to-test",)}, ["comment"]),
        (said("/ok-to-test cancel", by="eve"), {}, ["comment"]),
    ],
)
async def test_comments(of: GenericComment, world: dict[str, Any], done: list[str]) -> None:
    """Each command does what it says, for those who may say it."""
    found, why = await settle(of, World(**world))
    assert found == done
    assert why


@pytest.mark.parametrize(
    ("of", "asked"),
    [
        (said("thanks"), []),
        (said("/test unit", by="robot"), []),
        (said("/ok-to-test cancel"), ["member o/ben", "labels"]),
        (said("/test unit"), ["member o/ben", "labels", "pull", "branch main", "comments"]),
        (said("/test all"), ["member o/ben", "labels", "pull", "branch main", "files", "comments"]),
        (said("/test ?"), ["member o/ben", "labels", "pull", "branch main", "files", "comments"]),
        (said("/ok-to-test"), ["member o/ben", "labels", "pull", "branch main", "files"]),
        (said("/retest"), ["member o/ben", "labels", "pull", "statuses 5", "branch main", "files", "comments"]),
        (said("/test unit", by="ann"), ["member o/ann", "collaborator ann", "labels"]),
    ],
)
async def test_comment_reads(of: GenericComment, asked: list[str]) -> None:
    """Nothing is read that the decision does not need; a stranger's comment stops at the door."""
    github = World()
    await settle(of, github)
    assert sorted(github.asked) == sorted(asked)


@pytest.mark.parametrize(("honour", "done"), [(False, ["+ok-to-test", "run unit"]), (True, [])])
async def test_ok_to_test_ignored(honour: bool, done: list[str]) -> None:
    """Where ok-to-test is ignored it neither labels nor starts anything."""
    found, _ = await settle(said("/ok-to-test"), World(), Trigger(ignore_ok_to_test=honour))
    assert found == done


async def created(of: Event, world: World, posts: tuple[Postsubmit, ...] = ()) -> list[Any]:
    facts = await plugin.gather(reads(world, Trigger(), JOBS, posts), of, samples.GUID)
    assert facts is not None
    return [a.job for a in plugin.decide(facts).actions if isinstance(a, actions.CreateProwJob)]


async def test_presubmit_object() -> None:
    """The ProwJob has its derived name, the labels of a presubmit, and tests the head on the newest base."""
    (job,) = await created(event("opened"), World(**MEMBER))
    assert job.metadata.name == identity.name_for("inst", "trigger", "o/r", "presubmit", "unit", samples.GUID)
    assert job.metadata.namespace == "ci"
    wanted = {names.EVENT_GUID: samples.GUID, names.IS_OPTIONAL_LABEL: "false", names.PULL_LABEL: "5"}
    assert wanted.items() <= job.metadata.labels.items()
    assert names.RETEST_LABEL not in job.metadata.labels
    assert (job.spec.refs.base_sha, job.spec.refs.pulls[0].sha) == ("b" * 40, "5" * 40)
    assert job.status.start_time == "1970-01-01T12:00:00Z"
    assert job.metadata.annotations[names.CAUSE] == (
        f"pull request o/r#5 opened by ben (delivery {samples.GUID}): it runs by itself"
    )


@pytest.mark.parametrize("body", ["/retest", "/retest-required"])
async def test_retests_are_marked(body: str) -> None:
    """Jobs of a retest carry the retest label."""
    (job,) = await created(said(body), World(statuses=FAILED))
    assert job.metadata.labels[names.RETEST_LABEL] == "true"


async def test_same_delivery_same_names() -> None:
    """A delivery handled twice arrives at the same objects."""
    first, second = [await created(event("opened"), World(**MEMBER)) for _ in range(2)]
    assert first == second


def push(**changes: Any) -> PushEvent:
    commits = (Commit(added=("new.go",), modified=("README.md",)), Commit(removed=("old.go",)))
    made = PushEvent(ref="refs/heads/main", after="c" * 40, commits=commits, repository=samples.REPO)
    return msgspec.structs.replace(made, **changes)


POSTS = (
    Postsubmit(name="publish", context="publish"),
    Postsubmit(name="docs", context="docs", run_if_changed=r"\.md$"),
    Postsubmit(name="py", context="py", run_if_changed=r"\.py$"),
    Postsubmit(name="gone", context="gone", run_if_changed="^old"),
    Postsubmit(name="tags", context="tags", branches=("^v",)),
)


@pytest.mark.parametrize(
    ("of", "done"),
    [
        (push(), ["publish", "docs", "gone"]),
        (push(ref="refs/tags/v1", commits=()), ["publish", "tags"]),
        (push(commits=()), ["publish"]),
    ],
)
async def test_push(of: PushEvent, done: list[str]) -> None:
    """A push starts the postsubmits of its branch or tag whose files it touches, without asking GitHub."""
    world = World()
    jobs = await created(of, world, POSTS)
    assert [job.spec.job for job in jobs] == done
    assert world.asked == []
    assert all(names.IS_OPTIONAL_LABEL not in job.metadata.labels for job in jobs)
    assert {job.metadata.labels[names.EVENT_GUID] for job in jobs} == {samples.GUID}


@pytest.mark.parametrize(
    ("of", "posts"),
    [
        (push(deleted=True), POSTS),
        (push(after="0" * 40), POSTS),
        (push(), ()),
        (IssueCommentEvent(action="created"), POSTS),
    ],
)
async def test_not_for_trigger(of: Event, posts: tuple[Postsubmit, ...]) -> None:
    """Deleted branches, repositories without jobs and raw issue comments are passed over."""
    assert await plugin.gather(reads(World(), Trigger(), JOBS, posts), of, samples.GUID) is None


async def test_why_names_every_job() -> None:
    """The decision says for each job whether it runs, and why."""
    _, why = await settle(event("opened"), World(**MEMBER))
    assert why.split("\n") == [
        "pull request o/r#5 opened",
        "runs: unit (it runs by itself)",
        "does not run: go (run_if_changed '\\\\.go$' does not ask for it)",
        "does not run: slow (it runs only when a command names it)",
        "does not run: dev (its branches leave out 'main')",
    ]


@pytest.mark.parametrize(
    ("of", "world", "words"),
    [
        (event("opened"), {}, "ann is not a member of o, not a collaborator of o/r"),
        (event("opened", pr=CONFLICT), MEMBER, "mergeable: false"),
        (event("opened", pr=DRAFT), MEMBER, "it is a draft"),
        (event("closed"), {}, "aborts: slow, unit"),
        (said("/test unit"), {"pr": CONFLICT}, "mergeable: false"),
        (said("/test unit", by="eve"), {}, "eve is not a member of o"),
    ],
)
async def test_why_not(of: Event, world: dict[str, Any], words: str) -> None:
    """A decision to do nothing says why."""
    _, why = await settle(of, World(**world))
    assert words in why


@pytest.mark.parametrize("down", ["member o/ann", "branch main", "files"])
async def test_errors_keep_their_kind(down: str) -> None:
    """A read that fails, beside others or alone, is raised as the port raised it."""
    with pytest.raises(Retry, match=f"{down}: connection refused"):
        await settle(event("synchronize"), World(**MEMBER, down=down))


@pytest.mark.parametrize(
    ("make", "texts"),
    [
        (lambda: Trigger(), ["Hi @ann", "[o](https://github.com/orgs/o/people)", "/ok-to-test", "?repo=o%2Fr"]),
        (lambda: Trigger(trusted_org="x"), ["[x](https://github.com/orgs/x/people)"]),
        (lambda: Trigger(join_org_url="https://join"), ["(https://join)"]),
        (lambda: Trigger(ignore_ok_to_test=True), ["Hi @ann", "/test all"]),
    ],
)
async def test_welcome(make: Callable[[], Trigger], texts: list[str]) -> None:
    """The welcome says what has to happen next, in the repository's own terms."""
    facts = await plugin.gather(reads(World(), make(), JOBS), event("opened"), samples.GUID)
    assert isinstance(facts, trigger.PullFacts)
    comment = plugin.decide(facts).actions[0]
    assert isinstance(comment, actions.CreateComment)
    assert all(text in comment.body for text in texts)


@pytest.mark.parametrize(
    ("body", "on", "told"), [("/test ?", True, True), ("/test ?", False, False), ("/test", True, False)]
)
async def test_help_with_reasons(body: str, on: bool, told: bool) -> None:
    """Asked for help, trigger says of every job why it starts by itself or not, if it is told to."""
    asked = msgspec.structs.replace(reads(World(), Trigger(), JOBS), explain_in_help=on)
    facts = await plugin.gather(asked, said(body), samples.GUID)
    comment = plugin.decide(facts).actions[-1]
    assert isinstance(comment, actions.CreateComment)
    assert ("* `unit` runs: it runs by itself" in comment.body) is told
    assert ("* `slow` does not run: it runs only when a command names it" in comment.body) is told


INVITES = Trigger(org_invite=OrgInvite(ProminentInvite(message="Join {join_org_url}!\nDo.")))
OTHERS = Trigger(org_invite=OrgInvite(ProminentInvite(merged_pr_threshold=9)))
NO_INVITES = Trigger(org_invite=OrgInvite(ProminentInvite(disabled=True)))
BOT_AUTHOR = samples.pull_request(user=User(login="ann", type="Bot"))


@pytest.mark.parametrize(
    ("settings", "world", "pr", "told", "asked"),
    [
        (Trigger(), {"merged": 3}, samples.pull_request(), "> [!TIP]\n> You have had pull requests merged in o", True),
        (Trigger(), {"merged": 2}, samples.pull_request(), "If you contribute regularly", True),
        (INVITES, {"merged": 3}, samples.pull_request(), "> Join https://github.com/orgs/o/people!\n> Do.", True),
        (OTHERS, {"merged": 8}, samples.pull_request(), "If you contribute regularly", True),
        (NO_INVITES, {"merged": 99}, samples.pull_request(), "If you contribute regularly", False),
        (Trigger(), {"merged": 99}, BOT_AUTHOR, "If you contribute regularly", False),
        (Trigger(), {"merged": 99, "down": "merged"}, samples.pull_request(), "If you contribute regularly", True),
        (Trigger(ignore_ok_to_test=True), {"merged": 99}, samples.pull_request(), "/test all", False),
    ],
)
async def test_invitations(settings: Trigger, world: dict[str, Any], pr: PullRequest, told: str, asked: bool) -> None:
    """Who has had enough merged is invited to join; a search that fails costs only that."""
    github = World(**world)
    facts = await plugin.gather(reads(github, settings, JOBS), event("opened", pr=pr), samples.GUID)
    assert isinstance(facts, trigger.PullFacts)
    comment = plugin.decide(facts).actions[0]
    assert isinstance(comment, actions.CreateComment)
    assert told in comment.body
    assert ("merged" in github.asked) is asked


@pytest.mark.parametrize(
    ("of", "on", "done"),
    [
        (said("/ok-to-test"), True, ["approve 1"]),
        (said("/ok-to-test"), False, []),
        (said("/retest"), True, ["rerun 2"]),
        (said("/test all"), True, ["rerun 2"]),
        (said("/test unit"), True, []),
        (said("/retest-required"), True, []),
        (said("/retest"), False, []),
        (said("/ok-to-test cancel"), True, []),
        (said("/retest", by="ann"), True, []),
    ],
)
async def test_github_actions(of: GenericComment, on: bool, done: list[str]) -> None:
    """Runs that wait are approved, failed ones start again, where the settings say so and for the trusted."""
    github = World(runs={"action_required": 1, "failure": 2})
    found, _ = await settle(of, github, Trigger(trigger_github_workflows=on))
    assert [one for one in found if one.startswith(("approve", "rerun"))] == done
    assert any(one.startswith("runs") for one in github.asked) is bool(done)


def test_base_branch_of_another_repository() -> None:
    """A fork's head never leaks into the refs: org and repo are the event's."""
    pr = samples.pull_request(head=Branch(ref="topic", sha="6" * 40, repo=None))
    facts = trigger.PullFacts(
        origin=samples.origin(),
        event=event("opened", pr=pr),
        plan=trigger.Plan(abort=False, build="human"),
        presubmits=(UNIT,),
        base_sha="b" * 40,
    )
    (create,) = trigger.decide(facts).actions
    assert isinstance(create, actions.CreateProwJob)
    refs = create.job.spec.refs
    assert refs is not None
    assert (refs.full_name, refs.pulls[0].sha) == ("o/r", "6" * 40)


NEWER = samples.pull_request(head=Branch(ref="topic", sha="6" * 40))


@pytest.mark.parametrize(
    ("action", "late", "running", "now", "done"),
    [
        ("synchronize", True, ["6", "5"], NEWER, []),
        ("opened", True, ["6"], NEWER, []),
        ("synchronize", True, ["6"], samples.pull_request(), ["abort 6", "run unit"]),
        ("synchronize", True, ["7"], NEWER, ["abort 7", "run unit"]),
        ("synchronize", True, ["5"], NEWER, ["abort 5", "run unit"]),
        ("synchronize", False, ["6"], NEWER, ["abort 6", "run unit"]),
        ("closed", True, ["6"], NEWER, ["abort 6"]),
    ],
)
async def test_events_behind_those_of_newer_commits(
    action: str, late: bool, running: list[str], now: PullRequest, done: list[str]
) -> None:
    """An event of an older commit that comes when jobs of the newest one run leaves them alone, and starts none."""

    async def unfinished(org: str, repo: str, number: int) -> list[JobsOf]:
        return [JobsOf(sha, "ci", "3", "unit", "another", sha * 40, 43200.0 - 5) for sha in running]

    of = event(action, pr=samples.pull_request(updated_at="1970-01-01T11:00:00Z"))
    asks = reads(World(**MEMBER, pr=now), Trigger(), JOBS)
    asks = msgspec.structs.replace(asks, unfinished_presubmits=unfinished, late=late)
    facts = await plugin.gather(asks, of, samples.GUID)
    assert facts is not None
    decision = plugin.decide(facts)
    check_explained(facts, decision)
    assert [brief(action) for action in decision.actions] == done
    assert done or "too late: 6666666666 is the newest commit" in decision.why
