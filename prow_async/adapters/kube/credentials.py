"""Where an API server is and how to log in there: loaded when first needed, renewed as long as the process lives.

A source that does not load hurts nobody but its own users: they get Retry, and the next try loads it again.
"""

import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import structlog

from prow_async.adapters.kube import kubeconfig, lean, oidc
from prow_async.api.errors import CannotStart, Retry
from prow_async.api.prowjob import Json

log = structlog.get_logger()
# It logs the errors it raises, in texts that may hold secrets; we tell of them ourselves.
logging.getLogger("kubernetes_asyncio.config.kube_config").setLevel(logging.CRITICAL + 1)

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
CHECK_S = 60.0
"""How often token files and expiry times are looked at."""
AGAIN_S = 5.0
"""A load that failed, or was forced by a 401, is not repeated before."""
LOAD_S = 60.0
"""A credential plugin that takes longer is given up."""


class Source(msgspec.Struct, frozen=True):
    """One cluster's way in: a context of kubeconfig files, or the service account of the pod we run in."""

    alias: str
    files: tuple[str, ...] = ()
    context: str = ""
    """Empty is current-context."""
    in_cluster: bool = False
    token_file: str = ""
    """Instead of the service account's own (projected tokens)."""

    def __str__(self) -> str:
        where = (
            "this pod's service account" if self.in_cluster else f"context {self.context!r} of {', '.join(self.files)}"
        )
        return f"cluster {self.alias or 'infra'!r} ({where})"


class Access(msgspec.Struct, frozen=True):
    """What a request needs. `identity` differs exactly when connections must be made anew."""

    host: str
    headers: Mapping[str, str]
    configuration: Any
    identity: tuple[Any, ...]


class Credentials:
    """One source's credentials. For one event loop."""

    def __init__(
        self,
        source: Source,
        environ: Mapping[str, str] = os.environ,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._now_s = monotonic_s
        self._environ = environ
        self._lock = anyio.Lock()
        self._access: Access | None = None
        self._checked_s = float("-inf")
        self._forced_s = float("-inf")
        self._failed_s = float("-inf")
        self._failure = ""
        self._told = ""
        self._context: kubeconfig.Context | None = None
        self._stamp: tuple[Any, ...] = ()
        self._loader: Any = None
        self._id_token: oidc.IdToken | None = None

    async def current(self) -> Access:
        """Return what to use now. Raises Retry when there is nothing."""
        if self._access is not None and self._now_s() - self._checked_s < CHECK_S:
            return self._access
        async with self._lock:
            if self._access is None:
                if self._now_s() - self._failed_s < AGAIN_S:
                    raise Retry(self._failure, after_s=AGAIN_S)
                self._access = await self._load(renew=False)
            elif self._now_s() - self._checked_s >= CHECK_S:
                try:
                    self._access = await self._load(renew=False)
                except Retry as error:
                    # What we hold may still be good; if not, the server says so with a 401.
                    if error.why != self._told:
                        self._told = error.why
                        log.warning("credentials not renewed", cluster=self._source.alias, why=error.why)
                    self._checked_s = self._now_s()
            return self._access

    async def renew(self, refused: Access) -> Access:
        """Return what to use after a 401 for `refused`: that itself when there is nothing better. Raises Retry."""
        async with self._lock:
            if self._access is not refused or self._now_s() - self._forced_s < AGAIN_S:
                return self._access or refused
            self._forced_s = self._now_s()
            fresh = await self._load(renew=True)
            if fresh.headers != refused.headers or fresh.identity != refused.identity:
                self._access = fresh
            return self._access

    async def _load(self, renew: bool) -> Access:
        try:
            with anyio.fail_after(LOAD_S):
                access = await (self._from_pod() if self._source.in_cluster else self._from_files(renew))
        except Exception as error:  # the loaders raise whatever a bad file makes them stumble over
            self._failed_s = self._now_s()
            self._failure = f"{self._source}: no credentials: {_tell(error)}"
            raise Retry(self._failure, after_s=AGAIN_S) from error
        self._checked_s = self._now_s()
        return access

    async def _from_pod(self) -> Access:
        configuration = lean.library.configuration()
        loader = lean.library.in_cluster_loader(
            token_filename=self._source.token_file or f"{ACCOUNT}/token",
            cert_filename=f"{ACCOUNT}/ca.crt",
            try_refresh_token=False,  # we load again instead
            environ=self._environ,
        )
        await anyio.to_thread.run_sync(loader.load_and_set, configuration)
        return _access(configuration, {})

    async def _from_files(self, renew: bool) -> Access:
        now = await anyio.to_thread.run_sync(stamp, self._source.files)
        if self._context is None or now != self._stamp:
            self._context = await anyio.to_thread.run_sync(_read, self._source)
            self._stamp, self._loader, self._id_token = now, None, None
            provider = self._context.user.get("auth-provider")
            if isinstance(provider, dict) and provider.get("name") == "oidc":
                self._id_token = oidc.IdToken(provider.get("config") or {})
        user = self._context.user
        if self._id_token is not None:
            self._loader = None
            user = {key: value for key, value in user.items() if key != "auth-provider"}
            user["token"] = await self._id_token.current(time.time(), renew)
        expires = hasattr(self._loader, "exec_plugin_expiry")
        if "exec" in user and not (renew or expires) and self._loader is not None and self._access is not None:
            return self._access  # good until the server refuses it
        if renew or self._loader is None:
            self._loader = lean.library.kubeconfig_loader(self._context.document(user))
        configuration = lean.library.configuration()
        await self._loader.load_and_set(configuration)
        return _access(configuration, user)


def _read(source: Source) -> kubeconfig.Context:
    return kubeconfig.context(kubeconfig.read(source.files), source.context)


def stamp(files: tuple[str, ...]) -> tuple[Any, ...]:
    """Return what changes when one of the files does."""
    found: list[Any] = []
    for file in files:
        try:
            status = Path(file).stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)


def _access(configuration: Any, user: Json) -> Access:
    configuration.disable_strict_ssl_verification = True  # clusters' own certificates rarely pass; Go does not ask
    tls = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    headers = _impersonation(user)
    if token := (configuration.api_key.get("BearerToken") or "").strip():
        headers["Authorization"] = token
    return Access(
        host=configuration.host.rstrip("/"),
        headers=headers,
        configuration=configuration,
        identity=(
            configuration.host,
            tls,
            stamp(tuple(file for file in tls if file)),
            configuration.verify_ssl,
            configuration.tls_server_name,
            configuration.proxy,
        ),
    )


def _impersonation(user: Json) -> dict[str, str]:
    """Read `as` and `as-uid`. Raises Unusable for the parts one header each cannot carry."""
    if user.get("as-groups") or user.get("as-user-extra"):
        raise kubeconfig.Unusable("as-groups and as-user-extra are not supported; bind the roles to the user itself")
    headers = {"Impersonate-User": user.get("as"), "Impersonate-Uid": user.get("as-uid")}
    return {name: value for name, value in headers.items() if isinstance(value, str) and value}


def _tell(error: Exception) -> str:
    """Say what went wrong without the data it went wrong on, which may be secret."""
    if isinstance(error, kubeconfig.Unusable | CannotStart | oidc.CannotRefresh):
        return str(error)
    if isinstance(error, TimeoutError):
        return f"not there after {LOAD_S:.0f} s"
    return f"{type(error).__name__}: {re.sub(r'[{].*[}]', '{...}', str(error), flags=re.DOTALL)}"
