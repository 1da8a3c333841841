"""Where the marker of a test belongs whose wrapper was killed."""

import os
from pathlib import Path

import msgspec
import pytest

from prow_async.sandbox.kubelet import volumes, wrapped
from prow_async.sandbox.kubelet.manifest import Container

OPTIONS = '{"args":["x"],"marker_file":"/logs/marker-file.txt","process_log":"/logs/l"}'
VOLUMES = {
    "logs": volumes.read({"name": "logs", "emptyDir": {}}),
    "host": volumes.read({"name": "host", "hostPath": {"path": "/srv"}}),
}


@pytest.mark.parametrize(
    ("options", "mount", "found"),
    [
        (OPTIONS, {"name": "logs", "mountPath": "/logs"}, "/pods/p/volumes/logs/marker-file.txt"),
        (OPTIONS, {"name": "logs", "mountPath": "/logs/"}, "/pods/p/volumes/logs/marker-file.txt"),
        (OPTIONS, {"name": "logs", "mountPath": "/logs", "subPath": "a"}, ""),
        (OPTIONS, {"name": "logs", "mountPath": "/"}, ""),
        (OPTIONS, {"name": "host", "mountPath": "/logs"}, ""),
        (OPTIONS.replace("marker-file", "deep/marker"), {"name": "logs", "mountPath": "/logs"}, ""),
        (OPTIONS.replace("/logs/marker-file.txt", "/logs/"), {"name": "logs", "mountPath": "/logs"}, ""),
        ('{"marker_file":3}', {"name": "logs", "mountPath": "/logs"}, ""),
        ("no JSON", {"name": "logs", "mountPath": "/logs"}, ""),
        ("{}", {"name": "logs", "mountPath": "/logs"}, ""),
    ],
)
def test_only_the_top_of_a_volume_of_the_pods_own(options: str, mount: dict[str, str], found: str) -> None:
    env = [{"name": "ENTRYPOINT_OPTIONS", "value": options}]
    container = msgspec.convert({"name": "c", "env": env, "volumeMounts": [mount]}, Container)
    assert wrapped.marker(container, VOLUMES, "/pods/p") == found


def test_a_container_that_wraps_nothing_owes_nothing() -> None:
    assert wrapped.marker(Container("c"), VOLUMES, "/pods/p") == ""


def test_a_marker_is_left_once_and_never_through_a_link(tmp_path: Path) -> None:
    place, other = tmp_path / "marker", tmp_path / "other"
    other.write_text("kept")
    os.symlink(other, place)
    assert wrapped.leave(str(place), 137) is True
    assert (place.is_symlink(), place.read_text(), other.read_text()) == (False, "137", "kept")
    assert wrapped.leave(str(place), 1) is False
    assert place.read_text() == "137"
    place.unlink()
    place.mkdir()
    assert wrapped.leave(str(place), 1) is False
    assert sorted(os.listdir(tmp_path)) == ["marker", "other"]
