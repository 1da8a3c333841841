"""Tokens of a GitHub App, one for each organization.

Source: upstream pkg/github/app_auth_roundtripper.go.
"""

import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from typing import Any

import msgspec

from prow_async.podutils import clone_run, logs
from prow_async.podutils.clone_token import NoToken, Stranger

_TIMEOUT_S = 30.0
_ANSWER_BYTES = 4 << 20
_PAGE = 100
_PAGES = 50
_MOST_WAITS = 6
_LACKING = "GitHub Apps need a library that is not there: pip install 'prow_async[app]'"
_ALIVE_S = 540
"""GitHub takes at most ten minutes; its clock and ours may differ."""
_SKEW_S = 60
APP_USER = "x-access-token"


class App(msgspec.Struct, frozen=True):
    """A GitHub App: its number, its private key as PEM, and the addresses of GitHub's API in the order to try them."""

    app_id: str
    key: str
    endpoints: tuple[str, ...]


class AppTokens:
    """Installation tokens of a GitHub App, asked for once for each organization.

    Args:
        runner: whose patience holds here too, and whose end ends the waiting.
        censor: learns every token.

    Raises NoToken when the library for signing is not there or the key is none.
    """

    def __init__(self, app: App, runner: clone_run.Runner, censor: logs.Censor) -> None:
        self._app = app
        self._runner = runner
        self._censor = censor
        self._signed = _signed(app)
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
        """Ask each endpoint in turn, and all again after trouble on the way.

        Raises NoToken with the last reason, Stranger as soon as one endpoint knows no installation.
        """
        self._signed = _signed(self._app)  # anew: clones before may have taken longer than it is good for
        self._censor.add([self._signed])
        waits = iter(self._runner.limits.waits_s[:_MOST_WAITS])
        while True:
            passing, why = False, "no GitHub API endpoint is given"
            for endpoint in self._app.endpoints:
                try:
                    return self._ask_one(endpoint.rstrip("/"), org)
                except _No as no:
                    passing, why = passing or no.passing, f"{endpoint} does not give a token for {org}: {no}"
            wait_s = next(waits, None)
            if not passing or wait_s is None or self._runner.wait(wait_s):
                raise NoToken(why)

    def _ask_one(self, endpoint: str, org: str) -> str:
        try:
            for page in range(1, _PAGES + 1):
                listed = self._call("GET", f"{endpoint}/app/installations?per_page={_PAGE}&page={page}")
                for one in listed:
                    if str(one["account"]["login"]).casefold() == org.casefold():
                        answer = self._call("POST", f"{endpoint}/app/installations/{int(one['id'])}/access_tokens")
                        return str(answer["token"])
                if len(listed) < _PAGE:
                    break
        except (LookupError, TypeError, ValueError) as error:
            raise _No("its answer is none of GitHub's") from error
        raise Stranger(f"GitHub App {self._app.app_id} is not installed for {org}")

    def _call(self, method: str, url: str) -> Any:
        """Call the API; return what its JSON says. Raises _No, and ValueError for what is no JSON."""
        if not url.startswith(("https://", "http://")):
            raise _No("its address is not http or https")
        headers = {
            "Authorization": f"Bearer {self._signed}",
            "Accept": "application/vnd.github+json",
            "User-Agent": "prow-async",
        }
        request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310 - http or https, as seen
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=_TIMEOUT_S) as answer:
                return json.loads(answer.read(_ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            with error:  # it holds the connection
                raise _No(f"HTTP {error.code}", passing=error.code == 429 or error.code >= 500) from error
        except (OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise _No(str(reason) or type(error).__name__, passing=True) from error


class _No(Exception):
    """An endpoint gives no token. `passing`: it may later."""

    def __init__(self, why: str, passing: bool = False) -> None:
        super().__init__(why)
        self.passing = passing


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nowhere: the signed claim is for the endpoint alone."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _signed(app: App) -> str:
    """Return the claim to be this App, good for some minutes. Raises NoToken."""
    try:
        import jwt
    except ImportError as error:
        raise NoToken(_LACKING) from error
    now_s = int(time.time())
    claims = {"iat": now_s - _SKEW_S, "exp": now_s + _ALIVE_S, "iss": app.app_id}
    try:
        return jwt.encode(claims, app.key, algorithm="RS256")
    except NotImplementedError as error:  # how it says that cryptography is missing
        raise NoToken(_LACKING) from error
    except Exception as error:  # the library's, cryptography's and Python's own, without a common root
        raise NoToken("the GitHub App's private key cannot be used: it is no RSA key as PEM") from error
