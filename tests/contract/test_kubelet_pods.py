"""Pods as local processes, on every kind of API server."""

import base64
import uuid
from pathlib import Path

import anyio
import pytest

from prow_async.adapters.kube import collection
from prow_async.api.errors import CannotStart, Refused
from prow_async.sandbox.kubelet import leftovers
from prow_async.sandbox.kubelet.supplies import Access
from tests.contract import kube_targets as targets
from tests.contract.kube_targets import Target
from tests.contract.kubelet_parts import (
    NODE,
    container,
    ended,
    line_of,
    living,
    log_of,
    marked,
    phase,
    pod,
    running,
    runs,
    terminated,
    until,
    until_gone,
)

pytestmark = pytest.mark.anyio
# `$$` stands for `$` in commands: the shell sees `echo $$`.
FOREVER = "trap 'echo asked; exit 7' TERM; echo $$$$; while :; do sleep 0.05; done"
STUBBORN = "trap '' TERM; echo $$$$; while :; do sleep 0.05; done"


@pytest.mark.parametrize("isolate", [True, False])
async def test_a_pod_runs_and_succeeds(kube: Target, tmp_path: Path, isolate: bool) -> None:
    """Init containers in order, then all containers, sharing a volume; every status is there in the end."""
    volume = {"volumes": [{"name": "v", "emptyDir": {}}]}
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/data"}]}
    wanted = pod(
        "good",
        container("a", "cat /data/x; echo to stderr >&2", **mount),
        container(
            "b",
            "pwd; echo $GREETING; env | cut -d= -f1 | sort | tr '\\n' ' '",
            env=[{"name": "GREETING", "value": "hi"}],
        ),
        initContainers=[container("i", "echo -n 1 > /data/x", **mount), container("j", "echo 2 >> /data/x", **mount)],
        **volume,
    )
    async with running(kube.pods, tmp_path, isolate=isolate) as kubelet:
        made = await targets.create(kube.pods, wanted)
        found = await until(kube.pods, "good", ended)
        assert phase(found) == "Succeeded"
        assert await log_of(kubelet, kube.namespace, "good", "a") == "12\nto stderr\n"
        where, greeting, names = (await log_of(kubelet, kube.namespace, "good", "b")).splitlines()
    own = tmp_path / f"{kube.namespace}_good_{made['metadata']['uid']}"
    assert where in {str(own / "home")} | ({"/home/prow"} if isolate else set())
    assert greeting == "hi"
    assert set(names.split()) - {"_", "SHLVL", "OLDPWD"} == {"GREETING", "HOME", "HOSTNAME", "LANG", "PATH", "PWD"}
    for name in "ijab":
        assert terminated(found, name).items() >= {"exitCode": 0, "reason": "Completed"}.items()
    conditions = {c["type"]: c["status"] for c in found["status"]["conditions"]}
    assert conditions == {"PodScheduled": "True", "Initialized": "True", "ContainersReady": "False", "Ready": "False"}


async def test_failures_tell_what_happened(kube: Target, tmp_path: Path) -> None:
    """Exit codes and signals as Kubernetes counts them, messages from the log or the container's own file."""
    fallback = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    async with running(kube.pods, tmp_path):
        await targets.create(
            kube.pods,
            pod(
                "bad",
                container("well", "echo fine", **fallback),
                container("code", "echo it broke; exit 3", **fallback),
                container("signal", "kill -9 $$$$"),
                container("said", "echo -n because > /dev/termination-log; echo noise; exit 1", **fallback),
                {"name": "none", "image": "example.invalid/x", "command": ["/no/such/program"]},
            ),
        )
        found = await until(kube.pods, "bad", ended)
    assert phase(found) == "Failed"
    ends = {name: terminated(found, name) for name in ("well", "code", "signal", "said", "none")}
    told = {name: (end["exitCode"], end["reason"], end.get("message", "")) for name, end in ends.items()}
    why = told.pop("none")
    assert told == {
        "well": (0, "Completed", ""),
        "code": (3, "Error", "it broke\n"),
        "signal": (137, "Error", ""),
        "said": (1, "Error", "because"),
    }
    assert why[:2] == (128, "StartError")
    assert "cannot start '/no/such/program'" in why[2]
    assert why[2].endswith("No such file or directory")


async def test_a_failed_init_container_ends_the_pod(kube: Target, tmp_path: Path) -> None:
    """Nothing after it starts."""
    async with running(kube.pods, tmp_path) as kubelet:
        inits = [container("i", "exit 4"), container("j", "true")]
        await targets.create(kube.pods, pod("stuck", container("a", "true"), initContainers=inits))
        found = await until(kube.pods, "stuck", ended)
        with pytest.raises(Refused, match="waiting to start"):
            await log_of(kubelet, kube.namespace, "stuck", "a")
    assert phase(found) == "Failed"
    assert terminated(found, "i")["exitCode"] == 4
    assert found["status"]["initContainerStatuses"][1]["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert found["status"]["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}


@pytest.mark.parametrize(
    ("more", "reason", "line"),
    [
        ({"containers": [{"name": "c", "image": "example.invalid/x"}]}, "ErrImagePull", "has no command"),
        ({"restartPolicy": "Always"}, "CannotRunLocally", "restartPolicy Always"),
        ({"volumes": [{"name": "h", "hostPath": {"path": "/srv"}}]}, "CannotRunLocally", "with --host-path"),
    ],
)
async def test_what_cannot_run_fails_in_one_clear_line(
    kube: Target, tmp_path: Path, more: targets.Json, reason: str, line: str
) -> None:
    async with running(kube.pods, tmp_path):
        await targets.create(kube.pods, targets.pod("odd", **more))
        found = await until(kube.pods, "odd", ended)
    assert (phase(found), found["status"]["reason"]) == ("Failed", reason)
    assert line in found["status"]["message"]


async def test_secrets_and_config_maps_become_variables(kube: Target, tmp_path: Path) -> None:
    """Where the kubelet may read them; a missing key fails the pod and is named."""
    access = Access(
        pods=lambda namespace: kube.pods,
        secrets=lambda namespace: kube.collection(collection.SECRETS),
        configmaps=lambda namespace: kube.config_maps,
    )
    secret = {"metadata": {"name": "s"}, "data": {"token": base64.b64encode(b"hush").decode()}}
    await targets.create(kube.collection(collection.SECRETS), {"apiVersion": "v1", "kind": "Secret", **secret})
    await targets.create(kube.config_maps, targets.config_map("m", word="hello"))
    env = [
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "token"}}},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]
    missing = [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "no"}}}]
    from_map = [{"configMapRef": {"name": "m"}}]
    async with running(kube.pods, tmp_path, access=access) as kubelet:
        await targets.create(
            kube.pods, pod("knows", container("c", "echo $TOKEN $NAME $word", env=env, envFrom=from_map))
        )
        await targets.create(kube.pods, pod("lacks", container("c", "true", env=missing)))
        assert phase(await until(kube.pods, "knows", ended)) == "Succeeded"
        assert await log_of(kubelet, kube.namespace, "knows", "c") == "hush knows hello\n"
        found = await until(kube.pods, "lacks", ended)
    assert found["status"]["reason"] == "CreateContainerConfigError"
    assert "key 'no' of secret 's'" in found["status"]["message"]


@pytest.mark.slow
async def test_the_deadline_ends_a_pod(kube: Target, tmp_path: Path) -> None:
    """SIGTERM first, SIGKILL after the grace period; the pod says why."""
    spec = {"activeDeadlineSeconds": 1, "terminationGracePeriodSeconds": 1}
    async with running(kube.pods, tmp_path) as kubelet:
        await targets.create(kube.pods, pod("late", container("kind", FOREVER), container("not", STUBBORN), **spec))
        found = await until(kube.pods, "late", ended)
        assert (await log_of(kubelet, kube.namespace, "late", "kind")).endswith("asked\n")
    assert (phase(found), found["status"]["reason"]) == ("Failed", "DeadlineExceeded")
    assert [terminated(found, name)["exitCode"] for name in ("kind", "not")] == [7, 137]


async def test_a_deleted_pod_is_ended(kube: Target, tmp_path: Path) -> None:
    """It is on no node, so the server forgets it at once; its processes get their grace period all the same."""
    async with running(kube.pods, tmp_path) as kubelet:
        mark = uuid.uuid4().hex
        made = await targets.create(kube.pods, pod("short", container("c", FOREVER, **marked(mark))))
        await until(kube.pods, "short", runs)
        await line_of(kubelet, kube.namespace, "short", "c")
        await kube.pods.delete("short", made["metadata"]["uid"])
        assert (await log_of(kubelet, kube.namespace, "short", "c")).endswith("asked\n")
        assert living(mark) == []


@pytest.mark.slow
async def test_a_bound_pod_is_ended_before_it_is_removed(kube: Target, tmp_path: Path) -> None:
    """The server waits for the kubelet, which removes the pod when its processes are gone."""
    async with running(kube.pods, tmp_path) as kubelet:
        mark = uuid.uuid4().hex
        made = await targets.create(kube.pods, pod("bound", container("c", STUBBORN, **marked(mark)), nodeName=NODE))
        found = await until(kube.pods, "bound", runs)
        await line_of(kubelet, kube.namespace, "bound", "c")
        await kube.pods.delete("bound", made["metadata"]["uid"], 1)
        await until_gone(kube.pods, found["metadata"]["resourceVersion"], "bound")
        assert living(mark) == []
        await targets.create(kube.pods, pod("bound", container("c", "echo second"), nodeName=NODE))
        assert phase(await until(kube.pods, "bound", ended)) == "Succeeded"
        assert await log_of(kubelet, kube.namespace, "bound", "c") == "second\n"


@pytest.mark.parametrize("isolate", [True, False])
async def test_nothing_outlives_its_container(kube: Target, tmp_path: Path, isolate: bool) -> None:
    """What a container leaves running ends with it, also what has left its process group and its parents behind."""
    mark = uuid.uuid4().hex
    script = "sleep 1000 & setsid -f sleep 1000; (setsid sh -c 'sleep 1000 & sleep 1000' &) ; echo left"
    async with running(kube.pods, tmp_path, isolate=isolate) as kubelet:
        await targets.create(kube.pods, pod("parent", container("c", script, **marked(mark))))
        assert phase(await until(kube.pods, "parent", ended)) == "Succeeded"
        assert living(mark) == []
        assert await log_of(kubelet, kube.namespace, "parent", "c") == "left\n"


@pytest.mark.slow
async def test_stopping_the_kubelet_ends_its_pods(kube: Target, tmp_path: Path) -> None:
    """Processes are ended, the stubborn ones too, and the pods say so."""
    async with running(kube.pods, tmp_path) as kubelet:
        mark = uuid.uuid4().hex
        await targets.create(kube.pods, pod("cut", container("c", STUBBORN, **marked(mark))))
        await until(kube.pods, "cut", runs)
        await line_of(kubelet, kube.namespace, "cut", "c")
    assert living(mark) == []
    found = await targets.get(kube.pods, "cut")
    assert (phase(found), found["status"]["reason"]) == ("Failed", "Terminated")
    assert terminated(found, "c")["exitCode"] == 137


async def test_a_killed_kubelet_is_cleaned_up_after(kube: Target, tmp_path: Path) -> None:
    """The next one on the same folder ends what was left running and fails the pods whose end nobody knows."""
    async with running(kube.pods, tmp_path):
        await targets.create(kube.pods, pod("probe", container("c", "true")))
        status = (await until(kube.pods, "probe", ended))["status"]
    made = await targets.create(kube.pods, pod("lost", container("c", "sleep 1000")))
    ran = {"phase": "Running", "startTime": status["startTime"], "conditions": status["conditions"]}
    await kube.pods.merge_patch_status("lost", {"status": ran})
    marks = tmp_path / f"{kube.namespace}_lost_{made['metadata']['uid']}" / leftovers.FOLDER
    await anyio.Path(marks).mkdir(parents=True)
    async with await anyio.open_process(["sleep", "1000"], start_new_session=True) as orphan:
        leftovers.mark(str(marks / "c"), orphan.pid)
        async with running(kube.pods, tmp_path):
            found = await until(kube.pods, "lost", ended)
            assert await orphan.wait() == -9
    assert (phase(found), found["status"]["reason"]) == ("Failed", "NodeLost")
    assert terminated(found, "c")["reason"] == "ContainerStatusUnknown"


async def test_a_pod_of_another_kubelet_is_left_alone(kube: Target, tmp_path: Path) -> None:
    """Two kubelets on one server: each pod is run by one of them, once."""
    async with running(kube.pods, tmp_path / "one"), running(kube.pods, tmp_path / "two"):
        for number in range(5):
            await targets.create(kube.pods, pod(f"p{number}", container("c", "echo ran")))
        for number in range(5):
            assert phase(await until(kube.pods, f"p{number}", ended)) == "Succeeded"
    ran = [path.parent.name.split("_")[1] async for path in anyio.Path(tmp_path).glob("*/*/c.log")]
    assert sorted(ran) == [f"p{number}" for number in range(5)]


async def test_one_kubelet_to_a_folder(kube: Target, tmp_path: Path) -> None:
    """The second one does not start, and says what to do."""
    async with running(kube.pods, tmp_path):
        await targets.create(kube.pods, pod("p", container("c", "true")))
        await until(kube.pods, "p", ended)
        with pytest.raises(ExceptionGroup) as caught:
            async with running(kube.pods, tmp_path):
                await anyio.sleep_forever()
    assert caught.group_contains(CannotStart, match="another kubelet uses")


async def test_pods_wait_for_room(kube: Target, tmp_path: Path) -> None:
    """A pod that waits is not started; deleted meanwhile, it never runs; the next one gets the room."""
    async with running(kube.pods, tmp_path, room=1) as kubelet:
        first = await targets.create(kube.pods, pod("first", container("c", FOREVER)))
        await until(kube.pods, "first", runs)
        second = await targets.create(kube.pods, pod("second", container("c", "true")))
        await targets.create(kube.pods, pod("third", container("c", "true")))
        await kube.pods.delete("second", second["metadata"]["uid"])
        assert "startTime" not in (await targets.get(kube.pods, "third"))["status"]
        await line_of(kubelet, kube.namespace, "first", "c")
        await kube.pods.delete("first", first["metadata"]["uid"])
        assert phase(await until(kube.pods, "third", ended)) == "Succeeded"
    ran = [path.parent.name.split("_")[1] async for path in anyio.Path(tmp_path).glob("*/c.log")]
    assert sorted(ran) == ["first", "third"]
