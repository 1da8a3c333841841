"""`/plugin-help`: the help document of all plugins, as upstream's hook serves it."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from prow_async.adapters.web import server

PATH = "/plugin-help"


def add(site: server.Site, document: Callable[[], Awaitable[bytes]]) -> None:
    """Serve the document, made anew for each request."""

    async def page(request: web.BaseRequest) -> web.StreamResponse:
        if request.method != "GET":
            return server.refusal(405, "405 Method not allowed")
        headers = {"Cache-Control": "no-cache", "Content-Type": "application/json"}
        return web.Response(body=await document(), headers=headers)

    site.at(PATH, page)
