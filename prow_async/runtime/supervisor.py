"""Keeps long-lived services running: one that fails is started again after a growing wait."""

from collections.abc import Callable, Coroutine
from typing import Any

import anyio

from prow_async.runtime.backoff import Backoff

Service = Callable[[], Coroutine[Any, Any, None]]


class Supervisor:
    """Runs named services side by side until all have ended or the surrounding scope is cancelled.

    Args:
        failed: told the service's name, the exception and the wait in seconds before its next start.
        settled_s: a service that lived this long starts its backoff anew.
    """

    def __init__(
        self, failed: Callable[[str, Exception, float], None], backoff: Backoff | None = None, settled_s: float = 60.0
    ) -> None:
        self._failed = failed
        self._backoff = backoff or Backoff()
        self._settled_s = settled_s
        self._restarts: dict[str, int] = {}

    def statistics(self) -> dict[str, int]:
        """Return restarts per service since the start."""
        return dict(self._restarts)

    async def run(self, services: dict[str, Service]) -> None:
        async with anyio.create_task_group() as group:
            for name, service in services.items():
                group.start_soon(self.keep, name, service)

    async def keep(self, name: str, service: Service) -> None:
        """Run one service, starting it again whenever it fails; return when it has ended by itself."""
        failures = 0
        while True:
            started = anyio.current_time()
            try:
                await service()
                return
            except Exception as error:  # told to `failed`; the service is the unit of failure
                if anyio.current_time() - started >= self._settled_s:
                    failures = 0
                failures += 1
                self._restarts[name] = self._restarts.get(name, 0) + 1
                wait_s = self._backoff.wait_s(failures)
                self._failed(name, error, wait_s)
            await anyio.sleep(wait_s)
