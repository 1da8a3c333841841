"""A kubelet in a process of its own, with one pod: to be killed, or run as another user.

Arguments: its folder, a mark for the pod's processes, the pod's script, and `rewrite` for containers without
namespaces. Prints the log of the pod's container.
"""

import sys
from pathlib import Path

import anyio

from prow_async.adapters.clock import SystemClock, SystemIds
from prow_async.adapters.kube import collection
from prow_async.adapters.kube.collection import KubeCollection
from prow_async.api.errors import ProwError
from prow_async.sandbox.kube import direct
from prow_async.sandbox.kube.world import World
from tests.contract import kube_targets as targets
from tests.contract.kubelet_parts import container, marked, pod, running


async def main() -> None:
    root, mark, script = sys.argv[1:4]
    pods = KubeCollection(direct.DirectTransport(World(SystemIds()), SystemClock()), "x", collection.PODS, "default")
    volume = {"volumes": [{"name": "logs", "emptyDir": {}}]}
    mount = {"volumeMounts": [{"name": "logs", "mountPath": "/logs"}]}
    async with running(pods, Path(root), isolate="rewrite" not in sys.argv[4:]) as kubelet:
        await targets.create(pods, pod("victim", container("c", script, **marked(mark), **mount), **volume))
        while True:
            try:
                async for piece in kubelet.logs.follow("default", "victim", "c", True):
                    print(piece.decode(), end="", flush=True)
                return
            except ProwError:
                await anyio.sleep(0.02)


anyio.run(main)
