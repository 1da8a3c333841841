"""A small world to ask: org `acme` with repository `app`, some people, and the bot `prow-bot`."""

from typing import Any

import msgspec

from prow_async.sandbox.github import rest
from prow_async.sandbox.github.call import Answer, Request
from prow_async.sandbox.github.world import World

BOT_TOKEN = "bot-token"
OWNER_TOKEN = "owner-token"
STRANGER_TOKEN = "stranger-token"
NOW_S = 1_700_000_000.0


class NumberedIds:
    """Ids in a row, so that every run is the same."""

    def __init__(self) -> None:
        self._count = 0

    def uuid4(self) -> str:
        self._count += 1
        return f"00000000-0000-4000-8000-{self._count:012d}"

    def build_id(self) -> str:
        self._count += 1
        return str(self._count)


class FixedClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now_s: float = NOW_S) -> None:
        self.now_s = now_s

    def now(self) -> float:
        return self.now_s


def make() -> World:
    world = make_people()
    world.add_repo("acme", "app", now_s=NOW_S)
    world.add_collaborator("acme", "app", "carol")
    return world


def make_people() -> World:
    """Make the sample without its repository."""
    world = World(NumberedIds())
    world.add_user("mallory", token=STRANGER_TOKEN)
    world.add_bot("prow-bot", BOT_TOKEN)
    world.add_org("acme", members=["alice", "bob"], owners=["olga"])
    world.add_user("olga", token=OWNER_TOKEN)
    return world


def open_pull(world: World, **more: Any) -> int:
    """Open the sample pull request; return its number."""
    files = more.pop("files", ["main.go", "README.md"])
    return world.open_pull("acme", "app", "alice", "Add a thing", "thing", files, now_s=NOW_S, **more).number


def ask(
    world: World, method: str, path: str, content: Any = None, token: str = BOT_TOKEN, **headers: str
) -> tuple[Answer, Any]:
    """Send one REST request; return the answer and its decoded body."""
    body = content if isinstance(content, bytes) else b"" if content is None else msgspec.json.encode(content)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        sent["authorization"] = f"Bearer {token}"
    answer = rest.handle(world, Request(method, path, sent, body), NOW_S)
    is_json = answer.headers.get("content-type", "").startswith("application/json")
    return answer, msgspec.json.decode(answer.body) if is_json and answer.body else None
