"""Finds out how containers can be kept apart while a program that wants to run pods still does other things."""

import concurrent.futures
from pathlib import Path

from prow_async.sandbox.kubelet import isolation
from prow_async.sandbox.kubelet.forge import Forge


class Early:
    """A forge and the answer of a probe with it, begun when this is made. Close it, also after a kubelet used it.

    Args:
        folder: takes a mount for a moment.
    """

    def __init__(self, folder: Path) -> None:
        self.forge = Forge()
        self._thread = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        self._found = self._thread.submit(isolation.probe, folder, self.forge)

    def wait(self) -> tuple[isolation.Isolation, str]:
        """Return what `isolation.probe` does, and raise what it raises. Blocking."""
        return self._found.result()

    def close(self) -> None:
        """End the forge, once the probe has ended. Blocking."""
        self._thread.shutdown()
        self.forge.close()
