"""A small HTTP server to talk to, and kubeconfigs that lead there."""

import contextlib
import json
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Answer every request with `handler`; yield the base address."""
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def kubeconfig(path: Path, server: str, user: dict[str, Any]) -> str:
    """Write a kubeconfig with one context, `x`; return its path."""
    config = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "clusters": [{"name": "x", "cluster": {"server": server}}],
        "users": [{"name": "x", "user": user}],
    }
    path.write_text(yaml.safe_dump(config))
    return str(path)


def plugin(folder: Path, **status: str) -> dict[str, Any]:
    """Write a credential plugin that answers `status`, with `token` counting its calls; return the user entry.

    The calls so far are the lines of `folder/calls`.
    """
    calls = folder / "calls"
    calls.touch()
    answer = json.dumps({
        "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {**status, "token": "N"}
    })  # fmt: skip
    script = folder / "plugin"
    script.write_text(
        f'#!/bin/sh\necho call >> {calls}\nn=$(wc -l < {calls})\necho \'{answer}\' | sed "s/\\"N\\"/\\"token-$n\\"/"\n'
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script)}}
