"""Sizes of mounted ConfigMaps, laid out as a kubelet lays them out."""

from pathlib import Path

from prow_async.adapters import configmap_sizes


def mount(folder: Path, **files: str) -> Path:
    data = folder / "..2026_01_02_03_04_05.1"
    data.mkdir(parents=True)
    (folder / "..data").symlink_to(data.name)
    for name, text in files.items():
        (data / name).write_text(text)
        (folder / name).symlink_to(f"..data/{name}")
    return folder


def test_one_configmap(tmp_path: Path) -> None:
    """Each file counts once, although it is to be seen through three paths."""
    folder = mount(tmp_path / "jobs", a="12345", b="123")
    assert configmap_sizes.sizes(folder) == {str(folder): 8}


def test_several_configmaps(tmp_path: Path) -> None:
    """A folder of mounts has a row for each; what is no mount has none."""
    one, two = mount(tmp_path / "one", a="12345"), mount(tmp_path / "two", b="1")
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "file").write_text("1")
    (tmp_path / "file").write_text("1")
    assert configmap_sizes.sizes(tmp_path) == {str(one): 5, str(two): 1}


def test_a_folder_that_is_no_mount(tmp_path: Path) -> None:
    """Configuration that is read from a checkout, or from one file, has no ConfigMap."""
    (tmp_path / "file").write_text("1")
    assert configmap_sizes.sizes(tmp_path) == {}
    assert configmap_sizes.sizes(tmp_path / "file") == {}
