"""The help document: upstream's names, who is on where."""

import msgspec

from prow_async.api.plugin_config import ExternalPlugin, OrgPlugins, PluginConfig
from prow_async.core import plugin_help
from prow_async.core.plugin_help import Asked, CommandHelp, Document, PluginHelp

CONFIG = PluginConfig(
    plugins={"org": OrgPlugins(("b",), ("left-out",)), "org/repo": OrgPlugins(("a",)), "else/one": OrgPlugins(("c",))},
    external_plugins={
        "org/repo": (ExternalPlugin("far", "http://far"),),
        "org": (ExternalPlugin("near", "http://n/"),),
    },
)
REPOS = {"org": ("repo", "left-out", "third")}


def test_repos_and_what_is_on_for_each() -> None:
    every = plugin_help.repos(CONFIG, REPOS)
    own, external = plugin_help.enabled(CONFIG, every)
    assert every == ("else/one", "org/left-out", "org/repo", "org/third")
    assert own == {
        "": ("a", "b", "c"),
        "else/one": ("c",),
        "org/left-out": (),
        "org/repo": ("a", "b"),
        "org/third": ("b",),
    }
    assert external[""] == ("far", "near")
    assert external["org/repo"] == ("far", "near")
    assert external["else/one"] == ()


def test_external_plugins_are_asked_about_their_repos() -> None:
    far, near = plugin_help.endpoints(CONFIG, plugin_help.repos(CONFIG, REPOS))
    assert far == (ExternalPlugin("far", "http://far"), (Asked("org", "repo"),))
    assert [asked.repo for asked in near[1]] == ["left-out", "repo", "third"]
    assert msgspec.json.encode(far[1]) == b'[{"Org":"org","Repo":"repo"}]'


def test_the_document_has_upstreams_names() -> None:
    command = CommandHelp(usage="/x", featured=True, description="d", examples=("/x",), who_can_use="w")
    entry = PluginHelp(description="p", config={"": "c"}, events=("push",), commands=(command,))
    shape = msgspec.json.decode(msgspec.json.encode(Document(all_repos=("o/r",), plugin_help={"p": entry})))
    assert list(shape) == ["AllRepos", "RepoPlugins", "RepoExternalPlugins", "PluginHelp", "ExternalPluginHelp"]
    assert shape["PluginHelp"]["p"] == {
        "Description": "p",
        "Config": {"": "c"},
        "Events": ["push"],
        "Commands": [{"Usage": "/x", "Featured": True, "Description": "d", "Examples": ["/x"], "WhoCanUse": "w"}],
    }


def test_what_external_plugins_written_in_go_say_is_read() -> None:
    said = (
        b'{"Description":"x","Config":null,"Snippet":"a: b","Events":null,"Commands":[{"Usage":"/y","Examples":null}]}'
    )
    found = msgspec.json.decode(said, type=PluginHelp)
    assert (found.snippet, found.commands) == ("a: b", (CommandHelp(usage="/y"),))
