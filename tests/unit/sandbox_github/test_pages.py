"""Pages and forms: who sees what, who may send what, and that nothing in a page runs or leads astray."""

import re
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.sandbox.github import rest
from prow_async.sandbox.github.call import Answer, Request
from prow_async.sandbox.github.outbox import Outcome
from prow_async.sandbox.github.world import World
from tests.unit.sandbox_github import sample
from tests.unit.sandbox_github.sample import NOW_S, OWNER_TOKEN, STRANGER_TOKEN

HOOK = "http://127.0.0.1:1/hook"
FORM = {"content-type": "application/x-www-form-urlencoded"}
KNOWN_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "nav", "form", "button", "span", "a", "h1", "h2", "h3", "p"),
    *("pre", "b", "code", "table", "tr", "td", "th", "label", "input", "textarea", "select", "option"),
}


class Browser:
    """Somebody's browser: keeps the session's cookie, and follows what forms answer."""

    def __init__(self, world: World, token: str = "") -> None:
        self.world = world
        self.cookie = ""
        if token:
            answer = self.send("/login", token=token)
            assert answer.status == 303
            self.cookie = answer.headers["set-cookie"].partition(";")[0]

    def get(self, path: str) -> tuple[int, str]:
        answer = self._ask("GET", path, b"", {})
        return answer.status, answer.body.decode()

    def send(self, path: str, **fields: str) -> Answer:
        return self._ask("POST", path, urlencode(fields).encode(), FORM)

    def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        sent = {**headers, **({"cookie": self.cookie} if self.cookie else {})}
        return rest.handle(self.world, Request(method, path, sent, body), NOW_S)


@pytest.fixture
def world() -> World:
    made = sample.make()
    sample.open_pull(made)
    made.add_repo("acme", "secret", private=True, now_s=NOW_S)
    return made


def test_repositories_are_listed_and_lead_to_their_pages(world: World) -> None:
    """Every link on the front page, and on the pages it leads to, is a page."""
    seen, todo = set(), ["/"]
    browser = Browser(world, OWNER_TOKEN)
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        status, page = browser.get(path)
        assert status == 200, path
        todo += [link.partition("#")[0] for link in re.findall(r'href="(/[^"]*)"', page)]
    assert {"/acme/app", "/acme/app/pull/1", "/acme/app/pulls", "/acme/secret"} <= seen
    assert Browser(world).get("/login")[0] == 200


def test_what_is_private_needs_somebody_who_may(world: World) -> None:
    for token, status in (("", 404), (STRANGER_TOKEN, 404), (OWNER_TOKEN, 200)):
        browser = Browser(world, token)
        assert browser.get("/acme/secret")[0] == status
        assert ("acme/secret" in browser.get("/")[1]) == (status == 200)


def test_somebody_signs_in_comments_and_signs_out(world: World) -> None:
    browser = Browser(world, STRANGER_TOKEN)
    answer = browser.send("/acme/app/pull/1/comment", body="/test all")
    assert (answer.status, answer.headers["location"].partition("#")[0]) == (303, "/acme/app/pull/1")
    assert [c.user.login for c in world.comments("acme", "app", 1)] == ["mallory"]
    assert "/test all" in browser.get("/acme/app/pull/1")[1]
    assert browser.send("/logout").status == 303
    assert browser.send("/acme/app/pull/1/comment", body="more").status == 401


def test_a_wrong_token_signs_nobody_in(world: World) -> None:
    assert Browser(world).send("/login", token="no").status == 401
    assert Browser(world).send("/login").status == 401


def test_a_pull_request_is_opened_reviewed_and_merged_in_the_browser(world: World) -> None:
    world.push_branch("acme", "app", "topic", ["a"], by="olga", now_s=NOW_S)
    owner = Browser(world, OWNER_TOKEN)
    answer = owner.send("/acme/app/pulls", title="From a form", head="topic", base="main", body="why")
    assert answer.headers["location"] == "/acme/app/pull/2"
    assert world.issue("acme", "app", 2).author == "olga"
    world.add_user("carol", "carol-token")
    carol = Browser(world, "carol-token")
    assert carol.send("/acme/app/pull/2/review", event="APPROVE").status == 303
    assert carol.send("/acme/app/pull/2/merge", method="squish").status == 422
    assert carol.send("/acme/app/pull/2/merge", method="merge").status == 303
    assert world.pull_record("acme", "app", 2).closed_s == NOW_S
    assert owner.send("/acme/app/issues", title="An issue").headers["location"] == "/acme/app/issues/3"
    assert owner.send("/acme/app/issues/3/state", state="closed").status == 303
    assert world.issue("acme", "app", 3).state == "closed"


@pytest.mark.parametrize("path", ["pull/1/merge", "pull/1/state"])
def test_strangers_may_not_merge_or_close(world: World, path: str) -> None:
    assert Browser(world, STRANGER_TOKEN).send(f"/acme/app/{path}", state="closed").status == 403
    assert world.issue("acme", "app", 1).state == "open"


def test_forms_of_another_kind_are_refused(world: World) -> None:
    browser = Browser(world, OWNER_TOKEN)
    headers = {"cookie": browser.cookie, "content-type": "text/plain"}
    request = Request("POST", "/acme/app/pull/1/comment", headers, b"body=x")
    assert rest.handle(world, request, NOW_S).status == 415
    many = {f"f{number}": "" for number in range(100)}
    assert browser.send("/acme/app/pull/1/comment", **many).status == 400


def test_the_session_is_for_pages_alone(world: World) -> None:
    """A cookie is no token: the REST API does not take it, so no form can reach it."""
    browser = Browser(world, OWNER_TOKEN)
    request = Request("DELETE", "/repos/acme/app/git/refs/heads/main", {"cookie": browser.cookie})
    assert rest.handle(world, request, NOW_S).status == 401


def test_the_delivery_log_shows_and_redelivers(world: World) -> None:
    hook = world.add_hook("acme", "", HOOK, b"s3cr3t-s3cr3t", now_s=NOW_S)
    (delivery,) = [world.outbox.take(hook.id)]
    assert delivery is not None
    delivery.outcome = Outcome(503, NOW_S)
    owner = Browser(world, OWNER_TOKEN)
    log = f"/organizations/acme/settings/hooks/{hook.id}"
    page = owner.get(log)[1]
    assert delivery.guid in page
    assert "503" in page
    one = owner.get(f"{log}/{delivery.id}")[1]
    assert "X-GitHub-Delivery" in one
    assert "s3cr3t" not in one
    assert "Redeliver" in one
    assert owner.send(f"{log}/{delivery.id}/redeliver").headers["location"] == log
    again = world.outbox.take(hook.id)
    assert again is not None
    assert (again.guid, again.redelivery) == (delivery.guid, True)
    for token, status in (("", 401), (STRANGER_TOKEN, 404)):
        assert Browser(world, token).get(log)[0] == status
        assert Browser(world, token).send(f"{log}/{delivery.id}/redeliver").status in (401, 404)


TEXT = st.text(st.sampled_from("<>&\"'/ =aé\x00\n`"), max_size=30)


class Tags(HTMLParser):
    """Collects the elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        self.attributes |= {name for name, _ in attrs}


@given(title=TEXT, body=TEXT, label=TEXT, description=TEXT)
def test_no_text_becomes_markup(title: str, body: str, label: str, description: str) -> None:
    world = sample.make()
    record = world.open_pull("acme", "app", "alice", f"T{title}", f"b{title}", [f"f{body}"], body, now_s=NOW_S)
    world.comment("acme", "app", record.number, "bob", f"c{body}", now_s=NOW_S)
    world.add_label("acme", "app", record.number, f"l{label}", by="olga", now_s=NOW_S)
    sha = world.pull("acme", "app", record.number).head.sha
    status = {"state": "error", "context": label, "description": description}
    sample.ask(world, "POST", f"/repos/acme/app/statuses/{sha}", status)
    browser = Browser(world, OWNER_TOKEN)
    for path in ("/acme/app/pull/1", "/acme/app/pulls", f"/acme/app/commit/{sha}"):
        answer = rest.handle(world, Request("GET", path, {"cookie": browser.cookie}), NOW_S)
        tags = Tags()
        tags.feed(answer.body.decode())
        assert tags.found <= KNOWN_TAGS
        assert tags.attributes <= {
            *("lang", "charset", "href", "rel", "id", "class", "style", "method", "action", "name", "type", "value"),
            "selected",
        }
        assert "script-src" not in answer.headers["content-security-policy"]
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_links_to_elsewhere_are_http_alone() -> None:
    world = sample.make()
    number = sample.open_pull(world)
    sha = world.pull("acme", "app", number).head.sha
    records = world.repo("acme", "app").statuses
    sample.ask(world, "POST", f"/repos/acme/app/statuses/{sha}", {"state": "success", "context": "a"})
    records[sha][0] = type(records[sha][0])(1, "success", "a", "prow-bot", NOW_S, "javascript:alert(1)", "d")
    assert "javascript:" not in Browser(world).get(f"/acme/app/pull/{number}")[1]
