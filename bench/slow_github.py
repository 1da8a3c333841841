"""A small GitHub behind a delay: every request waits, is counted, and is answered by the world behind."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

HOP_BY_HOP = frozenset({"host", "connection", "transfer-encoding", "content-length", "content-encoding"})


class Traffic:
    """What has passed. `delay_s` may be changed at any time."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.reads: list[str] = []
        """Paths of requests that read, 304s left out."""
        self.unchanged = 0
        """Reads answered with 304."""
        self.writes = 0
        self._open = 0
        self._since_s = 0.0
        self._busy_s = 0.0

    def forget(self) -> None:
        """Begin to count anew."""
        self.reads, self.unchanged, self.writes, self._busy_s = [], 0, 0, 0.0

    def busy_s(self) -> float:
        """Return the time in which at least one request was under way: what a caller had to wait at the least."""
        return self._busy_s + (time.monotonic() - self._since_s if self._open else 0.0)

    def begin(self) -> None:
        if self._open == 0:
            self._since_s = time.monotonic()
        self._open += 1

    def end(self, method: str, path: str, status: int) -> None:
        self._open -= 1
        if self._open == 0:
            self._busy_s += time.monotonic() - self._since_s
        if method != "GET":
            self.writes += 1
        elif status == 304:
            self.unchanged += 1
        else:
            self.reads.append(path)


@asynccontextmanager
async def before(address: str, traffic: Traffic) -> AsyncIterator[str]:
    """Serve what stands at an address, each answer late by `traffic.delay_s`; yield the new address."""
    async with aiohttp.ClientSession() as behind:

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            traffic.begin()
            status = 502
            try:
                await asyncio.sleep(traffic.delay_s)
                sent = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
                body = await request.read()
                async with behind.request(
                    request.method, f"{address}{request.raw_path}", headers=sent, data=body, allow_redirects=False
                ) as reply:
                    status = reply.status
                    told = {name: value for name, value in reply.headers.items() if name.lower() not in HOP_BY_HOP}
                    return web.Response(status=status, headers=told, body=await reply.read())
            finally:
                traffic.end(request.method, request.path, status)

        runner = web.ServerRunner(web.Server(answer, access_log=None, auto_decompress=False))
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()
