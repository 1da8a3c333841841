"""GitHub as a process reaches it: credentials, limits and cache by its flags."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.from_thread
import structlog

from prow_async.adapters.git.command import Remote
from prow_async.adapters.github import client, credentials, etag_disk, session, throttle
from prow_async.adapters.github.app import AppCredentials
from prow_async.adapters.github.requests import Requests
from prow_async.adapters.github.wire import Ask, Options, Wire
from prow_async.api.errors import CannotStart

if TYPE_CHECKING:
    from prow_async.apps.process import Shell

log = structlog.get_logger()
API = ("https://api.github.com",)


class GitHub(client.Client):
    """The client, and what else lives on the same credentials."""

    def __init__(self, requests: Requests, who: credentials.Credentials, shell: "Shell") -> None:
        super().__init__(requests, shell.metrics)
        self._who = who
        host = shell.flags.values.get("github-host", "github.com")
        self._base = host if "://" in host else f"https://{host}"

    def remote(self) -> Remote:
        """Return where repositories are cloned from, with our token. Used in worker threads of this event loop."""
        return Remote(self._base, lambda org: anyio.from_thread.run(self._token, org))

    async def _token(self, org: str) -> str:
        return (await self._who.travel(Ask("GET", "/repos", org))).token


@asynccontextmanager
async def connect(shell: "Shell") -> AsyncIterator[GitHub]:
    """Open GitHub as the flags say; without a token and an App requests are anonymous. Raises CannotStart."""
    values = shell.flags.values
    check(values)
    settings = options(shell)
    endpoints = [address or API[0] for address in values["github-endpoint"]]
    graphql = values.get("github-graphql-endpoint", "")
    if "github-graphql-endpoint" not in shell.flags.given and tuple(endpoints) != API:
        graphql = ""
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(session.connect(endpoints, graphql, settings.timeout_s))
        wire = Wire(transport, shell.metrics, shell.clock, settings)
        shell.metrics.before_scrape(wire.report)
        shelf = None
        if folder := values.get("github-cache-dir", ""):
            limit_bytes = values["github-cache-size-mib"] << 20  # the last endpoint is GitHub itself, not a proxy
            shelf = await stack.enter_async_context(
                etag_disk.opened(Path(folder), limit_bytes, shell.clock, endpoints[-1])
            )
        who = _credentials(shell, wire)
        yield GitHub(Requests(wire, who, shell.metrics, shelf, shell.censor), who, shell)


def check(values: Mapping[str, Any]) -> None:
    """Raise CannotStart for GitHub flags that do not go together."""
    app, key, token = (values.get(f"github-{name}", "") for name in ("app-id", "app-private-key-path", "token-path"))
    if bool(app) != bool(key):
        raise CannotStart("--github-app-id and --github-app-private-key-path are given together or not at all")
    if app and token:
        raise CannotStart("--github-token-path and --github-app-id exclude each other")
    hourly, burst = values.get("github-hourly-tokens", 0), values.get("github-allowed-burst", 0)
    if hourly and (hourly > 0) != (burst > 0):  # 0 an hour means no limit, whatever the burst: checkconfig has one
        raise CannotStart("--github-hourly-tokens and --github-allowed-burst are given together or not at all")
    if values.get("github-throttle-org") and not app:
        raise CannotStart("--github-throttle-org needs a GitHub App: one token has one budget for all organizations")
    if values.get("github-cache-dir") and values["github-cache-size-mib"] <= 0:
        raise CannotStart("--github-cache-size-mib must be more than 0")


def options(shell: "Shell") -> Options:
    """Read how requests behave from the flags. Raises CannotStart."""
    values = shell.flags.values
    hourly = values.get("github-hourly-tokens", 0)
    return Options(
        component=shell.name,
        read_retries=values.get("github-client.max-retries", 8),
        missing_retries=values.get("github-client.max-404-retries", 0),
        first_wait_s=values.get("github-client.initial-delay", 2.0),
        longest_wait_s=values.get("github-client.backoff-timeout", 120.0),
        timeout_s=values.get("github-client.request-timeout", 120.0),
        dry_run=bool(values.get("dry-run", False)),
        rate=throttle.Rate(hourly, values["github-allowed-burst"]) if hourly > 0 else None,
        org_rates=throttle.parse_orgs(values.get("github-throttle-org", ())),
    )


def _credentials(shell: "Shell", wire: Wire) -> credentials.Credentials:
    values = shell.flags.values
    if app := values.get("github-app-id", ""):
        return AppCredentials(app, Path(values["github-app-private-key-path"]), wire, _renewing(shell))
    if path := values.get("github-token-path", ""):
        return credentials.TokenFile(Path(path), lambda token: shell.censor.add([token.encode()]))
    log.warning(
        "GitHub is asked without credentials: 60 requests an hour, and nothing can be written",
        do="give --github-token-path, or --github-app-id with --github-app-private-key-path",
    )
    return credentials.FixedToken()


def _renewing(shell: "Shell") -> Callable[[str, str], None]:
    return lambda org, token: shell.censor.renew(f"GitHub App in {org}", token.encode())
