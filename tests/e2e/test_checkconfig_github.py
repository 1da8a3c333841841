"""checkconfig's warnings that ask GitHub, as a person runs them, on the small GitHub with real git."""

import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from prow_async.adapters.clock import SystemClock
from prow_async.sandbox.github import apps, http, landing, steps
from prow_async.sandbox.github.git.store import Repositories
from prow_async.sandbox.github.world import World
from tests import appkey
from tests.e2e.program import PROGRAM
from tests.unit.sandbox_github.sample import NumberedIds

pytestmark = pytest.mark.anyio
OWNERS, INSTALLED = "verify-owners-presence", "validate-github-app-installation"
POD = "spec: {containers: [{image: i}]}"


class Town:
    """A GitHub with two organizations, and a configuration for three."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = World(NumberedIds())
        self.world.git = Repositories(folder / "server")
        self.world.add_bot("prow-bot", "bot-token")
        with_owners, bare = {"OWNERS": b"approvers: [a]\n"}, {"README.md": b"x"}
        for org, repo, files in (
            ("acme", "app", with_owners),
            ("acme", "lacks", bare),
            ("acme", "left-out", bare),
            ("acme", "old", bare),
            ("other", "lacks", bare),
            ("other", "unused", bare),
        ):
            made = steps.run_here(landing.make_repo(self.world, (org, repo), files=files, now_s=time.time()))
            made.settings["archived"] = repo == "old"
        self.app = apps.add(self.world, "prow", appkey.write(folder / "key.pem"), ("acme",))
        (folder / "token").write_text("bot-token\n")
        (folder / "config.yaml").write_text("tide: {queries: [{orgs: [Acme], labels: [lgtm]}]}\n")
        (folder / "jobs.yaml").write_text(
            f"presubmits:\n  acme/app: [{{name: a, {POD}}}]\n  lost/x: [{{name: b, {POD}}}]\n"
        )
        acme = "acme: {plugins: [approve], excluded_repos: [left-out]}"
        (folder / "plugins.yaml").write_text(f"plugins:\n  {acme}\n  other/lacks: {{plugins: [blunderbuss]}}\n")

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        async with http.serve(self.world, SystemClock()) as address:
            yield address

    async def check(self, address: str, *more: str) -> subprocess.CompletedProcess[bytes]:
        files: Sequence[str] = [f"--{name}-path={name.split('-')[0]}s.yaml" for name in ("job-config",)]
        command = [str(PROGRAM), "checkconfig", "--config-path=config.yaml", *files, "--plugin-config=plugins.yaml"]
        with anyio.fail_after(60):
            return await anyio.run_process(
                [*command, f"--github-endpoint={address}", *more], cwd=self.folder, check=False
            )

    def as_app(self) -> tuple[str, ...]:
        return f"--github-app-id={self.app.id}", "--github-app-private-key-path=key.pem"


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


def lines(done: subprocess.CompletedProcess[bytes], name: str) -> list[str]:
    return [line for line in done.stdout.decode().splitlines() if f"[{name}]" in line]


@pytest.mark.parametrize("strict", [False, True])
async def test_owners_presence(town: Town, strict: bool) -> None:
    """Repositories without OWNERS are named with the line that turns the plugin on; excluded and archived ones not."""
    async with town.serving() as address:
        options = ("--github-token-path=token", f"--warnings={OWNERS}", *(("--strict",) if strict else ()))
        done = await town.check(address, *options)
    found = [line.partition("whose")[0].strip() for line in lines(done, OWNERS)]
    assert found == [
        f"plugins.yaml:2: [{OWNERS}] plugins.acme: approve is on for acme/lacks,",
        f"plugins.yaml:3: [{OWNERS}] plugins.other/lacks: blunderbuss is on for other/lacks,",
    ]
    assert (done.returncode, done.stderr) == (int(strict), b"")


async def test_where_the_app_is_installed(town: Town) -> None:
    """With an App it is looked at by itself; organizations that jobs and tide's queries name, in any spelling."""
    async with town.serving() as address:
        done = await town.check(address, *town.as_app())
        assert lines(done, INSTALLED) == [
            f"config.yaml: [{INSTALLED}] there is configuration for lost, where the GitHub App is not installed"
        ]
        assert lines(done, OWNERS) == []
        done = await town.check(address, *town.as_app(), f"--warnings={OWNERS}")
    # The App may not list repositories where it is not installed: that is told, the other warning speaks.
    assert "not installed for other" in lines(done, OWNERS)[0]
    assert len(lines(done, INSTALLED)) == 1


async def test_an_app_is_needed_to_ask_where_it_is(town: Town) -> None:
    async with town.serving() as address:
        done = await town.check(address, "--github-token-path=token", f"--warnings={INSTALLED}")
        assert "--github-app-id" in lines(done, INSTALLED)[0]
        done = await town.check(address, "--github-token-path=token", "--expensive-checks")
        assert lines(done, INSTALLED) == []
        assert len(lines(done, OWNERS)) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--github-token-path=token", "--github-client.initial-delay=1ms"], "cannot be reached"),
        (["--github-token-path=none"], "cannot be read"),
        (["--github-app-id=1"], "together"),
        (["--github-app-id=1", "--github-app-private-key-path=token"], "RSA key as PEM"),
        (["--github-token-path=token", "--github-hourly-tokens=5", "--github-allowed-burst=9"], "more than 0"),
        (["--github-token-path=token", "--github-throttle-org=acme:1:1"], "needs a GitHub App"),
    ],
)
async def test_github_that_cannot_be_asked(town: Town, options: list[str], words: str) -> None:
    """One line that says so: a warning where GitHub is away, no start (2) where the flags make no sense."""
    done = await town.check("http://127.0.0.1:9", *options, f"--warnings={OWNERS}")
    said = done.stdout.decode() + done.stderr.decode()
    assert words in said
    assert "Traceback" not in said
    assert done.returncode == (0 if words == "cannot be reached" else 2)
