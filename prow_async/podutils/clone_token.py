"""Tokens that git shows to web servers. Those of a GitHub App are in clone_app, which few need and is slow to import.

Source: upstream pkg/clonerefs/run.go.
"""

from typing import Protocol


class NoToken(Exception):
    """There is no token to be had. The message is for people and holds no secret."""


class Stranger(NoToken):
    """No token will ever open this organization's repositories: ask as anybody would, they may be public."""


class Tokens(Protocol):
    """Where tokens come from. Any thread may ask."""

    def token(self, org: str) -> tuple[str, str]:
        """Return user and token for an organization's repositories, "" for none. Raises NoToken."""


class NoTokens:
    """No token for anybody."""

    def token(self, org: str) -> tuple[str, str]:
        return "", ""


class OneToken:
    """The same token for everybody."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self, org: str) -> tuple[str, str]:
        return "", self._token
