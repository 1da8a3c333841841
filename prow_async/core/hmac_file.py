"""The file of webhook secrets as a tool changes it: secrets with their age, made, rotated and pruned.

Source: upstream cmd/hmac/main.go, pkg/github/hmac.go. Deviations: a webhook that could not be changed gives back the
old secrets of its own scope alone, and the new secret is never dropped while GitHub may already sign with it.
"""

import re
from collections.abc import Callable, Mapping

import msgspec
import yaml

from prow_async.api.config_sections import ManagedWebhooks
from prow_async.api.errors import UserMistake
from prow_async.core import instants

EVERYWHERE = "*"
_SCOPE = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)?")
LONG_AGO = "0001-01-01T00:00:00Z"
"""How Go writes the zero time: the age of secrets that say nothing of it."""


class Token(msgspec.Struct, frozen=True):
    value: str
    created_at: str = LONG_AGO

    def age_s(self) -> float:
        """When it was made, in seconds since the epoch; secrets with an age that does not read are the oldest."""
        return _seconds(self.created_at)


Levels = dict[str, tuple[Token, ...]]
"""Secrets by `org/repo`, org or `*`."""


class Plan(msgspec.Struct, frozen=True):
    """What is to be done: `levels` is written first, then webhooks are changed, then old secrets pruned."""

    levels: Levels
    new: dict[str, Token]
    """The secret made for each scope whose webhook has to be made or changed."""
    before: Levels
    """What scopes in `new` had before."""
    removed: Levels
    """Scopes whose webhooks are to go, with the secrets that go with them."""


class _Entry(msgspec.Struct):
    value: str = ""
    created_at: str = LONG_AGO


def read(content: bytes) -> Levels | str:
    """Read a secret file; a text that is no map of secrets is one secret, returned as it is.

    Raises UserMistake for bytes that are no text: in a map they could not be written.
    """
    try:
        text = content.decode().strip()
    except UnicodeDecodeError as error:
        raise UserMistake("the secrets are no UTF-8 text: put one in their place that is, or begin anew") from error
    try:
        document = next(iter(yaml.load_all(text, Loader=yaml.BaseLoader)), None)
        if document is None or document in ("", "~", "null", "Null", "NULL"):
            return {}
        read_levels = msgspec.convert(document, dict[str, list[_Entry] | None])
        "".join(entry.value for entries in read_levels.values() for entry in entries or ()).encode()
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: of another shape, or no characters
        return text
    return {
        scope: tuple(Token(entry.value, entry.created_at) for entry in entries or ())
        for scope, entries in read_levels.items()
    }


def write(levels: Mapping[str, tuple[Token, ...]]) -> bytes:
    """Return the file, in upstream's shape, scopes in order."""
    document = {
        scope: [{"value": token.value, "created_at": token.created_at} for token in levels[scope]]
        for scope in sorted(levels)
    }
    return yaml.safe_dump(document, sort_keys=False, default_flow_style=False).encode()


def plan(found: Levels | str, wanted: ManagedWebhooks, now_s: float, make: Callable[[], str]) -> Plan:
    """Compare the file with the configuration.

    Args:
        found: what `read` returned.
        make: gives a new secret.

    Raises UserMistake when a single secret would be lost.
    """
    if isinstance(found, str):
        if not wanted.respect_legacy_global_token:
            raise UserMistake(
                "the secret is one for all: set managed_webhooks.respect_legacy_global_token, so that it is kept until"
                " every webhook has its own"
            )
        found = {EVERYWHERE: (Token(found),)}
    keep = {EVERYWHERE} if wanted.respect_legacy_global_token else set[str]()
    stays = keep | wanted.org_repo_config.keys()
    removed = {scope: found[scope] for scope in sorted(found) if scope not in stays and scope != EVERYWHERE}
    levels = {scope: tokens for scope, tokens in found.items() if scope in stays}
    new: dict[str, Token] = {}
    for scope, entry in sorted(wanted.org_repo_config.items()):
        after_s = _seconds(entry.token_created_after or LONG_AGO)
        tokens = found.get(scope)
        if tokens is not None and any(token.age_s() > after_s for token in tokens):
            continue
        if tokens is None:  # its webhook may be signed with the one for all
            tokens = tuple(Token(token.value) for token in found.get(EVERYWHERE, ())[:1])
        new[scope] = Token(make(), instants.rfc3339(now_s))
        levels[scope] = (*tokens, new[scope])
    before = {scope: found[scope] for scope in new if scope in found}
    return Plan(levels | removed, new, before, removed)


def add(levels: Levels, scope: str, token: Token) -> Levels:
    """Return the secrets with one more for a scope, beside those it has.

    One that has none of its own keeps those that did for it until now, as the oldest: its webhook is signed with one of
    them, and from now on nobody asks for those of others.
    """
    there = levels.get(scope)
    if there is None:
        wider = next((name for name in (scope.partition("/")[0], EVERYWHERE) if name in levels), EVERYWHERE)
        there = tuple(Token(one.value) for one in levels.get(wider, ()))
    return levels | {scope: (*there, token)}


def is_scope(text: str) -> bool:
    """True for an org, org/repo and `*`."""
    return text == EVERYWHERE or _SCOPE.fullmatch(text) is not None


def settled(plan: Plan, failed: set[str]) -> Levels:
    """Return what is kept in the end: the newest secret of each scope; all where the webhook could not be changed.

    A change that seems to have failed may have been made all the same: so neither secret is thrown away.
    """
    stay = {scope: tokens for scope, tokens in plan.levels.items() if scope in failed or scope not in plan.removed}
    return {scope: tokens if scope in failed else newest(tokens) for scope, tokens in stay.items()}


def newest(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Return the newest secret alone; of several equally old ones the last."""
    if len(tokens) < 2:
        return tokens
    return (max(enumerate(tokens), key=lambda item: (item[1].age_s(), item[0]))[1],)


def _seconds(text: str) -> float:
    try:
        return instants.seconds(text)
    except ValueError:
        return float("-inf")
