"""Reading kubeconfig files."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from prow_async.adapters.kube import kubeconfig
from prow_async.api.errors import CannotStart


def _write(path: Path, **parts: Any) -> str:
    path.write_text(yaml.safe_dump(parts))
    return str(path)


def _simple(name: str, server: str) -> dict[str, Any]:
    return {
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "users": [{"name": name, "user": {"token": "s3cret"}}],
        "current-context": name,
    }


def test_the_first_file_to_name_a_thing_wins(tmp_path: Path) -> None:
    """Several files are one, by kubectl's rules, the current-context too."""
    a = _write(tmp_path / "a", **_simple("x", "https://a"))
    b = _write(tmp_path / "b", **{**_simple("x", "https://b"), "contexts": _simple("y", "")["contexts"]})
    config = kubeconfig.read([a, b])
    assert set(config.contexts) == {"x", "y"}
    assert config.clusters["x"]["server"] == "https://a"
    assert config.current == "x"


def test_paths_are_relative_to_their_file(tmp_path: Path) -> None:
    """Certificates, token files and plugins are found from any working directory."""
    config = _simple("x", "https://a")
    config["clusters"][0]["cluster"]["certificate-authority"] = "pki/ca.crt"
    config["users"][0]["user"] = {
        "token": "ignored",
        "tokenFile": "../token",
        "exec": {"command": "./plugin", "args": ["./stays"]},
    }
    read = kubeconfig.read([_write(tmp_path / "config", **config)])
    assert read.clusters["x"]["certificate-authority"] == str(tmp_path / "pki" / "ca.crt")
    assert read.users["x"] == {
        "tokenFile": str(tmp_path.parent / "token"),
        "exec": {"command": str(tmp_path / "plugin"), "args": ["./stays"]},
    }


def test_a_plugin_without_a_folder_is_looked_up_on_the_path(tmp_path: Path) -> None:
    """Only commands with a slash are paths."""
    config = _simple("x", "https://a")
    config["users"][0]["user"] = {"exec": {"command": "plugin"}}
    assert kubeconfig.read([_write(tmp_path / "c", **config)]).users["x"] == {"exec": {"command": "plugin"}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [\ntoken: s3cret", ":2: not valid YAML"),
        ("token: s3cret\xff", "not valid YAML"),
        ("token: s3cret\nat: 2026-99-99", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
        ("- a", "expected a mapping at the top, found list"),
        ("contexts: 5", "contexts is not a list"),
        ("users:\n- {name: x, user: s3cret}", "entry 1 of users needs a name"),
        ("clusters:\n- cluster: {}", "entry 1 of clusters needs a name"),
    ],
)
def test_a_broken_file_is_named_without_its_secrets(tmp_path: Path, text: str, told: str) -> None:
    """The error names the file, the line where there is one, and never quotes it."""
    file = tmp_path / "config"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(CannotStart) as caught:
        kubeconfig.read([str(file)])
    assert str(file) in str(caught.value)
    assert told in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    """A file that does not read is one clear line."""
    with pytest.raises(CannotStart, match="none cannot be read: No such file"):
        kubeconfig.read([str(tmp_path / "none")])


def test_an_empty_file_is_an_empty_configuration(tmp_path: Path) -> None:
    """As kubectl takes it."""
    (tmp_path / "c").write_text("")
    assert kubeconfig.read([str(tmp_path / "c")]).contexts == {}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"contexts": []}, "there is no context 'x'"),
        ({"clusters": []}, "names the cluster 'x', which is not in"),
        ({"clusters": [{"name": "x", "cluster": {}}]}, "has no server"),
        ({"clusters": [{"name": "x", "cluster": {"server": "localhost:8080"}}]}, "is not https:// or http://"),
        ({"clusters": [{"name": "x", "cluster": {"server": "https://["}}]}, "is not https:// or http://"),
        ({"users": []}, "names the user 'x', which is not in"),
        ({"contexts": [{"name": "x", "context": {}}]}, "names the cluster '', which is not in"),
        ({"contexts": [{"name": "x", "context": {"cluster": ["x"]}}]}, "one of them is no text"),
        ({"contexts": [{"name": "x", "context": {"cluster": "x", "user": {"name": "x"}}}]}, "one of them is no text"),
    ],
)
def test_a_context_that_refers_to_nothing(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    """The text says what is missing where."""
    file = _write(tmp_path / "c", **{**_simple("x", "https://a"), **change})
    with pytest.raises(kubeconfig.Unusable, match=told):
        kubeconfig.context(kubeconfig.read([file]), "x")


def test_the_current_context_serves_without_a_name(tmp_path: Path) -> None:
    """The empty name is current-context."""
    config = kubeconfig.read([_write(tmp_path / "c", **_simple("x", "https://a"))])
    assert kubeconfig.context(config, "").name == "x"
