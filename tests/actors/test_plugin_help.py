"""The help desk: repositories of orgs, our plugins, and external ones as far as they answer in time."""

from collections.abc import Mapping

import anyio
import msgspec

from prow_async.actors.plugin_help import HelpDesk
from prow_async.api.errors import Retry
from prow_async.api.plugin_config import ExternalPlugin, OrgPlugins, PluginConfig
from prow_async.core.plugin_help import Asked, Document, PluginHelp
from prow_async.plugins import trigger
from tests.actors.test_router import ORG, REPO, UNIT, town_with
from tests.actors.worlds import Configured, passes, story

ODD = {
    "http://odd/help": b"<html>",
    "http://latin/help": b'{"Description": "d\xe9j\xe0"}',
    "http://deep/help": b'{"Deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


class Others:
    """Other people's programs: two answer, one is slow, one is away, one refuses, some talk nonsense."""

    def __init__(self) -> None:
        self.asked: list[tuple[Asked, ...]] = []

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        self.asked.append(msgspec.json.decode(body, type=tuple[Asked, ...]))
        if url == "http://slow/help":
            await anyio.sleep(30)
        if url == "http://away/help":
            raise Retry("connection refused")
        if url == "http://no/help":
            return 404, b""
        if url in ODD:
            return 200, ODD[url]
        told = PluginHelp(description=url, events=("whatever it says",))
        return 201, msgspec.json.encode(told)


@story
async def test_the_document() -> None:
    """1. Slow, absent and odd ones are named, but without help. 2. Repositories of orgs are read once an hour."""
    town = town_with(UNIT)
    names = ("good", "all", "slow", "away", "odd", "latin", "deep", "no")
    events: dict[str, tuple[str, ...]] = {"good": ("push",)}
    external = tuple(ExternalPlugin(name, f"http://{name}", events.get(name, ())) for name in names)
    config = PluginConfig(
        plugins={ORG: OrgPlugins(("trigger", "unknown"))}, external_plugins={f"{ORG}/{REPO}": external}
    )
    town.config = Configured(town.config.current().config, config)
    others = Others()
    desk = HelpDesk(town.config.current, (trigger.PLUGIN,), town.client, others)
    began_s = anyio.current_time()
    document = msgspec.json.decode(await desk.document(), type=Document)
    assert anyio.current_time() - began_s <= 1.0
    assert document.all_repos == (f"{ORG}/{REPO}",)
    assert document.repo_plugins == {"": ("trigger", "unknown"), f"{ORG}/{REPO}": ("trigger", "unknown")}
    assert document.repo_external_plugins[f"{ORG}/{REPO}"] == tuple(sorted(names))
    told = document.external_plugin_help
    assert {name: help_.events for name, help_ in told.items()} == {"all": None, "good": ("push",)}
    assert others.asked == [(Asked(ORG, REPO),)] * len(names)
    commands = document.plugin_help["trigger"].commands or ()
    assert any(command.usage.startswith("/test ") for command in commands)
    assert document.plugin_help["trigger"].config == {
        f"{ORG}/{REPO}": f"Jobs start by themselves for members of {ORG} and collaborators of {REPO}."
    }
    assert "triggers:" in str(document.plugin_help["trigger"].snippet)
    assert list(document.plugin_help) == ["trigger"], "a plugin nobody has is named, and has no help"

    town.github.add_repo(ORG, "later", now_s=town.clock.now())
    assert b"later" not in await desk.document()
    await passes(3601)
    assert f"{ORG}/later".encode() in await desk.document()
