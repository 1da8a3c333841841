"""Tokens of a GitHub App, one for each organization.

Source: upstream pkg/github/app_auth_roundtripper.go.
"""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

from prow_async.podutils import logs
from prow_async.podutils.clone_token import NoToken

_TIMEOUT_S = 30.0
_ANSWER_BYTES = 4 << 20
_PAGES = 50
_TRIES = 3
_ALIVE_S = 540
"""GitHub takes at most ten minutes; its clock and ours may differ."""
_SKEW_S = 60
APP_USER = "x-access-token"


class AppTokens:
    """Installation tokens of a GitHub App, asked for once for each organization.

    Args:
        key: the App's private key, as PEM.
        endpoints: addresses of GitHub's API, in the order in which they are tried.
        censor: learns every token.

    Raises NoToken when the library for signing is not there or the key is none.
    """

    def __init__(self, app_id: str, key: str, endpoints: Sequence[str], censor: logs.Censor) -> None:
        try:
            import jwt
        except ImportError as error:
            raise NoToken("GitHub Apps need a library that is not there: pip install 'prow_async[app]'") from error
        try:
            now_s = int(time.time())
            claims = {"iat": now_s - _SKEW_S, "exp": now_s + _ALIVE_S, "iss": app_id}
            self._signed = jwt.encode(claims, key, algorithm="RS256")
        except Exception as error:  # the library's, cryptography's and Python's own, without a common root
            raise NoToken("the GitHub App's private key cannot be used: it is no RSA key as PEM") from error
        censor.add([self._signed])
        self._app_id = app_id
        self._endpoints = [endpoint.rstrip("/") for endpoint in endpoints]
        self._censor = censor
        self._lock = threading.Lock()
        self._found: dict[str, str] = {}

    def token(self, org: str) -> tuple[str, str]:
        with self._lock:
            if org not in self._found:
                token = self._ask(org)
                self._censor.add([token])
                self._found[org] = token
            return APP_USER, self._found[org]

    def _ask(self, org: str) -> str:
        """Ask each endpoint in turn. Raises NoToken with the last one's reason."""
        failure = NoToken("no GitHub API endpoint is given")
        for _ in range(_TRIES):
            for endpoint in self._endpoints:
                try:
                    return self._ask_one(endpoint, org)
                except NoToken as error:
                    failure = error
                except (OSError, ValueError, LookupError, TypeError) as error:
                    failure = NoToken(f"{endpoint} does not give a token for {org}: {_said(error)}")
        raise failure

    def _ask_one(self, endpoint: str, org: str) -> str:
        for page in range(1, _PAGES + 1):
            listed = self._call("GET", f"{endpoint}/app/installations?per_page=100&page={page}")
            for one in listed:
                if str(one["account"]["login"]).casefold() == org.casefold():
                    answer = self._call("POST", f"{endpoint}/app/installations/{int(one['id'])}/access_tokens")
                    return str(answer["token"])
            if len(listed) < 100:
                break
        raise NoToken(f"GitHub App {self._app_id} is not installed for {org}")

    def _call(self, method: str, url: str) -> Any:
        headers = {
            "Authorization": f"Bearer {self._signed}",
            "Accept": "application/vnd.github+json",
            "User-Agent": "prow-async",
        }
        request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310 - see below
        if not url.startswith(("https://", "http://")):
            raise ValueError("its address is not http or https")
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(request, timeout=_TIMEOUT_S) as answer:
            return json.loads(answer.read(_ANSWER_BYTES))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nowhere: the signed claim is for the endpoint alone."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _said(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return str(error) or type(error).__name__
