"""What a container sees of this machine and what it leaves on it: real namespaces, processes, mounts and cgroups."""

import contextlib
import os
import re
import subprocess
import sys
import time
import uuid
from pathlib import Path

import anyio
import psutil  # type: ignore[import-untyped]  # the project carries no stubs for it
import pytest

from prow_async.adapters.clock import SystemClock, SystemIds
from prow_async.adapters.kube import collection
from prow_async.adapters.kube.collection import KubeCollection
from prow_async.sandbox.kube import direct
from prow_async.sandbox.kube.world import World
from prow_async.sandbox.kubelet import cgroups, forge, isolation
from prow_async.sandbox.kubelet.early import Early
from prow_async.sandbox.kubelet.manifest import Resources
from tests.contract import kube_targets as targets
from tests.contract.kubelet_parts import container, ended, living, log_of, phase, pod, running, terminated, until

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
# The shell gives up the rights to look into other users' folders, which setpriv itself still has.
_AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "sh", "-c", 'exec "$0" "$@"')


@pytest.fixture
def isolated(tmp_path_factory: pytest.TempPathFactory) -> None:
    with contextlib.closing(forge.Forge()) as maker:
        found, why = isolation.probe(tmp_path_factory.mktemp("probe"), maker)
    if not (found.mounts and found.pids):
        pytest.skip(f"this system gives us no namespaces: {why}")


@pytest.fixture
def pods(anyio_backend: str) -> KubeCollection:
    return KubeCollection(direct.DirectTransport(World(SystemIds()), SystemClock()), "x", collection.PODS, "default")


async def said(pods: KubeCollection, root: Path, wanted: targets.Json, **settings: object) -> tuple[targets.Json, str]:
    """Run a pod to its end; return it and what its container `c` wrote."""
    async with running(pods, root, **settings) as kubelet:
        await targets.create(pods, wanted)
        found = await until(pods, wanted["metadata"]["name"], ended)
        return found, await log_of(kubelet, "default", wanted["metadata"]["name"], "c")


SEEN = """
echo $$$$; hostname; pwd
echo written > /logs/deep/down/file; cat /volume-at-root/deep/down/file
touch /usr/bin/of-a-pod 2>/dev/null || echo /usr is read-only
touch /etc/passwd 2>/dev/null || echo /etc is read-only
touch /at-the-root; test -e TMP || echo another /tmp; touch /tmp/mine /var/tmp/mine && echo mine
ls /etc/of-the-pod /home/prow/go/src; test -e /etc/passwd && echo hosts files
echo x > /dev/null; echo shared > /dev/shm/x; echo fd > /dev/fd/1; test -c /dev/urandom && echo devices
test -e /proc/1/stat; ls -d /proc/[0-9]* | wc -l
"""


@pytest.mark.usefixtures("isolated")
async def test_a_container_has_a_root_of_its_own(pods: KubeCollection, tmp_path: Path) -> None:
    """Volumes stand where the pod wants them, also where this machine has nothing; the machine stays as it is."""
    mounts = [
        {"name": "v", "mountPath": "/logs"},
        {"name": "v", "mountPath": "/logs/deep/down"},
        {"name": "v", "mountPath": "/volume-at-root/deep/down"},
        {"name": "w", "mountPath": "/etc/of-the-pod"},
        {"name": "w", "mountPath": "/home/prow/go", "subPath": "a/b"},
    ]
    made = container("c", "", volumeMounts=mounts, workingDir="/workspace/new")
    made["command"][2] = "mkdir -p /home/prow/go/src/a; " + SEEN.replace("TMP", str(tmp_path))
    volumes = [{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {"medium": "Memory"}}]
    found, text = await said(pods, tmp_path, pod("own", made, volumes=volumes))
    assert phase(found) == "Succeeded", text
    pid, host, where, *lines = text.splitlines()
    assert (pid, host, where) == ("2", "own", "/workspace/new")
    assert lines[:5] == ["written", "/usr is read-only", "/etc is read-only", "another /tmp", "mine"]
    assert lines[5:-1] == ["/etc/of-the-pod:", "a", "", "/home/prow/go/src:", "a", "hosts files", "fd", "devices"]
    assert int(lines[-1]) < 10
    for path in ("/logs", "/volume-at-root", "/etc/of-the-pod", "/workspace/new", "/at-the-root", "/tmp/mine"):
        assert not await anyio.Path(path).exists()


@pytest.mark.usefixtures("isolated")
async def test_read_only_mounts_and_folders_that_are_hidden(pods: KubeCollection) -> None:
    """readOnly holds; the kubelet's folder and others that jobs shall not read look empty from inside."""
    base = Path("/var/lib") / f"prow-async-test-{uuid.uuid4().hex}"
    try:
        for name in ("pods", "data"):
            await anyio.Path(base / name).mkdir(parents=True)
            await anyio.Path(base / name / "secret").write_text("secret")
    except PermissionError:
        pytest.skip("only root can put a folder where containers do not have one of their own")
    try:
        script = f"touch /v/file 2>/dev/null || echo refused; ls -A {base} {base}/pods {base}/data"
        made = container("c", script, volumeMounts=[{"name": "v", "mountPath": "/v", "readOnly": True}])
        wanted = pod("p", made, volumes=[{"name": "v", "emptyDir": {}}])
        found, text = await said(pods, base / "pods", wanted, hidden=(str(base / "data"),))
    finally:
        await anyio.run_process(["rm", "-rf", str(base)])
    assert phase(found) == "Succeeded"
    lines = [line for line in text.splitlines() if line and not line.endswith(":")]
    assert lines == ["refused", "data", "pods"]


@pytest.mark.usefixtures("isolated")
async def test_mounts_in_places_of_every_kind(pods: KubeCollection, tmp_path: Path) -> None:
    """Below symbolic links, in /dev, over files, in each other, in a large folder of this machine."""
    places = ["/dev/shm", "/dev/new", "/lib/of-the-pod/deep", "/bin/x", "/var/run/x/y", "/tmp/a/b"]
    mounts = [{"name": "v", "mountPath": place} for place in places]
    script = "echo > /tmp/a/b/seen; " + "; ".join(f"test -e {place}/seen || echo {place}" for place in places)
    made = container("c", script + "; echo said > /tmp/a/message", volumeMounts=mounts)
    made["terminationMessagePath"] = "/tmp/a/message"
    found, text = await said(pods, tmp_path, pod("p", made, volumes=[{"name": "v", "emptyDir": {}}]))
    assert (phase(found), text) == ("Succeeded", "")
    assert terminated(found, "c")["message"] == "said\n"


@pytest.mark.usefixtures("isolated")
async def test_users(pods: KubeCollection, tmp_path: Path) -> None:
    """runAsUser is the container's user: a real one for root, a mapped one for anybody else; volumes are writable."""
    context = {"securityContext": {"runAsUser": 1234, "runAsGroup": 1235}}
    script = "id -u; id -g; touch /v/mine ~/mine /tmp/mine && echo -n said > /dev/termination-log"
    made = container("c", script, volumeMounts=[{"name": "v", "mountPath": "/v"}])
    found, text = await said(pods, tmp_path, pod("p", made, volumes=[{"name": "v", "emptyDir": {}}], **context))
    assert (phase(found), text) == ("Succeeded", "1234\n1235\n")
    assert terminated(found, "c")["message"] == "said"


@pytest.mark.usefixtures("isolated")
async def test_rights_are_an_ordinary_containers(pods: KubeCollection, tmp_path: Path) -> None:
    """What is mounted read-only cannot be made writable, nor taken away."""
    script = "mount -o remount,rw /usr 2>/dev/null || echo no; umount /logs 2>/dev/null || echo no; "
    script += "(echo 1 > /proc/sys/vm/drop_caches) 2>/dev/null || echo no"
    made = container("c", script, volumeMounts=[{"name": "v", "mountPath": "/logs"}])
    _, text = await said(pods, tmp_path, pod("p", made, volumes=[{"name": "v", "emptyDir": {}}]))
    assert text == "no\nno\nno\n"


@pytest.mark.usefixtures("isolated")
async def test_nothing_is_left_of_a_pod_but_its_log(pods: KubeCollection, tmp_path: Path) -> None:
    """Volumes, homes and mounts go with it, also files that it protected against removal."""
    script = "mkdir /v/a; touch /v/a/b; chmod 0 /v/a/b; chmod 500 /v/a; touch ~/x; echo done"
    made = container("c", script, volumeMounts=[{"name": "v", "mountPath": "/v"}])
    async with running(pods, tmp_path):
        await targets.create(pods, pod("p", made, volumes=[{"name": "v", "emptyDir": {}}]))
        await until(pods, "p", ended)
    (folder,) = [path async for path in anyio.Path(tmp_path).glob("default_p_*")]
    left = sorted([path.name async for path in folder.iterdir()])
    assert left == ["c.log", "messages", "processes"]
    assert str(tmp_path) not in await anyio.Path("/proc/self/mountinfo").read_text()


FORKING = "setsid -f sleep 1000; sleep 1000 & mkdir -p /logs/x; echo up; wait"
"""Leaves three processes: the shell, its child, and one that has left both its session and its parent."""


def victim(root: Path, mark: str, script: str, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.contract.kubelet_victim", str(root), mark, script, *more]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def up(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    told = []
    for line in process.stdout:
        told.append(line)
        if line == "up\n":
            return
    raise AssertionError("".join(told))


@pytest.mark.slow
@pytest.mark.usefixtures("isolated")
@pytest.mark.parametrize(("who", "how"), [("kubelet", ""), ("cell", ""), ("server", ""), ("kubelet", "rewrite")])
def test_kill_9_leaves_nothing(who: str, how: str, tmp_path: Path) -> None:
    """Whichever of our processes is killed: all of the container's are gone, no mount stays.

    Without namespaces nobody is left to do it when the cell itself is killed.
    """
    mark = uuid.uuid4().hex
    with victim(tmp_path, mark, FORKING, how) as process:
        up(process)
        give_up_s = time.monotonic() + 30
        while len(pids := living(mark)) < 3:  # one that is just being started shows no mark
            assert time.monotonic() < give_up_s, pids
            time.sleep(0.05)
        inside = [psutil.Process(pid) for pid in pids]
        (server,) = psutil.Process(process.pid).children()
        if who == "cell":
            server.children()[0].kill()
            assert process.wait(30) == 0
        elif who == "server":
            server.kill()
        process.kill()
    _, alive = psutil.wait_procs(inside, timeout=30)
    assert alive == []
    assert living(mark) == []
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


async def test_the_process_cells_come_from_is_replaced(pods: KubeCollection, tmp_path: Path) -> None:
    """Somebody kills it: the next pod runs all the same."""
    async with running(pods, tmp_path) as kubelet:
        await targets.create(pods, pod("one", container("c", "true")))
        await until(pods, "one", ended)
        server = kubelet._node.forge._server
        assert server is not None
        server.kill()
        server.wait()
        await targets.create(pods, pod("two", container("c", "echo fine")))
        assert phase(await until(pods, "two", ended)) == "Succeeded"
        assert await log_of(kubelet, "default", "two", "c") == "fine\n"


@pytest.mark.slow
@pytest.mark.usefixtures("isolated")
async def test_the_next_kubelet_clears_up(pods: KubeCollection, tmp_path: Path) -> None:
    """Volumes of a kubelet that was killed are removed by the next one on the same folder; logs stay."""
    with victim(tmp_path, uuid.uuid4().hex, FORKING) as process:
        up(process)
        process.kill()
    (folder,) = [path async for path in anyio.Path(tmp_path).glob("default_victim_*")]
    assert await (folder / "volumes" / "logs").exists()
    await said(pods, tmp_path, pod("p", container("c", "true")))
    assert sorted([path.name async for path in folder.iterdir()]) == ["c.log", "messages", "processes"]


@pytest.mark.slow
@pytest.mark.usefixtures("isolated")
def test_an_ordinary_user_gets_the_same(tmp_path_factory: pytest.TempPathFactory) -> None:
    """User namespaces need no root: inside, the user is root and nothing else."""
    if os.geteuid() != 0:
        pytest.skip("this whole suite runs as an ordinary user already")
    python = _python_for_everybody()
    base = Path("/var/tmp") / f"prow-async-{uuid.uuid4().hex}"
    base.mkdir()
    os.chown(base, NOBODY, NOBODY)
    try:
        script = "id -u; echo x > /logs/file && cat /logs/file; touch /usr/x 2>/dev/null || echo read-only; echo $$$$"
        libraries = next(path for path in sys.path if path.endswith("site-packages"))
        done = subprocess.run(
            [*_AS_NOBODY, python, "-m", "tests.contract.kubelet_victim", str(base / "pods"), "m", script],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": libraries, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert re.sub(r"(?m)^\d{4}-.*\n", "", done.stdout) == "0\nx\nread-only\n2\n", done.stdout + done.stderr
        assert [path.name for path in (base / "pods").glob("default_*/volumes")] == []
    finally:
        subprocess.run(["rm", "-rf", str(base)], check=True)


def _python_for_everybody() -> str:
    """Return an interpreter of our version that any user may execute; skips where there is none."""
    for python in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
        probe = [*_AS_NOBODY, python, "-c", f"open({__file__!r})"]
        try:
            if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
                return python
        except FileNotFoundError:
            continue
    pytest.skip("no interpreter of this version, or not this checkout, is open to other users")


@pytest.fixture
def limits() -> cgroups.Tree:
    try:
        return cgroups.find(uuid.uuid4().hex)
    except cgroups.Unavailable as error:
        pytest.skip(f"no limits here: {error}")


@pytest.mark.slow
@pytest.mark.usefixtures("limits")
async def test_memory_limits(pods: KubeCollection, tmp_path: Path) -> None:
    """A container that needs more than its limit is killed as a whole, and says why."""
    greedy = container("c", "", resources={"limits": {"memory": "50Mi"}})
    greedy["command"] = [sys.executable, "-c", "x = bytearray(200 << 20)"]
    async with running(pods, tmp_path):
        await targets.create(pods, pod("p", greedy))
        end = terminated(await until(pods, "p", ended), "c")
    assert (end["exitCode"], end["reason"]) == (137, "OOMKilled")


async def test_cgroups_end_what_is_in_them(tmp_path: Path) -> None:
    """A container's cgroup is made, joined, killed and removed; missing controllers cost only their limits."""
    try:
        top = cgroups._own_cgroup() / f"prow-async-{uuid.uuid4().hex}"
        top.mkdir()
    except (cgroups.Unavailable, OSError) as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    tree = cgroups.Tree(top)
    try:
        group = tree.make("pod", "c", Resources(limits={"memory": "50Mi", "cpu": "500m"}))
        async with await anyio.open_process(["sleep", "1000"]) as process:
            await anyio.Path(group.procs).write_text(str(process.pid))
            assert not group.ran_out_of_memory()
            await anyio.to_thread.run_sync(tree.remove_pod, "pod")
            assert await process.wait() == -9
        assert list(top.glob("pod")) == []
    finally:
        tree.remove()
    assert not top.exists()


async def test_what_was_found_early_is_what_a_kubelet_works_with(pods: KubeCollection, tmp_path: Path) -> None:
    """Its pods start from the forge that was there before it, and nothing of that is left once both are closed."""
    with contextlib.closing(Early(tmp_path)) as early:
        with contextlib.closing(forge.Forge()) as maker:
            assert early.wait() == isolation.probe(tmp_path, maker)
        found, text = await said(pods, tmp_path / "k", pod("early", container("c", "echo ran")), early=early)
        assert (phase(found), text) == ("Succeeded", "ran\n")
    children = psutil.Process().children()
    assert not [child for child in children if "cell import server" in " ".join(child.cmdline())]
    assert not (tmp_path / "probe").exists()


def test_an_early_probe_that_breaks_is_told_and_not_taken_for_no_isolation(tmp_path: Path) -> None:
    with contextlib.closing(Early(tmp_path / "missing" / "folder")) as early, pytest.raises(FileNotFoundError):
        early.wait()
