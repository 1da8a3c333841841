"""The push gateway as components speak to it: upstream's address and method, and a gateway in trouble."""

import socket
from collections.abc import Iterator

import anyio
import pytest

from prow_async.adapters import outgoing, push_gateway
from prow_async.adapters.metrics import PrometheusMetrics
from prow_async.api.config_sections import PushGateway
from prow_async.api.errors import ProwError, Refused, Retry
from tests.contract.outlet_servers import Server, serving
from tests.ports import free_port

pytestmark = pytest.mark.anyio
PATH = f"/metrics/job/plank/instance/{socket.gethostname()}"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


async def push(endpoint: str) -> None:
    metrics = PrometheusMetrics()
    metrics.before_scrape(lambda: metrics.count("prow_webhook_counter", event_type="push"))
    async with outgoing.opened("plank") as sender:
        await push_gateway.Pusher(metrics, sender, "plank").push(endpoint)


@pytest.mark.parametrize("form", ["http://{}", "http://{}/", "{}"])
async def test_the_request(server: Server, form: str) -> None:
    """All metrics as of now, under the component's name and the machine's, in the place of the last ones."""
    await push(form.format(server.host))
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("PUT", PATH)
    assert seen.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b'\nprow_webhook_counter{event_type="push"} 1.0\n' in seen.body


@pytest.mark.parametrize(("status", "error"), [(200, None), (202, None), (400, Refused), (500, Refused)])
async def test_what_answers_mean(server: Server, status: int, error: type[ProwError] | None) -> None:
    server.answer(status, b"why")
    if error is None:
        await push(server.url)
    else:
        with pytest.raises(error, match="why"):
            await push(server.url)


async def test_no_gateway() -> None:
    with pytest.raises(Retry):
        await push(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Refused):
        await push("http://[::1")


async def test_it_goes_on_after_trouble(server: Server) -> None:
    """1. A push fails. 2. The next one is made all the same, where the configuration says by then."""
    server.answers = [(500, b"", {}), (200, b"", {})]
    wanted = iter(("", "/moved", "/moved"))
    arrived = anyio.Event()

    def settings() -> PushGateway:
        if len(server.seen) > 1:
            arrived.set()
        return PushGateway(endpoint=f"{server.url}{next(wanted)}", interval_s=0.0)

    async with outgoing.opened("plank") as sender, anyio.create_task_group() as group:
        pusher = push_gateway.Pusher(PrometheusMetrics(), sender, "plank")
        group.start_soon(push_gateway.keep_pushing, pusher, settings)
        await arrived.wait()
        group.cancel_scope.cancel()
    assert [seen.path for seen in server.seen] == [PATH, f"/moved{PATH}"]
