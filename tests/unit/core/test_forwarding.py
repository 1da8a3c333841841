"""External plugins: who gets what, what is sent along, when an endpoint is left alone."""

import pytest

from prow_async.api.plugin_config import ExternalPlugin, OrgPlugins, PluginConfig
from prow_async.core import forwarding, routing, webhook_decode
from prow_async.core.forwarding import Breaker

ALL = ExternalPlugin("all", "http://all")
PUSHES = ExternalPlugin("pushes", "http://pushes", ("push",))
CONFIG = PluginConfig(
    plugins={"org": OrgPlugins(("p", "q"))},
    external_plugins={"org": (ALL,), "org/repo": (PUSHES, ALL)},
)


@pytest.mark.parametrize(
    ("org", "repo", "event", "names"),
    [
        ("org", "repo", "push", ["pushes", "all"]),
        ("org", "repo", "never heard of", ["all"]),
        ("org", "else", "push", ["all"]),
        ("other", "repo", "push", []),
        ("", "", "push", []),
    ],
)
def test_who_gets_an_event(org: str, repo: str, event: str, names: list[str]) -> None:
    """No list of events means every event; one plugin is sent a delivery once, however often it is named."""
    assert [one.name for one in forwarding.targets(CONFIG, org, repo, event)] == names


def test_two_names_for_one_address() -> None:
    """It hears of a delivery once, under the name that comes first."""
    config = PluginConfig(external_plugins={"org": (ALL, ExternalPlugin("twin", ALL.endpoint))})
    assert forwarding.targets(config, "org", "repo", "push") == (ALL,)


def test_headers_sent_along() -> None:
    """All that came, but for what belongs to the connection; the sender is named as upstream names it."""
    received = {
        "X-GitHub-Event": "push",
        "x-hub-signature-256": "sha256=1",
        "user-agent": "GitHub-Hookshot/1",
        "Host": "hook",
        "CONTENT-LENGTH": "3",
        "Transfer-Encoding": "chunked",
        "X-Own": "kept",
    }
    assert forwarding.headers(received) == {
        "X-GitHub-Event": "push",
        "x-hub-signature-256": "sha256=1",
        "X-Own": "kept",
        "User-Agent": "ProwHook",
    }


def test_an_endpoint_that_fails_is_left_alone_longer_and_longer() -> None:
    breaker, pauses = Breaker(), []
    for _ in range(12):
        breaker = breaker.failed(100.0)
        pauses.append(breaker.wait_s(100.0))
    assert pauses == [0, 0, 5, 10, 20, 40, 80, 120, 120, 120, 120, 120]
    assert breaker.wait_s(220.0) == 0


def test_plan_names_who_is_on_and_asked() -> None:
    body = b'{"ref":"refs/heads/x","repository":{"name":"repo","full_name":"org/repo","owner":{"login":"org"}}}'
    parsed = webhook_decode.decode("push", body, "guid")
    asked = {"p": frozenset({"push"}), "q": frozenset({"status"}), "off": frozenset({"push"})}
    found = routing.plan(CONFIG, asked, "push", parsed)
    assert list(found.plugins) == ["p"]
    assert [one.name for one in found.external] == ["pushes", "all"]
