"""A GitHub App's tokens: one it proves itself with, and one for each installation, asked for when needed and kept.

Source: docs.github.com, authenticating as a GitHub App; upstream pkg/github/app_auth_roundtripper.go. Deviations: the
proof is dated back by a minute, for clocks that differ; tokens are renewed five minutes before their end, not one.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import anyio
import msgspec
import structlog

from prow_async.adapters.github import answers
from prow_async.adapters.github.credentials import SecretFile
from prow_async.adapters.github.wire import Ask, Pass, Wire
from prow_async.api.errors import CannotStart, Missing, ProwError, Refused, Retry
from prow_async.core import instants

log = structlog.get_logger()
T = TypeVar("T")
PROOF_LIFE_S = 540.0
SKEW_S = 60.0
RENEW_BEFORE_S = 300.0
RETRY_S = 20.0
"""So long a token that is still good is used before another try to renew it."""
LOOK_AGAIN_S = 60.0
"""An organization without the App is looked for so often."""
PAGES = 100
LACKING = "a GitHub App needs a library that is not there: pip install 'prow_async[app]'"
IDENTITY = "x-prow-ghcache-token-budget-identifier"
EXPIRES = "x-prow-token-expires-at"


class _Account(msgspec.Struct):
    login: str


class Installation(msgspec.Struct):
    id: int
    account: _Account | None = None
    suspended_at: str | None = None
    app_slug: str = ""


class _Minted(msgspec.Struct):
    token: str
    expires_at: str


class _Held(msgspec.Struct, frozen=True):
    travel: Pass
    expires_s: float
    again_s: float = 0.0
    """It could not be renewed: not tried again before."""


class AppCredentials:
    """Implements credentials `Credentials` for an App.

    Args:
        key: the App's private key as PEM; read again whenever the file changes.
        learn: told (organization, token) before a token is used.

    Raises CannotStart when the key cannot be read or is none.
    """

    is_app = True

    def __init__(self, app_id: str, key: Path, wire: Wire, learn: Callable[[str, str], None] = lambda *_: None) -> None:
        self._app_id = app_id
        self._wire = wire
        self._learn = learn
        self._file = SecretFile(key, "private key of the GitHub App")
        self._key = self._file.read().decode("utf-8", "replace")
        self._slug = ""
        self._installations: dict[str, Installation] = {}
        self._looked_s = -LOOK_AGAIN_S
        self._looking = anyio.Lock()
        self._minting: dict[int, anyio.Lock] = {}
        self._held: dict[int, _Held] = {}
        self._proved = ("", 0.0)
        """The proof in use, and when it ends."""
        self._signed(self._key)

    async def travel(self, ask: Ask) -> Pass:
        if is_for_the_app(ask.path):
            return self._proof()
        if not ask.org:
            raise Refused(f"{ask.shown} names no organization, and a GitHub App acts in one at a time", 403)
        found = await self.installation(ask.org)
        lock = self._minting.setdefault(found.id, anyio.Lock())
        held = self._held.get(found.id)
        if held is not None and self._does(held, lock.locked()):
            return held.travel
        async with lock:
            held = self._held.get(found.id)
            if held is None or not self._does(held):
                held = self._held[found.id] = await self._renewed(ask.org, found, held)
        return held.travel

    def _does(self, held: _Held, renewing: bool = False) -> bool:
        """True while a token does: long before its end, and nearly to it while another one is got, or cannot be."""
        now_s = self._wire.now()
        left_s = held.expires_s - now_s
        return left_s >= RENEW_BEFORE_S or (left_s > SKEW_S and (renewing or now_s < held.again_s))

    async def _renewed(self, org: str, found: Installation, held: _Held | None) -> _Held:
        """Get another token. While the one at hand is good, trouble in doing so is nobody's trouble yet."""
        try:
            return await self._mint(org, found)
        except Retry as trouble:
            now_s = self._wire.now()
            # It may have been forgotten meanwhile: then GitHub does not know it.
            if held is None or self._held.get(found.id) is not held or held.expires_s - now_s <= SKEW_S:
                raise
            log.warning("the App's token is not renewed yet; the one at hand still does", org=org, why=trouble.why)
            return msgspec.structs.replace(held, again_s=now_s + RETRY_S)

    async def renewed(self, used: Pass) -> bool:
        for number, held in self._held.items():
            if held.travel.token == used.token:
                del self._held[number]
                return True
        if used.token == self._proved[0]:
            self._proved = ("", 0.0)
        return used.view != self._view(0)

    def censor(self, text: str) -> str:
        for token in (self._proved[0], *(held.travel.token for held in self._held.values())):
            text = text.replace(token, "*****") if token else text
        return text

    async def installation(self, org: str) -> Installation:
        """Find where the App is installed for an organization. Raises Refused where it is not, or is suspended."""
        found = self._installations.get(org.lower())
        if found is None or found.suspended_at:
            async with self._looking:
                if self._wire.now() - self._looked_s >= LOOK_AGAIN_S:
                    await self.look()
            found = self._installations.get(org.lower())
        if found is None:
            raise Refused(f"the GitHub App {self._app_id} is not installed for {org}: install it there", 403)
        if found.suspended_at:
            raise Refused(f"the GitHub App {self._app_id} is suspended for {org}", 403)
        return found

    async def look(self) -> list[Installation]:
        """Read where the App is installed."""
        found: list[Installation] = []
        for page in range(1, PAGES + 1):
            ask = Ask("GET", f"/app/installations?per_page=100&page={page}")
            listed = await self._own(ask, list[Installation])
            found += listed
            if len(listed) < 100:
                break
        self._looked_s = self._wire.now()
        self._slug = next((one.app_slug for one in found if one.app_slug), self._slug)
        self._installations = {one.account.login.lower(): one for one in found if one.account is not None}
        return found

    async def _mint(self, org: str, found: Installation) -> _Held:
        try:
            made = await self._own(Ask("POST", f"/app/installations/{found.id}/access_tokens"), _Minted)
        except Refused:
            self._installations.pop(org.lower(), None)
            raise
        self._learn(org.lower(), made.token)
        try:
            expires_s = datetime.fromisoformat(made.expires_at).timestamp()
        except ValueError as error:
            raise Retry(f"GitHub's token for {org} ends at {made.expires_at!r}, which is no time") from error
        who = f"{self._slug or self._app_id} - {found.account.login if found.account else org}"
        headers = {IDENTITY: who, EXPIRES: made.expires_at}
        return _Held(Pass(made.token, who, self._view(found.id), headers), expires_s)

    async def _own(self, ask: Ask, type_: type[T]) -> T:
        """Ask as the App itself; read the answer."""
        status, headers, body = await self._wire.send(self._proof(), ask)
        now_s = self._wire.now()
        if not 200 <= status < 300:
            text = self.censor(answers.text_of(body))
            found = answers.Answered(ask.method, ask.path, status, headers, text)
            raise self._explained(answers.error_for(found, now_s))
        try:
            return msgspec.json.decode(body, type=type_)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            why = self.censor(f"GitHub's answer to {ask.shown} does not read as expected: {error}")
            raise Retry(why) from error

    def _explained(self, error: ProwError) -> ProwError:
        """Say what it means for who only wanted to read something: a missing installation is no missing thing."""
        if isinstance(error, Missing):
            return Refused(f"the GitHub App {self._app_id} may not act there (any more): {error.why}", 403)
        if isinstance(error, Refused) and error.status == 401:
            hint = f"is the private key that of App {self._app_id}, and does this machine's clock go right?"
            return Refused(f"{error.why} ({hint})", 401, error.reason)
        return error

    def _proof(self) -> Pass:
        if self._file.changed():
            try:
                key = self._file.read().decode("utf-8", "replace")
                self._signed(key)
                self._key = key
                self._proved = ("", 0.0)
                self._file.kept()
            except CannotStart as error:
                self._file.refused(str(error))
        if self._proved[1] - self._wire.now() < RENEW_BEFORE_S:
            self._proved = (self._signed(self._key), self._wire.now() + PROOF_LIFE_S)
        token, ends_s = self._proved
        who = self._slug or self._app_id
        return Pass(token, who, self._view(0), {IDENTITY: who, EXPIRES: instants.rfc3339(ends_s)})

    def _view(self, installation: int) -> str:
        return f"app {self._app_id} installation {installation}"

    def _signed(self, key: str) -> str:
        try:
            import jwt
        except ImportError as error:
            raise CannotStart(LACKING) from error
        now_s = int(self._wire.now())
        claims = {"iat": now_s - int(SKEW_S), "exp": now_s + int(PROOF_LIFE_S), "iss": self._app_id}
        try:
            return jwt.encode(claims, key, algorithm="RS256")
        except NotImplementedError as error:  # how it says that cryptography is missing
            raise CannotStart(LACKING) from error
        except Exception as error:  # the library's, cryptography's and Python's own, without a common root
            raise CannotStart(f"{self._file.path} holds no private key: an RSA key as PEM is expected") from error


def is_for_the_app(path: str) -> bool:
    """Say whether GitHub wants the App itself to ask this, not one of its installations."""
    parts = path.partition("?")[0].strip("/").split("/")
    owned = {"orgs": 3, "users": 3, "repos": 4}.get(parts[0])
    return parts[0] == "app" or (len(parts) == owned and parts[-1] == "installation")
