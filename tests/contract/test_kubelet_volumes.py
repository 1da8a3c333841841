"""Volumes and variables of every kind, as a container finds them."""

import base64
import contextlib
import stat
import uuid
from pathlib import Path

import anyio
import pytest

from prow_async.adapters.kube import collection
from prow_async.sandbox.kubelet import forge, isolation
from prow_async.sandbox.kubelet.supplies import Access
from tests.contract import kube_targets as targets
from tests.contract.kube_targets import Target
from tests.contract.kubelet_parts import container, ended, log_of, phase, pod, running, terminated, until

pytestmark = pytest.mark.anyio
Json = targets.Json


@pytest.fixture
def isolated(tmp_path_factory: pytest.TempPathFactory) -> None:
    with contextlib.closing(forge.Forge()) as maker:
        found, why = isolation.probe(tmp_path_factory.mktemp("probe"), maker)
    if not found.mounts:
        pytest.skip(f"this system gives us no namespaces: {why}")


def access(kube: Target) -> Access:
    return Access(
        pods=lambda namespace: kube.pods,
        secrets=lambda namespace: kube.collection(collection.SECRETS),
        configmaps=lambda namespace: kube.config_maps,
        events=lambda namespace: kube.collection(collection.EVENTS),
    )


def secret(name: str, **data: bytes) -> Json:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded}


def at(name: str, path: str, **more: object) -> Json:
    return {"name": name, "mountPath": path, **more}


FILES: list[Json] = [
    {"name": "s", "secret": {"secretName": "s", "defaultMode": 0o400}},
    {"name": "m", "configMap": {"name": "m", "items": [{"key": "word", "path": "deep/er", "mode": 0o755}]}},
    {"name": "none", "secret": {"secretName": "not-there", "optional": True}},
    {
        "name": "down",
        "downwardAPI": {
            "items": [
                {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
                {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
                {"path": "cpu", "resourceFieldRef": {"containerName": "c", "resource": "limits.cpu", "divisor": "1m"}},
            ]
        },
    },
    {
        "name": "all",
        "projected": {
            "sources": [
                {"secret": {"name": "s", "items": [{"key": "token", "path": "t"}]}},
                {"configMap": {"name": "m"}},
                {"downwardAPI": {"items": [{"path": "ns", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
            ]
        },
    },
]
READ = """
cat /s/token /m/deep/er /down/labels; echo; cat /down/name; echo; cat /down/cpu; echo
stat -L -c %a /s/token /m/deep/er; readlink /s/token; test -L /s/..data && echo linked
cat /all/t /all/word; ls /none; cat /one-file
echo x > /s/token || echo read-only
"""


@pytest.mark.usefixtures("isolated")
async def test_files_from_objects(kube: Target, tmp_path: Path) -> None:
    """Secrets, config maps, the pod's own fields and mixtures of them, with keys, paths and modes as asked for."""
    await targets.create(kube.collection(collection.SECRETS), secret("s", token=b"hush\n"))
    await targets.create(kube.config_maps, targets.config_map("m", word="hello\n"))
    mounts = [at(v["name"], f"/{v['name']}") for v in FILES] + [at("m", "/one-file", subPath="deep/er")]
    limits = {"limits": {"cpu": "1500m"}}
    wanted = pod("p", container("c", READ, volumeMounts=mounts, resources=limits), volumes=FILES)
    wanted["metadata"]["labels"] = {"b": "2", "a": "1"}
    async with running(kube.pods, tmp_path, access(kube)) as kubelet:
        await targets.create(kube.pods, wanted)
        found = await until(kube.pods, "p", ended)
        assert phase(found) == "Succeeded"
        text = (await log_of(kubelet, kube.namespace, "p", "c")).splitlines()
    assert text[:6] == ["hush", "hello", 'a="1"', 'b="2"', "p", "1500"]
    assert text[6:10] == ["400", "755", "..data/token", "linked"]
    assert text[10:13] == ["hush", "hello", "hello"]
    assert text[-1] == "read-only"


async def test_a_pod_waits_for_its_secret(kube: Target, tmp_path: Path) -> None:
    """It stays pending and an event says what is missing; as soon as the secret is there the pod runs."""
    volume = {"volumes": [{"name": "s", "secret": {"secretName": "late"}}]}
    async with running(kube.pods, tmp_path, access(kube)):
        await targets.create(kube.pods, pod("p", container("c", "true", volumeMounts=[at("s", "/s")]), **volume))
        event = await _event(kube, "FailedMount")
        assert event["message"] == 'MountVolume.SetUp failed for volume "s" : secret "late" not found'
        assert event["involvedObject"]["name"] == "p"
        found = await targets.get(kube.pods, "p")
        assert phase(found) == "Pending"
        assert found["status"]["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
        await targets.create(kube.collection(collection.SECRETS), secret("late", x=b"y"))
        assert phase(await until(kube.pods, "p", ended)) == "Succeeded"


@pytest.mark.slow
async def test_a_pod_that_waits_can_be_ended(kube: Target, tmp_path: Path) -> None:
    """By its deadline; and a deleted one is simply gone."""
    volume = {"volumes": [{"name": "s", "secret": {"secretName": "never"}}]}
    async with running(kube.pods, tmp_path, access(kube)) as kubelet:
        await targets.create(kube.pods, pod("late", container("c", "true"), activeDeadlineSeconds=1, **volume))
        made = await targets.create(kube.pods, pod("gone", container("c", "true"), **volume))
        await _event(kube, "FailedMount")
        await kube.pods.delete("gone", made["metadata"]["uid"])
        found = await until(kube.pods, "late", ended)
        assert found["status"]["reason"] == "DeadlineExceeded"
        with anyio.fail_after(targets.STEP_S):
            while kubelet.statistics()["pods"]:
                await anyio.sleep(0.01)


async def _event(kube: Target, reason: str) -> Json:
    """Return the first event of this reason."""
    events = kube.collection(collection.EVENTS)
    version = await targets.version_of(events)
    for item in (await events.list_page(500)).items:
        if targets.decode(item)["reason"] == reason:
            return targets.decode(item)
    async with events.watch(version, initial=False) as chunks:
        stream = targets.Stream(chunks)
        while True:
            kind, found = await stream.next()
            if kind == "ADDED" and found["reason"] == reason:
                return found


async def test_variables_and_references(kube: Target, tmp_path: Path) -> None:
    """Fields, resources in their units, and $(NAME) in other variables, command and args; $$ is a plain dollar."""
    env = [
        {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['who']"}}},
        {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "BOTH", "value": "$(WHO)/$(MEMORY) $$(WHO) $(UNKNOWN)"},
    ]
    made = container("c", 'echo "$BOTH|$CPU|$0|$1"', env=env, args=["$(BOTH)", "$$(BOTH)"])
    wanted = pod("p", {**made, "resources": {"limits": {"memory": "1Gi", "cpu": "1500m"}}})
    wanted["metadata"]["labels"] = {"who": "me"}
    async with running(kube.pods, tmp_path) as kubelet:
        await targets.create(kube.pods, wanted)
        await until(kube.pods, "p", ended)
        both = "me/1024 $(WHO) $(UNKNOWN)"
        assert await log_of(kubelet, kube.namespace, "p", "c") == f"{both}|2|{both}|$(BOTH)\n"


async def test_host_paths_that_are_allowed(kube: Target, tmp_path: Path) -> None:
    """A folder of this machine, made where the type asks for it; a missing one that may not be made is waited for."""
    shared = tmp_path / "shared"
    volumes = [
        {"name": "h", "hostPath": {"path": str(shared / "made"), "type": "DirectoryOrCreate"}},
        {"name": "out", "hostPath": {"path": str(tmp_path / "link")}},
    ]
    await anyio.Path(shared).mkdir()
    await anyio.Path(tmp_path / "link").symlink_to("/etc")
    settings = {"host_paths": (str(shared),)}
    made = container("c", f"echo kept > {shared}/made/file", volumeMounts=[at("h", f"{shared}/made")])
    async with running(kube.pods, tmp_path / "pods", **settings):
        await targets.create(kube.pods, pod("p", made, volumes=volumes[:1]))
        assert phase(await until(kube.pods, "p", ended)) == "Succeeded"
        await targets.create(kube.pods, pod("q", container("c", "true"), volumes=volumes[1:]))
        assert "allow the folder" in (await until(kube.pods, "q", ended))["status"]["message"]
    assert await anyio.Path(shared / "made" / "file").read_text() == "kept\n"


@pytest.mark.usefixtures("isolated")
async def test_a_sub_path_cannot_lead_out_of_its_volume(kube: Target, tmp_path: Path) -> None:
    """A container that puts a symbolic link into a volume gains nothing by it."""
    inits = [container("i", "ln -s /etc /v/x", volumeMounts=[at("v", "/v")])]
    made = container("c", "true", volumeMounts=[at("v", "/w", subPath="x")])
    async with running(kube.pods, tmp_path):
        await targets.create(kube.pods, pod("p", made, initContainers=inits, volumes=[{"name": "v", "emptyDir": {}}]))
        end = terminated(await until(kube.pods, "p", ended), "c")
    assert (end["exitCode"], "leads out of volume 'v'" in end["message"]) == (128, True)


@pytest.mark.slow
async def test_long_logs(kube: Target, tmp_path: Path) -> None:
    """A log is kept in five files of bounded size, followed without a gap, and its tail is the termination message."""
    script = "seq 100000; echo the end; exit 3"
    wanted = pod("p", container("c", script, terminationMessagePolicy="FallbackToLogsOnError"))
    async with running(kube.pods, tmp_path, log_limit_bytes=200_000) as kubelet:
        await targets.create(kube.pods, wanted)
        found = await until(kube.pods, "p", ended)
        kept = (await log_of(kubelet, kube.namespace, "p", "c")).splitlines()
    (folder,) = [path async for path in anyio.Path(tmp_path).glob(f"{kube.namespace}_p_*")]
    sizes = [(await path.stat()).st_size async for path in folder.glob("c.log*")]
    assert sum(sizes) <= 200_000 * 5
    assert kept == [str(number) for number in range(1, 100001)] + ["the end"]
    assert terminated(found, "c")["message"].endswith("100000\nthe end\n")
    assert {stat.S_IMODE((await path.stat()).st_mode) async for path in folder.glob("c.log*")} == {0o600}
    assert uuid.UUID(folder.name.rpartition("_")[2])
