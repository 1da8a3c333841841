"""What a pod is told that it asks for and does not get."""

from prow_async.sandbox.kubelet import supplies
from prow_async.sandbox.kubelet.isolation import NONE, Isolation
from tests.unit.sandbox_kubelet.pods import container, pod

FULL = Isolation(user=True, mounts=True, pids=True)


def test_a_plain_pod_is_told_nothing() -> None:
    assert supplies.notes(pod(), NONE, limited=False) == []


def test_users_limits_and_sizes() -> None:
    """Each in one line that names the container or volume."""
    asks = container(securityContext={"runAsUser": 5}, resources={"limits": {"cpu": "1"}})
    subject = pod(asks, volumes=[{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}])
    limits, size = (
        "container test: limits are not enforced here",
        "volume v: sizeLimit 1Gi is not enforced here",
    )
    users = "container test: runAsUser, runAsGroup and fsGroup are ignored: no isolation here"
    assert supplies.notes(subject, NONE, limited=False) == [users, limits, size]
    assert supplies.notes(subject, FULL, limited=True) == [size]
