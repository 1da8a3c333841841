"""The pages at `/explain/ORG/REPO/NUMBER`: why the jobs of a pull request did or did not run, as plain text."""

from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from aiohttp import web

from prow_async.adapters.web import server
from prow_async.api.errors import Missing, ProwError

Answering = Callable[[str, str, int, str, bool], Awaitable[str]]
"""(org, repo, number, job or "" for all, whether to ask GitHub what a push would start now) -> text."""
PREFIX = "/explain/"
_HEADERS = server.PLAIN | {"Cache-Control": "no-store"}


def add(site: server.Site, answering: Answering) -> None:
    """Serve the pages on a site. `?job=NAME` tells of one job, `?now=true` also what a push would start now."""

    async def page(request: web.BaseRequest) -> web.StreamResponse:
        parts = [unquote(part) for part in request.path.removeprefix(PREFIX).split("/")]
        if len(parts) != 3 or not all(parts) or not (parts[2].isascii() and parts[2].isdigit()) or len(parts[2]) > 9:
            return server.refusal(404, "Ask for /explain/ORG/REPO/NUMBER.")
        live = request.query.get("now", "").lower() in {"true", "1"}
        try:
            text = await answering(parts[0], parts[1], int(parts[2]), request.query.get("job", ""), live)
        except Missing:
            return server.refusal(404, f"GitHub knows no pull request {parts[0]}/{parts[1]}#{parts[2]}.")
        except ProwError as error:
            return server.refusal(503, f"It cannot be told now: {error}")
        return web.Response(body=text.encode(errors="replace"), headers=_HEADERS)

    site.below(PREFIX, server.reading_only(page))
