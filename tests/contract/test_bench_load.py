"""The bench's load, its bare loop and its bare list do what the figures say they do, on the embedded API server."""

import anyio
import msgspec
import pytest

from bench import load, processes, wire
from prow_async.adapters import clock
from prow_async.adapters.kube import collection
from prow_async.apps import embedded
from prow_async.sandbox.kube import direct, http
from prow_async.sandbox.kube.world import World

TOKEN = "a-token-of-this-test"
PATIENCE_S = 60.0


async def create_namespace(transport: direct.DirectTransport) -> None:
    body = msgspec.json.encode({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": wire.NAMESPACE}})
    headers = {"Content-Type": "application/json"}
    async with transport.send("POST", collection.NAMESPACES.path(), headers, body) as reply:
        assert reply.status == 201, await reply.read()


ASKED = '{"rate": 20, "seconds": 0.5}'


async def said(*arguments: str) -> bytes:
    done = await anyio.run_process(processes.module(*arguments), check=False, cwd=processes.ROOT)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.slow
@pytest.mark.anyio
async def test_the_bare_loop_finishes_every_job_of_the_load() -> None:
    """1. The bare loop is ready. 2. The load posts, plays kubelet, sees every job done. 3. The list is whole."""
    world, time = World(clock.SystemIds()), clock.SystemClock()
    world.install(embedded.crd(), time.now())
    await create_namespace(direct.DirectTransport(world, time))
    async with http.serve(world, time, TOKEN) as url:
        with anyio.fail_after(PATIENCE_S):
            command = processes.module("bench.bare", url, TOKEN)
            async with await anyio.open_process(command, cwd=processes.ROOT) as bare:
                assert bare.stdout is not None
                assert (await bare.stdout.receive()).startswith(b"ready")
                report = msgspec.json.decode(await said("bench.load", url, TOKEN, ASKED), type=load.Report)
                bare.terminate()
            listed = msgspec.json.decode(await said("bench.barelist", url, TOKEN))
    assert (report.created, report.done, report.writes) == (10, 10, 30)
    assert len(report.pod_seen_ms) == len(report.done_ms) == 10
    assert report.done_ms[0] >= load.Asked(rate=20, seconds=0.5).runs_s * 1e3
    assert listed["objects"] == 10
