"""Cloning as a GitHub App: the signed claim, the installation's token, and what is told when there is none."""

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from prow_async.api import podoptions
from prow_async.core import podenv
from prow_async.podutils import clone_run
from tests import githttp
from tests.contract.clonerefs_parts import Place, main_at, refs

TOKEN = "ghs_installation-token-123"


class Api(http.server.ThreadingHTTPServer):
    """Two calls of GitHub's API. `answers`: code and body by method and path; `trouble`: codes to answer first."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, tuple[int, Any]] = {}
        self.seen: list[tuple[str, str]] = []
        self.trouble: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        self.server.seen.append((f"{self.command} {self.path}", self.headers["Authorization"]))
        if self.server.trouble:
            self.send_error(self.server.trouble.pop(0))
            return
        code, body = self.server.answers.get(f"{self.command} {self.path}", (404, {}))
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        if code == 302:
            self.send_header("Location", f"{self.server.url}/elsewhere")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    thread = threading.Thread(target=api.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield api
    api.shutdown()
    thread.join()
    api.server_close()


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("app") / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", path, "2048"], check=True, capture_output=True)
    return path


LISTED = "GET /app/installations?per_page=100&page="
MADE = (201, {"token": TOKEN})


def installations(*logins: str) -> tuple[int, Any]:
    return 200, [{"id": number, "account": {"login": login}} for number, login in enumerate(logins, 1)]


def app(place: Place, key: Path, *endpoints: str, **changes: Any) -> dict[str, Any]:
    return {
        "github_app_id": "42",
        "github_app_private_key_file": str(key),
        "github_api_endpoints": endpoints,
        **changes,
    }


def test_the_installations_token_opens_the_repository_and_shows_nowhere(place: Place, api: Api, key: Path) -> None:
    api.answers = {
        f"{LISTED}1": installations(*(f"x{number}" for number in range(100))),
        f"{LISTED}2": installations("other", "O"),
        "POST /app/installations/2/access_tokens": MADE,
    }
    origin, second = place.origin(), place.origin("o/s")
    base, base2 = (main_at(one, one.commit({"a": "1\n"})) for one in (origin, second))
    with githttp.serving(place.origins) as server:
        server.wants["/"] = {"Authorization": "Basic eC1hY2Nlc3MtdG9rZW46Z2hzX2luc3RhbGxhdGlvbi10b2tlbi0xMjM="}
        ran = place.clone(
            refs(origin, base, clone_uri=f"{server.url}/o/r.git"),
            refs(second, base2, clone_uri=f"{server.url}/o/s.git"),
            **app(place, key, api.url),
        )
    assert [record.failed for record in ran.records] == [False] * 3
    assert [path for path, _ in api.seen] == [
        f"{LISTED}1",
        f"{LISTED}2",
        "POST /app/installations/2/access_tokens",
    ]
    signed = api.seen[0][1].removeprefix("Bearer ")
    public = subprocess.run(["openssl", "rsa", "-in", key, "-pubout"], capture_output=True, check=True).stdout
    claims = jwt.decode(signed, public, algorithms=["RS256"], issuer="42")
    assert 0 < claims["exp"] - claims["iat"] <= 600
    for secret in (TOKEN, signed, "Z2hzX2luc3RhbGxhdGlvbi10b2tlbi0xMjM="):
        assert secret not in ran.everything


def test_the_next_endpoint_is_asked_when_one_fails(place: Place, api: Api, key: Path) -> None:
    api.answers = {
        f"{LISTED.replace('/app', '/good/app')}1": installations("o"),
        "POST /good/app/installations/1/access_tokens": MADE,
    }
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    ran = place.clone(refs(origin, base), **app(place, key, "http://127.0.0.1:1", f"{api.url}/bad", f"{api.url}/good/"))
    assert not ran.clone.failed, ran.error


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({f"{LISTED}1": (401, {})}, "does not give a token for o: HTTP 401"),
        ({f"{LISTED}1": (302, {})}, "does not give a token for o: HTTP 302"),
        ({f"{LISTED}1": (200, b"<html>")}, "does not give a token for o: its answer is none of GitHub's"),
        ({f"{LISTED}1": (200, b"\xff")}, "does not give a token for o: its answer is none of GitHub's"),
        ({f"{LISTED}1": (200, {"a": 1})}, "does not give a token for o: its answer is none of GitHub's"),
        ({f"{LISTED}1": (200, [{"id": "x", "account": {"login": "o"}}])}, "its answer is none of GitHub's"),
    ],
)
def test_no_token_fails_the_clone(place: Place, api: Api, key: Path, answers: dict[str, Any], said: str) -> None:
    api.answers = answers
    ran = place.clone(refs(place.origin()), **app(place, key, api.url))
    assert said in ran.error
    assert ran.clone.commands[-1].command == "get a token for o"
    assert not [path for path, _ in api.seen if "elsewhere" in path]


def test_where_the_app_is_not_installed_public_repositories_are_cloned(place: Place, api: Api, key: Path) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    api.answers = {f"{LISTED}1": installations("x")}
    with githttp.serving(place.origins) as server:
        one = refs(origin, base, clone_uri=f"{server.url}/o/r.git")
        ran = place.clone(one, **app(place, key, api.url))
        server.wants["/"] = {"Authorization": "Basic x"}
        private = place.clone(one, **app(place, key, api.url))
    assert ran.clone.final_sha == base
    assert ran.clone.commands[0].output == "GitHub App 42 is not installed for o: cloning without a token"
    assert "it asks for credentials" in private.error


def test_trouble_on_the_way_to_the_token_is_waited_out(place: Place, api: Api, key: Path) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    api.answers = {
        f"{LISTED}1": installations("o"),
        "POST /app/installations/1/access_tokens": MADE,
    }
    api.trouble = [503, 429]
    options = place.options(refs(origin, base), **app(place, key, api.url))
    ran = place.run(options, clone_run.Limits(waits_s=(0.0, 0.0)))
    assert not ran.clone.failed, ran.error
    assert len(api.seen) == 4
    api.trouble = [503] * 9
    ran = place.run(options, clone_run.Limits(waits_s=(0.0, 0.0)))
    assert "HTTP 503" in ran.error
    assert len(api.trouble) == 6


def test_an_address_that_is_no_web_address_is_told(place: Place, key: Path) -> None:
    ran = place.clone(refs(place.origin()), **app(place, key, "file:///etc"))
    assert "its address is not http or https" in ran.error


def test_a_key_that_is_none_fails_the_setup(place: Place) -> None:
    key = place.home / "key"
    key.write_text("-----BEGIN RSA PRIVATE KEY-----\nsecret-material\n")
    ran = place.clone(refs(place.origin()), **app(place, key, "http://127.0.0.1:1"))
    assert ran.records[0].commands[-1].error == "the GitHub App's private key cannot be used: it is no RSA key as PEM"
    assert "secret-material" not in ran.everything


def test_without_the_library_one_line_says_what_to_install(place: Place, key: Path) -> None:
    options = place.options(refs(place.origin()), **app(place, key, "http://127.0.0.1:1"))
    environ = {**place.environ, podoptions.CLONEREFS_ENV: podenv.go_json(options)}
    code = "import sys; sys.modules['jwt'] = None\nfrom prow_async.podutils import clonerefs, options\n"
    code += "options.exit_with(clonerefs.main)"
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    errors = [json.loads(line) for line in done.stderr.splitlines()]
    assert errors[0]["error"] == "GitHub Apps need a library that is not there: pip install 'prow_async[app]'"


def test_the_start_imports_nothing_heavy() -> None:
    heavy = {
        "asyncio",
        "anyio",
        "aiohttp",
        "kubernetes_asyncio",
        "structlog",
        "jwt",
        "urllib.request",
        "logging",
        "ssl",
    }
    said = subprocess.run(
        [sys.executable, "-c", "import sys, prow_async.podutils.clonerefs; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not heavy & set(said)
