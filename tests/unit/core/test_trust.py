"""Who may start jobs."""

from typing import Any

import msgspec
import pytest

from prow_async.api.plugin_config import Trigger
from prow_async.core import replies, trust

SECOND = Trigger(trusted_org="other")


def facts(**changes: Any) -> trust.Facts:
    return msgspec.structs.replace(trust.Facts(login="ann", bot_login="robot", org="o", repo="r"), **changes)


@pytest.mark.parametrize(
    ("who", "rules", "trusted", "why"),
    [
        (facts(login="robot"), Trigger(), True, "robot is this bot itself"),
        (facts(login="robot[bot]"), Trigger(), False, None),
        (facts(login="robot[bot]", bot_login="robot[bot]"), Trigger(), True, "robot[bot] is this bot itself"),
        (facts(member=True), Trigger(), True, "ann is a member of o"),
        (facts(member=True), Trigger(only_org_members=True), True, "ann is a member of o"),
        (facts(member=False, collaborator=True), Trigger(), True, "ann is a collaborator of o/r"),
        (facts(member=False, collaborator=True), Trigger(only_org_members=True), False, "ann is not a member of o"),
        (facts(login="app[bot]"), Trigger(trusted_apps=("app",)), True, "app[bot] is a trusted app"),
        (facts(login="app"), Trigger(trusted_apps=("app",)), False, None),
        (facts(login="other[bot]"), Trigger(trusted_apps=("app",)), False, None),
        (facts(trusted_org_member=True), SECOND, True, "ann is a member of other"),
        (facts(trusted_org_member=True), Trigger(), False, None),
        (facts(trusted_org_member=True), Trigger(trusted_org="o"), False, None),
        (facts(), Trigger(), False, "ann is not a member of o, not a collaborator of o/r"),
        (facts(), SECOND, False, "ann is not a member of o, not a collaborator of o/r, not a member of other"),
        (facts(login="", bot_login=""), Trigger(), False, None),
    ],
)
def test_judge_user(who: trust.Facts, rules: Trigger, trusted: bool, why: str | None) -> None:
    """The first rule that holds decides; a no says everything that is lacking."""
    verdict = trust.judge_user(who, rules)
    assert verdict.trusted is trusted
    assert why is None or verdict.why == why


@pytest.mark.parametrize(
    ("author", "labels", "trusted"),
    [
        (True, (), True),
        (False, (), False),
        (False, ("needs-ok-to-test",), False),
        (False, ("ok-to-test",), True),
        (False, ("OK-to-Test",), True),
    ],
)
def test_judge_pull(author: bool, labels: tuple[str, ...], trusted: bool) -> None:
    """A pull request is trusted for its author or its label."""
    assert trust.judge_pull(trust.Verdict(author, "because"), labels).trusted is trusted


@pytest.mark.parametrize(
    ("login", "bot", "own"),
    [
        ("robot", "robot", True),
        ("robot[bot]", "robot", False),
        ("robot[bot]", "robot[bot]", True),
        ("robot", "robot[bot]", False),
        ("robots", "robot", False),
        ("", "", False),
    ],
)
def test_bot(login: str, bot: str, own: bool) -> None:
    """The bot is known by its login; a person who has an app's bare name is not the app, nor the other way round."""
    assert replies.wrote(login, bot) is own


def test_quotes_hide_nothing() -> None:
    """A person cannot plant the bot's hidden marks in its replies."""
    body = replies.reply("ann", "no", "/test x\r\n<!-- test report -->\n--- | ---", "https://c")
    assert "<!--" not in body
    assert body.startswith("@ann: no\n\n<details>")
    assert "\n>/test x\n>&lt;!-- test report -->\n>--- | ---\n" in body
