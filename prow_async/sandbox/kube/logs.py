"""Where the doors read pod logs from. The kubelet implements it; this room only asks."""

from collections.abc import AsyncIterator
from typing import Protocol


class LogSource(Protocol):
    def follow(self, namespace: str, pod: str, container: str, follow: bool) -> AsyncIterator[bytes]:
        """Yield a container's log from its beginning, in pieces cut anywhere.

        The first step returns at once, with an empty piece when nothing is written yet: the asker then gets its
        headers without waiting for output.

        Args:
            container: never empty: the door has chosen one that the pod's spec names.
            follow: go on until the container ends; False stops at what is written now.

        Raises (at the first step): Missing when there is no such log yet or any more, Refused (400) when the
        container has not started. The doors show either to the asker in Kubernetes' Status form.
        """
