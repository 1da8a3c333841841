"""GitHub requests on a wire: what is asked is sent, followed, judged and read as typed values."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
import structlog
from gidgethub import sansio

from prow_async.adapters.github import answers, paths
from prow_async.adapters.github.credentials import Credentials
from prow_async.adapters.github.etags import EtagCache, Shelf
from prow_async.adapters.github.reads import Flights, Memory, patiently
from prow_async.adapters.github.wire import Ask, Pass, Raw, Wire
from prow_async.api.errors import Missing, Refused, Retry
from prow_async.ports.metrics import Metrics

log = structlog.get_logger()
T = TypeVar("T")
REDIRECTS = 3
PAGES = 2000
"""No list of ours is longer; one that is has pages that lead nowhere."""
GRAPHQL_ACCEPT = "application/vnd.github.antiope-preview+json, application/vnd.github.merge-info-preview+json"
RATE_LIMITED = "RATE_LIMITED"
UNREADABLE = (ValueError, LookupError, RecursionError)
"""What reading an answer may raise: no JSON, of another shape, in no known encoding, nested without end."""


class _GraphError(msgspec.Struct, frozen=True):
    message: str = ""
    type: str = ""


class _GraphAnswer(msgspec.Struct, frozen=True):
    data: Any = None
    errors: tuple[_GraphError, ...] = ()


class Requests:
    """Requests to one GitHub. Errors as in ports/github.

    Reads repeat themselves (`Options`), carry the ETag of their last answer and share answers; writes are sent once.

    Args:
        censor: stars out this process's secrets, should they stand in what is written for all to read.
    """

    def __init__(
        self,
        wire: Wire,
        credentials: Credentials,
        metrics: Metrics,
        shelf: Shelf | None = None,
        censor: Callable[[bytes], bytes] = lambda body: body,
    ) -> None:
        self._wire = wire
        self._hide = censor
        self._credentials = credentials
        cache = EtagCache(wire.options.cache_bytes, wire, shelf)
        self._memory = Memory(cache, credentials, metrics, wire.options.component)
        self._flights = Flights()

    @property
    def is_app(self) -> bool:
        return self._credentials.is_app

    async def who(self, path: str) -> str:
        """Name whose budget a request would use, as metrics have it."""
        return (await self._credentials.travel(Ask("GET", path, paths.org_of(path)))).who

    def report(self) -> None:
        """Set the gauges that change with the time alone."""
        self._wire.report()

    async def item(self, path: str, type_: type[T], question: bool = False, org: str = "") -> T:
        """Read one thing. Raises Retry when the answer does not read as such a thing.

        Args:
            question: 404 is an answer like others: it is not asked again.
            org: in whose name an App asks, where the path names none.
        """
        ask = Ask("GET", path, org or paths.org_of(path), question=question)
        _, headers, body = await self._read(ask)
        try:
            return msgspec.convert(_without_nulls(_deciphered(headers, body)[0]), type_)
        except UNREADABLE as error:
            raise await self._unreadable(ask, error) from error

    async def items(
        self,
        path: str,
        type_: type[T],
        key: str = "",
        query: Mapping[str, str] = {},
        enough: Callable[[list[T]], bool] = lambda page: False,
    ) -> list[T]:
        """Read a list, all pages; `key` names the list within each page where the page is an object.

        Args:
            enough: whether nothing behind this page is wanted.
        """
        found: list[T] = []
        more, org = f"{path}?{urlencode({'per_page': '100', **query})}", paths.org_of(path)
        seen: set[str] = set()
        while more:
            if more in seen or len(seen) > PAGES:
                raise Retry(f"GitHub's pages of {path} lead round in circles")
            seen.add(more)
            page, more = await self._page(Ask("GET", more, org), type_, key)
            found += page
            if enough(page):
                break
        return found

    async def page(self, path: str, query: Mapping[str, str], type_: type[T]) -> tuple[list[T], dict[str, str]]:
        """Read one page of a list; return it and the query of the next one (empty after the last)."""
        entries, more = await self._page(Ask("GET", f"{path}?{urlencode(query)}", paths.org_of(path)), type_, "")
        return entries, dict(parse_qsl(urlsplit(more).query))

    async def exists(self, path: str) -> bool:
        """Ask a question that is answered by 204 for yes and by 404, or by a redirect to another list, for no."""
        try:
            await self._read(Ask("GET", path, paths.org_of(path), question=True))
        except Missing:
            return False
        except Refused as refused:
            if refused.status == 302:
                return False
            raise
        return True

    async def write(self, method: str, path: str, content: Any = None, tells_secret: bool = False) -> Any:
        """Send a write, once; return the decoded answer (None for none). In a dry run nothing is sent.

        Args:
            tells_secret: a secret in it is meant for GitHub.
        """
        body = b"" if content is None else msgspec.json.encode(content)
        body = body if tells_secret else self._hide(body)
        ask = Ask(method, path, paths.org_of(path), body=body, reads=False)
        if self._wire.options.dry_run:
            log.info("dry run: not sent", request=ask.shown)
            return None
        try:
            _, headers, answer = await self._follow(ask)
        finally:
            self._flights.wrote()
        try:
            return _deciphered(headers, answer)[0]
        except UNREADABLE as error:
            raise await self._unreadable(ask, error) from error

    async def graphql(self, query: str, variables: Mapping[str, Any], org: str) -> Any:
        """Ask over GraphQL; return `data`. `org`: in whose name an App asks. Mutations are not for this."""
        body = msgspec.json.encode({"query": query, "variables": variables})
        ask = Ask("POST", "/graphql", org, GRAPHQL_ACCEPT, body)
        _, _, answer = await self._read(ask)
        try:
            return msgspec.json.decode(answer, type=_GraphAnswer).data
        except UNREADABLE as error:
            raise await self._unreadable(ask, error) from error

    async def _page(self, ask: Ask, type_: type[T], key: str) -> tuple[list[T], str]:
        _, headers, body = await self._read(ask)
        try:
            data, more = _deciphered(headers, body)
            entries = data[key] if key and isinstance(data, dict) else data
            found = msgspec.convert(_without_nulls(entries), list[type_])  # type: ignore[valid-type]
        except (*UNREADABLE, TypeError) as error:
            raise await self._unreadable(ask, error) from error
        return found, paths.of_url(more) if more else ""

    async def _read(self, ask: Ask) -> Raw:
        travel = await self._credentials.travel(ask)
        answer, shared = await self._flights.share(
            ask, travel.view, lambda: patiently(ask, self._wire.options, lambda: self._follow(ask))
        )
        if shared:
            self._memory.count("COALESCED", ask, travel)
        return answer

    async def _follow(self, ask: Ask) -> Raw:
        """Send, following where a renamed repository went (301, 307, 308), on the same server always."""
        began = ask
        for _ in range(REDIRECTS):
            status, headers, body = await self._recognised(ask)
            moved = status in (307, 308) or (status == 301 and ask.method == "GET")
            if not moved or "location" not in headers:
                self._judge(began, (status, headers, body))
                return status, headers, body
            ask = msgspec.structs.replace(ask, path=paths.of_url(headers["location"]))
        raise Refused(f"GitHub sends {began.shown} round in circles", status=301)

    async def _recognised(self, ask: Ask) -> Raw:
        """Send; where GitHub does not know the token, once more with another one."""
        travel = await self._credentials.travel(ask)
        answer = await self._memory.send(ask, travel, self._send)
        if answer[0] == 401 and await self._credentials.renewed(travel):
            log.info("GitHub does not know the token any more; another one is used", request=ask.shown)
            travel = await self._credentials.travel(ask)
            answer = await self._memory.send(ask, travel, self._send)
        return answer

    async def _send(self, ask: Ask, travel: Pass, more: dict[str, str]) -> Raw:
        return await self._wire.send(travel, ask, more)

    def _judge(self, ask: Ask, answer: Raw) -> None:
        """Raise what a bad answer means."""
        status, headers, body = answer
        if not 200 <= status < 300:
            text = self._credentials.censor(answers.text_of(body))
            shown = self._credentials.censor(ask.path.partition("?")[0])
            found = answers.Answered(ask.method, shown, status, headers, text)
            raise answers.error_for(found, self._wire.now())
        if body and "json" in ask.accept and "json" not in headers.get("content-type", ""):
            kind = headers.get("content-type", "something without a type")
            raise Retry(f"instead of GitHub's JSON, {ask.shown} was answered with {kind}", status=status)
        if ask.path == "/graphql":
            self._judge_graphql(ask, headers, body)

    def _judge_graphql(self, ask: Ask, headers: Mapping[str, str], body: bytes) -> None:
        try:
            errors = msgspec.json.decode(body, type=_GraphAnswer).errors
        except UNREADABLE as error:
            raise Retry(f"GitHub's answer to {ask.shown} does not read as expected: {error}") from error
        if not errors:
            return
        kinds = {error.type for error in errors}
        said = self._credentials.censor("; ".join(error.message for error in errors)[: answers.TEXT_LIMIT])
        why = f"GitHub answered a GraphQL query with: {said}"
        if RATE_LIMITED in kinds or answers.SECONDARY in said.lower():
            wait_s = answers.asked_wait_s(headers, self._wire.now())
            raise Retry(why, wait_s or answers.SECONDARY_WAIT_S, 403)
        if kinds == {"NOT_FOUND"}:
            raise Missing(why)
        if kinds == {""} and "omething went wrong" in said:
            raise Retry(why)
        raise Refused(why, 403 if "FORBIDDEN" in kinds else 422, said)

    async def _unreadable(self, ask: Ask, error: Exception) -> Retry:
        """Forget what was kept, lest it be taken for unchanged, and say what came."""
        await self._memory.forget(ask)
        return Retry(self._credentials.censor(f"GitHub's answer to {ask.shown} does not read as expected: {error}"))


def _deciphered(headers: Mapping[str, str], body: bytes) -> tuple[Any, str | None]:
    """Decode an answer by its content type; return it and the link to the next page. What it says of the budget, and
    may say oddly, is read elsewhere.
    """
    needed = {name: headers[name] for name in ("content-type", "link") if name in headers}
    data, _, more = sansio.decipher_response(200, needed, body)
    return data, more


def answer_as(type_: type[T], content: Any) -> T:
    """Read a decoded answer. Raises msgspec.ValidationError."""
    return msgspec.convert(_without_nulls(content), type_)


def _without_nulls(data: Any) -> Any:
    """Drop fields that are null: GitHub sends null for the account of a deleted user, for a deleted fork, and so on."""
    if isinstance(data, dict):
        return {name: _without_nulls(value) for name, value in data.items() if value is not None}
    return [_without_nulls(entry) for entry in data] if isinstance(data, list) else data
