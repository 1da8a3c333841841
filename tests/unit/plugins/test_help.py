"""help: one action a comment, by precedence; our own comments go with the label."""

from typing import Any

import pytest

from prow_async.api import plugin_labels
from prow_async.api.github import Comment, User
from prow_async.api.plugin_config import PluginConfig
from prow_async.plugins import help as plugin
from tests.unit.plugins.parts import ROBOT, World, run, said

pytestmark = pytest.mark.anyio
WANTED, FIRST = "help wanted", "good first issue"
OURS = (
    Comment(id=1, body=f"old {plugin.HELP_MARKER}", user=User(login=ROBOT)),
    Comment(id=2, body=f"old {plugin.FIRST_MARKER}", user=User(login=ROBOT)),
    Comment(id=3, body=f"copied {plugin.HELP_MARKER}", user=User(login="ann")),
    Comment(id=4, body=None, user=User(login=ROBOT)),
    Comment(id=5, body=f"@ann: \n\t{plugin.FIRST_MARKS[1]}\n", user=User(login=ROBOT)),
)


def on_issue(body: str, **changes: Any) -> Any:
    return said(body, **{"is_pr": False, **changes})


def in_short(done: list[str] | None) -> list[str] | None:
    return done if done is None else ["says" if line.startswith("says") else line for line in done]


@pytest.mark.parametrize(
    ("body", "labels", "done"),
    [
        ("/help", (), ["says", f"+{WANTED}"]),
        ("/Help ", (), ["says", f"+{WANTED}"]),
        ("/help", (WANTED,), []),
        ("/good-first-issue", (), ["says", f"+{FIRST}", f"+{WANTED}"]),
        ("/good-first-issue", (WANTED,), ["says", f"+{FIRST}"]),
        ("/good-first-issue", (WANTED, FIRST), []),
        ("/help\n/good-first-issue", (), ["says", f"+{FIRST}", f"+{WANTED}"]),
        ("/remove-help", (WANTED,), [f"-{WANTED}", "unsays 1"]),
        ("/remove-help", (WANTED, FIRST), [f"-{WANTED}", "unsays 1", f"-{FIRST}", "unsays 2", "unsays 5"]),
        ("/remove-help\n/help", (WANTED,), [f"-{WANTED}", "unsays 1"]),
        ("/remove-help\n/help", (), ["says", f"+{WANTED}"]),
        ("/remove-good-first-issue", (WANTED, FIRST), [f"-{FIRST}", "unsays 2", "unsays 5"]),
        ("/remove-good-first-issue", (WANTED,), []),
        ("/help me", (), None),
    ],
)
async def test_commands(body: str, labels: tuple[str, ...], done: list[str] | None) -> None:
    assert in_short(await run(plugin.PLUGIN, on_issue(body), World(labels_=labels, comments_=OURS))) == done


@pytest.mark.parametrize("changes", [{"is_pr": True}, {"issue_state": "closed"}, {"action": "edited"}])
async def test_only_open_issues(changes: dict[str, Any]) -> None:
    assert await run(plugin.PLUGIN, on_issue("/help", **changes), World()) is None


async def test_guidelines_are_linked() -> None:
    """The texts say where the guidelines are, and carry the mark they are found by."""
    settings = plugin_labels.Help("https://example.com/guide", "- be clear")
    done = await run(plugin.PLUGIN, on_issue("/help"), World(), PluginConfig(help=settings))
    assert done is not None
    assert "(https://example.com/guide)" in done[0]
    assert "- be clear" in done[0]
    assert plugin.HELP_MARKER in done[0]
    done = await run(plugin.PLUGIN, on_issue("/good-first-issue"), World(), PluginConfig(help=settings))
    assert done is not None
    assert "(https://example.com/guide#good-first-issue)" in done[0]
