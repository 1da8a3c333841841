"""ConfigMaps as config-updater changes them: key by key, beside whoever else writes there."""

import base64
from typing import Any

import msgspec
import pytest

from prow_async.actors.executor import Executor, Targets
from prow_async.adapters.clock import SystemClock, SystemIds
from prow_async.adapters.metrics import PrometheusMetrics
from prow_async.api.actions import UpdateConfigMap
from prow_async.api.errors import Refused
from tests.contract.kube_targets import Json, Target

pytestmark = pytest.mark.anyio
LABELS = {"app.kubernetes.io/name": "prow"}


class Writer:
    """Updates the ConfigMap `m` of a target."""

    def __init__(self, kube: Target) -> None:
        self._kube = kube
        self.metrics = PrometheusMetrics()
        targets = Targets(kube.prowjobs, kube.pods, {}, None, config_maps=lambda alias, namespace: kube.config_maps)
        self._executor = Executor(targets, self.metrics, SystemClock(), SystemIds())

    async def update(self, **changes: Any) -> Json:
        """Return the ConfigMap as it is then; binary content decoded."""
        wanted = {"cluster": "default", "namespace": self._kube.namespace, "name": "m", "labels": LABELS, "why": "w"}
        await self._executor.perform(UpdateConfigMap(**{**wanted, **changes}), "a delivery")
        return await self.read()

    async def read(self) -> Json:
        found = msgspec.json.decode(await self._kube.config_maps.get("m"), type=Json)
        found["binaryData"] = {key: base64.b64decode(text) for key, text in found.get("binaryData", {}).items()}
        return found


async def test_made_then_changed(kube: Target) -> None:
    """1. There is none: it is made. 2. Keys come, change, change their kind and go; others stay."""
    writer = Writer(kube)
    made = await writer.update(data={"VERSION": "1", "a": "one", "b": "two"}, binary_data={"c": b"\xff"})
    assert made["data"] == {"VERSION": "1", "a": "one", "b": "two"}
    assert made["binaryData"] == {"c": b"\xff"}
    assert made["metadata"]["labels"] == LABELS
    now = await writer.update(data={"VERSION": "2", "c": "text"}, binary_data={"a": b"\x80\x00"}, removed=("b", "none"))
    assert now["data"] == {"VERSION": "2", "c": "text"}
    assert now["binaryData"] == {"a": b"\x80\x00"}
    assert await writer.update(data={"VERSION": "2"}) == now, "nothing to change, nothing changed"
    size = f'prow_configmap_size_bytes{{name="m",namespace="{kube.namespace}"}} 7.0'
    assert size in writer.metrics.render().decode()


async def test_what_others_wrote_stays(kube: Target) -> None:
    """Labels are put only where there are none; keys and annotations of others are theirs."""
    theirs = {"name": "m", "namespace": kube.namespace, "labels": {"own": "x"}, "annotations": {"k": "v"}}
    await kube.config_maps.create(
        msgspec.json.encode({"apiVersion": "v1", "kind": "ConfigMap", "metadata": theirs, "data": {"other": "1"}})
    )
    found = await Writer(kube).update(data={"a": "b"})
    assert found["data"] == {"other": "1", "a": "b"}
    assert found["metadata"]["labels"] == {"own": "x"}
    assert found["metadata"]["annotations"] == {"k": "v"}


async def test_labels_for_one_that_has_none(kube: Target) -> None:
    bare = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": kube.namespace}}
    await kube.config_maps.create(msgspec.json.encode(bare))
    found = await Writer(kube).update(data={"a": "b"})
    assert (found["metadata"]["labels"], found["data"]) == (LABELS, {"a": "b"})


async def test_a_key_that_no_config_map_takes(kube: Target) -> None:
    """Refused whole: what it held stays."""
    writer = Writer(kube)
    before = await writer.update(data={"a": "b"})
    with pytest.raises(Refused, match="data"):
        await writer.update(data={"a": "c", "no such key": "x"})
    assert await writer.read() == before
