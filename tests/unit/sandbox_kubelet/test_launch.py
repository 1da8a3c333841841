"""From containers to command lines and folders of this machine."""

from typing import Any

import pytest

from prow_async.sandbox.kubelet import launch
from tests.unit.sandbox_kubelet.pods import container, pod

FOLDER = "/r/p"
VOLUMES: list[dict[str, Any]] = [{"name": "logs", "emptyDir": {}}, {"name": "code", "emptyDir": {}}]
MOUNTS = [{"name": "logs", "mountPath": "/logs"}, {"name": "code", "mountPath": "/home/prow/go/", "subPath": "go"}]
REAL = {"/", "/tmp"}


def plan(**more: Any) -> launch.Launch:
    subject = pod(container(**more), volumes=VOLUMES)
    return launch.plan(subject, FOLDER, "/bin", {}, REAL.__contains__)["test"]


def test_the_environment_holds_nothing_but_what_is_asked_for() -> None:
    """PATH, HOME, LANG and HOSTNAME, then the pod's own word."""
    assert plan(env=[{"name": "PATH", "value": "/x"}, {"name": "A", "value": "b"}]).env == {
        "PATH": "/x",
        "HOME": "/r/p/home",
        "LANG": "C.UTF-8",
        "HOSTNAME": "a-pod",
        "A": "b",
    }


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("/logs", "/r/p/volumes/logs"),
        ("/logs/", "/r/p/volumes/logs/"),
        ("/logs/a/b.txt", "/r/p/volumes/logs/a/b.txt"),
        ("--out=/logs/x", "--out=/r/p/volumes/logs/x"),
        ("cat '/logs/a' > /logs/b; ls /logs", "cat '/r/p/volumes/logs/a' > /r/p/volumes/logs/b; ls /r/p/volumes/logs"),
        ("/bin:/home/prow/go/bin:/x", "/bin:/r/p/volumes/code/go/bin:/x"),
        ('{"dir":"/logs"}', '{"dir":"/r/p/volumes/logs"}'),
        ("see /logs.", "see /r/p/volumes/logs."),
        ("echo x > /dev/termination-log", "echo x > /r/p/messages/test"),
        ("/logs2 /logs-old /logs.txt", "/logs2 /logs-old /logs.txt"),
        ("/var/logs ./logs ~/logs $D/logs ${D}/logs", "/var/logs ./logs ~/logs $D/logs ${D}/logs"),
        ("https://host/logs", "https://host/logs"),
        ("/home/prow", "/home/prow"),
    ],
)
def test_paths_of_mounts_are_rewritten(text: str, rewritten: str) -> None:
    """In command, args and env, and only where the mounted path stands as a path."""
    made = plan(command=["sh", text], args=[text], env=[{"name": "X", "value": text}], volumeMounts=MOUNTS)
    assert made.argv == ("sh", rewritten, rewritten)
    assert made.env["X"] == rewritten


def test_references_are_resolved_before_paths() -> None:
    env = [{"name": "D", "value": "/logs"}, {"name": "E", "value": "$(D)/e"}]
    made = plan(args=["$(E)", "$(D)"], env=env, volumeMounts=MOUNTS)
    assert made.argv[1:] == ("/r/p/volumes/logs/e", "/r/p/volumes/logs")
    assert made.env["E"] == "/r/p/volumes/logs/e"


@pytest.mark.parametrize(
    ("asked", "cwd"),
    [
        ("", "/r/p/home"),
        ("/tmp", "/tmp"),
        ("/", "/"),
        ("/workspace", "/r/p/rootfs/workspace"),
        ("work", "/r/p/rootfs/work"),
        ("/logs/sub", "/r/p/volumes/logs/sub"),
        ("/home/prow/go", "/r/p/volumes/code/go"),
    ],
)
def test_the_working_folder(asked: str, cwd: str) -> None:
    """Below a mount: in the volume. One this machine has: as it is. Otherwise: an empty one of the pod's own."""
    made = plan(workingDir=asked, volumeMounts=MOUNTS)
    assert made.cwd == cwd
    assert cwd in made.folders


def test_containers_share_volumes_not_homes_of_others() -> None:
    """Two containers that mount one volume at different paths meet in the same folder."""
    subject = pod(
        container("a", args=["/x"], volumeMounts=[{"name": "logs", "mountPath": "/x"}]),
        container("b", args=["/y"], volumeMounts=[{"name": "logs", "mountPath": "/y"}]),
        volumes=VOLUMES,
    )
    made = launch.plan(subject, FOLDER, "/bin", {}, REAL.__contains__)
    assert made["a"].argv[1] == made["b"].argv[1] == "/r/p/volumes/logs"
