"""The door for git clients: a request goes to a file, git answers from it, and its answer is passed on as it comes.

Memory is bounded whatever is sent or fetched; a client that goes away takes its git with it.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO

import anyio
import anyio.abc
from aiohttp import web

from prow_async.ports.clock import Clock
from prow_async.sandbox.github import bodies, smart, steps
from prow_async.sandbox.github.git import command
from prow_async.sandbox.github.refusal import Refusal
from prow_async.sandbox.github.smart import GitCall
from prow_async.sandbox.github.world import World

CLIENTS_LIMIT = 32
"""So many git clients are served at once; others wait."""
FETCH_LIMIT_S = 3600.0


class GitDoor:
    """Serves git clients of one world."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock
        self._places = anyio.Semaphore(CLIENTS_LIMIT)

    async def find(self, request: web.BaseRequest) -> web.StreamResponse | None:
        """Answer a git client; None when the request is not one's."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            call = smart.find(self._world, request.method, request.raw_path, headers, self._clock.now())
            if call is None:
                return None
            async with self._places:
                return await self._answer(request, call)
        except Refusal as refusal:
            return _refused(refusal)

    async def _answer(self, request: web.BaseRequest, call: GitCall) -> web.StreamResponse:
        if call.advertise:
            return await self._pass_on(request, call, None)
        pushes = call.service == "git-receive-pack"
        assert self._world.git is not None, "found only where there is git"
        limit_bytes = self._world.git.push_limit_bytes if pushes else smart.ASK_LIMIT_BYTES
        async with bodies.in_file(request, limit_bytes) as body:
            if pushes:
                report = await steps.run(smart.receive(self._world, call, body, self._clock.now()))
                return web.Response(body=report, headers=call.headers)
            body.seek(0)
            return await self._pass_on(request, call, body)

    async def _pass_on(self, request: web.BaseRequest, call: GitCall, body: IO[bytes] | None) -> web.StreamResponse:
        response = web.StreamResponse(headers=call.headers)
        async with _running(call, body) as process:
            assert process.stdout is not None
            with anyio.move_on_after(FETCH_LIMIT_S):
                begun = False
                async for piece in process.stdout:
                    if not begun:
                        await response.prepare(request)
                        await response.write(call.preface)
                        begun = True
                    await response.write(piece)
                if not begun:
                    raise Refusal(400, "The request could not be read.")
        await response.write_eof()
        return response


@asynccontextmanager
async def _running(call: GitCall, body: IO[bytes] | None) -> AsyncIterator[anyio.abc.Process]:
    """Run git for a client; all it started ends with the block."""
    process = await anyio.open_process(
        ["git", *call.arguments],
        env=command.environment(call.environment),
        stdin=subprocess.DEVNULL if body is None else body,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with anyio.CancelScope(shield=True):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.aclose()


def _refused(refusal: Refusal) -> web.Response:
    """Refuse in words that git shows its user."""
    headers = {"WWW-Authenticate": 'Basic realm="GitHub"'} if refusal.status == 401 else {}
    return web.Response(status=refusal.status, text=f"{refusal.message}\n", headers=headers)
