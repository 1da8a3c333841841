"""ports/github, as the client provides it on the small GitHub, through both of its doors."""

import pytest

from prow_async.api.errors import Missing, Refused, Retry, Stale
from prow_async.api.github import ChangedFile, HookOf, Status
from prow_async.sandbox.github.outbox import Outcome
from prow_async.sandbox.github.records import WorkflowRunRecord
from prow_async.sandbox.github.world import World
from tests.contract.github_doors import DOORS, Door, client_of
from tests.unit.sandbox_github import sample
from tests.unit.sandbox_github.sample import NOW_S

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("door", DOORS)]

APP = ("acme", "app")


@pytest.fixture
def world() -> World:
    world = sample.make()
    sample.open_pull(world, body="please")
    return world


async def test_trust(world: World, door: Door) -> None:
    """Members and collaborators are known, strangers are not, and what may not be seen counts as no."""
    async with client_of(world, door) as github:
        assert (await github.bot_user()).login == "prow-bot"
        assert await github.is_member("acme", "alice")
        assert not await github.is_member("acme", "mallory")
        assert await github.is_member("carol", "Carol")
        assert await github.is_collaborator(*APP, "carol")
        assert not await github.is_collaborator(*APP, "mallory")
    async with client_of(world, door, sample.STRANGER_TOKEN) as github:
        assert not await github.is_member("acme", "alice")
        with pytest.raises(Refused) as caught:
            await github.is_collaborator(*APP, "carol")
        assert caught.value.reason.startswith("Must have push access")


async def test_a_pull_request(world: World, door: Door) -> None:
    """A pull request is read as it stands; another number is Missing."""
    async with client_of(world, door) as github:
        pull = await github.pull(*APP, 1)
        assert pull == world.pull(*APP, 1)
        assert (pull.title, pull.user.login, pull.body, pull.mergeable) == ("Add a thing", "alice", "please", True)
        with pytest.raises(Missing):
            await github.pull(*APP, 2)


async def test_lists_are_read_to_the_end(world: World, door: Door) -> None:
    """Files, comments, labels and statuses come complete and in order, however many pages they take."""
    files = [ChangedFile(f"dir/file {i}.go", "added") for i in range(205)]
    number = sample.open_pull(world, files=files)
    sha = world.pull(*APP, number).head.sha
    for i in range(101):
        world.comment(*APP, number, "bob", f"comment {i}", now_s=NOW_S)
        world.post_status(*APP, sha, Status("success", context=f"c{i}"), by="prow-bot", now_s=NOW_S)
    async with client_of(world, door) as github:
        assert await github.changed_files(*APP, number) == tuple(f.filename for f in files)
        assert [c.body for c in await github.comments(*APP, number)] == [f"comment {i}" for i in range(101)]
        assert [s.context for s in await github.combined_status(*APP, sha)] == [f"c{i}" for i in range(101)]


@pytest.mark.parametrize("branch", ["main", "release/1.2", "odd#name%2F+&é"])
async def test_branches(world: World, door: Door, branch: str) -> None:
    """A branch of any name points at its newest commit; one that is not there is Missing."""
    sha = world.push_branch(*APP, branch, by="olga", now_s=NOW_S)
    async with client_of(world, door) as github:
        assert await github.branch_sha(*APP, branch) == sha
        with pytest.raises(Missing):
            await github.branch_sha(*APP, "ma")


async def test_statuses(world: World, door: Door) -> None:
    """A posted status is the newest of its context; one that GitHub refuses says why."""
    sha = world.pull(*APP, 1).head.sha
    async with client_of(world, door) as github:
        await github.post_status(*APP, sha, Status("pending", "http://x.invalid/é?a=b", "waits", "unit"))
        await github.post_status(*APP, sha, Status("success", None, "päst ✓", "unit"))
        expected = (Status("success", None, "päst ✓", "unit"),)
        assert await github.combined_status(*APP, sha) == expected == world.statuses(*APP, sha)
        with pytest.raises(Refused) as caught:
            await github.post_status(*APP, sha, Status("success", description="x" * 141))
        assert caught.value.status == 422
        assert "description is too long (maximum is 140 characters)" in caught.value.why
        with pytest.raises(Refused, match="No commit found"):
            await github.post_status(*APP, "0" * 40, Status("success"))


async def test_comments(world: World, door: Door) -> None:
    """Comments are written, changed and deleted; deleting twice is fine, changing a deleted one is not."""
    async with client_of(world, door) as github:
        await github.create_comment(*APP, 1, "one\r\n<b>two</b> ✓")
        [said] = await github.comments(*APP, 1)
        assert (said.user.login, said.body) == ("prow-bot", "one\r\n<b>two</b> ✓")
        await github.edit_comment(*APP, said.id, "changed")
        assert [c.body for c in world.comments(*APP, 1)] == ["changed"]
        await github.delete_comment(*APP, said.id)
        await github.delete_comment(*APP, said.id)
        assert await github.comments(*APP, 1) == ()
        with pytest.raises(Stale):
            await github.edit_comment(*APP, said.id, "x")
        with pytest.raises(Missing):
            await github.create_comment(*APP, 99, "x")


async def test_labels(world: World, door: Door) -> None:
    """Labels of any spelling are put on and taken off; taking off twice is fine, a missing issue is not."""
    async with client_of(world, door) as github:
        for label in ("kind/bug", "needs ok?", "größe/XL"):
            await github.add_label(*APP, 1, label)
        assert await github.labels(*APP, 1) == ("kind/bug", "needs ok?", "größe/XL")
        await github.remove_label(*APP, 1, "kind/bug")
        await github.remove_label(*APP, 1, "kind/bug")
        assert await github.labels(*APP, 1) == ("needs ok?", "größe/XL")
        with pytest.raises(Missing):
            await github.remove_label(*APP, 99, "kind/bug")


async def test_a_wrong_token(world: World, door: Door) -> None:
    """It is refused for good, and the error does not repeat it."""
    async with client_of(world, door, "wrong-token") as github:
        with pytest.raises(Refused) as caught:
            await github.pull(*APP, 1)
        assert (caught.value.status, caught.value.reason) == (401, "Bad credentials")
        assert "wrong-token" not in str(caught.value)


async def test_the_hourly_budget(world: World, door: Door) -> None:
    """When it is used up the error says when it begins anew; unchanged answers cost nothing before."""
    world.limits.limit = 2
    async with client_of(world, door) as github:
        await github.pull(*APP, 1)
        for _ in range(5):
            await github.pull(*APP, 1)
        assert world.limits.bucket("prow-bot", NOW_S).remaining == 1
        await github.comments(*APP, 1)
        with pytest.raises(Retry) as caught:
            await github.labels(*APP, 1)
        assert caught.value.after_s == pytest.approx(3601)


async def test_assignees(world: World, door: Door) -> None:
    """Who cannot be assigned is named; the others are."""
    async with client_of(world, door) as github:
        assert await github.assign(*APP, 1, ("Alice", "mallory")) == ("mallory",)
        assert [user.login for user in (await github.issue(*APP, 1)).assignees] == ["alice"]
        await github.unassign(*APP, 1, ("alice",))
        assert (await github.issue(*APP, 1)).assignees == ()


async def test_teams(world: World, door: Door) -> None:
    """Active members of a team are known; nobody is a member of a team that is not there."""
    world.add_team("acme", "Release Leads", ["alice"])
    async with client_of(world, door) as github:
        assert [(team.name, team.slug) for team in await github.teams("acme")] == [("Release Leads", "release-leads")]
        assert await github.is_team_member("acme", "release-leads", "alice")
        assert not await github.is_team_member("acme", "release-leads", "bob")
        assert not await github.is_team_member("acme", "nobody", "alice")


async def test_labels_of_a_repository(world: World, door: Door) -> None:
    async with client_of(world, door) as github:
        await github.add_label(*APP, 1, "kind/bug")
        assert "kind/bug" in await github.repo_labels(*APP)


async def test_lines_of_changed_files(world: World, door: Door) -> None:
    files = [ChangedFile("a.go", "modified", additions=3, deletions=4), ChangedFile("b.go", "removed", deletions=5)]
    number = sample.open_pull(world, files=files)
    async with client_of(world, door) as github:
        found = [(c.filename, c.status, c.additions, c.deletions) for c in await github.file_changes(*APP, number)]
    assert found == [("a.go", "modified", 3, 4), ("b.go", "removed", 0, 5)]


async def test_requested_reviews(world: World, door: Door) -> None:
    """People are asked all at once; where GitHub takes one of them not, the others are asked all the same."""
    async with client_of(world, door) as github:
        assert await github.request_reviews(*APP, 1, ("bob", "carol")) == ()
        assert await github.request_reviews(*APP, 1, ("alice", "bob")) == ("alice",)  # the author


@pytest.mark.parametrize("repo", ["app", ""])
async def test_the_delivery_log(world: World, door: Door, repo: str) -> None:
    """A hook's log is read page by page, newest first, one delivery whole; one is sent again under its GUID."""
    hook = world.add_hook("acme", repo, "http://hook.invalid/", b"secret", now_s=NOW_S)
    for i in range(149):
        world.comment(*APP, 1, "bob", f"comment {i}", now_s=NOW_S)
    while (sent := world.outbox.take(hook.id)) is not None:
        sent.outcome = Outcome(502 if sent.id % 2 else 200, NOW_S)
    async with client_of(world, door) as github:
        [found] = await github.hooks("acme", repo)
        assert (found.id, found.config.url, found.active) == (hook.id, "http://hook.invalid/", True)
        of = HookOf("acme", repo, hook.id)
        first = await github.hook_deliveries(of)
        second = await github.hook_deliveries(of, first.cursor)
        ids = [one.id for one in (*first.deliveries, *second.deliveries)]
        assert (len(first.deliveries), second.cursor) == (100, "")
        assert ids == sorted((one.id for one in world.outbox.log()), reverse=True)
        assert {one.status_code for one in first.deliveries} == {200, 502}
        one = first.deliveries[0]
        assert (one.event, one.action, one.delivered_at) == ("issue_comment", "created", "2023-11-14T22:13:20Z")
        whole = await github.hook_delivery(of, one.id)
        assert whole.request.headers["X-GitHub-Delivery"] == whole.guid == one.guid
        assert whole.request.payload["comment"]["body"] == "comment 148"
        await github.redeliver(of, one.id)
        again = world.outbox.take(hook.id)
        assert again is not None
        assert (again.guid, again.redelivery) == (one.guid, True)
        with pytest.raises(Missing):
            await github.hook_delivery(of, 99_999)
    async with client_of(world, door, sample.STRANGER_TOKEN) as github:
        with pytest.raises(Missing):
            await github.hook_deliveries(of)


async def test_workflow_runs(world: World, door: Door) -> None:
    """Runs are found by commit and by how they stand; one is approved, a failed one begins again."""
    sha = world.pull(*APP, 1).head.sha
    runs = world.repo(*APP).workflow_runs
    runs.append(WorkflowRunRecord(7, sha, "feature", "ci", conclusion="failure", event="push"))
    runs.append(WorkflowRunRecord(8, sha, "feature", "lint", conclusion="action_required"))
    runs.append(WorkflowRunRecord(9, "0" * 40, "main", "ci", conclusion="failure"))
    async with client_of(world, door) as github:
        assert [run.id for run in await github.workflow_runs(*APP, sha, "failure")] == [7]
        both = await github.workflow_runs(*APP, sha)
        assert [(run.id, run.event) for run in both] == [(8, "pull_request"), (7, "push")]
        await github.rerun_failed_jobs(*APP, 7)
        await github.approve_run(*APP, 8)
        assert [run.status for run in await github.workflow_runs(*APP, sha)] == ["queued", "queued"]
        with pytest.raises(Refused):
            await github.approve_run(*APP, 8)
        with pytest.raises(Missing):
            await github.rerun_failed_jobs(*APP, 99)


async def test_counting_issues(world: World, door: Door) -> None:
    """A search's total, however little of it is shown."""
    for _ in range(3):
        sample.open_pull(world)
    async with client_of(world, door) as github:
        assert await github.count_issues("acme", "type:pr org:acme author:alice") == 4
        assert await github.count_issues("acme", "type:pr is:merged org:acme author:alice") == 0


async def test_repositories(world: World, door: Door) -> None:
    """All of an organization that may be seen, and one by its name."""
    world.add_repo("acme", "hidden", private=True, now_s=NOW_S)
    async with client_of(world, door) as github:
        assert [repo.name for repo in await github.repos("acme")] == ["app", "hidden"]
        assert (await github.repo("acme", "hidden")).private
    async with client_of(world, door, sample.STRANGER_TOKEN) as github:
        assert [repo.full_name for repo in await github.repos("acme")] == ["acme/app"]
        with pytest.raises(Missing):
            await github.repo("acme", "hidden")


async def test_graphql(world: World, door: Door) -> None:
    """A query is answered with its data, counted against its own budget; a wrong one is refused in GitHub's words."""
    query = 'query($name: String!) { repository(owner: "acme", name: $name) { pullRequest(number: 1) { title } } }'
    async with client_of(world, door) as github:
        found = await github.graphql(query, {"name": "app"}, "acme")
        assert found == {"repository": {"pullRequest": {"title": "Add a thing"}}}
        with pytest.raises(Refused, match="nothing"):
            await github.graphql("{ nothing }", {}, "acme")
        world.graphql_limits.limit = 1
        for _ in range(2):
            with pytest.raises(Retry):
                await github.graphql(query, {"name": "app"}, "acme")
    assert world.limits.bucket("prow-bot", NOW_S).used == 0
