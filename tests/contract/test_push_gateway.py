"""A Pushgateway as the pusher speaks to it."""

import socket
from collections.abc import Iterator

import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families

from prow_async.adapters import push_gateway
from prow_async.adapters.metrics import PrometheusMetrics
from prow_async.api.config_sections import PushGateway
from prow_async.api.errors import Refused, Retry
from tests import virtual
from tests.contract.outlet_servers import Server, serving
from tests.ports import free_port


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def pusher() -> push_gateway.Pusher:
    metrics = PrometheusMetrics()
    metrics.before_scrape(lambda: metrics.gauge("prow_async_jobs_waiting", 3))
    return push_gateway.Pusher(metrics, "plank", PushGateway)


@pytest.mark.anyio
@pytest.mark.parametrize("form", ["http://{}", "http://{}/", "{}"])
async def test_the_request(server: Server, form: str) -> None:
    """The whole page, as it is when scraped, in the place of what the group had before."""
    await pusher().push(form.format(server.host))
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("PUT", f"/metrics/job/plank/instance/{socket.gethostname()}")
    assert seen.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(seen.body.decode())}
    assert families["prow_async_jobs_waiting"].samples[0].value == 3


@pytest.mark.anyio
async def test_trouble(server: Server) -> None:
    """What the gateway says, and that it does not answer, are errors of their own."""
    server.answer(400, b"pushed metrics are inconsistent")
    with pytest.raises(Refused, match="answered 400: pushed metrics are inconsistent"):
        await pusher().push(server.url)
    with pytest.raises(Retry):
        await pusher().push(f"127.0.0.1:{free_port()}")


@pytest.mark.parametrize("endpoint", ["http://", "http://[", "://"])
def test_no_address(endpoint: str) -> None:
    with pytest.raises(Refused, match="is no address"):
        push_gateway.address_of(endpoint, "crier", "m")


def test_it_goes_on_through_trouble_and_without_an_endpoint() -> None:
    """An interval of nothing does not make it spin."""
    asked = list[float]()

    async def body() -> None:
        def settings() -> PushGateway:
            asked.append(anyio.current_time())
            return PushGateway(endpoint="http://[" if len(asked) == 1 else "", interval_s=0.0)

        with anyio.move_on_after(2.5):
            await push_gateway.Pusher(PrometheusMetrics(), "crier", settings).run()

    virtual.run(body)
    assert [round(at - asked[0]) for at in asked] == [0, 1, 2]
