"""Is the process alive, is it ready. Source: upstream pkg/pjutil/health.go."""

from collections.abc import Callable

from aiohttp import web

from prow_async.adapters.web import server


def health_site(ready: Callable[[], bool | None]) -> server.Site:
    """Build the site of health checks.

    Args:
        ready: None while the process still starts (404), then whether it can do its work now (200 or 503).
    """

    async def readiness(request: web.BaseRequest) -> web.StreamResponse:
        state = ready()
        if state is None:
            return await server.not_found(request)
        return await _ok(request) if state else server.refusal(503, "ReadinessCheck failed")

    site = server.Site(server.not_found)
    site.at("/healthz", _ok)
    site.at("/healthz/ready", readiness)
    return site


async def _ok(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=b"OK", headers=server.PLAIN)
