"""One request sent once: within the budget, in its turn, timed and counted under what caused it."""

from collections.abc import Mapping

import anyio
import msgspec
import structlog

import prow_async
from prow_async.adapters.github import answers, paths
from prow_async.adapters.github.budget import Budgets, resource_of
from prow_async.adapters.github.gate import Gate
from prow_async.adapters.github.throttle import CHEAP, Bucket, Rate, Throttle
from prow_async.api.errors import Retry
from prow_async.ports import cause as causes
from prow_async.ports import permit
from prow_async.ports.clock import Clock
from prow_async.ports.metrics import Metrics
from prow_async.ports.transport import Transport

log = structlog.get_logger()
API_VERSION = "2022-11-28"
JSON = "application/vnd.github.v3+json"
Raw = tuple[int, Mapping[str, str], bytes]
"""Status, headers (lower-case names), body."""


class Options(msgspec.Struct, frozen=True):
    """How requests behave. Writes are never repeated here: whoever orders them decides about that."""

    component: str = "prow-async"
    """First part of the User-Agent."""
    version: str = prow_async.__version__
    read_retries: int = 2
    """So often a read is sent again after network trouble, 5xx and rate limits."""
    missing_retries: int = 0
    """So often a read is sent again after 404, for the moments in which GitHub does not know its own news yet. Never
    where 404 is an answer."""
    first_wait_s: float = 2.0
    """Doubles with each failure, unless GitHub names a time."""
    longest_wait_s: float = 120.0
    """A read that would have to wait longer is given up: the caller sees Retry with the time."""
    longest_limit_wait_s: float = 10.0
    """The same where a rate limit, and not trouble, makes it wait."""
    timeout_s: float = 120.0
    """For one whole exchange."""
    write_timeout_s: float = 45.0
    """The same for a write, where it is less: one that leaves a process which stood still must come before its
    successor looks once more at what it has reported (actors/doubts)."""
    cache_bytes: int = 16 * 1024 * 1024
    concurrency: int = 25
    """Requests at once with one token."""
    dry_run: bool = False
    """Send nothing that writes."""
    rate: Rate | None = None
    """The client's own limit."""
    org_rates: Mapping[str, Rate] = {}
    """Lower-case organization -> a limit of its own."""


class Pass(msgspec.Struct, frozen=True):
    """What a request travels on. `who`: whose budget it uses, in metrics too. `view`: what it may see, for caches."""

    token: str
    who: str
    view: str
    headers: Mapping[str, str] = {}
    """What a caching proxy wants to know about the token."""


class Ask(msgspec.Struct, frozen=True):
    """One request. `path` has its query; `org`: in whose name an App asks."""

    method: str
    path: str
    org: str = ""
    accept: str = JSON
    body: bytes = b""
    reads: bool = True
    """It changes nothing, whatever its method."""
    question: bool = False
    """404 is an answer to it."""

    @property
    def shown(self) -> str:
        return f"{self.method} {self.path.partition('?')[0]}"


class Wire:
    """Sends requests, each once. Shared by everything that asks one GitHub in one process."""

    def __init__(self, transport: Transport, metrics: Metrics, clock: Clock, options: Options) -> None:
        self._transport = transport
        self._metrics = metrics
        self._clock = clock
        self.options = options
        self._budgets = Budgets()
        self._gates: dict[str, Gate] = {}
        self._throttle = Throttle(options.rate, options.org_rates)

    def now(self) -> float:
        return self._clock.now()

    async def send(self, travel: Pass, ask: Ask, more: Mapping[str, str] = {}) -> Raw:
        """Send once. Raises Retry: no answer, or not yet within the budget, or its permit is gone; statuses are never
        raised.
        """
        cause = causes.current()
        resource = resource_of(ask.path)
        self._budgets.admit(travel.who, resource, cause.urgency, self.now())
        bucket = await self._throttled(travel, ask)
        budget = self._budgets.of(travel.who, resource)
        gate = self._gates.setdefault(travel.who, Gate(self.options.concurrency))
        budget.in_flight += 1
        try:
            async with gate.turn(cause.urgency):
                self._budgets.check(travel.who, resource, self.now())  # things may have changed meanwhile
                if not ask.reads:
                    permit.check()
                self._show(gate)
                answer = await self._exchange(travel, ask, more)
                self._account(travel, ask, answer)
        finally:
            budget.in_flight -= 1
            self._show(gate)
        if bucket is not None and (answer[0] == 304 or answer[1].get("x-cache-mode") in CHEAP):
            bucket.give_back()
        return answer

    async def _throttled(self, travel: Pass, ask: Ask) -> Bucket | None:
        bucket = self._throttle.bucket(ask.org, self.now())
        if bucket is None:
            return None
        patience_s = self.options.longest_limit_wait_s
        wait_s = bucket.take(self.now(), patience_s)
        if wait_s > patience_s:
            raise Retry("our own limit of requests to GitHub is reached", wait_s, 429)
        labels = {"token_hash": travel.who, "request_type": ask.method, "api": api_of(ask.path)}
        self._metrics.observe("github_request_wait_duration_seconds", wait_s, **labels)
        try:
            await anyio.sleep(wait_s)
        except BaseException:
            bucket.give_back()
            raise
        return bucket

    async def _exchange(self, travel: Pass, ask: Ask, more: Mapping[str, str]) -> Raw:
        headers = {
            "user-agent": self._user_agent(),
            "accept": ask.accept,
            "x-github-api-version": API_VERSION,
            **travel.headers,
            **more,
        }
        if travel.token:
            headers["authorization"] = f"Bearer {travel.token}"
        if ask.body:
            headers["content-type"] = "application/json; charset=utf-8"
        began_s = anyio.current_time()
        patience_s = self.options.timeout_s
        if not ask.reads:
            patience_s = min(patience_s, self.options.write_timeout_s)
        try:
            with anyio.fail_after(patience_s):
                async with self._transport.send(ask.method, ask.path, headers, ask.body) as reply:
                    answer: Raw = (reply.status, reply.headers, await reply.read())
        except TimeoutError as error:
            took_s = anyio.current_time() - began_s
            self._metrics.observe("github_request_timeouts", took_s, **self._labels(travel, ask))
            raise Retry(f"GitHub did not answer {ask.shown} within {patience_s:.0f} s") from error
        took_s = anyio.current_time() - began_s
        self._metrics.observe("github_request_duration", took_s, status=str(answer[0]), **self._labels(travel, ask))
        cause = causes.current()
        self._metrics.count(
            "prow_async_github_requests_total",
            origin=cause.origin or "other",
            urgency=cause.urgency,
            method=ask.method,
            status=str(answer[0]),
        )
        log.debug("asked GitHub", request=ask.shown, status=answer[0], took_s=round(took_s, 3), cause=cause.id)
        return answer

    def _user_agent(self) -> str:
        origin = causes.current().origin
        if origin == self.options.component:
            origin = ""
        return f"{self.options.component}{'.' if origin else ''}{origin}/{self.options.version}"

    def _labels(self, travel: Pass, ask: Ask) -> dict[str, str]:
        path = paths.simplify(ask.path.partition("?")[0])
        return {"token_hash": travel.who, "path": path, "user_agent": self._user_agent().partition("/")[0]}

    def _account(self, travel: Pass, ask: Ask, answer: Raw) -> None:
        """Note what an answer says about the budget, and obey where it says no."""
        status, headers, body = answer
        now_s = self.now()
        resource = headers.get("x-ratelimit-resource") or resource_of(ask.path)
        budget = self._budgets.of(travel.who, resource)
        known = budget.read(headers, now_s)
        if known:
            labels = {"token_hash": travel.who, "api_version": api_of(ask.path), "ratelimit_resource": resource}
            self._metrics.gauge("github_token_usage", budget.remaining, **labels)
            # Upstream's unit, which its dashboards rely on: nanoseconds until the reset.
            self._metrics.gauge("github_token_reset", (budget.reset_s - now_s) * 1e9, **labels)
        if status in (403, 429) and not (known and headers["x-ratelimit-remaining"] == "0"):
            found = answers.Answered(ask.method, "", status, headers, answers.text_of(body))
            if (wait_s := answers.pause_s(found, now_s)) is not None:
                self._budgets.silence(travel.who, now_s + wait_s)

    def _show(self, gate: Gate) -> None:
        gates = self._gates.values()
        self._metrics.gauge("concurrent_outbound_requests", sum(one.inside for one in gates))
        self._metrics.gauge("pending_outbound_requests", sum(one.waiting for one in gates))

    def report(self) -> None:
        """Set the gauges that change with the time alone."""
        now_s = self.now()
        self._budgets.forget_ended(now_s)
        self._gates = {who: gate for who, gate in self._gates.items() if gate.inside or gate.waiting}
        rows = [
            ({"token_hash": who, "ratelimit_resource": resource}, budget.gone_in_s(now_s))
            for who, resource, budget in self._budgets.every()
        ]
        self._metrics.replace("prow_async_github_budget_gone_seconds", rows)


def api_of(path: str) -> str:
    return "v4" if path.startswith("/graphql") else "v3"
