"""Leader and standby on a real API server, with no more rights than their roles give."""

import functools
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog
from structlog.testing import capture_logs

from prow_async.actors.leader import Candidacy, Leader
from prow_async.adapters.clock import SystemClock
from prow_async.adapters.kube import session
from prow_async.adapters.kube.collection import LEASES, KubeCollection
from prow_async.adapters.kube.credentials import Source
from prow_async.adapters.metrics import PrometheusMetrics
from prow_async.core import lease
from prow_async.ports.transport import Transport
from tests import realkube

Json = dict[str, Any]
LOCK = "a-lock"
pytestmark = [pytest.mark.slow, pytest.mark.anyio, *realkube.REAL]


def allow(server: realkube.Server, namespace: str, verbs: list[str]) -> None:
    """Give user `nobody` these verbs on the one Lease, and creation of any, which cannot be narrowed by name."""
    group, rbac = "rbac.authorization.k8s.io", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    leases: Json = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    rules = [{**leases, "verbs": verbs, "resourceNames": [LOCK]}, {**leases, "verbs": ["create"]}]
    server.request("POST", f"{rbac}/roles", {"metadata": {"name": "leader"}, "rules": rules})
    bound = {
        "metadata": {"name": "leader"},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "leader"},
        "subjects": [{"kind": "User", "apiGroup": group, "name": "nobody"}],
    }
    server.request("POST", f"{rbac}/rolebindings", bound)


def leader(transport: Transport, namespace: str, identity: str) -> Leader:
    leases = KubeCollection(transport, "", LEASES, namespace, field_selector=f"metadata.name={LOCK}")
    timing = lease.Timing(4, 3.0, 0.5)
    lock = lease.Lock(name=LOCK, identity=identity, timing=timing)
    return Leader("plank", Candidacy(leases, lock), SystemClock(), PrometheusMetrics())


async def leads(one: Leader) -> None:
    with anyio.fail_after(60):
        while not one.leading:
            await anyio.sleep(0.01)


@pytest.mark.parametrize(
    ("verbs", "watches"), [(["get", "update", "watch"], True), (["get", "update"], False)], ids=["ours", "upstream's"]
)
async def test_with_no_more_rights_than_a_role_gives(
    real_kube: realkube.Server, tmp_path: Path, verbs: list[str], watches: bool
) -> None:
    """1. One leads, one stands by; without `watch` it reads again and again. 2. Released: the next leads."""
    structlog.reset_defaults()
    namespace = real_kube.namespace("leases")
    allow(real_kube, namespace, verbs)
    kubeconfig = real_kube.write_kubeconfig(tmp_path / "nobody", real_kube.tokens["nobody"])
    with capture_logs() as lines:
        async with (
            session.connect(Source("", (str(kubeconfig),)), "test") as transport,
            anyio.create_task_group() as group,
        ):
            first, second = (leader(transport, namespace, name) for name in ("a_1", "b_2"))
            group.start_soon(functools.partial(first.run, anyio.sleep_forever))
            await leads(first)
            group.start_soon(functools.partial(second.run, anyio.sleep_forever))
            with anyio.fail_after(60):
                while not any(line.get("why") == "held by a_1" for line in lines):
                    await anyio.sleep(0.01)
            await anyio.sleep(1)
            assert not second.leading
            await first.resign()
            await leads(second)
            group.cancel_scope.cancel()
    refused = [line for line in lines if "cannot be watched" in str(line.get("why"))]
    assert bool(refused) is not watches, lines
    spec = real_kube.request("GET", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{LOCK}")["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("b_2", 1)
