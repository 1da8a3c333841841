"""What is sent to external plugins goes the way the environment says, and no password shows when it fails."""

from collections.abc import Iterator

import pytest
from aiohttp import web

from prow_async.adapters.web import posting, server
from prow_async.api.errors import Refused, Retry
from tests.ports import free_port

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return


async def test_the_proxy_of_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """1. A plugin elsewhere is reached through it. 2. One that the environment excepts is not."""
    heard: list[str] = []

    async def take(request: web.BaseRequest) -> web.StreamResponse:
        heard.append(f"{request.host} {await request.text()}")
        return web.Response(status=202)

    async with server.serving(server.Site(take), "127.0.0.1", 0) as url, posting.opened() as post:
        monkeypatch.setenv("http_proxy", url)
        assert (await post.post("http://plugin.example/hook", {}, b"{}"))[0] == 202
        assert heard == ["plugin.example {}"]
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert (await post.post(f"{url}/hook", {}, b"[]"))[0] == 202


async def test_no_cookie_is_kept() -> None:
    """What one plugin gives to keep is neither brought back nor brought to another one on the same host."""
    heard: list[str] = []

    async def take(request: web.BaseRequest) -> web.StreamResponse:
        heard.append(request.headers.get("Cookie", ""))
        return web.Response(headers={"Set-Cookie": f"a{len(heard)}=b; Path=/"})

    async with server.serving(server.Site(take), "127.0.0.1", 0) as url, posting.opened() as post:
        for path in ("one", "two"):
            await post.post(f"{url.replace('127.0.0.1', 'localhost')}/{path}", {}, b"{}")
    assert heard == ["", ""]


async def test_no_password_shows() -> None:
    async with posting.opened() as post:
        with pytest.raises(Retry) as away:
            await post.post(f"http://me:hunter2@127.0.0.1:{free_port()}/hook?key=hunter2", {}, b"")
        with pytest.raises(Refused) as odd:
            await post.post("http://me:hunter2@[::1/hook", {}, b"")
    assert "127.0.0.1" in away.value.why
    assert "hunter2" not in away.value.why + odd.value.why
