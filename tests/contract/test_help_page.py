"""`/plugin-help` over HTTP."""

import pytest
from aiohttp import ClientSession

from prow_async.adapters.web import help_page, server

pytestmark = pytest.mark.anyio


async def document() -> bytes:
    return b'{"AllRepos":[]}'


async def test_only_get_and_never_cached() -> None:
    site = server.Site(server.not_found)
    help_page.add(site, document)
    async with server.serving(site, "127.0.0.1", 0) as url, ClientSession() as client:
        async with client.get(f"{url}/plugin-help") as answer:
            assert (answer.status, await answer.json()) == (200, {"AllRepos": []})
            assert answer.headers["Cache-Control"] == "no-cache"
        async with client.post(f"{url}/plugin-help") as answer:
            assert (answer.status, await answer.text()) == (405, "405 Method not allowed\n")
