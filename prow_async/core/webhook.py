"""Is this request a webhook of ours? Checks of the head, then of the body, in upstream's order and words.

Source: upstream pkg/github/webhooks.go ValidateWebhook, pkg/github/hmac.go ValidatePayload.
"""

import binascii
import hmac
from collections.abc import Mapping
from typing import Literal

import msgspec
import yaml

from prow_async.api.errors import UserMistake
from prow_async.core import webhook_decode
from prow_async.core.webhook_decode import Parsed

SIGNATURE = "X-Hub-Signature-256"
CONTENT_TYPE = "application/json"
MAX_BODY_BYTES = 25 << 20
"""GitHub caps payloads at 25 MB and sends none that is bigger."""


class Answer(msgspec.Struct, frozen=True):
    """What a request that is not accepted is told. `text` is the body without its final newline."""

    status: int
    text: str


WELCOME = Answer(200, "Event received. Have a nice day.")
"""The one answer whose body ends without a newline."""
CUT_BODY = Answer(500, "500 Internal Server Error: Failed to read request body")
TOO_BIG = Answer(413, "413 Request Entity Too Large: Hook only accepts payloads of up to 25 MB")
TRY_AGAIN = Answer(503, "503 Service Unavailable: Hook cannot store the event now - please redeliver it later")


class Head(msgspec.Struct, frozen=True):
    """What the headers of a plausible webhook say."""

    event: str
    guid: str
    signature: str


class Verified(msgspec.Struct, frozen=True):
    """A webhook whose signature is right."""

    event: str
    guid: str
    owner: str
    """`org/repo`, or the org alone, whose secret it was signed with; may be empty."""
    parsed: Parsed | None = None
    """What the body says, where it has been read whole."""


class Tokens(msgspec.Struct, frozen=True):
    """Webhook secrets. `levels` maps `org/repo`, an org or `*` to the secrets that are valid there."""

    levels: dict[str, tuple[bytes, ...]]
    form: Literal["single", "map"]
    """How the file was read: as one secret, or as a map from owners to secrets."""

    def at(self, owner: str) -> tuple[bytes, ...] | None:
        """Return the secrets of the most specific level present, even when it is empty; None when there is none."""
        for level in (owner, owner.partition("/")[0], "*"):
            if level in self.levels:
                return self.levels[level]
        return None

    def for_all(self) -> tuple[bytes, ...] | None:
        """Return the secrets of everybody, when nobody has others; else None."""
        return self.levels.get("*") if len(self.levels) == 1 else None

    def every(self) -> frozenset[bytes]:
        """All secrets, so that they can be kept out of logs."""
        return frozenset(token for tokens in self.levels.values() for token in tokens)


class _Account(msgspec.Struct, frozen=True, gc=False):
    login: str | None = None
    name: str | None = None
    """Push events' owners have it beside the login."""


class _Repository(msgspec.Struct, frozen=True, gc=False):
    full_name: str | None = None
    name: str | None = None
    owner: _Account | None = None

    def is_of(self, signer: str) -> bool:
        """True when what plugins go by, owner and name, is what the secret was looked up with: a repo, or an org."""
        org, _, repo = signer.lower().partition("/")
        owners = () if self.owner is None else (self.owner.login, self.owner.name)
        if any(owner and owner.lower() != org for owner in owners):
            return False
        return not (repo and self.name) or self.name.lower() == repo


class _Organization(msgspec.Struct, frozen=True, gc=False):
    login: str | None = None


class _Owners(msgspec.Struct, frozen=True, gc=False):
    repository: _Repository | None = None
    organization: _Organization | None = None


_owners = msgspec.json.Decoder(_Owners)
_NULLS = ("", "~", "null", "Null", "NULL")
"""YAML's spellings of nothing, and the empty text."""


def parse_tokens(file_content: bytes) -> Tokens:
    """Read a webhook secret file in any of its forms; whitespace around it does not count.

    A YAML map from owners to lists of `{value, created_at}` is a map; anything else is one secret, as a whole. Empty
    secrets are passed over: everybody could sign with them (deviation from upstream, which accepts them).
    Source: upstream pkg/github/hmac.go extractHMACs.
    """
    content = file_content.strip()
    try:
        # BaseLoader builds nothing but text, lists and maps, so that secrets made of digits keep their spelling.
        document = next(iter(yaml.load_all(content, Loader=yaml.BaseLoader)), None)
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: a character that there is none of
        return _single(content)
    if document is None or (isinstance(document, str) and document in _NULLS):
        return Tokens({}, "map")
    if not isinstance(document, dict):
        return _single(content)
    levels: dict[str, tuple[bytes, ...]] = {}
    for owner, entries in document.items():
        tokens = _entries(entries)
        if tokens is None or not isinstance(owner, str):
            return _single(content)
        levels[owner] = tokens
    return Tokens(levels, "map")


def _single(content: bytes) -> Tokens:
    return Tokens({"*": (content,)} if content else {}, "single")


def _entries(entries: object) -> tuple[bytes, ...] | None:
    """Read one owner's list; None when it is not a list of maps with a text `value`."""
    if isinstance(entries, str) and entries in _NULLS:
        return ()
    if not isinstance(entries, list):
        return None
    tokens: list[bytes] = []
    for entry in entries:
        value = entry.get("value", "") if isinstance(entry, dict) else None
        if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):
            return None
        if value not in _NULLS:
            tokens.append(value.encode())
    return tuple(tokens)


def sign(body: bytes, token: bytes) -> str:
    """Return the signature header's value, as GitHub computes it."""
    return "sha256=" + hmac.digest(token, body, "sha256").hex()


def check_head(method: str, headers: Mapping[str, str]) -> Head | Answer:
    """Check what can be checked before the body has come.

    Args:
        headers: looked up by the spelling GitHub uses: pass a mapping that does not mind case.
    """
    if method != "POST":
        return Answer(405, "405 Method not allowed")
    event = headers.get("X-GitHub-Event")
    if not event:
        return Answer(400, "400 Bad Request: Missing X-GitHub-Event Header")
    guid = headers.get("X-GitHub-Delivery")
    if not guid:
        return Answer(400, "400 Bad Request: Missing X-GitHub-Delivery Header")
    signature = headers.get(SIGNATURE)
    if not signature:
        return Answer(403, f"403 Forbidden: Missing {SIGNATURE}")
    if headers.get("Content-Type") != CONTENT_TYPE:
        return Answer(
            400,
            "400 Bad Request: Hook only accepts content-type: application/json"
            " - please reconfigure this hook on GitHub",
        )
    return Head(event, guid, signature)


def check_body(head: Head, body: bytes, tokens: Tokens) -> Verified | Answer:
    """Check the signature against every secret of the owner the body names.

    Where all owners have the same secrets, a body that is signed well is read only once, whole. Where they have not,
    one owner's secret does not do for what speaks of another's repository (deviation from upstream).
    """
    claimed, for_all = _hex(head.signature), tokens.for_all()
    right = for_all is not None and claimed is not None and _signed(body, claimed, for_all)
    if right:
        try:
            parsed = webhook_decode.decode(head.event, body, head.guid)
        except UserMistake:
            parsed = None  # not of its event's shape, which its handling tells; or no JSON at all, which is told below
        if parsed is not None and parsed.full_name:
            return Verified(head.event, head.guid, parsed.full_name, parsed)
    try:
        owners = _owners.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _forbidden("invalid payload")
    if claimed is None:
        return _forbidden("invalid signature")
    owner = (owners.repository.full_name if owners.repository else None) or ""
    owner = owner or (owners.organization.login if owners.organization else None) or ""
    secrets = tokens.at(owner)
    if secrets is None:
        return _forbidden("failed to get an appropriate hmac secret")
    if not right and (secrets is for_all or not _signed(body, claimed, secrets)):
        return _forbidden(f"misconfigured webhook secret from organization/repo: {owner}")
    if for_all is None and owners.repository is not None and not owners.repository.is_of(owner):
        return _forbidden("repository.owner and repository.name say something else than repository.full_name")
    return Verified(head.event, head.guid, owner)


def _signed(body: bytes, claimed: bytes, secrets: tuple[bytes, ...]) -> bool:
    """True when the body was signed with one of the secrets. All are tried: time does not tell which."""
    right = False
    for secret in secrets:
        right |= hmac.compare_digest(hmac.digest(secret, body, "sha256"), claimed)
    return right


def verify(method: str, headers: Mapping[str, str], body: bytes, tokens: Tokens) -> Verified | Answer:
    """Check a whole request: `check_head`, then `check_body`."""
    head = check_head(method, headers)
    return head if isinstance(head, Answer) else check_body(head, body, tokens)


def _hex(signature: str) -> bytes | None:
    """Read `sha256=` and hexadecimal digits; None for anything else, non-ASCII text included."""
    if not signature.startswith("sha256="):
        return None
    try:
        return binascii.unhexlify(signature[7:])
    except ValueError:
        return None


def _forbidden(reason: str) -> Answer:
    return Answer(403, f"403 Forbidden: Invalid {SIGNATURE} - {reason}")
