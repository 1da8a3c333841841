"""Where messages about jobs go: Slack's channels, topics of Google's Pub/Sub.

Errors as everywhere: Missing for a channel or topic that is not there, Refused for what will not work as things are,
Retry for what may work later. Whether a message whose sending broke off has arrived nobody can tell.
"""

from typing import Protocol


class Slack(Protocol):
    async def post(self, host: str, channel: str, text: str) -> None:
        """Post a message. `host` names the token; `*` is the default one."""


class Topics(Protocol):
    async def publish(self, project: str, topic: str, data: bytes) -> None:
        """Publish one message without attributes."""
