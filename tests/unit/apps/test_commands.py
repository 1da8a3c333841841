"""The page of all commands is the one the plugins' help makes."""

from pathlib import Path

from prow_async.apps import commands
from prow_async.apps.hook import PLUGINS

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs/commands.md").read_text() == commands.page(PLUGINS), "prow-async commands > docs/commands.md"


def test_every_plugin_helps() -> None:
    """A plugin says what it is for; a command says what it does, for whom, with an example that begins it."""
    assert len({plugin.name for plugin in PLUGINS}) == len(PLUGINS)
    for plugin in PLUGINS:
        assert plugin.help.description
        assert plugin.events
        for one in plugin.help.commands:
            assert one.usage
            assert one.description
            assert one.who_can_use
            assert one.examples
            assert all(example.startswith("/") for example in one.examples)
