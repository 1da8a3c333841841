"""The REST side of the small GitHub: statuses, bodies and headers as GitHub gives them."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.sandbox.github import rest
from prow_async.sandbox.github.call import Route
from prow_async.sandbox.github.world import STATUS_LIMIT, World
from tests.unit.sandbox_github import sample
from tests.unit.sandbox_github.sample import BOT_TOKEN, NOW_S, OWNER_TOKEN, STRANGER_TOKEN, ask

APP = "/repos/acme/app"

KNOWN = {"org": "acme", "repo": "app"}
FIELDS = st.sampled_from(
    [
        *("state", "title", "body", "head", "base", "labels", "name", "ref", "sha"),
        *("config", "url", "secret", "events", "message", "content", "branch", "context"),
        *("event", "comments", "reviewers", "assignees", "milestone", "lock_reason", "color", "permission", "role"),
        *("required_status_checks", "enforce_admins", "required_pull_request_reviews", "restrictions", "output"),
        *("head_sha", "conclusion", "merge_method", "in_reply_to", "path", "maintainers", "parent_team_id"),
    ]
)
PARTS = st.sampled_from(["1", "9", "main", "heads/main", "x%2Fy", "%FF", "é", "alice", "heads/", "0" * 18])
QUERY = st.sampled_from(
    [
        "",
        "page=0&per_page=0",
        "page=99",
        "state=all",
        "q=is:pr+x",
        "q=%22+sort:",
        "ref=%00",
        "sha=--all",
        "per_page=%FF&page=--",
        "&=&",
    ]
)


def head_of(world: World, number: int) -> str:
    return world.pull("acme", "app", number).head.sha


@pytest.mark.parametrize(
    ("token", "message"), [("", "Requires authentication"), ("wrong", "Bad credentials")], ids=["none", "wrong"]
)
def test_a_token_is_demanded(token: str, message: str) -> None:
    """Without a known token nothing is told, in GitHub's words."""
    answer, content = ask(sample.make(), "GET", APP, token=token)
    assert (answer.status, content["message"]) == (401, message)
    assert content["documentation_url"].startswith("https://")


ANSWERS: list[tuple[str, str, Any, str, int, str]] = [
    ("GET", "/nothing/here", None, BOT_TOKEN, 404, "Not Found"),
    ("GET", "/repos/acme/other", None, BOT_TOKEN, 404, "Not Found"),
    ("GET", "/repos/ACME/App", None, BOT_TOKEN, 200, ""),
    ("GET", "/user", None, BOT_TOKEN, 200, ""),
    ("GET", "/users/nobody", None, BOT_TOKEN, 404, "Not Found"),
    ("GET", "/orgs/acme/members/Alice", None, BOT_TOKEN, 204, ""),
    ("GET", "/orgs/acme/members/mallory", None, BOT_TOKEN, 404, "Not Found"),
    ("GET", "/orgs/acme/members/alice", None, STRANGER_TOKEN, 302, ""),
    ("GET", "/orgs/none/members/alice", None, BOT_TOKEN, 404, "Not Found"),
    ("GET", APP + "/collaborators/carol", None, BOT_TOKEN, 204, ""),
    ("GET", APP + "/collaborators/alice", None, BOT_TOKEN, 204, ""),
    ("GET", APP + "/collaborators/mallory", None, BOT_TOKEN, 404, "Not Found"),
    (
        "GET",
        APP + "/collaborators/carol",
        None,
        STRANGER_TOKEN,
        403,
        "Must have push access to view repository collaborators.",
    ),
    ("GET", APP + "/collaborators/carol/permission", None, OWNER_TOKEN, 200, ""),
    ("GET", APP + "/git/ref/heads/main", None, BOT_TOKEN, 200, ""),
    ("GET", APP + "/git/ref/heads/ma", None, BOT_TOKEN, 404, "Not Found"),
    ("GET", APP + "/git/refs/heads/ma", None, BOT_TOKEN, 200, ""),
    ("GET", APP + "/git/ref/pull/1/head", None, BOT_TOKEN, 200, ""),
    ("GET", APP + "/branches/none", None, BOT_TOKEN, 404, "Branch not found"),
    ("GET", APP + "/commits/none", None, BOT_TOKEN, 422, "No commit found for SHA: none"),
    ("POST", APP + "/git/refs", {"ref": "heads/x", "sha": "1"}, BOT_TOKEN, 422, "Reference name must start with"),
    ("POST", APP + "/git/refs", {"ref": "refs/heads/x", "sha": "1"}, BOT_TOKEN, 422, "Object does not exist"),
    ("DELETE", APP + "/git/refs/heads/x", None, BOT_TOKEN, 422, "Reference does not exist"),
    ("GET", APP + "/pulls/1", None, BOT_TOKEN, 200, ""),
    ("GET", APP + "/pulls/2", None, BOT_TOKEN, 404, "Not Found"),
    ("GET", APP + "/issues/1", None, BOT_TOKEN, 200, ""),
    ("PATCH", APP + "/pulls/1", {"state": "closed"}, BOT_TOKEN, 200, ""),
    ("PATCH", APP + "/pulls/1", {"state": "odd"}, BOT_TOKEN, 422, "Validation Failed"),
    ("PATCH", APP + "/pulls/1", {"state": "closed"}, STRANGER_TOKEN, 403, "Must have admin rights to Repository."),
    ("PUT", APP + "/pulls/1/merge", {"sha": "old"}, BOT_TOKEN, 409, "Head branch was modified."),
    ("POST", APP + "/pulls", {"title": "T", "head": "none"}, BOT_TOKEN, 422, "Validation Failed"),
    ("POST", APP + "/pulls", {"title": "T", "head": "main"}, BOT_TOKEN, 422, "Validation Failed"),
    ("POST", APP + "/pulls", None, BOT_TOKEN, 422, "Validation Failed"),
    ("POST", APP + "/issues", {"title": "T"}, STRANGER_TOKEN, 201, ""),
    ("POST", APP + "/issues", {"title": 7}, BOT_TOKEN, 422, "Validation Failed"),
    ("POST", APP + "/issues/1/comments", {"body": "hi"}, STRANGER_TOKEN, 201, ""),
    ("POST", APP + "/issues/1/comments", {"body": ""}, BOT_TOKEN, 422, "Validation Failed"),
    ("POST", APP + "/issues/1/comments", {"body": "x" * 65537}, BOT_TOKEN, 422, "Validation Failed"),
    ("POST", APP + "/issues/9/comments", {"body": "hi"}, BOT_TOKEN, 404, "Not Found"),
    ("POST", APP + "/issues/1/comments", b"{broken", BOT_TOKEN, 400, "Problems parsing JSON"),
    ("POST", APP + "/issues/1/comments", b"\xff", BOT_TOKEN, 400, "Problems parsing JSON"),
    ("POST", APP + "/issues/1/comments", b"3", BOT_TOKEN, 400, "Body should be a JSON object"),
    ("PATCH", APP + "/issues/comments/999", {"body": "x"}, BOT_TOKEN, 404, "Not Found"),
    ("DELETE", APP + "/issues/comments/999", None, BOT_TOKEN, 404, "Not Found"),
    ("POST", APP + "/issues/1/labels", {"labels": ["kind/bug"]}, BOT_TOKEN, 200, ""),
    ("POST", APP + "/issues/1/labels", ["kind/bug"], BOT_TOKEN, 200, ""),
    ("POST", APP + "/issues/1/labels", {"labels": "kind/bug"}, BOT_TOKEN, 422, "Validation Failed"),
    ("POST", APP + "/issues/1/labels", {"labels": [1]}, BOT_TOKEN, 422, "Validation Failed"),
    ("POST", APP + "/issues/1/labels", {"labels": ["x"]}, STRANGER_TOKEN, 403, "Must have admin rights to Repository."),
    ("DELETE", APP + "/issues/1/labels/kind%2Fbug", None, BOT_TOKEN, 404, "Label does not exist"),
    ("GET", APP + "/hooks", None, STRANGER_TOKEN, 404, "Not Found"),
    ("GET", APP + "/hooks", None, OWNER_TOKEN, 200, ""),
    ("POST", APP + "/hooks", {"config": {"url": "ftp://x"}}, OWNER_TOKEN, 422, "Validation Failed"),
    ("POST", APP + "/hooks", {"config": {"url": "http://x.invalid"}, "events": ["push"]}, OWNER_TOKEN, 201, ""),
    ("GET", "/orgs/acme/hooks/12345/deliveries", None, OWNER_TOKEN, 404, "Not Found"),
]


@pytest.mark.parametrize(("method", "path", "content", "token", "status", "message"), ANSWERS)
def test_answers(method: str, path: str, content: Any, token: str, status: int, message: str) -> None:
    """Each request is answered with GitHub's status, and a refusal with GitHub's message."""
    world = sample.make()
    sample.open_pull(world)
    answer, found = ask(world, method, path, content, token)
    assert answer.status == status
    if message:
        assert found["message"].startswith(message)
    assert answer.headers["x-ratelimit-resource"] == "core"


STATUSES: list[tuple[dict[str, Any], int, str]] = [
    ({"state": "success"}, 201, ""),
    ({"state": "pending", "description": "x" * 140}, 201, ""),
    ({"state": "pending", "description": "x" * 141}, 422, "description is too long (maximum is 140 characters)"),
    ({"state": "pending", "context": "x" * 256}, 422, "context is too long (maximum is 255 characters)"),
    ({"state": "green"}, 422, "state is not included in the list"),
    ({}, 422, "state is not included in the list"),
    ({"state": "error", "target_url": "javascript:alert(1)"}, 422, "target_url must use http(s) scheme"),
]


@pytest.mark.parametrize(("content", "status", "error"), STATUSES)
def test_statuses_are_checked(content: dict[str, Any], status: int, error: str) -> None:
    """A status is taken, or refused with the field that is wrong."""
    world = sample.make()
    number = sample.open_pull(world)
    answer, found = ask(world, "POST", f"{APP}/statuses/{head_of(world, number)}", content)
    assert answer.status == status
    if error:
        assert [e["message"] for e in found["errors"]] == [error]


def test_a_status_needs_push_access_and_a_commit() -> None:
    """Strangers are told there is no such thing; an unknown commit is 422."""
    world = sample.make()
    number = sample.open_pull(world)
    path = f"{APP}/statuses/{head_of(world, number)}"
    assert ask(world, "POST", path, {"state": "success"}, STRANGER_TOKEN)[0].status == 404
    answer, found = ask(world, "POST", f"{APP}/statuses/{'0' * 40}", {"state": "success"})
    assert (answer.status, found["message"]) == (422, f"No commit found for SHA: {'0' * 40}")


def test_a_context_takes_a_thousand_statuses() -> None:
    """The 1001st status of one context on one commit is refused; another context goes on."""
    world = sample.make()
    path = f"{APP}/statuses/{head_of(world, sample.open_pull(world))}"
    status = {"state": "success", "context": "unit"}
    assert {ask(world, "POST", path, status)[0].status for _ in range(STATUS_LIMIT)} == {201}
    assert ask(world, "POST", path, status)[0].status == 422
    assert ask(world, "POST", path, status | {"context": "e2e"})[0].status == 201


@pytest.mark.parametrize(
    ("posted", "overall"),
    [
        ([], "pending"),
        ([("a", "success")], "success"),
        ([("a", "failure"), ("a", "success")], "success"),
        ([("a", "success"), ("b", "pending")], "pending"),
        ([("a", "pending"), ("b", "error")], "failure"),
    ],
)
def test_combined_status(posted: list[tuple[str, str]], overall: str) -> None:
    """The newest status of each context counts."""
    world = sample.make()
    sha = head_of(world, sample.open_pull(world))
    for context, state in posted:
        ask(world, "POST", f"{APP}/statuses/{sha}", {"state": state, "context": context})
    _, found = ask(world, "GET", f"{APP}/commits/{sha}/status")
    assert found["state"] == overall
    assert found["total_count"] == len(found["statuses"]) == len({context for context, _ in posted})


def test_lists_come_in_pages() -> None:
    """Pages have the size asked for (30 by default, 100 at most), and Link leads through them."""
    world = sample.make()
    number = sample.open_pull(world, files=[f"file-{i:03}" for i in range(250)])
    path = f"{APP}/pulls/{number}/files"
    assert len(ask(world, "GET", path)[1]) == 30
    answer, found = ask(world, "GET", f"{path}?per_page=1000")
    assert len(found) == 100
    base = f"http://github.invalid{path}?per_page=1000"
    assert answer.headers["link"] == f'<{base}&page=2>; rel="next", <{base}&page=3>; rel="last"'
    answer, found = ask(world, "GET", f"{path}?per_page=100&page=3")
    assert [f["filename"] for f in found] == [f"file-{i}" for i in range(200, 250)]
    base = f"http://github.invalid{path}?per_page=100"
    assert answer.headers["link"] == f'<{base}&page=2>; rel="prev", <{base}&page=1>; rel="first"'
    assert ask(world, "GET", f"{path}?page=99")[1] == []
    assert len(ask(world, "GET", f"{path}?per_page=-1&page=x")[1]) == 30


def test_the_hourly_budget() -> None:
    """Every request is counted in the headers; at the end 403; an hour later it begins anew."""
    world = sample.make()
    world.limits.limit = 2
    first, _ = ask(world, "GET", APP)
    reset = str(int(NOW_S) + 3600)
    assert {n: v for n, v in first.headers.items() if n.startswith("x-ratelimit")} == {
        "x-ratelimit-limit": "2",
        "x-ratelimit-remaining": "1",
        "x-ratelimit-used": "1",
        "x-ratelimit-reset": reset,
        "x-ratelimit-resource": "core",
    }
    ask(world, "GET", APP)
    answer, found = ask(world, "GET", APP)
    assert answer.status == 403
    assert found["message"].startswith("API rate limit exceeded for user ID")
    assert answer.headers["x-ratelimit-remaining"] == "0"
    limits, found = ask(world, "GET", "/rate_limit")
    assert (limits.status, found["resources"]["core"]["remaining"]) == (200, 0)
    assert ask(world, "GET", APP, token=OWNER_TOKEN)[0].status == 200
    assert world.limits.bucket("prow-bot", NOW_S + 3600).remaining == 2


def test_unchanged_answers_cost_nothing() -> None:
    """A GET with the ETag of the last answer gets 304 and no charge, until something changes."""
    world = sample.make()
    number = sample.open_pull(world)
    path = f"{APP}/issues/{number}/comments"
    first, _ = ask(world, "GET", path)
    again, _ = ask(world, "GET", path, if_none_match=f'"x", {first.headers["etag"]}')
    assert (again.status, again.body) == (304, b"")
    assert again.headers["x-ratelimit-remaining"] == first.headers["x-ratelimit-remaining"]
    world.comment("acme", "app", number, "bob", "hi", now_s=NOW_S)
    changed, found = ask(world, "GET", path, if_none_match=first.headers["etag"])
    assert (changed.status, len(found)) == (200, 1)


def test_comments_over_rest() -> None:
    """Comments are made, read oldest first, changed by their author or a triager, and deleted."""
    world = sample.make()
    number = sample.open_pull(world)
    _, said = ask(world, "POST", f"{APP}/issues/{number}/comments", {"body": "one"}, STRANGER_TOKEN)
    ask(world, "POST", f"{APP}/issues/{number}/comments", {"body": "two"})
    own = f"{APP}/issues/comments/{said['id']}"
    assert ask(world, "PATCH", own, {"body": "changed"}, STRANGER_TOKEN)[0].status == 200
    _, found = ask(world, "GET", f"{APP}/issues/{number}/comments")
    assert [(c["user"]["login"], c["body"]) for c in found] == [("mallory", "changed"), ("prow-bot", "two")]
    other = f"{APP}/issues/comments/{found[1]['id']}"
    assert ask(world, "DELETE", other, token=STRANGER_TOKEN)[0].status == 403
    assert ask(world, "DELETE", own)[0].status == 204
    assert ask(world, "GET", own)[0].status == 404
    assert [c.body for c in world.comments("acme", "app", number)] == ["two"]


def test_labels_over_rest() -> None:
    """Labels are put on, known whatever their case, and taken off."""
    world = sample.make()
    path = f"{APP}/issues/{sample.open_pull(world)}/labels"
    ask(world, "POST", path, {"labels": ["kind/bug", {"name": "lgtm"}]})
    ask(world, "POST", path, ["LGTM"])
    assert [label["name"] for label in ask(world, "GET", path)[1]] == ["kind/bug", "lgtm"]
    answer, left = ask(world, "DELETE", f"{path}/kind%2Fbug")
    assert (answer.status, [label["name"] for label in left]) == (200, ["lgtm"])


def test_a_person_can_do_everything_over_rest() -> None:
    """Commit to a new branch, open a pull request from it, merge it, ask for a redelivery: by REST alone."""
    world = sample.make()
    _, hook = ask(world, "POST", f"{APP}/hooks", {"config": {"url": "http://x.invalid"}, "events": ["push"]})
    content = {"message": "Add b", "content": "", "branch": "topic"}
    answer, made = ask(world, "PUT", f"{APP}/contents/a/b.go", content)
    assert answer.status == 201
    _, pull = ask(world, "POST", f"{APP}/pulls", {"title": "T", "head": "acme:topic", "base": "main"})
    assert (pull["head"]["sha"], pull["mergeable"]) == (made["commit"]["sha"], True)
    again, found = ask(world, "POST", f"{APP}/pulls", {"title": "T", "head": "topic", "base": "main"})
    assert again.status == 422
    assert found["errors"][0]["message"] == "A pull request already exists for acme:topic."
    _, merged = ask(world, "PUT", f"{APP}/pulls/{pull['number']}/merge")
    assert merged["merged"] is True
    assert ask(world, "GET", f"{APP}/git/ref/heads/main")[1]["object"]["sha"] == merged["sha"]
    assert ask(world, "PUT", f"{APP}/pulls/{pull['number']}/merge")[0].status == 405
    while world.outbox.take(hook["id"]):
        pass
    _, deliveries = ask(world, "GET", f"{APP}/hooks/{hook['id']}/deliveries")
    assert [d["event"] for d in deliveries] == ["push", "push", "ping"]
    path = f"{APP}/hooks/{hook['id']}/deliveries/{deliveries[0]['id']}/attempts"
    assert ask(world, "POST", path)[0].status == 202
    assert [d.redelivery for d in world.outbox.waiting()] == [True]


def test_the_page_of_a_pull_request_is_escaped() -> None:
    """The page needs no token, shows statuses and comments, and lets no markup or odd link through."""
    world = sample.make()
    number = sample.open_pull(world, body="<script>1</script>")
    world.comment("acme", "app", number, "bob", "<img src=x>", now_s=NOW_S)
    status = {"state": "success", "context": "<b>", "target_url": 'http://x.invalid/"><script>'}
    ask(world, "POST", f"{APP}/statuses/{head_of(world, number)}", status)
    answer, _ = ask(world, "GET", f"/acme/app/pull/{number}", token="")
    page = answer.body.decode()
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "<script>" not in page
    assert "<img" not in page
    assert "&lt;img src=x&gt;" in page
    assert 'href="http://x.invalid/&quot;&gt;&lt;script&gt;"' in page
    assert ask(world, "GET", "/acme/app/pull/99", token="")[0].status == 404


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(rest.ROUTES), st.lists(PARTS, min_size=6, max_size=6), JSON | st.binary(max_size=8), QUERY)
def test_nothing_makes_it_raise(route: Route, parts: list[str], content: Any, query: str) -> None:
    """Whatever is asked with whatever body, an answer comes, with JSON where it has a body."""
    world = sample.make()
    sample.open_pull(world)
    filled = iter(parts)
    path = re.sub(r"\{(org|repo|\w+)(:\w+)?\}", lambda m: KNOWN.get(m.group(1)) or next(filled), route.pattern)
    answer, found = ask(world, route.method, f"{path}?{query}", content)
    assert answer.status in (200, 201, 202, 204, 302, 400, 404, 405, 409, 422)
    assert answer.status < 400 or found["message"]
