"""The check of requests to GitHub finds what GitHub would not understand, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from prow_async.sandbox.github.call import Request
from tests import github_form
from tests.tools import install, openapi

pytestmark = pytest.mark.skipif(bool(os.environ.get(openapi.SKIP)), reason=f"{openapi.SKIP} is set")
PULL = "/repos/o/r/pulls/7"


def problems(method: str, path: str, body: bytes = b"", **headers: str) -> list[str]:
    return github_form.problems_of(Request(method, path, {k.replace("_", "-"): v for k, v in headers.items()}, body))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", PULL, b""),
        ("GET", "/repos/o/r/pulls/7/files?per_page=100&page=2", b""),
        ("GET", "/repositories/17/pulls/7/files?page=2", b""),
        ("GET", "/repos/o/r/git/ref/heads/a/b%2Fc", b""),
        ("GET", "/repos/o/r/contents/a/b.yaml?ref=main", b""),
        ("GET", "/app/hook/deliveries?per_page=100&cursor=v1_1", b""),
        ("POST", "/repos/o/r/issues/7/labels", b'{"labels": ["kind/bug"]}'),
        ("POST", "/repos/o/r/statuses/abc", b'{"state": "success", "context": "unit", "description": null}'),
        ("DELETE", "/repos/o/r/issues/7/labels/kind%2Fbug", b""),
        ("POST", "/graphql", b'{"query": "{viewer{login}}"}'),
    ],
)
def test_what_github_understands(method: str, path: str, body: bytes) -> None:
    assert problems(method, path, body) == []


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("GET", "/repos/o/r/pull/7", b"", "no such operation"),
        ("PUT", PULL, b"", "no such operation"),
        ("GET", "/repos/o/r/pulls/seven", b"", "no such operation"),
        ("GET", "/repos/o/r/pulls/7/files?perpage=100", b"", "no query parameter 'perpage'"),
        ("GET", "/repos/o/r/pulls/7/files?per_page=all", b"", "per_page"),
        ("GET", "/repos/o/r/pulls?state=mine", b"", "state"),
        ("GET", "/search/issues", b"", "'q' is missing"),
        ("GET", PULL, b"{}", "takes no body"),
        ("POST", "/repos/o/r/statuses/abc", b"", "body is missing"),
        ("POST", "/repos/o/r/statuses/abc", b'{"state": "green"}', "green"),
        ("POST", "/repos/o/r/statuses/abc", b'{"context": "unit"}', "state"),
        ("POST", "/repos/o/r/statuses/abc", b'{"state": "error", "url": "x"}', "no field 'url'"),
        ("POST", "/repos/o/r/issues/7/comments", b"{", "no JSON"),
        ("POST", "/graphql", b"{}", "no query"),
    ],
)
def test_what_github_does_not_understand(method: str, path: str, body: bytes, words: str) -> None:
    [problem] = problems(method, path, body)
    assert words in problem


def test_another_version_of_the_api() -> None:
    assert problems("GET", PULL, x_github_api_version="2022-11-28") == []
    assert problems("GET", PULL, x_github_api_version="2021-01-01") == ["API version 2021-01-01"]


TEST = """
import anyio
from prow_async.sandbox.github.direct import DirectTransport
from tests.unit.sandbox_github import sample

def test_it():
    async def ask():
        door = DirectTransport(sample.make(), sample.FixedClock(), sample.BOT_TOKEN)
        async with door.send("GET", {path!r}):
            pass
    anyio.run(ask)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("path", "failed"), [("/repos/acme/app", False), ("/repos/acme/app/nothing/here", True)])
def test_a_test_that_sends_such_a_request_fails(tmp_path: Path, path: str, failed: bool) -> None:
    """Through the fixture that every test has."""
    root = Path(__file__).resolve().parents[2]
    (tmp_path / "test_it.py").write_text(TEST.format(path=path))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.github_form", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [*command, str(tmp_path)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode != 0) == failed, done.stdout
    assert ("there is no such operation" in done.stdout) == failed


def test_installed_once_and_told_when_it_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without npm and without a registry the message says what to do; nothing half-made stays behind."""
    monkeypatch.setenv("PROW_ASYNC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(install.CannotInstall) as caught:
        openapi.ensure(lambda _: None)
    assert openapi.SKIP in str(caught.value)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["openapi.lock"]
    openapi.file().write_text("{}")
    assert openapi.ensure(lambda _: None) == openapi.file()
