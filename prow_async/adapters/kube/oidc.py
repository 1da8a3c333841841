"""ID tokens of kubeconfig's `oidc` auth provider: kept until shortly before they expire, then refreshed.

kubernetes_asyncio can do this too, but without verifying the issuer's certificate. Refreshed tokens are kept in
memory; the kubeconfig file is not written.

Source: OpenID Connect Discovery 1.0 section 4, Core 1.0 section 12; client-go's oidc plugin.
"""

import base64
import binascii
import ssl
from typing import Any

import aiohttp
import msgspec

from prow_async.api.prowjob import Json

SKEW_S = 300.0
REQUEST_S = 30.0


class CannotRefresh(Exception):
    """There is no valid ID token and none to be had; the text says why."""


class _Claims(msgspec.Struct, frozen=True):
    exp: float | None = None


class IdToken:
    """One user's ID token.

    Args:
        settings: `auth-provider.config` of the user entry.
    """

    def __init__(self, settings: Json) -> None:
        self._settings = {key: value for key, value in settings.items() if isinstance(value, str)}
        self._token = self._settings.get("id-token", "")
        self._refresh_token = self._settings.get("refresh-token", "")

    async def current(self, now_s: float, renew: bool = False) -> str:
        """Return a token that is good for some minutes yet. Raises CannotRefresh."""
        if renew or not self._token or _expiry(self._token) - SKEW_S <= now_s:
            await self._refresh()
        return self._token

    async def _refresh(self) -> None:
        issuer, client_id = self._settings.get("idp-issuer-url", ""), self._settings.get("client-id", "")
        if not (self._refresh_token and issuer and client_id):
            raise CannotRefresh("the ID token is over; a new one needs refresh-token, idp-issuer-url and client-id")
        asked = {"grant_type": "refresh_token", "refresh_token": self._refresh_token}
        secret = self._settings.get("client-secret", "")
        timeout = aiohttp.ClientTimeout(total=REQUEST_S)
        try:
            connector = aiohttp.TCPConnector(ssl=_tls(self._settings))
            async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=True) as session:
                found = await _json(session.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration"))
                auth = {"Authorization": aiohttp.encode_basic_auth(client_id, secret)}
                answer = await _json(session.post(str(found.get("token_endpoint")), data=asked, headers=auth))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise CannotRefresh(f"the issuer {issuer} gave no new ID token: {type(error).__name__}") from error
        if not isinstance(answer.get("id_token"), str):
            raise CannotRefresh(f"the issuer {issuer} answered without an id_token")
        self._token = answer["id_token"]
        self._refresh_token = answer.get("refresh_token") or self._refresh_token


async def _json(request: Any) -> dict[str, Any]:
    async with request as response:
        response.raise_for_status()
        return msgspec.json.decode(await response.read(), type=dict[str, Any])


def _expiry(token: str) -> float:
    """Return when a JWT expires, in seconds since the epoch; 0 for what is no JWT, infinity for one without end."""
    parts = token.split(".")
    if len(parts) != 3:
        return 0.0
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)), type=_Claims)
    except (msgspec.DecodeError, binascii.Error):
        return 0.0
    return float("inf") if claims.exp is None else claims.exp


def _tls(settings: dict[str, str]) -> ssl.SSLContext:
    if file := settings.get("idp-certificate-authority"):
        return ssl.create_default_context(cafile=file)
    if data := settings.get("idp-certificate-authority-data"):
        return ssl.create_default_context(cadata=base64.b64decode(data).decode())
    return ssl.create_default_context()
