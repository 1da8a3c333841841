"""A real S3 server on loopback, the shape of Google's storage over it, and trouble on the way to both.

Google's XML API is S3's with other names for headers: the shim renames them. Of preconditions by generation it knows
the one that is used: generation 0, nothing there yet.
"""

import itertools
import json
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from prow_async.adapters.storage import cloud, cloud_access, names

QUICK = cloud_access.Patience(timeout_s=2.0, connect_timeout_s=2.0, retries=2, first_pause_s=0.01, last_pause_s=0.02)
ACCESS_KEY, SECRET_KEY = "AKIDLOOPBACK", "s3cr3t/of+the-loopback"
BUCKET = "artifacts"
_numbers = itertools.count(1)

Environ = dict[str, Any]
Start = Callable[..., Any]
App = Callable[[Environ, Start], Iterable[bytes]]


class Trouble:
    """What happens to the next requests: a status, `reset`, or `hang`. None answers as the server does."""

    def __init__(self, app: App) -> None:
        self.next: list[int | str | None] = []
        self.always: int | str | None = None
        self.released = threading.Event()
        """Ends every hanging."""
        self.hanging = threading.Event()
        """Set once a request hangs."""
        self.seen: list[tuple[str, str]] = []
        """Method and path with query of every request."""
        self._app = app
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        with self._lock:
            query = environ["QUERY_STRING"]
            self.seen.append((environ["REQUEST_METHOD"], environ["PATH_INFO"] + (f"?{query}" if query else "")))
            what = self.next.pop(0) if self.next else self.always
        if what is None:
            return self._app(environ, start)
        if what == "reset":
            connection = environ["werkzeug.socket"]
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.shutdown(socket.SHUT_RDWR)
            raise ConnectionError("as asked for")
        if what == "hang":
            self.hanging.set()
            self.released.wait()
            what = 500
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        body = f"<Error><Code>Planned</Code><Message>{ACCESS_KEY} {SECRET_KEY}</Message></Error>".encode()
        start(f"{what} Planned", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]


def google_shape(app: App) -> App:
    """Let an S3 server be spoken to as Google's storage is."""

    def shaped(environ: Environ, start: Start) -> Iterable[bytes]:
        if environ.pop("HTTP_X_GOOG_IF_GENERATION_MATCH", "") == "0":
            environ["HTTP_IF_NONE_MATCH"] = "*"
        for key in [key for key in environ if key.startswith("HTTP_X_GOOG_")]:
            environ[key.replace("HTTP_X_GOOG_", "HTTP_X_AMZ_", 1)] = environ.pop(key)
        for key in ("RAW_URI", "REQUEST_URI"):  # the bucket comes with its dashes escaped, which moto does not undo
            _, bucket, *rest = environ[key].split("/", 2)
            environ[key] = "/".join(["", bucket.replace("%2D", "-"), *rest])
        scope = f"{ACCESS_KEY}/20260101/us-east-1/s3/aws4_request"
        environ["HTTP_AUTHORIZATION"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"

        def renamed(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start(
                status, [(key.lower().replace("x-amz-", "x-goog-", 1), value) for key, value in headers], *rest
            )

        return app(environ, renamed)

    return shaped


class Server:
    """One server: its address, and the trouble that can be made."""

    def __init__(self, scheme: str, address: str, trouble: Trouble, folder: Path) -> None:
        self.scheme = scheme
        self.address = address
        self.trouble = trouble
        self.credentials = folder / f"{scheme}.json"
        google = {"gcs_base_url": address, "disable_oauth": True, "client_email": "", "private_key": ""}
        s3 = {
            "region": "us-east-1",
            "endpoint": address,
            "s3_force_path_style": True,
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
        }
        own = google | {"type": "service_account", "private_key_id": ""} if scheme == "gs" else s3
        self.credentials.write_text(json.dumps(own))

    def fresh(self) -> str:
        """Make a bucket of its own for a test, and return its name."""
        name = f"{BUCKET}-{next(_numbers)}"
        with self._client() as client:
            client.create_bucket(Bucket=name)
        self.trouble.seen.clear()
        return name

    def put_foreign(self, bucket: str, *paths: str) -> None:
        """Write objects as another tool may do, under names that we would not give."""
        with self._client() as client:
            for path in paths:
                client.put_object(Bucket=bucket, Key=path, Body=b"")

    @contextmanager
    def _client(self) -> Iterator[Any]:
        client = boto3.client(
            "s3",
            endpoint_url=self.address,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
        )
        try:
            yield client
        finally:
            client.close()

    def open(self, bucket: str, patience: cloud_access.Patience = QUICK) -> cloud.CloudBlobs:
        return cloud.open_bucket(names.parse(f"{self.scheme}://{bucket}"), str(self.credentials), patience)


class _Silent(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: Any, **__: Any) -> None:
        """Say nothing: what went wrong shows in the client."""


@contextmanager
def serving(scheme: str, folder: Path, app: App | None = None) -> Iterator[Server]:
    """Run a server. What it holds lives as long as the process: each test takes a fresh bucket."""
    app = app or DomainDispatcherApplication(create_backend_app)
    trouble = Trouble(google_shape(app) if scheme == "gs" else app)
    server = make_server("127.0.0.1", 0, trouble, threaded=True, request_handler=_Silent)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield Server(scheme, address, trouble, folder)
    finally:
        trouble.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """Mount a disk of one megabyte. Skips the test where that is not allowed."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)
