"""Following a pod for a person."""

import anyio
import msgspec
import pytest

from prow_async.adapters.clock import SystemClock, SystemIds
from prow_async.adapters.kube import collection, podlogs
from prow_async.adapters.kube.collection import KubeCollection
from prow_async.api.errors import Missing
from prow_async.apps import follow
from prow_async.core import podview
from prow_async.sandbox.kube import direct
from prow_async.sandbox.kube.world import World
from tests.contract import kube_targets as targets

pytestmark = pytest.mark.anyio


class Notes:
    """Keeps what a person would be told beside steps and logs."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.came = anyio.Event()

    def begun(self, name: str) -> None:
        raise AssertionError(f"{name} never begins")

    def ended(self, name: str, exit_code: int, reason: str) -> None:
        raise AssertionError(f"{name} never ends")

    def log(self, name: str, piece: bytes) -> None:
        raise AssertionError(f"{name} has no log")

    def note(self, text: str) -> None:
        self.texts.append(text)
        self.came.set()


async def test_a_pod_that_nobody_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its events may say why, so that is where a person is sent; when it is deleted, following ends."""
    monkeypatch.setattr(follow, "_REMIND_AFTER_S", 0.0)
    transport = direct.DirectTransport(World(SystemIds()), SystemClock())
    pods = KubeCollection(transport, "x", collection.PODS, "default")
    made = podview.read(await pods.create(msgspec.json.encode(targets.pod("lonely"))))
    notes = Notes()

    async def deleted_meanwhile() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow.follow, pods, podlogs.KubePodLogs(transport, "x"), made, notes)
            await notes.came.wait()
            await pods.delete("lonely", made.uid)

    with pytest.raises(BaseExceptionGroup) as caught:
        await deleted_meanwhile()
    assert caught.group_contains(Missing)
    where = "kubectl --namespace default describe pod lonely"
    assert notes.texts == [f"nothing of the pod runs yet; what it waits for: {where}"]
