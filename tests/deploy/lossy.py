"""A way to the API server on which one answer is lost: the write is done, and nobody hears of it."""

import contextlib
import http.client
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests import realkube


class Lossy:
    """Where it listens, and how many answers it has swallowed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.lost = 0


@contextlib.contextmanager
def losing_the_first_creation(server: realkube.Server) -> Iterator[Lossy]:
    """Pass on everything, but cut the connection instead of the answer to the first creation of a ProwJob."""
    target = server.url.partition("://")[2]
    trust = ssl.create_default_context(cafile=str(server.ca))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._pass_on()

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the names http.server asks for

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with contextlib.closing(http.client.HTTPSConnection(target, context=trust)) as onward:
                onward.request(self.command, self.path, body, {**self.headers, "Accept-Encoding": "identity"})
                answer = onward.getresponse()
                self.close_connection = True
                if self.command == "POST" and self.path.endswith("/prowjobs") and not lossy.lost:
                    lossy.lost += 1
                    return
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
                self.send_header("Connection", "close")
                self.end_headers()
                with contextlib.suppress(OSError):
                    while piece := answer.read1():
                        self.wfile.write(piece)
                        self.wfile.flush()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        proxy.daemon_threads = True
        lossy = Lossy(f"http://127.0.0.1:{proxy.server_port}")
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield lossy
        finally:
            proxy.shutdown()
            thread.join()
