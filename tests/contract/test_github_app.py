"""The client as a GitHub App on the small GitHub, through both of its doors: proofs, installations, tokens, cache."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import jwt
import pytest

from prow_async.adapters.github import etag_disk
from prow_async.adapters.github.app import AppCredentials
from prow_async.adapters.github.client import Client
from prow_async.adapters.github.requests import Requests
from prow_async.adapters.github.wire import Options, Wire
from prow_async.api.errors import CannotStart, Missing, Refused, Retry
from prow_async.api.github import HookOf, Status
from prow_async.core import instants
from prow_async.sandbox.github import apps, witness
from prow_async.sandbox.github.call import Request
from prow_async.sandbox.github.records import App
from prow_async.sandbox.github.world import World
from tests import appkey
from tests.contract.github_doors import DOORS, Door, transport_to
from tests.unit.adapters_github.script import Play, ScriptedReply, Seen
from tests.unit.sandbox_github import sample
from tests.unit.sandbox_github.sample import NOW_S, FixedClock

APP = ("acme", "app")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A private key in a file, and its public half."""
    file = tmp_path_factory.mktemp("app") / "key.pem"
    return file, appkey.write(file)


class Town:
    """A world with an App in two organizations, and the client that is the App."""

    def __init__(self, key: tuple[Path, bytes]) -> None:
        self.key = key[0]
        self.world: World = sample.make()
        sample.open_pull(self.world)
        self.world.add_repo("other", "secret", private=True, now_s=NOW_S)
        self.app: App = apps.add(self.world, "prow", key[1], ("acme", "other"))
        self.clock = FixedClock()
        self.seen = Seen()
        self.learned: list[tuple[str, str]] = []
        self.asked: list[Request] = []

    @asynccontextmanager
    async def client(self, door: Door, shelf: etag_disk.DiskShelf | None = None) -> AsyncIterator[Client]:
        with witness.watching(self.asked.append):
            async with transport_to(self.world, door, "", self.clock) as transport:
                wire = Wire(transport, self.seen, self.clock, Options(read_retries=0))
                who = AppCredentials(str(self.app.id), self.key, wire, lambda *told: self.learned.append(told))
                yield Client(Requests(wire, who, self.seen, shelf), self.seen)

    def sent(self, path: str) -> int:
        return sum(path in request.path for request in self.asked)


@pytest.fixture
def town(key: tuple[Path, bytes]) -> Town:
    return Town(key)


pytestmark = pytest.mark.anyio
both_doors = pytest.mark.parametrize("door", DOORS)


@both_doors
async def test_each_organization_has_a_token_of_its_own(town: Town, door: Door) -> None:
    """Tokens are asked for once for each organization, whoever asks at the same time, and told before they are used."""
    async with town.client(door) as github, anyio.create_task_group() as group:
        for number in (1, 1, 1):
            group.start_soon(github.pull, *APP, number)
        group.start_soon(github.repo, "Other", "secret")
        group.start_soon(github.labels, *APP, 1)
    assert (town.sent("/app/installations?"), town.sent("/access_tokens")) == (1, 2)
    assert sorted(org for org, _ in town.learned) == ["acme", "other"]
    told = {token for _, token in town.learned}
    used = {request.headers["authorization"].split()[1] for request in town.asked if "/repos/" in request.path}
    assert used == told
    names = {labels["token_hash"] for _, labels in town.seen.of("github_request_duration")}
    assert names == {str(town.app.id), "prow", "prow - acme", "prow - other"}
    to_proxies = [r.headers["x-prow-ghcache-token-budget-identifier"] for r in town.asked if "/pulls/" in r.path]
    assert set(to_proxies) == {"prow - acme"}
    ends = {request.headers["x-prow-token-expires-at"] for request in town.asked if request.path.startswith("/app/")}
    assert {instants.seconds(end) for end in ends} == {NOW_S + 540}, "a proxy forgets what it kept for a proof, too"


@both_doors
async def test_tokens_are_renewed_before_they_end(town: Town, door: Door) -> None:
    async with town.client(door) as github:
        await github.labels(*APP, 1)
        town.clock.now_s += 3300 - 1
        await github.labels(*APP, 1)
        assert town.sent("/access_tokens") == 1
        town.clock.now_s += 2
        await github.labels(*APP, 1)
        assert town.sent("/access_tokens") == 2


@both_doors
async def test_a_token_that_is_unknown_is_renewed_once(town: Town, door: Door, tmp_path: Path) -> None:
    """A revoked token costs one more try, for writes too; a proof that is refused is told with a hint."""
    async with town.client(door) as github:
        await github.labels(*APP, 1)
        town.world.forget_token(town.learned[0][1])
        sha = town.world.pull(*APP, 1).head.sha
        await github.post_status(*APP, sha, Status("success", context="unit"))
        assert [status.context for status in town.world.statuses(*APP, sha)] == ["unit"]
        assert (town.sent("/access_tokens"), len({token for _, token in town.learned})) == (2, 2)
        town.app.public_key = appkey.write(tmp_path / "other.pem")
        town.world.forget_token(town.learned[1][1])
        with pytest.raises(Refused, match="clock") as caught:
            await github.labels(*APP, 1)
        assert caught.value.status == 401
        assert jwt_of(town.asked[-1]) not in str(caught.value)


class Mint:
    """A GitHub that gives one token of an hour, and then as the test says."""

    def __init__(self) -> None:
        self.again = anyio.Event()
        self.status = 502
        self.installed: dict[str, object] = {"id": 5, "account": {"login": "acme"}, "app_slug": "prow"}
        self.paths: list[str] = []

    @asynccontextmanager
    async def send(
        self, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes = b""
    ) -> AsyncIterator[ScriptedReply]:
        self.paths.append(path)
        if path.startswith("/app/installations?"):
            yield ScriptedReply(Play(content=[self.installed]))
        elif not path.endswith("/access_tokens"):
            yield ScriptedReply(Play(content={"name": "app"}))
        else:
            token = {"token": f"t{self.asked}", "expires_at": instants.rfc3339(NOW_S + 3600.0 * self.asked)}
            if self.asked > 1:
                await self.again.wait()
            yield ScriptedReply(Play(201 if self.asked == 1 else self.status, token))

    @property
    def asked(self) -> int:
        return sum(path.endswith("/access_tokens") for path in self.paths)

    def client(self, town: Town) -> Client:
        wire = Wire(self, town.seen, town.clock, Options(read_retries=0))
        return Client(Requests(wire, AppCredentials("1", town.key, wire), town.seen), town.seen)


async def test_a_good_token_is_used_while_no_other_is_to_be_had(town: Town) -> None:
    """1. Asked for early, refused for now: the old one does, and is tried to be renewed now and then. 2. Near its end
    the trouble is everybody's.
    """
    mint = Mint()
    github = mint.client(town)
    mint.again.set()
    await github.repo(*APP)
    town.clock.now_s += 3600 - 250
    for asked in (2, 2, 3):
        assert (await github.repo(*APP)).name == "app"
        assert mint.asked == asked
        town.clock.now_s += 15
    town.clock.now_s = NOW_S + 3600 - 30
    with pytest.raises(Retry, match="502"):
        await github.repo(*APP)
    mint.status = 201
    assert (await github.repo(*APP)).name == "app"


async def test_nobody_waits_for_the_renewal_of_a_good_token(town: Town) -> None:
    mint = Mint()
    github = mint.client(town)
    mint.status = 201
    await github.repo(*APP)
    town.clock.now_s += 3600 - 250
    async with anyio.create_task_group() as group:
        group.start_soon(github.repo, *APP)
        while mint.asked < 2:
            await anyio.sleep(0)
        with anyio.fail_after(20):
            await github.repo(APP[0], "other")
        mint.again.set()
    assert mint.asked == 2


async def test_where_the_app_is_suspended(town: Town) -> None:
    """It is called so each time, and found when it is no more."""
    mint = Mint()
    github = mint.client(town)
    mint.installed["suspended_at"] = instants.rfc3339(NOW_S)
    for _ in range(3):
        with pytest.raises(Refused, match="suspended for acme"):
            await github.repo(*APP)
    assert len(mint.paths) == 1
    del mint.installed["suspended_at"]
    town.clock.now_s += 61
    assert (await github.repo(*APP)).name == "app"


class Echo:
    """A server that says back what it was asked with: once a proof, then whatever comes."""

    def __init__(self, *plain: Play) -> None:
        self._plain = list(plain)
        self.said: list[str] = []

    @asynccontextmanager
    async def send(
        self, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes = b""
    ) -> AsyncIterator[ScriptedReply]:
        self.said.append(headers["authorization"].split()[1])
        plain = self._plain.pop(0) if self._plain else None
        yield ScriptedReply(plain or Play(422, {"message": f"no: {self.said[-1]}"}))


async def test_neither_proof_nor_token_is_told_when_a_server_says_them_back(town: Town) -> None:
    found = Play(200, [{"id": 5, "account": {"login": "acme"}, "app_slug": "prow"}])
    minted = Play(201, {"token": "ghs_of_the_installation", "expires_at": "2099-01-01T00:00:00Z"})
    for plays, kind in (((), "eyJ"), ((found,), "eyJ"), ((found, minted), "ghs_")):
        echo = Echo(*plays)
        wire = Wire(echo, town.seen, town.clock, Options(read_retries=0))
        github = Client(Requests(wire, AppCredentials("7", town.key, wire), town.seen), town.seen)
        with pytest.raises(Refused) as caught:
            await github.labels(*APP, 1)
        assert echo.said[-1].startswith(kind)
        assert "no: *****" in str(caught.value)
        assert echo.said[-1] not in str(caught.value)


@both_doors
async def test_a_proof_serves_for_some_minutes(town: Town, door: Door) -> None:
    """Signing one takes a millisecond or more."""
    town.world.add_app_hook(town.app, "http://app.invalid/", b"secret", now_s=NOW_S)
    async with town.client(door) as github:
        for later_s in (0, 200, 100):
            town.clock.now_s += later_s
            await github.hook_deliveries(HookOf())
    proofs = [jwt_of(request) for request in town.asked]
    assert len(proofs) == 3
    assert proofs[0] == proofs[1] != proofs[2]


@both_doors
async def test_where_the_app_is_not(town: Town, door: Door) -> None:
    """Said in words, and not asked again at once; a new installation is found after a minute."""
    town.world.add_repo("stranger", "repo", now_s=NOW_S)
    async with town.client(door) as github:
        for _ in range(3):
            with pytest.raises(Refused, match="not installed for stranger"):
                await github.repo("stranger", "repo")
        assert town.sent("/app/installations") == 1
        town.app.installations["stranger"] = town.world.next_id()
        town.clock.now_s += 61
        assert (await github.repo("stranger", "repo")).name == "repo"


@both_doors
async def test_an_app_that_was_thrown_out(town: Town, door: Door) -> None:
    """The question whether somebody is a member is refused then, never answered with no."""
    async with town.client(door) as github:
        assert await github.is_member("acme", "alice")
        installed = town.app.installations.pop("acme")
        town.world.forget_token(town.learned[0][1])
        for _ in range(2):
            with pytest.raises(Refused) as caught:
                await github.is_member("acme", "alice")
            assert caught.value.status == 403
            assert not isinstance(caught.value, Missing)
        town.app.installations["acme"] = installed
        town.clock.now_s += 61
        assert (await github.pull(*APP, 1)).number == 1


@both_doors
async def test_who_we_are(town: Town, door: Door) -> None:
    """Comments are the bot's, with the ending that GitHub gives it."""
    async with town.client(door) as github:
        bot = await github.bot_user()
        await github.create_comment(*APP, 1, "x")
        [said] = await github.comments(*APP, 1)
        assert bot.login == said.user.login == "prow[bot]"
        assert await github.app_installations() == ("acme", "other")
    [(_, labels)] = town.seen.of("github_user_info")
    assert (labels["login"], labels["email"]) == ("prow", "prow@users.noreply.github.com")


@both_doors
async def test_the_delivery_log_of_the_app(town: Town, door: Door) -> None:
    """It is the App's own to read, and to have sent again."""
    hook = town.world.add_app_hook(town.app, "http://app.invalid/", b"secret", now_s=NOW_S)
    town.world.comment(*APP, 1, "bob", "x", now_s=NOW_S)
    while town.world.outbox.take(hook.id) is not None:
        pass
    async with town.client(door) as github:
        newest, ping = (await github.hook_deliveries(HookOf())).deliveries
        assert (newest.event, ping.event) == ("issue_comment", "ping")
        assert newest.installation_id == town.app.installations["acme"]
        await github.redeliver(HookOf(), newest.id)
    assert [one.guid for one in town.world.outbox.waiting()] == [newest.guid]


@both_doors
async def test_graphql_as_an_app(town: Town, door: Door) -> None:
    query = 'query($q: String!) { repository(owner: $q, name: "app") { name } }'
    async with town.client(door) as github:
        assert await github.graphql(query, {"q": "acme"}, "acme") == {"repository": {"name": "app"}}
        with pytest.raises(Refused, match="GraphQL"):
            await github.graphql("{ nothing }", {}, "acme")


async def test_no_installation_sees_the_answers_of_another(town: Town, tmp_path: Path) -> None:
    """On one disk for all, each installation and each process finds what was answered to it, and nothing else."""
    async with etag_disk.opened(tmp_path, 1 << 20, town.clock) as shelf:
        async with town.client("direct", shelf) as github:
            await github.repo("other", "secret")
        async with town.client("direct", shelf) as github:
            await github.repo("other", "secret")
            modes = [labels["mode"] for _, labels in town.seen.of("ghcache_responses") if "repos" in labels["path"]]
            assert modes == ["MISS", "REVALIDATED"]
        del town.app.installations["other"]
        async with town.client("direct", shelf) as github:
            with pytest.raises(Refused, match="not installed for other"):
                await github.repo("other", "secret")


async def test_a_changed_key_is_used_and_a_broken_one_is_not(
    town: Town, key: tuple[Path, bytes], tmp_path: Path
) -> None:
    """The last good key stays in use; with none there is no start."""
    file = tmp_path / "key.pem"
    good = key[0].read_bytes()
    for bad in (b"", b"no key", good[:200]):
        file.write_bytes(bad)
        town.key = file
        with pytest.raises(CannotStart, match="RSA key as PEM"):
            async with town.client("direct"):
                pass
    town.key = tmp_path / "nothing"
    with pytest.raises(CannotStart, match="cannot be read"):
        async with town.client("direct"):
            pass
    file.write_bytes(good)
    town.key = file
    async with town.client("direct") as github:
        file.write_bytes(b"broken")
        assert (await github.repo(*APP)).name == "app"


def jwt_of(request: Request) -> str:
    token = request.headers["authorization"].split()[1]
    assert jwt.get_unverified_header(token)["alg"] == "RS256"
    return token
