"""The door over HTTP, on loopback alone: REST for programs, git for clones and pushes, pages for people, webhooks
going out.
"""

import io
import ipaddress
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from prow_async.api.errors import CannotStart, Retry
from prow_async.ports.clock import Clock
from prow_async.sandbox.github import bodies, rest, steps, witness
from prow_async.sandbox.github.call import Answer, Request
from prow_async.sandbox.github.deliver import Send
from prow_async.sandbox.github.refusal import Refusal
from prow_async.sandbox.github.smart_http import GitDoor
from prow_async.sandbox.github.world import World

BODY_LIMIT_BYTES = 8 * 1024 * 1024


@asynccontextmanager
async def serve(world: World, clock: Clock, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve the world and yield its address (`http://127.0.0.1:PORT`); links in payloads lead there from now on.

    REST requests need a token the world knows. A Host header of another name, or a foreign Origin, is refused (403),
    so that no web page in a browser on this machine can reach in.
    Raises CannotStart when the port is taken or the host is not a loopback address.
    """
    _require_loopback(host)
    names: set[str] = set()

    git = GitDoor(world, clock)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        refused = _stranger(names, request)
        if refused is not None:
            return _response(refused)
        return await git.find(request) or _response(await _handle(world, clock, request))

    runner = web.ServerRunner(web.Server(answer, access_log=None, auto_decompress=False))
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise CannotStart(f"the small GitHub cannot listen on {host}:{port}: {error.strerror or error}") from error
        bound = runner.addresses[0][1]
        shown = f"[{host}]" if ":" in host else host
        names.update(f"{name}:{bound}" for name in (shown, "127.0.0.1", "localhost", "[::1]"))
        world.address = f"http://{shown}:{bound}"
        yield world.address
    finally:
        await runner.cleanup()


@asynccontextmanager
async def posting(timeout_s: float = 10.0) -> AsyncIterator[Send]:
    """Yield a function that posts deliveries over HTTP, for `deliver.run`."""
    timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=5)
    async with aiohttp.ClientSession(timeout=timeout) as session:

        async def send(url: str, headers: Mapping[str, str], body: bytes) -> int:
            try:
                async with session.post(url, headers=headers, data=io.BytesIO(body), allow_redirects=False) as reply:
                    await reply.read()
                    return reply.status
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise Retry(f"{url} cannot be reached: {error}") from error

        yield send


def _stranger(names: set[str], request: web.BaseRequest) -> Answer | None:
    """Refuse a request that a web page of elsewhere has led here."""
    origin = request.headers.get("Origin")
    if request.headers.get("Host", "") not in names:
        return _refuse(Refusal(403, "This server answers to its own loopback address only."))
    if origin is not None and origin.removeprefix("http://") not in names:
        return _refuse(Refusal(403, "Requests from other web sites are refused."))
    return None


async def _handle(world: World, clock: Clock, request: web.BaseRequest) -> Answer:
    try:
        body = await bodies.read(request, BODY_LIMIT_BYTES)
    except Refusal as refusal:
        return _refuse(refusal)
    headers = {name.lower(): value for name, value in request.headers.items()}
    asked = Request(request.method, request.raw_path, headers, body)
    witness.tell(asked)
    return await steps.run(rest.answering(world, asked, clock.now()))


def _refuse(refusal: Refusal) -> Answer:
    return Answer(refusal.status, {"content-type": "application/json; charset=utf-8"}, refusal.body())


def _response(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, headers=answer.headers, body=answer.body)


def _require_loopback(host: str) -> None:
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise CannotStart(f"the small GitHub listens on loopback only, and {host} is not a loopback address")
