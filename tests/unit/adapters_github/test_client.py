"""The client on a scripted transport and virtual time: retries, limits, sharing, ETags, and what it tells."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from prow_async.actors import doubts
from prow_async.adapters import logs
from prow_async.adapters.github.client import Client, on
from prow_async.adapters.github.credentials import FixedToken, TokenFile
from prow_async.adapters.github.etags import EtagCache
from prow_async.adapters.github.reads import Flights, Memory
from prow_async.adapters.github.requests import Requests
from prow_async.adapters.github.wire import Ask, Options, Pass, Raw, Wire
from prow_async.api.errors import Missing, ProwError, Refused, Retry
from prow_async.api.github import HookWanted, Status
from prow_async.ports import cause
from tests import virtual
from tests.unit.adapters_github.script import TOKEN, LoopClock, Play, Script, ScriptedReply, Seen, client
from tests.unit.sandbox_github.sample import NOW_S, FixedClock

PULL = {"number": 7, "title": "T", "state": "open", "user": {"login": "alice"}}
LIMITED = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW_S) + 30), "x-ratelimit-resource": "core"}


def outcome_of(call: Callable[[], Awaitable[Any]]) -> tuple[Any, float]:
    """Run on virtual time; return the result or the error, and how long it took."""

    async def body() -> tuple[Any, float]:
        began = anyio.current_time()
        try:
            result = await call()
        except ProwError as error:
            result = error
        return result, anyio.current_time() - began

    found: tuple[Any, float] = virtual.run(body)
    return found


def read(script: Script, **options: Any) -> tuple[Any, float]:
    github = client(script, **options)
    return outcome_of(lambda: github.pull("o", "r", 7))


def test_headers_of_a_request() -> None:
    """Token, version, kind of answer and component are named."""
    script = Script(Play(content=PULL))
    read(script, component="hook.trigger", version="1.2")
    [sent] = script.sent
    assert sent.headers == {
        "authorization": f"Bearer {TOKEN}",
        "user-agent": "hook.trigger/1.2",
        "accept": "application/vnd.github.v3+json",
        "x-github-api-version": "2022-11-28",
    }
    assert (sent.method, sent.path) == ("GET", "/repos/o/r/pulls/7")


READS: list[tuple[str, list[Play], dict[str, Any], str, int, float]] = [
    ("fine", [Play(content=PULL)], {}, "PullRequest", 1, 0),
    ("one 502", [Play(502), Play(content=PULL)], {}, "PullRequest", 2, 2),
    ("two breaks", [Play(broken=True), Play(broken=True), Play(content=PULL)], {}, "PullRequest", 3, 6),
    ("for ever 500", [Play(500)], {}, "Retry", 3, 6),
    ("secondary limit", [Play(403, headers={"retry-after": "9"}), Play(content=PULL)], {}, "PullRequest", 2, 10),
    ("limit beyond patience", [Play(429, headers={"retry-after": "900"})], {}, "Retry", 1, 0),
    ("missing", [Play(404)], {}, "Missing", 1, 0),
    ("missing at first", [Play(404), Play(content=PULL)], {"missing_retries": 2}, "PullRequest", 2, 2),
    ("refused", [Play(401)], {}, "Refused", 1, 0),
    ("slow", [Play(after_s=500)], {"timeout_s": 10.0}, "Retry", 3, 36),
    ("not a pull", [Play(content=[])], {}, "Retry", 1, 0),
    ("wrong type", [Play(content={"number": "x"})], {}, "Retry", 1, 0),
    ("cut JSON", [Play(raw=b'{"number": ')], {}, "Retry", 1, 0),
    ("odd charset", [Play(headers={"content-type": "application/json; charset=x"})], {}, "Retry", 1, 0),
    ("HTML", [Play(raw=b"<html>", headers={"content-type": "text/html"})], {}, "Retry", 3, 6),
    (
        "HTML once",
        [Play(raw=b"<html>", headers={"content-type": "text/html"}), Play(content=PULL)],
        {},
        "PullRequest",
        2,
        2,
    ),
    ("a limit beyond patience for limits", [Play(429, headers={"retry-after": "30"})], {}, "Retry", 1, 0),
    (
        "trouble that names its end",
        [Play(503, headers={"retry-after": "30"}), Play(content=PULL)],
        {},
        "PullRequest",
        2,
        31,
    ),
    ("not UTF-8", [Play(raw=b'{"title": "\xff"}')], {}, "Retry", 1, 0),
    (
        "renamed",
        [Play(301, headers={"location": "https://x.invalid/moved"}), Play(content=PULL)],
        {},
        "PullRequest",
        2,
        0,
    ),
    ("in circles", [Play(307, headers={"location": "/repos/o/r/pulls/7"})], {}, "Refused", 3, 0),
]


@pytest.mark.parametrize(
    ("plays", "options", "kind", "sent", "took_s"), [r[1:] for r in READS], ids=[r[0] for r in READS]
)
def test_reads(plays: list[Play], options: dict[str, Any], kind: str, sent: int, took_s: float) -> None:
    """A read repeats itself within its budget and ends in a value or a named error."""
    script = Script(*plays)
    result, took = read(script, **options)
    assert (type(result).__name__, len(script.sent)) == (kind, sent)
    assert took == pytest.approx(took_s)


WRITES: list[Callable[[Client], Awaitable[None]]] = [
    lambda c: c.post_status("o", "r", "abc", Status("success", context="unit")),
    lambda c: c.create_comment("o", "r", 7, "hi"),
    lambda c: c.edit_comment("o", "r", 1, "hi"),
    lambda c: c.delete_comment("o", "r", 1),
    lambda c: c.add_label("o", "r", 7, "lgtm"),
    lambda c: c.remove_label("o", "r", 7, "lgtm"),
]


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("play", [Play(502), Play(broken=True), Play(403, headers={"retry-after": "3"})])
def test_writes_are_sent_once(write: Callable[[Client], Awaitable[None]], play: Play) -> None:
    """A write in trouble comes back at once: it may have been done, and only its owner can find out."""
    script = Script(play)
    github = client(script)
    result, took = outcome_of(lambda: write(github))
    assert isinstance(result, Retry)
    assert (len(script.sent), took) == (1, 0)


@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_takes_long_is_given_up_before_a_successor_looks_again(
    write: Callable[[Client], Awaitable[None]],
) -> None:
    """Reads may take longer: nothing comes of an answer that is late."""
    result, took = outcome_of(lambda: write(client(Script(Play(204, after_s=doubts.LATE_S - 5)))))
    assert isinstance(result, Retry)
    assert took < doubts.LATE_S - 10
    assert read(Script(Play(content=PULL, after_s=doubts.LATE_S + 5)))[1] == pytest.approx(doubts.LATE_S + 5)


def test_the_body_of_a_status() -> None:
    """Absent fields are not sent at all."""
    script = Script(Play(201))
    github = client(script)
    outcome_of(lambda: github.post_status("o", "r", "abc", Status("success", None, "fine", "unit")))
    assert msgspec.json.decode(script.sent[0].body) == {"state": "success", "description": "fine", "context": "unit"}


@pytest.mark.parametrize(
    ("play", "kind"),
    [
        (Play(404, {"message": "Label does not exist"}), "NoneType"),
        (Play(404, {"message": "Not Found"}), "Missing"),
        (Play(200, []), "NoneType"),
        (Play(403, {"message": "no"}), "Refused"),
    ],
)
def test_removing_a_label(play: Play, kind: str) -> None:
    """A label that is not on counts as removed; an issue that is not there does not."""
    github = client(Script(play))
    result, _ = outcome_of(lambda: github.remove_label("o", "r", 7, "x"))
    assert type(result).__name__ == kind


@pytest.mark.parametrize(
    ("status", "expected"), [(204, True), (404, False), (302, False), (301, Refused), (403, Refused), (500, Retry)]
)
def test_membership(status: int, expected: Any) -> None:
    """204 is yes; 404 and a redirect to the public list are no; the rest is an error."""
    github = client(Script(Play(status)))
    result, _ = outcome_of(lambda: github.is_member("org", "login"))
    assert result is expected or type(result) is expected


def test_one_is_member_of_oneself() -> None:
    """A user's own repositories have that user as org: no request is needed."""
    script = Script(Play(404))
    github = client(script)
    assert outcome_of(lambda: github.is_member("Alice", "alice"))[0] is True
    assert script.sent == []


def test_a_used_up_budget_is_respected() -> None:
    """After the limit nothing more is sent with that token until its reset."""
    script = Script(Play(403, headers=LIMITED), Play(content=PULL))
    clock = FixedClock()
    github = client(script, clock, read_retries=0)
    first, _ = outcome_of(lambda: github.pull("o", "r", 7))
    again, _ = outcome_of(lambda: github.create_comment("o", "r", 7, "x"))
    assert [first.after_s, again.after_s] == [31.0, 31.0]
    assert len(script.sent) == 1
    clock.now_s += 31.0
    assert outcome_of(lambda: github.pull("o", "r", 7))[0].number == 7


@pytest.mark.parametrize("reset", ["", "soon", str(int(NOW_S) * 1000)])
def test_a_used_up_budget_that_does_not_say_when_it_ends(reset: str) -> None:
    """Nothing is sent for a minute, then the token is good again."""
    odd = {"x-ratelimit-remaining": "0", "x-ratelimit-limit": "many"} | ({"x-ratelimit-reset": reset} if reset else {})
    script = Script(Play(403, {"message": "no"}, odd), Play(content=PULL, headers=odd))
    github = client(script, read_retries=0)

    async def body() -> list[Any]:
        found: list[Any] = []
        for wait_s in (0, 30, 31, 0):
            await anyio.sleep(wait_s)
            try:
                found.append((await github.pull("o", "r", 7)).title)
            except Retry as error:
                found.append(error.after_s)
        return found

    assert virtual.run(body) == [60.0, 30.0, "T", "T"]


def test_the_token_is_in_no_error() -> None:
    """Should GitHub repeat the token, it is starred out."""
    for play in (
        Play(422, {"message": f"bad {TOKEN}"}),
        Play(502, {"message": TOKEN}),
        Play(content={"number": TOKEN}),
    ):
        result, _ = read(Script(play), read_retries=0)
        assert isinstance(result, ProwError)
        assert TOKEN not in str(result)


@pytest.mark.parametrize("play", [Play(content=PULL, after_s=1), Play(404, after_s=1)], ids=["answer", "error"])
def test_identical_reads_are_sent_once(play: Play) -> None:
    """Ten at once for the same thing cost one request; errors are shared as well, each as an error of its own."""
    script = Script(play)
    github = client(script)
    results: list[Any] = []

    async def ask() -> None:
        try:
            results.append((await github.pull("o", "r", 7)).number)
        except Missing as missing:
            results.append(missing)

    async def body() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(ask)

    virtual.run(body)
    assert len(script.sent) == 1
    assert results == [7] * 10 or len({id(error) for error in results}) == 10


def test_a_cancelled_reader_takes_nobody_along() -> None:
    """When the one whose request is shared goes away, another one asks in its place."""
    script = Script(Play(content=PULL, after_s=5))
    github = client(script)
    got: list[int] = []

    async def leave() -> None:
        with anyio.move_on_after(1):
            await github.pull("o", "r", 7)

    async def stay() -> None:
        got.append((await github.pull("o", "r", 7)).number)

    async def body() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(leave)
            await anyio.sleep(0.5)
            for _ in range(3):
                tasks.start_soon(stay)

    virtual.run(body)
    assert (got, len(script.sent)) == ([7, 7, 7], 2)


def test_who_is_in_a_hurry_does_not_wait_for_who_is_not() -> None:
    """The same read, asked for by both: the urgent one goes next, and whoever comes then shares it."""
    script = Script(Play(content=PULL, after_s=5))
    github = client(script, concurrency=1)

    async def ask(number: int, urgency: cause.Urgency) -> None:
        with cause.because(cause.Cause(urgency=urgency)):
            await github.pull("o", "r", number)

    async def body() -> None:
        async with anyio.create_task_group() as tasks:
            for number, urgency in ((1, "comment"), (2, "sync"), (7, "sync"), (7, "status"), (7, "comment")):
                tasks.start_soon(ask, number, urgency)
                await anyio.sleep(0.1)

    virtual.run(body)
    assert [sent.path[-1] for sent in script.sent] == ["1", "7", "2", "7"]


def test_a_read_after_a_write_is_not_shared_with_one_before_it() -> None:
    """Who has written sees at least what it wrote."""
    script = Script(Play(content=PULL, after_s=5), Play(201), Play(content=PULL))
    github = client(script)

    async def body() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(github.pull, "o", "r", 7)
            await anyio.sleep(1)
            await github.create_comment("o", "r", 7, "x")
            await github.pull("o", "r", 7)

    virtual.run(body)
    assert [sent.method for sent in script.sent] == ["GET", "POST", "GET"]


def test_unchanged_answers_come_from_memory() -> None:
    """The second read carries the ETag, and 304 gives the first answer again; one that does not read is forgotten."""
    script = Script(
        Play(content=PULL, headers={"etag": 'W/"1"'}), Play(304), Play(content=[], headers={"etag": "2"}), Play()
    )
    github = client(script)

    async def body() -> list[Any]:
        found: list[Any] = [await github.pull("o", "r", 7), await github.pull("o", "r", 7)]
        with pytest.raises(Retry):
            await github.pull("o", "r", 7)
        await github.pull("o", "r", 7)
        return found

    first, second = virtual.run(body)
    assert first == second
    assert [sent.headers.get("if-none-match") for sent in script.sent] == [None, 'W/"1"', 'W/"1"', None]


def test_pages_of_open_pulls_without_end() -> None:
    """A link that leads back is given up, not followed for ever."""
    link = '<https://x.invalid/repos/o/r/pulls?state=open&page={}>; rel="next"'
    script = Script(*[Play(content=[PULL], headers={"link": link.format(page % 2)}) for page in range(50)])
    result, _ = outcome_of(lambda: client(script, read_retries=0).open_pulls("o", "r"))
    assert isinstance(result, Retry)
    assert "circles" in result.why
    assert len(script.sent) < 5


def test_nulls_count_as_absent() -> None:
    """GitHub sends null for the account of a deleted user, a deleted fork, an empty body."""
    github = client(Script(Play(content=PULL | {"user": None, "head": {"ref": "x", "repo": None, "user": None}})))
    pull, _ = outcome_of(lambda: github.pull("o", "r", 7))
    assert (pull.user.login, pull.head.ref, pull.head.repo) == ("", "x", None)


def test_the_bot_is_asked_for_once() -> None:
    """The account is remembered."""
    script = Script(Play(content={"login": "prow-bot"}))
    github = client(script)

    async def body() -> list[str]:
        return [(await github.bot_user()).login for _ in range(3)]

    assert virtual.run(body) == ["prow-bot"] * 3
    assert len(script.sent) == 1


def test_metrics() -> None:
    """Each exchange is timed under its shape, and the token's budget is shown in upstream's units."""
    seen = Seen()
    headers = {
        "x-ratelimit-remaining": "4999",
        "x-ratelimit-reset": str(int(NOW_S) + 60),
        "x-ratelimit-resource": "core",
    }
    github = client(Script(Play(content=PULL, headers=headers, after_s=0.5)), seen=seen, component="crier")
    outcome_of(lambda: github.pull("o", "r", 7))
    [(took, labels)] = seen.of("github_request_duration")
    assert took == pytest.approx(0.5)
    token_hash = labels.pop("token_hash")
    assert token_hash == hashlib.sha256(f"Bearer {TOKEN}".encode()).hexdigest(), "as a ghproxy names it"
    assert labels == {"path": "/repos/:owner/:repo/pulls/:pullId", "status": "200", "user_agent": "crier"}
    budget = {"token_hash": token_hash, "api_version": "v3", "ratelimit_resource": "core"}
    assert seen.of("github_token_usage") == [(4999.0, budget)]
    assert seen.of("github_token_reset") == [(pytest.approx(59.5e9), budget)]
    assert seen.of("ghcache_responses") == [
        (1, {"mode": "NO-STORE", "path": labels["path"], "user_agent": "crier", "token_hash": token_hash})
    ]


def test_what_one_may_see_is_not_shown_to_another() -> None:
    """The same path, asked with the passes of two installations: neither is offered the other's answer."""
    seen, offered = Seen(), list[str | None]()

    async def send(ask: Ask, travel: Pass, more: dict[str, str]) -> Raw:
        offered.append(more.get("if-none-match"))
        etag = f'"{travel.view}"'
        return (304, {}, b"") if more.get("if-none-match") == etag else (200, {"etag": etag}, travel.view.encode())

    async def body() -> list[bytes]:
        memory = Memory(EtagCache(1 << 20, LoopClock()), FixedToken(), seen, "test")
        ask = Ask("GET", "/repositories/1")
        passes = [Pass("t1", "prow - a", "1"), Pass("t2", "prow - b", "2"), Pass("t3", "prow - a", "1")]
        return [(await memory.send(ask, travel, send))[2] for travel in passes]

    assert virtual.run(body) == [b"1", b"2", b"1"]
    assert offered == [None, None, '"1"']
    assert [labels["mode"] for _, labels in seen.of("ghcache_responses")] == ["MISS", "MISS", "REVALIDATED"]
    [(_, labels)] = seen.of("ghcache_cache_entry_age_seconds")
    assert labels == {"token_hash": "prow - a", "path": "/repositories/:repoId", "user_agent": "test"}
    assert [labels["token_hash"] for _, labels in seen.of("ghcache_cache_partitions")] == ["prow - a", "prow - b"]
    (_, labels) = seen.of("ghcache_cache_entry_age_seconds")[0]
    assert labels == {"path": "/repositories/:repoId", "user_agent": "test", "token_hash": "prow - a"}


def test_no_secret_is_written_for_all_to_read() -> None:
    """Our secrets do not stand in a comment, whoever wrote them there; that of a webhook reaches GitHub."""
    censor = logs.Censor()
    censor.add([b"hunter2hunter2"])
    script = Script(Play(content={}))
    wire = Wire(script, Seen(), LoopClock(), Options())
    github = Client(Requests(wire, FixedToken(TOKEN), Seen(), censor=censor), Seen())
    outcome_of(lambda: github.create_comment("o", "r", 7, "it is hunter2hunter2!"))
    outcome_of(lambda: github.create_hook("o", "r", HookWanted("https://hook", "hunter2hunter2")))
    comment, hook = (msgspec.json.decode(sent.body) for sent in script.sent)
    assert comment == {"body": "it is CENSORED!"}
    assert hook["config"]["secret"] == "hunter2hunter2"


def test_reads_in_flight_are_shared_within_one_view_alone() -> None:
    flights, reads = Flights(), list[str]()

    async def one(view: str) -> None:
        async def read() -> Raw:
            reads.append(view)
            await anyio.sleep(1)
            return 200, {}, view.encode()

        (_, _, body), _ = await flights.share(Ask("GET", "/x"), view, read)
        assert body == view.encode()

    async def body() -> None:
        async with anyio.create_task_group() as group:
            for view in ("a", "b", "a", "b"):
                group.start_soon(one, view)

    virtual.run(body)
    assert sorted(reads) == ["a", "b"]


class Ending(FixedToken):
    """A token that is gone, and cannot be had again, once it has been used."""

    def __init__(self) -> None:
        super().__init__(TOKEN)
        self.gone = False

    async def travel(self, ask: Ask) -> Pass:
        if self.gone:
            raise Retry("no token to be had now")
        return self.on()


class Last(Script):
    """The script whose first request is the last one of a token."""

    def __init__(self, token: Ending, *plays: Play) -> None:
        super().__init__(*plays)
        self._token = token

    @asynccontextmanager
    async def send(
        self, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes = b""
    ) -> AsyncIterator[ScriptedReply]:
        async with super().send(method, path, headers, body) as reply:
            self._token.gone = True
            yield reply


def test_an_answer_that_is_shared_needs_no_further_token() -> None:
    token, got = Ending(), list[str]()
    github = on(Last(token, Play(content=PULL, after_s=1)), token, Seen(), LoopClock())

    async def ask() -> None:
        got.append((await github.pull("o", "r", 7)).title)

    async def body() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(ask)

    virtual.run(body)
    assert got == ["T"] * 3


GRAPHS: list[tuple[str, Play, str]] = [
    ("data", Play(content={"data": {"a": 1}}), "{'a': 1}"),
    ("limit", Play(content={"errors": [{"type": "RATE_LIMITED", "message": "no"}]}, headers=LIMITED), "Retry 31.0"),
    ("limit without headers", Play(content={"errors": [{"type": "RATE_LIMITED", "message": "no"}]}), "Retry 60.0"),
    (
        "limit that names a time",
        Play(content={"errors": [{"type": "RATE_LIMITED", "message": "no"}]}, headers={"retry-after": "7"}),
        "Retry 8.0",
    ),
    (
        "secondary limit",
        Play(content={"errors": [{"message": "You have exceeded a secondary rate limit."}]}),
        "Retry 60.0",
    ),
    ("not found", Play(content={"data": None, "errors": [{"type": "NOT_FOUND", "message": "no"}]}), "Missing"),
    ("forbidden", Play(content={"errors": [{"type": "FORBIDDEN", "message": "no"}]}), "Refused 403"),
    ("bad query", Play(content={"errors": [{"message": "Field 'x' doesn't exist"}]}), "Refused 422"),
    (
        "trouble",
        Play(content={"errors": [{"message": "Something went wrong while executing your query."}]}),
        "Retry None",
    ),
    ("HTML", Play(raw=b"<html>", headers={"content-type": "text/html"}), "Retry None"),
    ("half", Play(raw=b'{"data": {'), "Retry None"),
    ("502", Play(502), "Retry None"),
]


@pytest.mark.parametrize(("play", "expected"), [r[1:] for r in GRAPHS], ids=[r[0] for r in GRAPHS])
def test_graphql(play: Play, expected: str) -> None:
    """A query is a read: it comes back as data or a named error, though the status is 200 whatever happens."""
    script = Script(play)
    github = client(script, read_retries=0)
    result, _ = outcome_of(lambda: github.graphql("query { a }", {"v": 1}, "acme"))
    told = {"Retry": "after_s", "Refused": "status"}.get(type(result).__name__, "")
    shown = f"{type(result).__name__} {getattr(result, told)}" if told else str(result)
    assert shown == expected if "Missing" not in expected else isinstance(result, Missing)
    [sent] = script.sent
    assert (sent.method, sent.path) == ("POST", "/graphql")
    assert msgspec.json.decode(sent.body) == {"query": "query { a }", "variables": {"v": 1}}


def test_a_query_is_repeated_after_trouble() -> None:
    script = Script(Play(502), Play(content={"data": 1}))
    github = client(script)
    assert outcome_of(lambda: github.graphql("{ a }", {}, "acme"))[0] == 1
    assert len(script.sent) == 2


def test_a_scope_that_lacks_is_named() -> None:
    """403 because the token has none of the scopes that would do is told with their names."""
    headers = {"x-accepted-oauth-scopes": "repo, admin:org", "x-oauth-scopes": "read:user"}
    result, _ = read(Script(Play(403, {"message": "no"}, headers=headers)))
    assert "admin:org, repo" in str(result)
    assert isinstance(result, Refused)


class Rotating(Script):
    """Swaps the token's file while the first request is under way."""

    def __init__(self, file: Path, *plays: Play) -> None:
        super().__init__(*plays)
        self._file = file

    @asynccontextmanager
    async def send(
        self, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes = b""
    ) -> AsyncIterator[ScriptedReply]:
        self._file.write_text("second")
        async with super().send(method, path, headers, body) as reply:
            yield reply


def test_a_rotated_token_is_tried_once(tmp_path: Path) -> None:
    """401 after the file has changed: the request goes again with the new token; without a change it does not."""
    file = tmp_path / "token"
    file.write_text("first")
    script = Rotating(file, Play(401), Play(content=PULL), Play(401))
    github = on(script, TokenFile(file), Seen(), LoopClock(), Options(read_retries=0))
    assert outcome_of(lambda: github.pull("o", "r", 7))[0].number == 7
    assert isinstance(outcome_of(lambda: github.pull("o", "r", 8))[0], Refused)
    assert [sent.headers["authorization"] for sent in script.sent] == ["Bearer first", "Bearer second", "Bearer second"]
