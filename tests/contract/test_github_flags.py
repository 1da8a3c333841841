"""GitHub as a process opens it from its flags, on the small GitHub over HTTP."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from prow_async.adapters import clock, logs
from prow_async.adapters.git.inrepo import InRepoConfig
from prow_async.api.config import Config
from prow_async.api.errors import CannotStart, Refused, Retry
from prow_async.api.inrepo import Wanted
from prow_async.apps import flag_groups, flags, github, process
from prow_async.sandbox.github import apps, http, landing, steps
from prow_async.sandbox.github.git.store import Repositories
from prow_async.sandbox.github.world import World
from tests import appkey
from tests.unit.sandbox_github.sample import NumberedIds

pytestmark = pytest.mark.anyio
JOB = b"presubmits: [{name: own, spec: {containers: [{image: i}]}}]\n"


class Town:
    """A GitHub with a private repository, a bot with a token, and an App."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = World(NumberedIds())
        self.world.git = Repositories(folder / "server")
        self.world.add_bot("prow-bot", "bot-token")
        for org in ("acme", "other"):
            made = landing.make_repo(
                self.world, (org, "app"), files={".prow.yaml": JOB}, private=True, now_s=time.time()
            )
            steps.run_here(made)
        self.app = apps.add(self.world, "prow", appkey.write(folder / "key.pem"), ("acme",))
        (folder / "token").write_text("bot-token\n")

    @asynccontextmanager
    async def opened(self, *options: str) -> AsyncIterator[tuple[github.GitHub, process.Shell]]:
        async with http.serve(self.world, clock.SystemClock()) as address:
            shell = shell_of(f"--github-endpoint={address}", f"--github-host={address}", *options)
            async with github.connect(shell) as forge:
                yield forge, shell

    def as_app(self) -> tuple[str, str]:
        return f"--github-app-id={self.app.id}", f"--github-app-private-key-path={self.folder / 'key.pem'}"

    def as_bot(self) -> tuple[str]:
        return (f"--github-token-path={self.folder / 'token'}",)


def shell_of(*argv: str) -> process.Shell:
    parsed = flags.parse("prow-async hook", flag_groups.HOOK, ["--dry-run=false", *argv])
    return process.new_shell("hook", parsed, logs.Censor())


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


@pytest.mark.parametrize("app", [False, True])
async def test_clones_and_requests_with_one_identity(town: Town, app: bool) -> None:
    """A private repository is read over REST, over GraphQL and with git; nothing of the token shows in logs."""
    async with town.opened(*(town.as_app() if app else town.as_bot())) as (forge, shell):
        assert (await forge.repo("acme", "app")).private
        query = 'query { repository(owner: "acme", name: "app") { name } }'
        assert await forge.graphql(query, {}, "acme") == {"repository": {"name": "app"}}
        reader = InRepoConfig(town.folder / "mirrors", forge.remote(), shell.metrics)
        config = Config()
        config.in_repo_config.allowed_clusters["*"] = ("default",)
        sha = town.world.repo("acme", "app").refs["heads/main"]
        found = await reader.jobs(config, Wanted(org="acme", repo="app", base_sha=sha, heads=()))
        assert [job.name for job in found.presubmits] == ["own"]
        if app:
            with pytest.raises(Refused, match="not installed for other"):
                await reader.jobs(config, Wanted(org="other", repo="app", base_sha=sha, heads=()))
        else:
            assert shell.censor(b"with bot-token in it") == b"with CENSORED in it"


async def test_our_token_stands_in_no_comment(town: Town) -> None:
    issue = town.world.open_issue("acme", "app", "prow-bot", "Broken", now_s=time.time())
    async with town.opened(*town.as_bot()) as (forge, _):
        await forge.create_comment("acme", "app", issue.number, "git said: https://bot-token@github.com")
    (comment,) = town.world.comments("acme", "app", issue.number)
    assert comment.body == "git said: https://CENSORED@github.com"


async def test_what_is_kept_on_disk_spares_the_next_process(town: Town) -> None:
    """Two processes one after the other: the second is answered 304."""
    folder = f"--github-cache-dir={town.folder / 'cache'}"
    async with http.serve(town.world, clock.SystemClock()) as address:
        for _ in range(2):
            shell = shell_of(f"--github-endpoint={address}", *town.as_bot(), folder)
            async with github.connect(shell) as forge:
                await forge.repo("acme", "app")
    assert town.world.limits.bucket("prow-bot", time.time()).used == 1


async def test_several_endpoints_and_a_rotated_token(town: Town) -> None:
    """The first address is dead, the token changes: nothing fails."""
    town.world.add_bot("prow-bot", "next-token")
    async with http.serve(town.world, clock.SystemClock()) as address:
        shell = shell_of("--github-endpoint=http://127.0.0.1:9", f"--github-endpoint={address}", *town.as_bot())
        async with github.connect(shell) as forge:
            assert (await forge.bot_user()).login == "prow-bot"
            town.world.forget_token("bot-token")
            (town.folder / "token").write_text("next-token")
            assert (await forge.repo("acme", "app")).private
            assert shell.censor(b"next-token") == b"CENSORED"


async def test_the_throttle_and_the_dry_run(town: Town) -> None:
    options = ("--github-hourly-tokens=2", "--github-allowed-burst=2", "--dry-run", "--github-client.max-retries=0")
    async with town.opened(*town.as_bot(), *options) as (forge, _):
        await forge.create_comment("acme", "app", 1, "x")
        await forge.repo("acme", "app")
        await forge.teams("acme")
        with pytest.raises(Retry, match="our own limit"):
            await forge.repos("acme")


async def test_no_tokens_an_hour_is_no_throttle(town: Town) -> None:
    """Whatever the burst says: so tools that throttle by default are told not to."""
    async with town.opened(*town.as_bot(), "--github-hourly-tokens=0", "--github-allowed-burst=1") as (forge, _):
        for _ in range(3):
            await forge.teams("acme")


async def test_who_has_no_credentials_is_told(town: Town) -> None:
    """Reads may work without them, so it does not end the start."""
    for options, lines in (((), 1), (town.as_bot(), 0), (town.as_app(), 0)):
        with capture_logs() as logged:
            async with town.opened(*options):
                pass
        assert len([line for line in logged if "without credentials" in line["event"]]) == lines


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--github-app-id=1"], "together"),
        (["--github-app-private-key-path=x"], "together"),
        (["--github-app-id=1", "--github-app-private-key-path=x", "--github-token-path=y"], "exclude"),
        (["--github-hourly-tokens=10"], "together"),
        (["--github-hourly-tokens=-1", "--github-allowed-burst=10"], "together"),
        (["--github-hourly-tokens=5", "--github-allowed-burst=10"], "no more than the hour's"),
        (["--github-throttle-org=a:1:1"], "needs a GitHub App"),
        (["--github-app-id=1", "--github-app-private-key-path=x", "--github-throttle-org=a:1"], "ORG:"),
        (["--github-cache-dir=x", "--github-cache-size-mib=0"], "more than 0"),
        (["--github-endpoint=github.com"], "--github-endpoint"),
        (["--github-graphql-endpoint=ftp://x"], "--github-graphql-endpoint"),
        (["--github-token-path=/nowhere/at/all"], "cannot be read"),
    ],
)
async def test_flags_that_make_no_sense(options: Sequence[str], words: str) -> None:
    with pytest.raises(CannotStart, match=words):
        async with github.connect(shell_of(*options)):
            pass


@pytest.mark.parametrize("options", [["--github-allowed-burst=10"], ["--github-hourly-tokens=-1"]])
async def test_no_requests_an_hour_mean_no_limit(options: Sequence[str]) -> None:
    """So that a default rate can be turned off by one flag; an empty address means GitHub's own."""
    shell = shell_of(*options, "--github-endpoint=")
    assert github.options(shell).rate is None
    async with github.connect(shell):
        pass


def test_no_github_flag_is_without_effect() -> None:
    """But for signing commits, which nothing does yet."""
    lacking = [flag.name for flag in flag_groups.GITHUB if flag.lacking]
    assert lacking == ["git-signing-key-path"]


async def test_graphql_where_the_endpoint_says_and_where_it_is_told(town: Town) -> None:
    """Given or derived: the address of GraphQL is that of the same GitHub."""
    async with http.serve(town.world, clock.SystemClock()) as address:
        for more in ((), (f"--github-graphql-endpoint={address}/graphql",)):
            shell = shell_of(f"--github-endpoint={address}", *town.as_bot(), *more)
            async with github.connect(shell) as forge:
                assert await forge.graphql("{ viewer { login } }", {}, "acme") == {"viewer": {"login": "prow-bot"}}
