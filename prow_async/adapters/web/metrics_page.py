"""The page a scraper reads."""

import anyio.to_thread
from aiohttp import web

from prow_async.adapters import metrics
from prow_async.adapters.web import server


def metrics_site(source: metrics.PrometheusMetrics) -> server.Site:
    """Build the site with `/metrics`; the page is made in a thread, so that no event waits for it."""
    rendering = anyio.CapacityLimiter(1)

    async def page(request: web.BaseRequest) -> web.StreamResponse:
        source.refresh()
        body = await anyio.to_thread.run_sync(source.render, limiter=rendering)
        return web.Response(body=body, headers={"Content-Type": metrics.CONTENT_TYPE})

    site = server.Site(server.not_found)
    site.at("/metrics", page)
    return site
