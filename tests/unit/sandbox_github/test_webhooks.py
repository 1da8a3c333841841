"""Webhooks of the small GitHub: who is told what, in which shape, and signed how."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from prow_async.api import github
from prow_async.sandbox.github.outbox import Delivery
from prow_async.sandbox.github.refusal import Refusal
from prow_async.sandbox.github.world import World
from tests.unit.sandbox_github import sample
from tests.unit.sandbox_github.sample import NOW_S

SECRET = b"a secret"
AT: Any = {"now_s": NOW_S}
BY: Any = {"by": "alice", "now_s": NOW_S}


def hooked(events: tuple[str, ...] = ("*",)) -> World:
    world = sample.make()
    world.add_hook("acme", "app", "http://hook.invalid/", SECRET, events, now_s=NOW_S)
    take_all(world)
    return world


def take_all(world: World) -> list[Delivery]:
    taken = []
    for hook_id in world.outbox.hooks_waiting():
        while (delivery := world.outbox.take(hook_id)) is not None:
            taken.append(delivery)
    return taken


def said(world: World, number: int) -> int:
    comment = world.comment("acme", "app", number, "carol", "hello", **AT)
    take_all(world)
    return comment.id


Change = Callable[[World, int], object]
APP = ("acme", "app")


def close_twice_and_reopen(world: World, number: int) -> None:
    world.close(*APP, number, **BY)
    world.close(*APP, number, **BY)
    world.reopen(*APP, number, **BY)


def label_twice(world: World, number: int) -> None:
    world.add_label(*APP, number, "x", **BY)
    world.add_label(*APP, number, "X", **BY)


def label_and_unlabel(world: World, number: int) -> None:
    world.add_label(*APP, number, "x", **BY)
    world.remove_label(*APP, number, "x", **BY)


CHANGES: list[tuple[str, Change, list[str]]] = [
    ("open", lambda w, n: w.open_pull(*APP, "bob", "Two", "two", ["a"], **AT), ["pull_request.opened"]),
    ("push to pull", lambda w, n: w.push_to_pull(*APP, n, ["new.go"], **AT), ["pull_request.synchronize"]),
    ("close", lambda w, n: w.close(*APP, n, **BY), ["pull_request.closed"]),
    ("reopen", close_twice_and_reopen, ["pull_request.closed", "pull_request.reopened"]),
    ("edit", lambda w, n: w.edit(*APP, n, {"title": "Other"}, **BY), ["pull_request.edited"]),
    ("edit nothing", lambda w, n: w.edit(*APP, n, {"title": "Add a thing"}, **BY), []),
    ("draft", lambda w, n: w.set_draft(*APP, n, True, **BY), ["pull_request.converted_to_draft"]),
    ("not a draft", lambda w, n: w.set_draft(*APP, n, False, **BY), []),
    ("label", lambda w, n: w.add_label(*APP, n, "lgtm", **BY), ["pull_request.labeled"]),
    ("label twice", label_twice, ["pull_request.labeled"]),
    ("unlabel", label_and_unlabel, ["pull_request.labeled", "pull_request.unlabeled"]),
    ("comment", lambda w, n: w.comment(*APP, n, "bob", "/test all", **AT), ["issue_comment.created"]),
    ("edit comment", lambda w, n: w.edit_comment(*APP, said(w, n), "x", by="carol", **AT), ["issue_comment.edited"]),
    ("delete comment", lambda w, n: w.delete_comment(*APP, said(w, n), by="carol", **AT), ["issue_comment.deleted"]),
    ("push", lambda w, n: w.push_branch(*APP, "main", ["a"], **BY), ["push"]),
    ("merge", lambda w, n: w.merge(*APP, n, by="olga", **AT), ["push", "pull_request.closed"]),
    ("issue", lambda w, n: w.open_issue(*APP, "bob", "It breaks", **AT), ["issues.opened"]),
    (
        "status",
        lambda w, n: w.post_status(*APP, w.pull(*APP, n).head.sha, github.Status("success"), by="prow-bot", **AT),
        ["status"],
    ),
]


@pytest.mark.parametrize(("change", "events"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
def test_each_change_tells_exactly_its_events(change: Change, events: list[str]) -> None:
    """A change queues the events GitHub sends for it, once each and in order."""
    world = hooked()
    number = sample.open_pull(world)
    take_all(world)
    change(world, number)
    assert [".".join(filter(None, (d.event, d.action))) for d in take_all(world)] == events


def test_a_delivery_is_signed_and_labelled() -> None:
    """Both signatures fit the body, the GUID is a UUID, and the headers name hook and event."""
    world = hooked()
    sample.open_pull(world)
    [delivery] = take_all(world)
    headers = delivery.headers()
    for name, algorithm in (("X-Hub-Signature", hashlib.sha1), ("X-Hub-Signature-256", hashlib.sha256)):
        digest = hmac.new(SECRET, delivery.body, algorithm).hexdigest()
        assert headers[name] == f"{algorithm().name}={digest}"
    assert headers["X-GitHub-Event"] == "pull_request"
    assert headers["X-GitHub-Delivery"] == delivery.guid
    assert headers["X-GitHub-Hook-ID"] == str(delivery.hook.id)
    assert headers["X-GitHub-Hook-Installation-Target-Type"] == "repository"
    assert headers["Content-Type"] == "application/json"


def test_a_hook_without_a_secret_is_not_signed() -> None:
    """No secret, no signature headers."""
    world = sample.make()
    world.add_hook("acme", "", "http://hook.invalid/", b"", now_s=NOW_S)
    [ping] = take_all(world)
    assert ping.event == "ping"
    assert not [name for name in ping.headers() if "Signature" in name]
    assert ping.headers()["X-GitHub-Hook-Installation-Target-Type"] == "organization"


def test_hooks_hear_only_what_they_asked_for() -> None:
    """A repository's and its organization's hook both hear; each hears its own events only."""
    world = hooked(events=("issue_comment",))
    world.add_hook("acme", "", "http://org.invalid/", SECRET, ["pull_request"], now_s=NOW_S)
    take_all(world)
    number = sample.open_pull(world)
    world.comment("acme", "app", number, "bob", "hi", now_s=NOW_S)
    assert sorted((d.hook.url, d.event) for d in take_all(world)) == [
        ("http://hook.invalid/", "issue_comment"),
        ("http://org.invalid/", "pull_request"),
    ]


def test_pull_request_events_decode() -> None:
    """A pull request's events carry what the engine reads, in GitHub's places."""
    world = hooked()
    number = sample.open_pull(world, body="please")
    head = world.push_to_pull("acme", "app", number, ["late.go"], now_s=NOW_S)
    opened, synchronized = (msgspec.json.decode(d.body, type=github.PullRequestEvent) for d in take_all(world))
    assert (opened.action, opened.number, opened.sender.login) == ("opened", number, "alice")
    assert opened.repository.full_name == "acme/app"
    assert opened.repository.owner.login == "acme"
    pull = opened.pull_request
    assert (pull.title, pull.body, pull.state, pull.user.login) == ("Add a thing", "please", "open", "alice")
    assert (pull.base.ref, pull.head.ref, pull.mergeable) == ("main", "thing", None)
    assert pull.base.repo is not None
    assert pull.head.repo is not None
    assert (pull.base.repo.full_name, pull.head.repo.full_name) == ("acme/app", "alice/app")
    assert synchronized.pull_request.head.sha == head != pull.head.sha


def test_a_base_change_says_from_where() -> None:
    """`edited` after a move to another base branch carries the old branch and commit."""
    world = hooked()
    number = sample.open_pull(world)
    world.push_branch("acme", "app", "release", by="olga", now_s=NOW_S)
    old = world.pull("acme", "app", number).base
    take_all(world)
    world.edit("acme", "app", number, {"base": "release"}, by="alice", now_s=NOW_S)
    [delivery] = take_all(world)
    event = msgspec.json.decode(delivery.body, type=github.PullRequestEvent)
    assert event.changes is not None
    assert event.changes.base is not None
    assert event.changes.base.ref == github.From("main")
    assert event.changes.base.sha == github.From(old.sha)
    assert event.pull_request.base.ref == "release"


def test_comment_events_decode() -> None:
    """A comment's event tells the comment, its author, and that the issue is a pull request."""
    world = hooked()
    number = sample.open_pull(world)
    take_all(world)
    world.comment("acme", "app", number, "bob", "/retest", now_s=NOW_S)
    [delivery] = take_all(world)
    event = msgspec.json.decode(delivery.body, type=github.IssueCommentEvent)
    assert (event.action, event.comment.body, event.comment.user.login) == ("created", "/retest", "bob")
    assert event.issue.number == number
    assert event.issue.pull_request is not None
    assert event.comment.html_url.startswith(f"http://github.invalid/acme/app/pull/{number}#issuecomment-")


def test_push_events_decode() -> None:
    """A push names ref, commits before and after, and the files it touched."""
    world = hooked()
    before = world.repo("acme", "app").refs["heads/main"]
    files: list[str | github.ChangedFile] = [
        github.ChangedFile("new.go", "added"),
        github.ChangedFile("old.go", "removed"),
        "changed.go",
    ]
    after = world.push_branch("acme", "app", "main", files, by="olga", now_s=NOW_S)
    world.push_branch("acme", "app", "topic", by="olga", now_s=NOW_S)
    world.set_ref("acme", "app", "heads/topic", "", by="olga", now_s=NOW_S)
    pushed, made, gone = (msgspec.json.decode(d.body, type=github.PushEvent) for d in take_all(world))
    assert (pushed.branch, pushed.before, pushed.after) == ("main", before, after)
    assert [(c.id, c.added, c.removed, c.modified) for c in pushed.commits] == [
        (after, ("new.go",), ("old.go",), ("changed.go",))
    ]
    assert pushed.repository.owner.name == "acme"
    assert (made.created, made.deleted, gone.created, gone.deleted) == (True, False, False, True)


def test_a_branch_pull_follows_its_branch() -> None:
    """A pull request from a branch of the repository moves with pushes and closes with the branch."""
    world = hooked()
    world.push_branch("acme", "app", "topic", ["a"], by="carol", now_s=NOW_S)
    _, made = sample.ask(world, "POST", "/repos/acme/app/pulls", {"title": "T", "head": "topic", "base": "main"})
    sha = world.push_branch("acme", "app", "topic", ["b"], by="carol", now_s=NOW_S)
    take_all(world)
    pull = world.pull("acme", "app", made["number"])
    assert pull.head.sha == sha
    assert pull.head.repo is not None
    assert pull.head.repo.full_name == "acme/app"
    _, files = sample.ask(world, "GET", f"/repos/acme/app/pulls/{made['number']}/files")
    assert [f["filename"] for f in files] == ["a", "b"]
    world.set_ref("acme", "app", "heads/topic", "", by="carol", now_s=NOW_S)
    assert [f"{d.event}.{d.action}" for d in take_all(world)] == ["push.", "pull_request.closed"]


def test_redelivery_repeats_guid_and_body() -> None:
    """Sending again on request keeps GUID and body; nothing is sent again otherwise."""
    world = hooked()
    sample.open_pull(world)
    [first] = take_all(world)
    assert take_all(world) == []
    world.redeliver(first.guid, NOW_S)
    [second] = take_all(world)
    assert (second.guid, second.body, second.redelivery) == (first.guid, first.body, True)
    assert second.id != first.id
    with pytest.raises(Refusal):
        world.redeliver("no such guid", NOW_S)


def test_the_delivery_log_is_bounded() -> None:
    """The log forgets the oldest beyond its limit."""
    world = World(sample.NumberedIds(), log_limit=3)
    world.add_repo("acme", "app")
    world.add_hook("acme", "app", "http://hook.invalid/", SECRET)
    for branch in "abcde":
        world.push_branch("acme", "app", branch, by="olga", now_s=NOW_S)
    take_all(world)
    assert len(world.outbox.log()) == 3
