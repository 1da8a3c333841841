"""How a bucket in a cloud is reached: endpoint, credentials, patience.

Source: upstream pkg/io/opener.go, pkg/io/providers (credentials in a file, else those of the surroundings; Google's
bucket without any is read as anybody).
"""

import functools
import http.client
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from obstore.store import GCSStore, S3Store

from prow_async.adapters.storage.names import Bucket
from prow_async.api.errors import Refused
from prow_async.core import urls

Store = GCSStore | S3Store

_METADATA_HOST = "169.254.169.254"
_PROBE_TIMEOUT_S = 1.0
_GOOGLE_VARIABLES = (
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_PATH",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_BEARER_TOKEN",
)
_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_DEFAULT_REGION = "us-east-1"
_ENDPOINT = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?(/[^\s?#]*)?")


class Patience(msgspec.Struct, frozen=True):
    """How long one call may take: retries of obstore's own, before any of ours."""

    timeout_s: float = 120.0
    """For one request, its body included."""
    connect_timeout_s: float = 10.0
    retries: int = 3
    first_pause_s: float = 0.2
    last_pause_s: float = 5.0


PATIENT = Patience()


class S3Credentials(msgspec.Struct, frozen=True):
    """Upstream's file for S3's kin. Without keys, those of the surroundings are used."""

    region: str = ""
    endpoint: str = ""
    insecure: bool = False
    s3_force_path_style: bool = False
    access_key: str = ""
    secret_key: str = ""
    session_token: str = ""


def google(bucket: Bucket, credentials_file: str, patience: Patience) -> GCSStore:
    """Reach a bucket of Google's. Raises Refused for credentials that do not read or are of a kind not known."""
    config: dict[str, Any] = {}
    file = credentials_file or os.environ.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    if file:
        config = _google_credentials(file)
    elif not (any(map(os.environ.get, _GOOGLE_VARIABLES)) or _default_file().is_file() or _on_google()):
        config = {"skip_signature": True}
    # Asking for gzip is how one gets compressed objects as they are: else Google unpacks them on the way.
    client = _client(patience, allow_http=True) | {"default_headers": {"accept-encoding": "gzip"}}
    try:
        return GCSStore(
            bucket.name,
            prefix=bucket.prefix or None,
            config=config,  # type: ignore[arg-type]  # a TypedDict with all keys optional
            client_options=client,  # type: ignore[arg-type]
            retry_config=_retries(patience),  # type: ignore[arg-type]
        )
    except Exception as error:  # obstore's text may hold parts of the credentials
        raise Refused(f"{bucket.url} cannot be reached with these credentials ({type(error).__name__})") from None


def s3(bucket: Bucket, credentials_file: str, patience: Patience) -> S3Store:
    """Reach a bucket of S3's kin. Raises Refused for credentials that do not read."""
    found = S3Credentials()
    if credentials_file:
        try:
            found = msgspec.json.decode(_content(credentials_file), type=S3Credentials)
        except msgspec.MsgspecError:
            text = "JSON with region, endpoint, insecure, s3_force_path_style, access_key and secret_key"
            raise Refused(f"{credentials_file} does not read: it should be {text}") from None
    config: dict[str, Any] = {"region": found.region or _region()}
    if found.access_key and found.secret_key:
        config |= {"access_key_id": found.access_key, "secret_access_key": found.secret_key}
        config |= {"session_token": found.session_token} if found.session_token else {}
    endpoint = _endpoint(found)
    virtual = bool(credentials_file) and not found.s3_force_path_style and _may_be_a_host(bucket.name, endpoint)
    if endpoint:
        config["endpoint"] = _of_bucket(endpoint, bucket.name) if virtual else endpoint
    if credentials_file:
        config["virtual_hosted_style_request"] = virtual
    addresses = (endpoint, *(os.environ.get(name, "") for name in _ENDPOINT_VARIABLES))
    plain = any(address.startswith("http://") for address in addresses)
    try:
        return S3Store(
            bucket.name,
            prefix=bucket.prefix or None,
            config=config,  # type: ignore[arg-type]
            client_options=_client(patience, allow_http=plain),  # type: ignore[arg-type]
            retry_config=_retries(patience),  # type: ignore[arg-type]
        )
    except Exception as error:  # obstore's text may hold parts of the credentials
        raise Refused(f"{bucket.url} cannot be reached with these credentials ({type(error).__name__})") from None


def _google_credentials(file: str) -> dict[str, Any]:
    """Tell which of obstore's options takes a credentials file: that depends on its type."""
    try:
        kind = msgspec.json.decode(_content(file), type=_GoogleFile).type
    except msgspec.MsgspecError:
        raise Refused(f"{file} does not read: it should be the JSON of a service account") from None
    if kind in ("", "service_account"):
        return {"service_account": file}
    if kind == "authorized_user":
        return {"application_credentials": file}
    raise Refused(f'{file} holds Google credentials of the type "{kind[:40]}": only service_account is supported')


class _GoogleFile(msgspec.Struct):
    type: str = ""


def _content(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no such path"
        raise Refused(f"cannot read the credentials file {file}: {why}") from error


def _default_file() -> Path:
    return Path(os.path.expanduser("~")) / ".config/gcloud/application_default_credentials.json"


@functools.cache
def _on_google() -> bool:
    """Say whether this machine has Google's metadata server, which gives it credentials."""
    host = os.environ.get("GCE_METADATA_HOST") or _METADATA_HOST
    connection = http.client.HTTPConnection(host, timeout=_PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/", headers={"Metadata-Flavor": "Google"})
        return connection.getresponse().getheader("Metadata-Flavor") == "Google"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or _DEFAULT_REGION


def _endpoint(found: S3Credentials) -> str:
    endpoint = found.endpoint.rstrip("/")
    if endpoint and "://" not in endpoint:
        endpoint = f"{'http' if found.insecure else 'https'}://{endpoint}"
    if endpoint and (urls.problem(endpoint) or not _ENDPOINT.fullmatch(endpoint)):
        raise Refused("the endpoint in the S3 credentials is no address: write HOST, HOST:PORT or a URL of http(s)")
    return endpoint


def _may_be_a_host(bucket: str, endpoint: str) -> bool:
    """Say whether a bucket can have a host name of its own: not below a number, and certificates cover no dots."""
    host = urlsplit(endpoint).hostname or ""
    return not re.search(r"[._]", bucket) and not re.fullmatch(r"[0-9.]+|.*:.*", host)


def _of_bucket(endpoint: str, bucket: str) -> str:
    """Return the endpoint at which a bucket has a host name of its own."""
    parts = urlsplit(endpoint)
    return parts._replace(netloc=f"{bucket}.{parts.netloc}").geturl()


def _client(patience: Patience, allow_http: bool) -> dict[str, Any]:
    return {
        "allow_http": allow_http,
        "timeout": timedelta(seconds=patience.timeout_s),
        "connect_timeout": timedelta(seconds=patience.connect_timeout_s),
    }


def _retries(patience: Patience) -> dict[str, Any]:
    backoff = {
        "init_backoff": timedelta(seconds=patience.first_pause_s),
        "max_backoff": timedelta(seconds=patience.last_pause_s),
        "base": 2,
    }
    return {"max_retries": patience.retries, "retry_timeout": timedelta(seconds=120), "backoff": backoff}
