"""Pod logs, where there is a kubelet to ask: on the embedded server, through both doors."""

import pytest

from prow_async.adapters.kube.podlogs import KubePodLogs
from prow_async.api.errors import Missing, Refused
from tests.contract import kube_targets as targets
from tests.contract.conftest import DIRECT, HTTP
from tests.contract.kube_targets import Target

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kube", [DIRECT, HTTP], indirect=True)]


async def _read(kube: Target, pod: str, container: str = "") -> bytes:
    async with KubePodLogs(kube.transport, "target").follow(kube.namespace, pod, container) as pieces:
        return b"".join([piece async for piece in pieces])


async def test_a_log_is_followed_to_its_end(kube: Target) -> None:
    """Every byte comes, whoever the container is named by."""
    await targets.create(kube.pods, targets.pod("a", nodeName="node"))
    assert await _read(kube, "a") == targets.LOG
    assert await _read(kube, "a", "test") == targets.LOG


async def test_a_pod_that_is_not_there(kube: Target) -> None:
    """Missing, when it is entered."""
    with pytest.raises(Missing):
        await _read(kube, "none")


async def test_a_container_that_has_not_started(kube: Target) -> None:
    """Refused with 400: ask again later."""
    await targets.create(kube.pods, targets.pod("unstarted"))
    with pytest.raises(Refused, match="waiting to start") as caught:
        await _read(kube, "unstarted")
    assert caught.value.status == 400


async def test_a_container_the_pod_does_not_have(kube: Target) -> None:
    """Refused, with its name."""
    await targets.create(kube.pods, targets.pod("a"))
    with pytest.raises(Refused, match="container other is not valid for pod a"):
        await _read(kube, "a", "other")
