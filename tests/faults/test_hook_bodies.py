"""Webhooks with bodies nobody foresaw: signed rightly, they are accepted, and whatever they hold hurts nobody."""

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prow_async.api.errors import UserMistake
from prow_async.core import webhook, webhook_decode
from prow_async.plugins import trigger
from prow_async.sandbox.github.world import World
from tests.actors import inbox as inboxes
from tests.actors.test_router import ORG, REPO, UNIT, commenting, deliver, hook, nothing, plugin, said, town_with
from tests.actors.worlds import Ids, passes, story

USER = {"login": "ann", "id": 1, "type": "User", "name": "ann"}
REPOSITORY = {"name": REPO, "full_name": f"{ORG}/{REPO}", "owner": {"login": ORG, "name": ORG}, "private": False}
BRANCH = {"ref": "main", "sha": "a" * 40, "user": USER, "repo": REPOSITORY}
PULL = {
    "id": 9,
    "number": 7,
    "state": "open",
    "title": "t",
    "body": "/test all",
    "draft": False,
    "user": USER,
    "base": BRANCH,
    "head": BRANCH,
    "labels": [{"name": "x"}],
    "assignees": [USER],
}
ISSUE = {"number": 7, "state": "open", "title": "t", "body": "b", "user": USER, "labels": [], "pull_request": {}}
COMMENT = {"id": 3, "body": "/test all", "user": USER, "created_at": "2026-01-01T00:00:00Z"}
COMMIT = {"id": "c", "message": "m", "added": ["a"], "removed": [], "modified": []}
EVENTS: dict[str, dict[str, Any]] = {
    "pull_request": {"action": "synchronize", "number": 7, "pull_request": PULL, "label": {"name": "x"}},
    "issue_comment": {"action": "created", "issue": ISSUE, "comment": COMMENT},
    "issues": {"action": "opened", "issue": ISSUE},
    "pull_request_review": {"action": "submitted", "pull_request": PULL, "review": COMMENT},
    "pull_request_review_comment": {"action": "created", "pull_request": PULL, "comment": COMMENT},
    "push": {"ref": "refs/heads/main", "before": "b", "after": "a", "commits": [COMMIT], "compare": "c"},
    "status": {"sha": "s", "state": "success", "context": "c", "id": 5},
    "never_heard_of": {"action": "created"},
}
ODD: tuple[Any, ...] = (None, "", "x", 0, -1, 2**70, 1.5, True, [], {}, [None], {"a": None}, "\ud800", "\0", [[[]]])


def bodies(event: str) -> Iterator[Any]:
    """Yield an event's body with each field missing, and with each field holding each odd thing."""
    whole = EVENTS[event] | {"repository": REPOSITORY, "sender": USER}
    for path in _paths(whole):
        for odd in ("missing", *ODD):
            body = copy.deepcopy(whole)
            holder: Any = body
            for step in path[:-1]:
                holder = holder[step]
            if isinstance(odd, str) and odd == "missing":
                del holder[path[-1]]
            else:
                holder[path[-1]] = odd
            yield body
    yield from ODD
    for action in ("", "edited", "deleted", "dismissed", "closed", "exploded", "opened"):
        yield whole | {"action": action}


def _paths(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*before, key)
        yield from _paths(item, (*before, key))


def refused(event: str, body: bytes) -> str | None:
    """Decode; return what is said of a body that does not read."""
    try:
        webhook_decode.decode(event, body, "guid")
    except UserMistake as mistake:
        return mistake.text_for_user
    return None


@pytest.mark.parametrize("event", EVENTS)
def test_every_field_missing_null_or_of_a_wrong_kind(event: str) -> None:
    """A body is read, or refused with one line; whom it belongs to and what it must keep order with never raises."""
    tokens = webhook.parse_tokens(b"secret")
    read = unread = 0
    for content in bodies(event):
        body = json.dumps(content).encode()
        head = webhook.Head(event, "guid", webhook.sign(body, b"secret"))
        checked = webhook.check_body(head, body, tokens)
        assert isinstance(checked, webhook.Verified | webhook.Answer)
        lane = webhook_decode.lane(event, body)
        assert isinstance(lane, str)
        refusal = refused(event, body)
        if refusal is None:
            read += 1
            found = webhook_decode.lane_of(event, webhook_decode.decode(event, body, "guid"), body)
            assert found == lane or not found or lane.endswith(("#0", "#-1")) or not lane
        else:
            assert "delivery guid" in refusal
            unread += 1
    assert read > 20
    assert unread > 20


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{",
        b'"\xff"',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"repository":' * 20_000,
        b'{"action":"created"}{"action":"created"}',
        b'{"action":NaN}',
        b'{"repository":{"full_name":"a/b"},"repository":{"full_name":"c/d"}}',
        json.dumps({"action": "created", "x": "y" * (24 << 20)}).encode(),
    ],
    ids=lambda body: f"{body[:20]!r}-{len(body)}",
)
@pytest.mark.parametrize("event", ["pull_request", "issue_comment", "push", "never_heard_of"])
def test_what_is_hardly_json(event: str, body: bytes) -> None:
    tokens = webhook.parse_tokens(b"secret")
    checked = webhook.check_body(webhook.Head(event, "g", webhook.sign(body, b"secret")), body, tokens)
    assert isinstance(checked, webhook.Verified | webhook.Answer)
    webhook_decode.lane(event, body)
    assert len(refused(event, body) or "") < 2000


@pytest.mark.parametrize("seed", range(20))
def test_bytes_changed_at_random(seed: int) -> None:
    """Real bodies of the small GitHub, with bytes overwritten, cut out and put twice."""
    rng, world = random.Random(seed), World(Ids())
    world.add_org(ORG, members=["ann"])
    world.add_repo(ORG, REPO)
    world.add_hook(ORG, "", "http://hook", b"")
    world.open_pull(ORG, REPO, "ann", "t", "topic", ["a.py"], now_s=0.0)
    for delivery in world.outbox.waiting():
        for _ in range(200):
            body = bytearray(delivery.body)
            for _ in range(rng.randint(1, 4)):
                at, end = sorted(rng.randrange(len(body)) for _ in range(2))
                change = rng.choice(("set", "cut", "twice"))
                if change == "set":
                    body[at] = rng.randrange(256)
                elif change == "cut":
                    del body[at : at + min(end - at, 50)]
                else:
                    body[at:at] = body[at:end][:200]
            webhook_decode.lane(delivery.event, bytes(body))
            refused(delivery.event, bytes(body))


@story
async def test_the_next_delivery_is_handled_whatever_came_before(tmp_path: Path) -> None:
    """1. Every sixth of the odd bodies comes as a delivery. 2. All are finished. 3. A good one is handled."""
    town = town_with(UNIT, plugins=("trigger", "p"))
    number, _ = town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        count = 0
        for event in EVENTS:
            for content in list(bodies(event))[::6]:
                count += 1
                body = json.dumps(content).encode()
                await inbox.accept(f"odd-{count}", event, {"X-GitHub-Event": event}, body)
        async with hook(town, inbox, trigger.PLUGIN, plugin("p", nothing, commenting)) as engine:
            await passes(3600)
            assert count > 400
            before = said(town, number)
            await deliver(town, inbox)
            await passes(60)
            assert said(town, number) > before
            assert inbox.statistics().waiting == 0, "nothing waits for another try"
            assert engine.idle
