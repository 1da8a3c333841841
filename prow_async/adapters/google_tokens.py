"""Access to Google's APIs: who we are, by a file with a service account or a person's login, or by the machine.

Source: https://google.aip.dev/auth/4110 (where credentials are looked for), /4111 (self-signed tokens), /4113 (a
person's login), https://cloud.google.com/compute/docs/metadata (the machine's).
"""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlencode

import anyio
import msgspec

from prow_async.adapters import logs
from prow_async.adapters.outgoing import Answer, Sender
from prow_async.api.errors import CannotStart, Refused, Retry

VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
_DEFAULT_FILE = ".config/gcloud/application_default_credentials.json"
_METADATA_HOST = "GCE_METADATA_HOST"
_METADATA = "/computeMetadata/v1/instance/service-accounts/default/token"
_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
_ALIVE_S = 3600
_EARLY_S = 120.0
"""So long before its end a token is replaced."""
_LACKING = "Google's service accounts need a library that is not there: pip install 'prow_async[app]'"


class Account(msgspec.Struct, frozen=True):
    """A file with credentials: a service account, or what gcloud keeps of a person's login."""

    type: str = ""
    client_email: str = ""
    private_key: str = ""
    private_key_id: str = ""
    client_id: str = ""
    client_secret: str = ""
    refresh_token: str = ""
    token_uri: str = ""


class _Given(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float = 0.0


class Tokens:
    """Tokens for one API, asked for anew before they end.

    Args:
        audience: the API's address with a slash at its end; self-signed tokens are good for it alone.
        account: None asks the metadata server of the machine.
        now: wall clock, seconds since the epoch.
    """

    def __init__(
        self,
        sender: Sender,
        audience: str,
        account: Account | None,
        censor: logs.Censor,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._sender = sender
        self._audience = audience
        self._account = account
        self._censor = censor
        self._now = now
        self._token, self._until_s = "", 0.0
        self._turn = anyio.Lock()

    async def token(self) -> str:
        """Return a token that is good for some time. Raises Retry, Refused."""
        async with self._turn:
            if self._now() >= self._until_s:
                given = await self._ask()
                self._censor.add([given.access_token.encode()])
                self._token, self._until_s = given.access_token, self._now() + given.expires_in - _EARLY_S
            return self._token

    def forget(self) -> None:
        """Ask for a new token next time: the server did not take this one."""
        self._until_s = 0.0

    async def _ask(self) -> _Given:
        if self._account is None:
            host = os.environ.get(_METADATA_HOST) or "metadata.google.internal"
            answer = await self._sender.send("GET", f"http://{host}{_METADATA}", {"Metadata-Flavor": "Google"})
            return _given(answer, "the metadata server of this machine")
        if self._account.type == "service_account":
            return _Given(self._signed(self._account), _ALIVE_S)
        form = {
            "grant_type": "refresh_token",
            "client_id": self._account.client_id,
            "client_secret": self._account.client_secret,
            "refresh_token": self._account.refresh_token,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        address = self._account.token_uri or _TOKEN_URI
        return _given(await self._sender.send("POST", address, headers, urlencode(form).encode()), "Google's login")

    def _signed(self, account: Account) -> str:
        """Say who we are in a token of our own making, which Google's APIs take as it is."""
        now_s = int(self._now())
        claims = {
            "iss": account.client_email,
            "sub": account.client_email,
            "aud": self._audience,
            "iat": now_s,
            "exp": now_s + _ALIVE_S,
        }
        try:
            import jwt

            return jwt.encode(claims, account.private_key, algorithm="RS256", headers={"kid": account.private_key_id})
        except (ImportError, NotImplementedError) as error:  # the library, or cryptography below it, is missing
            raise Refused(_LACKING, 401) from error
        except Exception as error:  # the library's, cryptography's and Python's own, without a common root
            raise Refused("the private key of the service account cannot be used: it is no RSA key as PEM", 401) from (
                error
            )


def account_of(environ: Mapping[str, str], home: Path) -> Account | None:
    """Read the credentials that the environment names, or gcloud's; None leaves it to the metadata server.

    Raises CannotStart for a file that cannot be read or is of a kind not known.
    """
    named = environ.get(VARIABLE, "")
    path = Path(named) if named else home / _DEFAULT_FILE
    if not named and not path.is_file():
        return None
    try:
        account = msgspec.json.decode(path.read_bytes(), type=Account)
    except OSError as error:
        raise CannotStart(f"{VARIABLE}={path} cannot be read: {error.strerror or error}") from error
    except msgspec.MsgspecError:
        raise CannotStart(f"{path} holds no Google credentials: it does not read as JSON") from None
    if account.type not in ("service_account", "authorized_user"):
        raise CannotStart(f"{path}: credentials of type {account.type!r} are not known")
    return account


def _given(answer: Answer, who: str) -> _Given:
    if answer.status in (400, 401, 403, 404):
        raise Refused(f"{who} gives no token: {answer.status}", 401)
    try:
        if answer.status == 200:
            return msgspec.json.decode(answer.body, type=_Given)
    except msgspec.MsgspecError:
        raise Retry(f"{who} gives no token: the answer does not read") from None
    raise Retry(f"{who} gives no token: {answer.status}", after_s=answer.retry_after_s, status=answer.status)
