"""GitHub requests on a transport: gidgethub's pagination and decoding, with retries, ETags and coalescing below it."""

import contextlib
import copy
import logging
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

import anyio
import gidgethub
import gidgethub.abc
import msgspec
from gidgethub.sansio import accept_format

import prow_async
from prow_async.adapters.github import answers, paths
from prow_async.adapters.github.credentials import Credentials
from prow_async.adapters.github.etags import EtagCache
from prow_async.api.errors import Missing, ProwError, Refused, Retry
from prow_async.ports.clock import Clock
from prow_async.ports.metrics import Metrics
from prow_async.ports.transport import Transport

_LOG = logging.getLogger(__name__)

T = TypeVar("T")
Raw = tuple[int, Mapping[str, str], bytes]

API_VERSION = "2022-11-28"
REDIRECTS = 3


class Options(msgspec.Struct, frozen=True):
    """How requests behave. Writes are never repeated here: whoever orders them decides about that."""

    component: str = "prow-async"
    """First part of the User-Agent."""
    version: str = prow_async.__version__
    read_retries: int = 2
    """So often a read is sent again after network trouble, 5xx and rate limits."""
    missing_retries: int = 0
    """So often a read is sent again after 404, for the moments in which GitHub does not know its own news yet."""
    first_wait_s: float = 2.0
    """Doubles with each failure, unless GitHub names a time."""
    longest_wait_s: float = 120.0
    """A read that GitHub lets wait longer is given up: the caller sees Retry with the time."""
    timeout_s: float = 120.0
    """For one whole exchange."""
    cache_bytes: int = 16 * 1024 * 1024


class _Flight:
    """A GET on its way, and everybody waiting for the same."""

    def __init__(self) -> None:
        self.landed = anyio.Event()
        self.answer: Raw | None = None
        self.error: ProwError | None = None


class Requests(gidgethub.abc.GitHubAPI):
    """Requests to one GitHub under one identity.

    Errors as in ports/github. Identical reads in flight at once are sent once; a read that begins after a write of
    ours has ended never shares the answer of one that began before. Reads carry the ETag of the last answer.
    """

    def __init__(
        self, transport: Transport, credentials: Credentials, metrics: Metrics, clock: Clock, options: Options
    ) -> None:
        super().__init__(f"{options.component}/{options.version}", base_url="https://github.invalid")
        self._transport = transport
        self._credentials = credentials
        self._metrics = metrics
        self._clock = clock
        self._options = options
        self._etags = EtagCache(options.cache_bytes)
        self._flights: dict[tuple[str, str, int], _Flight] = {}
        self._writes_done = 0
        self._limited: tuple[str, float] = ("", 0.0)
        """The token that has used up its budget, and until when."""

    async def item(self, path: str, type_: type[T]) -> T:
        """Read one thing. Raises Retry when the answer does not read as such a thing."""
        try:
            return msgspec.convert(_without_nulls(await self.getitem(path)), type_)
        except (ValueError, LookupError, msgspec.ValidationError) as error:
            raise self._unreadable(path, error) from error

    async def items(self, path: str, type_: type[T], key: str | None = None) -> list[T]:
        """Read a list, all pages; `key` names the list within each page where the page is an object."""
        try:
            async with contextlib.aclosing(self.getiter(f"{path}?per_page=100", iterable_key=key)) as entries:
                found = [msgspec.convert(_without_nulls(entry), type_) async for entry in entries]
        except (ValueError, LookupError, TypeError, msgspec.ValidationError) as error:
            raise self._unreadable(path, error) from error
        return found

    async def page(self, path: str, query: Mapping[str, str], type_: type[T]) -> tuple[list[T], dict[str, str]]:
        """Read one page of a list; return it and the query of the next one (empty after the last)."""
        try:
            data, more, _ = await self._make_request("GET", f"{path}?{urlencode(query)}", {}, b"", accept_format())
            found = [msgspec.convert(_without_nulls(entry), type_) for entry in cast(list[Any], data)]
        except (ValueError, LookupError, TypeError, msgspec.ValidationError) as error:
            raise self._unreadable(path, error) from error
        return found, dict(parse_qsl(urlsplit(more).query)) if more else {}

    async def exists(self, path: str) -> bool:
        """Ask a question that is answered by 204 for yes and by 404, or by a redirect to another list, for no."""
        try:
            await self.getitem(path)
        except Missing:
            return False
        except Refused as refused:
            if refused.status == 302:
                return False
            raise
        return True

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)

    async def _request(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Raw:
        """Send one request for gidgethub. Only answers of 200-299 come back: it shall not judge the others."""
        path = paths.of_url(url)
        sent = {name: value for name, value in headers.items() if name != "content-length"}
        sent["x-github-api-version"] = API_VERSION
        if method == "GET":
            return await self._shared(path, sent)
        try:
            return await self._follow(method, path, sent, body)
        finally:
            self._writes_done += 1

    async def _shared(self, path: str, headers: dict[str, str]) -> Raw:
        key = (path, headers.get("accept", ""), self._writes_done)
        while (flight := self._flights.get(key)) is not None:
            await flight.landed.wait()
            if flight.answer is not None:
                return flight.answer
            if flight.error is not None:
                raise copy.copy(flight.error) from flight.error
        flight = self._flights[key] = _Flight()
        try:
            flight.answer = await self._read(path, headers)
            return flight.answer
        except ProwError as error:
            flight.error = error
            raise
        finally:
            del self._flights[key]
            flight.landed.set()

    async def _read(self, path: str, headers: dict[str, str]) -> Raw:
        failures = 0
        while True:
            try:
                return await self._follow("GET", path, headers, b"")
            except (Retry, Missing) as trouble:
                failures += 1
                budget = self._options.missing_retries if isinstance(trouble, Missing) else self._options.read_retries
                after_s = trouble.after_s if isinstance(trouble, Retry) else None
                wait_s = self._options.first_wait_s * 2.0 ** (failures - 1) if after_s is None else after_s
                if failures > budget or wait_s > self._options.longest_wait_s:
                    raise
                _LOG.info("reading from GitHub again in %.0f s: %s", wait_s, trouble)
            await self.sleep(wait_s)

    async def _follow(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Raw:
        """Exchange, following where a renamed repository went (301, 307, 308), on the same server always."""
        for _ in range(REDIRECTS):
            status, found, answer = await self._cached(method, path, headers, body)
            moved = status in (307, 308) or (status == 301 and method == "GET")
            if not moved or "location" not in found:
                return status, found, self._judge(method, path, (status, found, answer))
            path = paths.of_url(found["location"])
        raise Refused(f"GitHub sends {method} {path} round in circles", status=301)

    async def _cached(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Raw:
        if method != "GET":
            return await self._exchange(method, path, headers, body)
        key = f"{headers.get('accept', '')} {path}"
        kept = self._etags.get(key)
        asked = headers | {"if-none-match": kept.etag} if kept else headers
        status, found, answer = await self._exchange(method, path, asked, body)
        if status == 304 and kept is not None:
            return 200, {**found, **kept.headers}, kept.body
        if status == 200:
            self._etags.put(key, found, answer)
        return status, found, answer

    async def _exchange(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Raw:
        """Send once and count it. Raises Retry, at once while this token's budget is known to be used up."""
        token_hash = self._credentials.token_hash()
        now_s = self._clock.now()
        if self._limited[0] == token_hash and now_s < self._limited[1]:
            raise Retry("GitHub's rate limit is used up", self._limited[1] - now_s, 403)
        began_s = anyio.current_time()
        try:
            with anyio.fail_after(self._options.timeout_s):
                async with self._transport.send(method, path, headers, body) as reply:
                    answer: Raw = (reply.status, reply.headers, await reply.read())
        except TimeoutError as error:
            what = f"{method} {path.partition('?')[0]}"
            raise Retry(f"GitHub did not answer {what} within {self._options.timeout_s:.0f} s") from error
        self._count(path, answer, anyio.current_time() - began_s, now_s)
        return answer

    def _count(self, path: str, answer: Raw, took_s: float, began_s: float) -> None:
        status, headers, _ = answer
        token_hash = self._credentials.token_hash()
        self._metrics.observe(
            "github_request_duration",
            took_s,
            token_hash=token_hash,
            path=paths.simplify(path.partition("?")[0]),
            status=str(status),
            user_agent=self._options.component,
        )
        remaining = answers.number(headers.get("x-ratelimit-remaining", ""))
        reset_s = answers.number(headers.get("x-ratelimit-reset", ""))
        if remaining is None or reset_s is None:
            return
        resource = headers.get("x-ratelimit-resource", "")
        labels = {"token_hash": token_hash, "api_version": "v3", "ratelimit_resource": resource}
        self._metrics.gauge("github_token_usage", remaining, **labels)
        # Upstream's unit, which its dashboards rely on: nanoseconds until the reset.
        self._metrics.gauge("github_token_reset", (reset_s - began_s) * 1e9, **labels)

    def _judge(self, method: str, path: str, answer: Raw) -> bytes:
        """Return the body of a good answer, raise what a bad one means."""
        status, headers, body = answer
        if 200 <= status < 300:
            return body
        now_s = self._clock.now()
        text = self._credentials.censor(answers.text_of(body))
        shown = self._credentials.censor(path.partition("?")[0])
        over_s = answers.limit_ends_in_s(headers, now_s) if status in (403, 429) else None
        if over_s is not None:
            self._limited = (self._credentials.token_hash(), now_s + over_s)
        raise answers.error_for(answers.Answered(method, shown, status, headers, text), now_s)

    def _unreadable(self, path: str, error: Exception) -> Retry:
        """Forget what was kept, lest it be taken for unchanged, and say what came."""
        self._etags.clear()
        return Retry(self._credentials.censor(f"GitHub's answer to GET {path} does not read as expected: {error}"))


def _without_nulls(data: Any) -> Any:
    """Drop fields that are null: GitHub sends null for the account of a deleted user, for a deleted fork, and so on."""
    if isinstance(data, dict):
        return {name: _without_nulls(value) for name, value in data.items() if value is not None}
    return [_without_nulls(entry) for entry in data] if isinstance(data, list) else data
