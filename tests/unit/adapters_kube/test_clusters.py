"""Aliases of clusters, from kubeconfig files and the pod's own account."""

from pathlib import Path

import pytest
import yaml

from prow_async.adapters.kube import clusters
from prow_async.adapters.kube.credentials import Source
from prow_async.api.errors import CannotStart


def _write(path: Path, *names: str, current: str = "") -> str:
    config = {
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in names],
        "clusters": [{"name": name, "cluster": {"server": "https://x"}} for name in names],
        "users": [{"name": name, "user": {}} for name in names],
        "current-context": current,
    }
    path.write_text(yaml.safe_dump(config))
    return str(path)


def test_contexts_are_aliases(tmp_path: Path) -> None:
    """Every context is a cluster; the current one holds the ProwJobs and is `default` as well."""
    file = _write(tmp_path / "c", "a", "b", current="b")
    assert clusters.find(clusters.Flags(kubeconfig=file), environ={}) == {
        "a": Source("a", (file,), "a"),
        "b": Source("b", (file,), "b"),
        "": Source("", (file,), "b"),
        "default": Source("default", (file,), "b"),
    }


def test_a_context_called_default_is_that(tmp_path: Path) -> None:
    """The alias falls back to the infrastructure cluster only where no context has the name."""
    file = _write(tmp_path / "c", "default", "infra", current="infra")
    found = clusters.find(clusters.Flags(kubeconfig=file), environ={})
    assert (found["default"].context, found[""].context) == ("default", "infra")


def test_a_folder_of_kubeconfigs(tmp_path: Path) -> None:
    """Files with the suffix are read, in the order of their names; mounted secrets' own entries are not."""
    folder = tmp_path / "dir"
    (folder / "..data").mkdir(parents=True)
    (folder / "sub.yaml").mkdir()
    _write(folder / "..2026.yaml", "hidden")
    _write(folder / "notes.txt", "other")
    b = _write(folder / "b.yaml", "b", current="b")
    a = _write(folder / "a.yaml", "a", current="a")
    flags = clusters.Flags(kubeconfig_dir=str(folder), kubeconfig_suffix=".yaml")
    found = clusters.find(flags, environ={})
    assert {name: source.files for name, source in found.items()} == {
        "a": (a,), "b": (b,), "": (a,), "default": (a,)
    }  # fmt: skip


def test_a_context_in_two_files(tmp_path: Path) -> None:
    """It is not guessed which one is meant: both files are named."""
    first, second = _write(tmp_path / "one", "a", current="a"), _write(tmp_path / "two", "a")
    with pytest.raises(CannotStart, match=f"'a' is in two kubeconfig files: {first} and {tmp_path}/two"):
        clusters.find(
            clusters.Flags(kubeconfig=first, kubeconfig_dir=str(tmp_path), kubeconfig_suffix="two"), environ={}
        )
    assert second


def test_kubeconfig_variable_names_several_files(tmp_path: Path) -> None:
    """Without flags $KUBECONFIG counts: its files are one, missing ones are passed over, doubles are no mistake."""
    first, second = _write(tmp_path / "one", "a", current="a"), _write(tmp_path / "two", "a", "b")
    found = clusters.find(clusters.Flags(), environ={"KUBECONFIG": f"{tmp_path}/none:{first}:{second}"})
    assert set(found) == {"", "a", "b", "default"}
    assert found["b"].files == (first, second)


def test_disabled_clusters_are_dropped(tmp_path: Path) -> None:
    """Whatever is in disabled_clusters is gone, but for the cluster of the ProwJobs; other names do not matter."""
    file = _write(tmp_path / "c", "a", "b", current="a")
    assert set(clusters.find(clusters.Flags(kubeconfig=file), ["b", "z", ""], environ={})) == {"", "a", "default"}


def test_a_suffix_needs_a_folder(tmp_path: Path) -> None:
    """Alone it would be passed over, and other clusters read than were meant."""
    flags = clusters.Flags(kubeconfig=_write(tmp_path / "c", "a", current="a"), kubeconfig_suffix=".yaml")
    with pytest.raises(CannotStart, match="--kubeconfig-suffix says"):
        clusters.find(flags, environ={})


def test_no_cluster_at_all() -> None:
    """The text says what to do."""
    with pytest.raises(CannotStart, match="Give --kubeconfig, or set KUBECONFIG"):
        clusters.find(clusters.Flags(), environ={"KUBECONFIG": "/nowhere"})


POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def test_inside_a_pod_its_cluster_is_the_infrastructure(tmp_path: Path) -> None:
    """The pod's own cluster goes before the current-context, with the projected token if one is given."""
    token = tmp_path / "token"
    token.write_text("t")
    file = _write(tmp_path / "c", "a", current="a")
    flags = clusters.Flags(kubeconfig=file, projected_token_file=str(token))
    found = clusters.find(flags, environ=POD)
    assert found[""] == Source("", in_cluster=True, token_file=str(token))
    assert found["default"].in_cluster
    assert not found["a"].in_cluster


def test_the_pods_account_can_be_left_out(tmp_path: Path) -> None:
    """--no-in-cluster-config, and pods without a token: the current-context serves."""
    token, none = tmp_path / "token", tmp_path / "none"
    token.write_text("t")
    file = _write(tmp_path / "c", "a", current="a")
    for flags in (
        clusters.Flags(kubeconfig=file, projected_token_file=str(token), in_cluster=False),
        clusters.Flags(kubeconfig=file, projected_token_file=str(none)),
    ):
        assert clusters.find(flags, environ=POD)[""].context == "a"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """One clear line."""
    with pytest.raises(CannotStart, match="none cannot be read"):
        clusters.find(clusters.Flags(kubeconfig_dir=str(tmp_path / "none")), environ={})
