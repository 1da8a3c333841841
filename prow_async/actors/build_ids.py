"""Build ids: counted by tot where there is one, else made here, greater than all before."""

import anyio
import structlog

from prow_async.api.errors import Refused, Retry
from prow_async.core import tot
from prow_async.ports.clock import Ids
from prow_async.ports.web import Web

log = structlog.get_logger()


class Made:
    """Ids that sort by time."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids

    async def next_of(self, job: str) -> str:
        return self._ids.build_id()


class Tot:
    """Asks tot."""

    def __init__(self, url: str, web: Web) -> None:
        self._url = url
        self._web = web

    async def next_of(self, job: str) -> str:
        """Ask for a job's next id. Raises Retry after ten tries, as many as upstream makes, in 51 s."""
        url, wait_s, why = tot.vend_url(self._url, job), tot.FIRST_WAIT_S, ""
        for attempt in range(tot.TRIES):
            if attempt:
                await anyio.sleep(wait_s)
                wait_s *= 2
            try:
                answer = await self._web.ask("GET", url)
            except (Retry, Refused) as error:  # Refused: where it redirects to is no address
                why = error.why
                continue
            found = tot.build_id(answer.status, answer.body)
            if found is not None:
                return found
            why = f"it answers {answer.status} {answer.body[:100]!r}"  # not where: its address may hold a password
        log.warning("tot vends no build id", job=job, why=why)
        raise Retry(f"tot vends no build id for {job}: {why}")
