"""From containers to command lines and folders of this machine."""

from typing import Any

import pytest

from prow_async.sandbox.kubelet import launch, supplies
from prow_async.sandbox.kubelet.manifest import Pod
from tests.unit.sandbox_kubelet.pods import container, pod

FOLDER = "/r/p"
VOLUMES: list[dict[str, Any]] = [{"name": "logs", "emptyDir": {}}, {"name": "code", "emptyDir": {}}]
MOUNTS = [{"name": "logs", "mountPath": "/logs"}, {"name": "code", "mountPath": "/home/prow/go/", "subPath": "go"}]
REAL = {"/", "/tmp"}


def planned(subject: Pod, isolated: bool = False) -> dict[str, launch.Launch]:
    ground = launch.Ground(FOLDER, "/bin", isolated, ("python", "-m"), REAL.__contains__)
    return launch.plan(subject, supplies.volumes_of(subject, ()), ground, {})


def plan(isolated: bool = False, **more: Any) -> launch.Launch:
    return planned(pod(container(**more), volumes=VOLUMES), isolated)["test"]


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
    made = planned(subject)
    assert made["a"].argv[1] == made["b"].argv[1] == "/r/p/volumes/logs"


def test_isolated_containers_find_everything_at_its_place() -> None:
    """Nothing is rewritten; each mount, the HOME, the message file and a /tmp of its own are bound."""
    made = plan(True, args=["/logs/x"], workingDir="/workspace", volumeMounts=MOUNTS)
    assert (made.argv, made.cwd, made.env["HOME"]) == (("true", "/logs/x"), "/workspace", "/home/prow")
    assert {(b.source.removeprefix(FOLDER), b.target) for b in made.binds} == {
        ("/home", "/home/prow"),
        ("/scratch/test/tmp", "/tmp"),
        ("/scratch/test/var/tmp", "/var/tmp"),
        ("/volumes/logs", "/logs"),
        ("/volumes/code/go", "/home/prow/go"),
        ("/messages/test", "/dev/termination-log"),
    }


UTILITIES = [
    ("clonerefs", "gcr.io/k8s-prow/clonerefs:v1", {"env": [{"name": "CLONEREFS_OPTIONS", "value": "{}"}]}, "clonerefs"),
    ("initupload", "initupload@sha256:0", {"env": [{"name": "INITUPLOAD_OPTIONS", "value": "{}"}]}, "initupload"),
    ("place-entrypoint", "host:5000/x/entrypoint:v1", {"args": ["--copy-mode-only"]}, "entrypoint"),
    ("sidecar", "x/sidecar", {"env": [{"name": "SIDECAR_OPTIONS", "value": "{}"}], "command": ["/sidecar"]}, "sidecar"),
]


@pytest.mark.parametrize(("name", "image", "more", "module"), UTILITIES)
def test_utility_images_are_this_projects_own_programs(name: str, image: str, more: Any, module: str) -> None:
    """By the image's last path element, and what a decoration configures; they see /tmp as this process does."""
    subject = pod(container(name, image=image, **{"command": [], **more}))
    made = planned(subject, isolated=True)[name]
    assert made.argv == ("python", "-m", f"prow_async.podutils.{module}", *more.get("args", ()))
    assert made.utility
    assert "/tmp" not in {bind.target for bind in made.binds}


@pytest.mark.parametrize(
    ("image", "more"),
    [
        ("x/sidecar", {}),
        ("x/sidecar", {"command": ["/other"], "env": [{"name": "SIDECAR_OPTIONS", "value": "{}"}]}),
        ("sidecar/x", {"env": [{"name": "SIDECAR_OPTIONS", "value": "{}"}]}),
        ("x/entrypoint", {"args": []}),
    ],
)
def test_images_that_are_only_called_alike_are_no_utilities(image: str, more: Any) -> None:
    subject = pod(container(image=image, **{"command": ["true"], **more}))
    assert not planned(subject, isolated=True)["test"].utility
