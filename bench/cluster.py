"""The real kube-apiserver of a run: its namespace, its counters, and making it clean and quiet between measurements."""

import contextlib
import http.client
import ssl
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec

from bench import exposition, processes, wire
from tests import realkube

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
RESOURCES = frozenset({"prowjobs", "pods", "events"})
PATIENCE_S = 300.0
QUIET_SHARE = 0.1
QUIET_S = 0.5


@contextlib.contextmanager
def running() -> Iterator[realkube.Server]:
    """Start the API server with the bench's namespace in it."""
    with realkube.running(flags=["--delete-collection-workers=16"]) as server:
        server.ensure("/api/v1/namespaces", {"metadata": {"name": wire.NAMESPACE}})
        yield server


def version(server: realkube.Server) -> str:
    return str(server.request("GET", "/version")["gitVersion"])


def writes(server: realkube.Server) -> int:
    """Return how many writes of ProwJobs, pods and events the API server has answered so far."""
    page = request(server, "GET", "/metrics").decode()

    def wanted(labels: object) -> bool:
        assert isinstance(labels, dict)
        return labels.get("verb") in WRITES and labels.get("resource") in RESOURCES

    return int(exposition.total(page, "apiserver_request_total", wanted))


def clean(server: realkube.Server) -> None:
    """Delete what a run has left, and wait until the API server has nothing more to do."""
    for path in (wire.JOBS, wire.PODS):
        request(server, "DELETE", f"{path}?gracePeriodSeconds=0&propagationPolicy=Background")
        left = msgspec.json.decode(request(server, "GET", f"{path}?limit=1"))["items"]
        if left:
            raise processes.Broken(f"{path} could not be emptied: {left[0]['metadata']['name']} stays")
    quiet(server)


def quiet(server: realkube.Server) -> None:
    """Return once etcd and the API server rest, at the latest after half a minute."""
    end = time.monotonic() + 30.0
    while time.monotonic() < end:
        before = sum(map(processes.cpu_s, server.pids))
        time.sleep(QUIET_S)
        if sum(map(processes.cpu_s, server.pids)) - before <= QUIET_SHARE * QUIET_S:
            return


def request(server: realkube.Server, method: str, path: str) -> bytes:
    """Send one request that may take minutes. Raises Broken unless it succeeds."""
    context = ssl.create_default_context(cafile=str(server.ca))
    connection = http.client.HTTPSConnection(urlsplit(server.url).netloc, timeout=PATIENCE_S, context=context)
    with contextlib.closing(connection):
        try:
            connection.request(method, path, headers={"Authorization": f"Bearer {server.token}"})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise processes.Broken(f"{method} {path}: {type(error).__name__}: {error}") from error
    if answer.status != 200:
        raise processes.Broken(f"{method} {path}: {answer.status} {body.decode(errors='replace')[:300]}")
    return body
