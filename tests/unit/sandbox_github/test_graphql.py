"""GraphQL as tide asks it: the search of pull requests, errors in GraphQL's form, and bounds on what is asked."""

import subprocess
import sys
from typing import Any

import pytest

from prow_async.sandbox.github.graph import nodes
from prow_async.sandbox.github.world import World
from tests.unit.sandbox_github import sample
from tests.unit.sandbox_github.sample import NOW_S, STRANGER_TOKEN

TIDE = """
query($query: String!, $cursor: String) {
  rateLimit { cost remaining }
  search(type: ISSUE, first: 37, after: $cursor, query: $query) {
    pageInfo { hasNextPage endCursor }
    nodes { ... on PullRequest {
      number
      author { login }
      baseRef { name prefix }
      headRefName
      headRefOid
      mergeable
      canBeRebased
      reviewDecision
      repository { name nameWithOwner owner { login } }
      commits(last: 4) { nodes { commit {
        oid
        status { contexts { context description state } }
        statusCheckRollup { contexts(last: 100) { nodes {
          __typename
          ... on StatusContext { context description state }
          ... on CheckRun { name status conclusion }
        } } }
      } } }
      labels(first: 100) { nodes { name } }
      milestone { title }
      body
      title
      updatedAt
    } }
  }
}
"""


def graphql(world: World, query: str, token: str = sample.BOT_TOKEN, /, **variables: Any) -> Any:
    answer, content = sample.ask(world, "POST", "/graphql", {"query": query, "variables": variables}, token)
    assert answer.status == 200
    return content


def with_pulls(count: int = 1) -> World:
    world = sample.make()
    for number in range(count):
        world.open_pull("acme", "app", "alice", f"Change {number}", f"b{number}", ["a"], now_s=NOW_S + number)
    return world


def test_what_tide_reads() -> None:
    world = with_pulls()
    sha = world.pull("acme", "app", 1).head.sha
    number = world.make_milestone(world.repo("acme", "app"), "v1", by="olga", now_s=NOW_S)
    repo, record = world.repo("acme", "app"), world.issue("acme", "app", 1)
    world.set_milestone(repo, record, number, by="olga", now_s=NOW_S)
    world.add_label("acme", "app", 1, "lgtm", by="olga", now_s=NOW_S)
    world.review(repo, record, "APPROVE", by="carol", now_s=NOW_S)
    status = {"state": "success", "context": "unit", "description": "fine"}
    sample.ask(world, "POST", f"/repos/acme/app/statuses/{sha}", status)
    sample.ask(world, "POST", "/repos/acme/app/check-runs", {"name": "lint", "head_sha": sha, "conclusion": "neutral"})
    data = graphql(world, TIDE, query="is:pr state:open archived:false repo:acme/app label:lgtm")["data"]
    assert data["rateLimit"] == {"cost": 1, "remaining": 4999}
    (pull,) = data["search"]["nodes"]
    (commit,) = pull.pop("commits")["nodes"]
    context = {"context": "unit", "description": "fine", "state": "SUCCESS"}
    assert commit["commit"]["status"] == {"contexts": [context]}
    assert commit["commit"]["statusCheckRollup"]["contexts"]["nodes"] == [
        {"__typename": "StatusContext", **context},
        {"__typename": "CheckRun", "name": "lint", "status": "COMPLETED", "conclusion": "NEUTRAL"},
    ]
    assert pull == {
        "number": 1,
        "author": {"login": "alice"},
        "baseRef": {"name": "main", "prefix": "refs/heads/"},
        "headRefName": "b0",
        "headRefOid": sha,
        "mergeable": "MERGEABLE",
        "canBeRebased": True,
        "reviewDecision": "APPROVED",
        "repository": {"name": "app", "nameWithOwner": "acme/app", "owner": {"login": "acme"}},
        "labels": {"nodes": [{"name": "lgtm"}]},
        "milestone": {"title": "v1"},
        "body": "",
        "title": "Change 0",
        "updatedAt": "2023-11-14T22:13:20Z",
    }


@pytest.mark.parametrize(("mergeable", "shown"), [(True, "MERGEABLE"), (False, "CONFLICTING"), (None, "UNKNOWN")])
def test_mergeable_is_shown_as_known(mergeable: bool | None, shown: str) -> None:
    world = with_pulls()
    world.set_mergeable("acme", "app", 1, mergeable)
    (pull,) = graphql(world, TIDE, query="is:pr")["data"]["search"]["nodes"]
    assert pull["mergeable"] == shown


def test_pages_follow_their_cursor() -> None:
    world = with_pulls(80)
    seen, cursor, pages = [], None, 0
    while True:
        found = graphql(world, TIDE, query="is:pr sort:created-asc", cursor=cursor)["data"]["search"]
        seen += [pull["number"] for pull in found["nodes"]]
        pages += 1
        if not found["pageInfo"]["hasNextPage"]:
            break
        cursor = found["pageInfo"]["endCursor"]
    assert (seen, pages) == (list(range(1, 81)), 3)


def test_blockers_are_issues() -> None:
    world = with_pulls()
    world.open_issue("acme", "app", "olga", "Stop branch:main", now_s=NOW_S)
    query = """query($q: String!) { search(type: ISSUE, first: 100, query: $q) { issueCount nodes {
        ... on Issue { number title url repository { name owner { login } } } } } }"""
    found = graphql(world, query, q="is:issue is:open org:acme")["data"]["search"]
    assert (found["issueCount"], found["nodes"][0]["title"]) == (1, "Stop branch:main")


def test_one_pull_request_and_one_ref() -> None:
    world = with_pulls()
    query = """{ repository(owner: "acme", name: "app") {
        pullRequest(number: 1) { state merged files(first: 5) { nodes { path } } }
        ref(qualifiedName: "refs/heads/main") { name target { oid } } } viewer { login } }"""
    data = graphql(world, query)["data"]
    assert data["viewer"]["login"] == "prow-bot"
    pull = {"state": "OPEN", "merged": False, "files": {"nodes": [{"path": "a"}]}}
    assert data["repository"]["pullRequest"] == pull
    assert data["repository"]["ref"]["target"]["oid"] == world.repo("acme", "app").refs["heads/main"]


ERRORS = [
    ('{ repository(owner: "acme", name: "none") { name } }', "NOT_FOUND", "Not Found"),
    ('{ repository(owner: "acme", name: "app") { issue(number: 9) { id } } }', "NOT_FOUND", "Could not resolve"),
    ('{ search(type: ISSUE, query: "is:nice", first: 1) { issueCount } }', "UNPROCESSABLE", "does not know"),
    ('{ search(type: USER, query: "x", first: 1) { issueCount } }', "UNPROCESSABLE", "does not search"),
    ('{ search(type: ISSUE, query: "x", first: 1, after: "!") { issueCount } }', "UNPROCESSABLE", "valid cursor"),
    ('{ search(type: ISSUE, query: "x", first: 101) { issueCount } }', "UNPROCESSABLE", "exceeds the limit"),
    ("{ nothing }", None, "Cannot query field"),
    ("{", None, "Syntax Error"),
    ("mutation { x }", None, ""),
    ("{ " + "a " * 5000 + "}", None, "tokens"),
    ("{ viewer" + " { viewer" * 900 + " }" * 900 + " }", None, ""),
    ("{ viewer" + " { viewer" * 1300 + " }" * 1300 + " }", None, "nested too deeply"),
    ("{ viewer { login ...F } } fragment F on User { ...F }", None, "spread"),
    ("query A { viewer { login } } query B { viewer { login } }", None, "operation"),
]


@pytest.mark.parametrize(("query", "kind", "message"), ERRORS)
def test_errors_have_graphqls_form(query: str, kind: str | None, message: str) -> None:
    content = graphql(with_pulls(), query)
    assert content["errors"][0].get("type") == kind
    assert message in content["errors"][0]["message"]


@pytest.mark.parametrize("content", [None, [], {"query": 1}, {"query": "{ viewer { login } }", "variables": 1}])
def test_bodies_that_are_no_query(content: Any) -> None:
    answer, body = sample.ask(with_pulls(), "POST", "/graphql", content)
    assert (answer.status, "errors" in body) == (200, True)


def test_an_answer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nesting multiplies; the count of nodes ends it."""
    monkeypatch.setattr(nodes, "NODES_LIMIT", 500)
    deep = "pullRequests(first: 50) { nodes { repository { pullRequests(first: 50) { nodes { number } } } } }"
    content = graphql(with_pulls(50), f'{{ repository(owner: "acme", name: "app") {{ {deep} }} }}')
    assert "more than 500 nodes" in content["errors"][0]["message"]


def test_the_library_is_loaded_when_it_is_needed() -> None:
    code = "import sys, prow_async.sandbox.github.http; sys.exit('graphql' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_its_budget_is_its_own() -> None:
    world = with_pulls()
    world.graphql_limits.limit = 1
    graphql(world, "{ viewer { login } }")
    assert graphql(world, "{ viewer { login } }")["errors"][0]["type"] == "RATE_LIMITED"
    answer, limits = sample.ask(world, "GET", "/rate_limit")
    assert answer.headers["x-ratelimit-resource"] == "core"
    assert limits["resources"]["graphql"]["remaining"] == 0
    assert limits["resources"]["core"]["remaining"] == 5000


def test_private_repositories_are_not_shown_to_strangers() -> None:
    world = sample.make()
    world.add_repo("acme", "secret", private=True, now_s=NOW_S)
    query = '{ repository(owner: "acme", name: "secret") { name } }'
    assert graphql(world, query)["data"]["repository"]["name"] == "secret"
    assert graphql(world, query, STRANGER_TOKEN)["errors"][0]["type"] == "NOT_FOUND"
