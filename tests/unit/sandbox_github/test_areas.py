"""What maintainers and their programs do over REST: reviews, teams, protection, planning, checks, search."""

from typing import Any

import msgspec
import pytest

from prow_async.sandbox.github import searching
from prow_async.sandbox.github.refusal import Refusal
from prow_async.sandbox.github.world import World
from tests.unit.sandbox_github import sample
from tests.unit.sandbox_github.sample import BOT_TOKEN, NOW_S, OWNER_TOKEN, STRANGER_TOKEN

APP = "/repos/acme/app"
HOOK = "http://127.0.0.1:1/hook"


class Asking:
    """A world with one pull request by alice and one hook, and somebody who asks."""

    def __init__(self) -> None:
        self.world = sample.make()
        self.world.add_user("bob", "bob-token")
        self.world.add_user("carol", "carol-token")
        sample.open_pull(self.world)
        self.world.add_hook("acme", "app", HOOK, b"", now_s=NOW_S)
        self.told()

    def __call__(self, method: str, path: str, content: Any = None, token: str = BOT_TOKEN) -> tuple[int, Any]:
        answer, body = sample.ask(self.world, method, path, content, token)
        return answer.status, body

    def told(self) -> list[dict[str, Any]]:
        found = []
        for hook_id in self.world.outbox.hooks_waiting():
            while (delivery := self.world.outbox.take(hook_id)) is not None:
                found.append({"event": delivery.event, **msgspec.json.decode(delivery.body)})
        return found

    def actions(self) -> list[str]:
        return [f"{told['event']} {told.get('action')}" for told in self.told()]


@pytest.fixture
def ask() -> Asking:
    return Asking()


def test_reviews_are_submitted_listed_and_dismissed(ask: Asking) -> None:
    status, made = ask("POST", f"{APP}/pulls/1/reviews", {"event": "APPROVE", "body": "good"}, "carol-token")
    assert (status, made["state"], made["user"]["login"]) == (200, "APPROVED", "carol")
    (told,) = ask.told()
    assert (told["event"], told["action"], told["review"]["state"]) == ("pull_request_review", "submitted", "approved")
    assert [r["id"] for r in ask("GET", f"{APP}/pulls/1/reviews")[1]] == [made["id"]]
    gone = {"message": "stale"}
    status, dismissed = ask("PUT", f"{APP}/pulls/1/reviews/{made['id']}/dismissals", gone)
    assert (status, dismissed["state"]) == (200, "DISMISSED")
    assert ask.actions() == ["pull_request_review dismissed"]


@pytest.mark.parametrize(
    ("content", "token"),
    [
        ({"event": "NOD"}, BOT_TOKEN),
        ({"event": "REQUEST_CHANGES"}, BOT_TOKEN),
        ({"event": "COMMENT", "comments": "x"}, BOT_TOKEN),
    ],
)
def test_reviews_that_are_refused(ask: Asking, content: Any, token: str) -> None:
    assert ask("POST", f"{APP}/pulls/1/reviews", content, token)[0] == 422
    assert ask.told() == []


def test_nobody_approves_their_own(ask: Asking) -> None:
    ask.world.add_user("alice", "alice-token")
    status, body = ask("POST", f"{APP}/pulls/1/reviews", {"event": "APPROVE"}, "alice-token")
    assert (status, "your own" in body["message"]) == (422, True)


def test_comments_on_lines_and_answers_to_them(ask: Asking) -> None:
    entries = [{"path": "main.go", "line": 3, "body": "why?"}]
    ask("POST", f"{APP}/pulls/1/reviews", {"event": "COMMENT", "body": "", "comments": entries})
    (first,) = ask("GET", f"{APP}/pulls/1/comments")[1]
    status, answer = ask("POST", f"{APP}/pulls/1/comments", {"body": "because", "in_reply_to": first["id"]})
    assert (status, answer["path"], answer["in_reply_to_id"]) == (201, "main.go", first["id"])
    assert ask.actions()[1:] == ["pull_request_review_comment created"] * 2
    assert ask("POST", f"{APP}/pulls/1/comments", {"body": "x", "in_reply_to": 12345})[0] == 404


def test_reviews_are_asked_for(ask: Asking) -> None:
    ask.world.add_team("acme", "Leads", ["bob"])
    wanted = {"reviewers": ["BOB", "carol"], "team_reviewers": ["leads"]}
    status, pull = ask("POST", f"{APP}/pulls/1/requested_reviewers", wanted)
    assert (status, [u["login"] for u in pull["requested_reviewers"]]) == (201, ["bob", "carol"])
    assert [t["slug"] for t in pull["requested_teams"]] == ["leads"]
    assert ask.actions() == ["pull_request review_requested"] * 3
    status, body = ask("POST", f"{APP}/pulls/1/requested_reviewers", {"reviewers": ["mallory"]})
    assert (status, "not a collaborator" in body["message"]) == (422, True)
    assert ask("DELETE", f"{APP}/pulls/1/requested_reviewers", {"reviewers": ["carol"]})[0] == 200
    ask("POST", f"{APP}/pulls/1/reviews", {"event": "APPROVE"}, "bob-token")
    assert ask("GET", f"{APP}/pulls/1/requested_reviewers")[1]["users"] == []


PROTECTION: dict[str, Any] = {
    "required_status_checks": {"strict": False, "contexts": ["unit"]},
    "enforce_admins": True,
    "required_pull_request_reviews": {"required_approving_review_count": 1},
    "restrictions": {"users": ["alice"], "teams": [], "apps": []},
}


def test_protection_is_put_shown_enforced_and_taken_away(ask: Asking) -> None:
    path = f"{APP}/branches/main/protection"
    assert ask("GET", path)[1]["message"] == "Branch not protected"
    status, shown = ask("PUT", path, PROTECTION)
    assert (status, shown["required_status_checks"]["contexts"]) == (200, ["unit"])
    assert shown["enforce_admins"]["enabled"] is True
    assert shown["restrictions"]["users"][0]["login"] == "alice"
    assert ask("GET", f"{APP}/branches/main")[1]["protected"] is True
    assert [b["name"] for b in ask("GET", f"{APP}/branches?protected=true")[1]] == ["main"]
    assert ask("GET", f"{APP}/pulls/1")[1]["mergeable_state"] == "blocked"
    assert ask("PUT", f"{APP}/pulls/1/merge")[1]["message"] == 'Required status check "unit" is expected.'
    sha = ask("GET", f"{APP}/pulls/1")[1]["head"]["sha"]
    ask("POST", f"{APP}/statuses/{sha}", {"state": "success", "context": "unit"})
    assert "approving review is required" in ask("PUT", f"{APP}/pulls/1/merge")[1]["message"]
    ask("POST", f"{APP}/pulls/1/reviews", {"event": "APPROVE"}, "carol-token")
    assert ask("PUT", f"{APP}/pulls/1/merge")[0] == 200
    assert ask("POST", f"{path}/required_signatures")[1]["enabled"] is True
    assert ask("DELETE", path)[0] == 204
    assert ask("GET", path)[0] == 404


def test_administrators_may_merge_where_protection_lets_them(ask: Asking) -> None:
    ask("PUT", f"{APP}/branches/main/protection", PROTECTION | {"enforce_admins": False})
    assert ask("PUT", f"{APP}/pulls/1/merge", token="carol-token")[0] == 405
    assert ask("PUT", f"{APP}/pulls/1/merge", token=OWNER_TOKEN)[0] == 200


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {**PROTECTION, "required_status_checks": {"contexts": [1]}},
        {**PROTECTION, "required_pull_request_reviews": {"required_approving_review_count": 9}},
        {**PROTECTION, "required_pull_request_reviews": 1},
    ],
)
def test_protection_that_makes_no_sense(ask: Asking, content: Any) -> None:
    assert ask("PUT", f"{APP}/branches/main/protection", content)[0] == 422
    assert ask("PUT", f"{APP}/branches/none/protection", PROTECTION)[0] == 404
    assert ask("PUT", f"{APP}/branches/main/protection", PROTECTION, STRANGER_TOKEN)[0] == 404


def test_teams_give_their_members_rights(ask: Asking) -> None:
    status, made = ask("POST", "/orgs/acme/teams", {"name": "Release Team", "maintainers": ["bob"]})
    assert (status, made["slug"], made["members_count"]) == (201, "release-team", 1)
    team = "/orgs/acme/teams/release-team"
    assert ask("PUT", f"{APP}/pulls/1/merge", token="bob-token")[0] == 403
    assert ask("PUT", f"{team}/repos/acme/app", {"permission": "push"})[0] == 204
    assert ask("GET", f"{team}/repos")[1][0]["permissions"]["push"] is True
    assert [t["slug"] for t in ask("GET", f"{APP}/teams")[1]] == ["release-team"]
    assert ask("PUT", f"{APP}/pulls/1/merge", token="bob-token")[0] == 200
    assert ask("PUT", f"{team}/memberships/alice", {"role": "maintainer"})[1]["role"] == "maintainer"
    assert [u["login"] for u in ask("GET", f"{team}/members?role=maintainer")[1]] == ["alice"]
    assert len(ask("GET", f"/teams/{made['id']}/members")[1]) == 2
    assert ask("DELETE", f"{team}/memberships/alice")[0] == 204
    assert ask("GET", f"{team}/memberships/alice")[0] == 404
    assert ask("GET", "/orgs/acme/teams", token=STRANGER_TOKEN)[0] == 404
    assert ask("DELETE", team, token="bob-token")[0] == 403
    assert ask("DELETE", team)[0] == 204
    assert ask("GET", team)[0] == 404


def test_members_and_collaborators_come_and_go(ask: Asking) -> None:
    assert ask("PUT", "/orgs/acme/memberships/mallory", {"role": "admin"})[1]["role"] == "admin"
    assert [u["login"] for u in ask("GET", "/orgs/acme/members?role=admin")[1]] == ["olga", "mallory"]
    assert ask("DELETE", "/orgs/acme/memberships/mallory")[0] == 204
    assert ask("GET", "/orgs/acme/members/mallory")[0] == 404
    assert ask("PUT", f"{APP}/collaborators/mallory", {"permission": "triage"})[0] == 201
    assert ask("PUT", f"{APP}/collaborators/mallory", {"permission": "admin"})[0] == 204
    assert ask("GET", f"{APP}/collaborators/mallory/permission")[1]["permission"] == "admin"
    assert ask("DELETE", f"{APP}/collaborators/mallory")[0] == 204
    assert ask("GET", f"{APP}/collaborators/mallory")[0] == 404
    assert ask("PUT", "/orgs/acme/memberships/alice", token=STRANGER_TOKEN)[0] == 403


def test_labels_and_milestones_are_kept(ask: Asking) -> None:
    assert ask("POST", f"{APP}/labels", {"name": "size/XL", "color": "FF0000", "description": "big"})[0] == 201
    assert ask("POST", f"{APP}/labels", {"name": "SIZE/xl"})[0] == 422
    assert ask("POST", f"{APP}/labels", {"name": "x", "color": "red"})[0] == 422
    ask("POST", f"{APP}/issues/1/labels", {"labels": ["size/xl"]})
    assert ask("PATCH", f"{APP}/labels/size%2FXL", {"new_name": "size/L"})[1]["color"] == "ff0000"
    assert [lab["name"] for lab in ask("GET", f"{APP}/issues/1/labels")[1]] == ["size/L"]
    assert ask("DELETE", f"{APP}/labels/size%2FL")[0] == 204
    assert ask("GET", f"{APP}/issues/1/labels")[1] == []
    ask.told()
    assert ask("POST", f"{APP}/milestones", {"title": "v1"})[1]["number"] == 1
    assert ask("PATCH", f"{APP}/issues/1", {"milestone": 1})[1]["milestone"]["title"] == "v1"
    assert ask("PATCH", f"{APP}/issues/1", {"milestone": 7})[0] == 422
    assert ask("PATCH", f"{APP}/issues/1", {"milestone": None})[1]["milestone"] is None
    assert ask.actions() == ["pull_request milestoned", "pull_request demilestoned"]


def test_issues_are_assigned_locked_and_reacted_to(ask: Asking) -> None:
    assigned = ask("POST", f"{APP}/issues/1/assignees", {"assignees": ["bob", "mallory"]})[1]["assignees"]
    assert [u["login"] for u in assigned] == ["bob"]
    assert ask("DELETE", f"{APP}/issues/1/assignees", {"assignees": ["BOB"]})[1]["assignees"] == []
    assert ask("PUT", f"{APP}/issues/1/lock", {"lock_reason": "spam"})[0] == 204
    assert ask("POST", f"{APP}/issues/1/comments", {"body": "hi"}, STRANGER_TOKEN)[0] == 403
    assert ask("DELETE", f"{APP}/issues/1/lock")[0] == 204
    told = [f"pull_request {action}" for action in ("assigned", "unassigned", "locked", "unlocked")]
    assert ask.actions() == told
    assert ask("POST", f"{APP}/issues/1/reactions", {"content": "heart"})[0] == 201
    status, made = ask("POST", f"{APP}/issues/1/reactions", {"content": "heart"})
    assert status == 200
    assert ask("POST", f"{APP}/issues/1/reactions", {"content": "shrug"})[0] == 422
    assert ask("DELETE", f"{APP}/issues/1/reactions/{made['id']}")[0] == 204
    assert ask("GET", f"{APP}/issues/1/reactions")[1] == []


def test_an_issue_keeps_its_history(ask: Asking) -> None:
    ask("POST", f"{APP}/issues/1/labels", {"labels": ["a"]})
    ask("DELETE", f"{APP}/issues/1/labels/a")
    ask("PATCH", f"{APP}/issues/1", {"state": "closed"})
    happened = ask("GET", f"{APP}/issues/1/events")[1]
    assert [(h["event"], h.get("label", {}).get("name")) for h in happened] == [
        ("labeled", "a"),
        ("unlabeled", "a"),
        ("closed", None),
    ]


def test_check_runs_of_a_commit(ask: Asking) -> None:
    sha = ask("GET", f"{APP}/pulls/1")[1]["head"]["sha"]
    status, run = ask("POST", f"{APP}/check-runs", {"name": "lint", "head_sha": sha, "status": "in_progress"})
    assert (status, run["conclusion"]) == (201, None)
    assert ask("PATCH", f"{APP}/check-runs/{run['id']}", {"conclusion": "great"})[0] == 422
    assert ask("PATCH", f"{APP}/check-runs/{run['id']}", {"conclusion": "success"})[1]["status"] == "completed"
    listed = ask("GET", f"{APP}/commits/{sha}/check-runs")[1]
    assert (listed["total_count"], listed["check_runs"][0]["name"]) == (1, "lint")


def test_repositories_are_made_and_set(ask: Asking) -> None:
    assert ask("POST", "/orgs/acme/repos", {"name": "new", "description": "d"})[1]["description"] == "d"
    assert ask("POST", "/orgs/acme/repos", {"name": "new"})[0] == 422
    assert ask("POST", "/orgs/acme/repos", {"name": "../x"})[0] == 422
    assert ask("POST", "/orgs/acme/repos", {"name": "more"}, STRANGER_TOKEN)[0] == 403
    assert ask("POST", "/user/repos", {"name": "mine"}, STRANGER_TOKEN)[1]["full_name"] == "mallory/mine"
    assert ask("PATCH", f"{APP}", {"allow_merge_commit": False})[1]["allow_merge_commit"] is False
    assert "not allowed" in ask("PUT", f"{APP}/pulls/1/merge")[1]["message"]
    assert ask("PATCH", f"{APP}", {"default_branch": "none"})[0] == 422
    assert ask("PATCH", f"{APP}", {"archived": "yes"})[0] == 422


def seen(world: World, query: str, login: str = "prow-bot") -> list[int]:
    return [one.record.number for one in searching.search(world, login, query)]


def searched() -> World:
    world = sample.make()
    for number, author in enumerate(("alice", "bob", "alice"), 1):
        title = f"Change {number}"
        world.open_pull("acme", "app", author, title, f"b{number}", ["a"], now_s=NOW_S + number)
    world.open_issue("acme", "app", "bob", "Broken on main", "see branch:main", now_s=NOW_S + 4)
    world.add_label("acme", "app", 1, "lgtm", by="olga", now_s=NOW_S + 10)
    world.add_label("acme", "app", 1, "needs space", by="olga", now_s=NOW_S + 10)
    world.add_label("acme", "app", 2, "approved", by="olga", now_s=NOW_S + 11)
    world.close("acme", "app", 3, by="bob", now_s=NOW_S + 12)
    world.add_repo("acme", "secret", private=True, now_s=NOW_S)
    world.open_issue("acme", "secret", "bob", "Hidden", now_s=NOW_S)
    return world


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("is:pr state:open archived:false repo:acme/app", [2, 1]),
        ("is:pr is:closed", [3]),
        ("is:issue is:open org:acme", [4, 1]),
        ("is:pr is:open label:lgtm", [1]),
        ('is:pr label:"lgtm","approved"', [2, 1]),
        ('is:pr label:"needs space"', [1]),
        ("is:pr is:open -label:lgtm", [2]),
        ("is:pr author:alice", [3, 1]),
        ("is:pr -author:alice", [2]),
        ("is:pr base:main -base:release is:open", [2, 1]),
        ("is:pr head:b2", [2]),
        ("is:pr -repo:acme/app", []),
        ("org:acme -repo:acme/app", [1]),
        ("repo:acme/app repo:acme/other is:issue", [4]),
        ('in:title "broken on"', [4]),
        ("is:issue label:none", []),
        ("is:pr is:open sort:updated-asc", [1, 2]),
        ("is:pr is:open sort:updated-desc", [2, 1]),
        ("is:pr updated:2007-01-01T00:00:00Z..2023-11-14T22:13:30Z", [1]),
        ("is:pr updated:>=2023-11-14T22:13:31Z", [3, 2]),
        ("is:pr created:>2023-11-15", []),
        ("is:pr review:none is:open", [2, 1]),
        ("no:label is:pr", [3]),
        ("is:pr is:merged", []),
        ("is:pr author:alice author:bob", [3, 2, 1]),
        ('is:pr base:"main" base:"release" -base:"old" is:open', [2, 1]),
        ('is:pr state:open archived:false label:"lgtm" label:"needs space" -label:"hold" repo:"acme/app"', [1]),
        ('is:pr label:"lgtm" label:"approved"', []),
        ('is:issue state:open label:"blocker" org:"acme"', []),
    ],
)
def test_queries_find(query: str, numbers: list[int]) -> None:
    assert seen(searched(), query) == numbers


def test_a_head_is_found_by_its_commit() -> None:
    world = searched()
    sha = world.pull("acme", "app", 2).head.sha
    assert seen(world, f"is:pr {sha}") == seen(world, f"is:pr sha:{sha[:10]}") == [2]


def test_what_is_private_is_for_its_people() -> None:
    world = searched()
    assert seen(world, "Hidden", "alice") == [1]
    assert seen(world, "Hidden", "mallory") == []


@pytest.mark.parametrize(
    "query",
    ["is:nice", "language:go", "updated:yesterday", "sort:stars", "draft:maybe", "review:great", "no:way", "x" * 5000],
)
def test_queries_that_are_refused(query: str) -> None:
    with pytest.raises(Refusal) as refused:
        seen(searched(), query)
    assert refused.value.status == 422


@pytest.mark.parametrize(
    "query", ['"', '""', "-", "--", ":", "label:", 'label:"', "repo:", "(.*)+$", "\x00", "' OR 1=1"]
)
def test_odd_queries_are_text(query: str) -> None:
    """Nothing in a query is an expression of another language."""
    assert isinstance(seen(searched(), query), list)


def test_search_over_rest(ask: Asking) -> None:
    status, found = ask("GET", "/search/issues?q=is%3Apr+repo%3Aacme%2Fapp&per_page=1")
    assert (status, found["total_count"], found["items"][0]["number"]) == (200, 1, 1)
    assert ask("GET", "/search/issues")[0] == 422
    assert ask("GET", "/search/issues?q=is:pr&page=99&per_page=100")[0] == 422


@pytest.mark.parametrize("path", ["", "/pulls", "/branches", "/contents/a", "/labels", "/commits/main/status"])
def test_strangers_do_not_hear_of_private_repositories(ask: Asking, path: str) -> None:
    ask("PATCH", APP, {"private": True})
    assert ask("GET", APP + path, token=STRANGER_TOKEN)[0] == 404
    assert ask("POST", f"{APP}/forks", token=STRANGER_TOKEN)[0] == 404
    assert ask("GET", "/orgs/acme/repos", token=STRANGER_TOKEN)[1] == []
    assert ask("GET", APP, token=OWNER_TOKEN)[0] == 200


def test_hooks_are_changed_pinged_and_their_deliveries_shown_whole(ask: Asking) -> None:
    config = {"url": HOOK, "secret": "s3cr3t"}
    hook = ask("POST", f"{APP}/hooks", {"config": config, "events": ["issues"]})[1]
    own = f"{APP}/hooks/{hook['id']}"
    assert ask("PATCH", own, {"events": ["push"], "active": False})[1]["events"] == ["push"]
    assert ask("PATCH", own, {"config": {"url": "ftp://x"}})[0] == 422
    assert ask("PATCH", own, {"active": "no"})[0] == 422
    assert ask("GET", own)[1]["active"] is False
    ask.told()
    assert ask("POST", f"{own}/pings")[0] == 204
    assert ask.actions() == ["ping None"]
    delivery = ask("GET", f"{own}/deliveries")[1][0]
    status, whole = ask("GET", f"{own}/deliveries/{delivery['id']}")
    assert (status, whole["request"]["payload"]["hook"]["id"]) == (200, hook["id"])
    assert whole["request"]["headers"]["X-GitHub-Delivery"] == delivery["guid"]
    assert "s3cr3t" not in str(whole)
    assert ask("POST", f"{own}/deliveries/{delivery['id']}/attempts")[0] == 202
    (again,) = ask.world.outbox.waiting()
    assert (again.guid, again.redelivery) == (delivery["guid"], True)
    for path in (own, f"{own}/deliveries", f"{own}/deliveries/{delivery['id']}"):
        assert ask("GET", path, token=STRANGER_TOKEN)[0] == 404
    assert ask("GET", f"{own}/deliveries/99999")[0] == 404
