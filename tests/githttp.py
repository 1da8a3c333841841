"""A web server on loopback that serves repositories by git's own CGI program, and may ask who is there."""

import http.server
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import gitrepo


class GitServer(http.server.ThreadingHTTPServer):
    """Serves the repositories below a folder.

    `wants`: headers that have to be there, by path of the repository; without them a request gets 401. `seen`: path,
    Authorization and Cookie of each request. `trouble`: codes to answer the next requests with.
    """

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.wants: dict[str, dict[str, str]] = {}
        self.seen: list[tuple[str, str, str]] = []
        self.trouble: list[int] = []
        self.moved: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: GitServer

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _serve(self, body: bytes) -> None:
        server = self.server
        path, _, query = self.path.partition("?")
        server.seen.append((path, self.headers.get("Authorization", ""), self.headers.get("Cookie", "")))
        if server.trouble:
            self.send_error(server.trouble.pop(0))
            return
        for old, new in server.moved.items():
            if path.startswith(old):
                self.send_response(301)
                self.send_header("Location", f"{new}{self.path.removeprefix(old)}")
                self.end_headers()
                return
        wanted = next((want for prefix, want in server.wants.items() if path.startswith(prefix)), {})
        if any(self.headers.get(name) != value for name, value in wanted.items()):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()
            return
        self._answer(path, query, body)

    def _answer(self, path: str, query: str, body: bytes) -> None:
        env = {
            **gitrepo.ENV,
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        program = Path(gitrepo.git(self.server.root, "--exec-path")) / "git-http-backend"
        done = subprocess.run([program], input=body, env=env, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        lines = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        code = next((int(value.split()[0]) for name, value in lines if name == "Status"), 200)
        self.send_response(code)
        for name, value in lines:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def serving(root: Path) -> Iterator[GitServer]:
    """Serve a folder's repositories while the block runs."""
    root.mkdir(parents=True, exist_ok=True)
    server = GitServer(root)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
