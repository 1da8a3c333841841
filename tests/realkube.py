"""A real kube-apiserver on etcd, on loopback, for tests and for the bench.

`with realkube.running() as server:` needs no pytest. The fixture `real_kube` and the hooks below are for a conftest:

    from tests.realkube import pytest_collection_modifyitems, pytest_terminal_summary, real_kube  # noqa: F401

No controller runs beside it: nothing is collected, no namespace ever finishes deleting, no service account gets a
token by itself. Tests take a namespace of their own (`server.namespace()`) and leave their things behind.
"""

import base64
import contextlib
import http.client
import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.ports import free_ports
from tests.tools import install

CRD = Path(__file__).resolve().parent.parent / "deploy" / "crd" / "prowjobs.yaml"
READY_S = 60.0
REQUEST_S = 30.0
ATTEMPTS = 3
"""Free ports are found before the servers take them: another process may be faster."""


class Answered(Exception):
    """The server answered with a status other than 2xx."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status}: {body.decode(errors='replace')[:500]}")
        self.status = status
        self.body = body


class NotStarted(Exception):
    """The API server did not come up; the text holds the end of its log."""


class Server:
    """A running API server. RBAC is on; `token` is an administrator's."""

    def __init__(
        self, folder: Path, url: str, etcd_url: str, token: str, ca: Path, tools: Path, pids: tuple[int, int]
    ) -> None:
        self.folder = folder
        self.url = url
        self.etcd_url = etcd_url
        self.token = token
        self.ca = ca
        self.kubectl = tools / "kubectl"
        self.kubeconfig = folder / "kubeconfig"
        self.pids = pids
        """Process ids of etcd and kube-apiserver, in this order."""
        self.tokens: dict[str, str] = {"admin": token}
        """Static tokens by user name, those of `running(users=...)` among them."""
        self._context = ssl.create_default_context(cafile=str(ca))
        self._namespaces = 0
        self.write_kubeconfig(self.kubeconfig, token)

    def write_kubeconfig(self, path: Path, token: str, context: str = "real") -> Path:
        """Write a kubeconfig for a token, readable by its owner alone."""
        ca = base64.b64encode(self.ca.read_bytes()).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "clusters": [{"name": context, "cluster": {"server": self.url, "certificate-authority-data": ca}}],
            "users": [{"name": context, "user": {"token": token}}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        }
        _write_private(path, json.dumps(config))
        return path

    def request(self, method: str, path: str, body: Any = None, token: str = "", content_type: str = "") -> Any:
        """Send one request and return its JSON. Raises Answered for every status but 2xx."""
        kind = content_type or ("application/merge-patch+json" if method == "PATCH" else "application/json")
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": kind}
        status, answer = _http(self.url, method, path, self._context, body, headers)
        if not 200 <= status < 300:
            raise Answered(status, answer)
        return json.loads(answer)

    def ensure(self, collection: str, body: Any) -> None:
        """Create an object unless it is there."""
        try:
            self.request("POST", collection, body)
        except Answered as error:
            if error.status != 409:
                raise

    def namespace(self, prefix: str = "test") -> str:
        """Create a fresh namespace and return its name."""
        self._namespaces += 1
        name = f"{prefix}-{self._namespaces}-{secrets.token_hex(2)}"
        self.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    def service_account_token(self, namespace: str, name: str) -> str:
        """Return a token of `system:serviceaccount:NAMESPACE:NAME`, making both where needed. It may do nothing yet."""
        self.ensure("/api/v1/namespaces", {"metadata": {"name": namespace}})
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        self.ensure(accounts, {"metadata": {"name": name}})
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        token: str = self.request("POST", f"{accounts}/{name}/token", asked)["status"]["token"]
        return token

    def apply(self, manifest: Path) -> str:
        """Apply manifests with kubectl and return what it says."""
        return self.run_kubectl("apply", "-f", str(manifest))

    def compact(self) -> None:
        """Make etcd forget every revision but the newest. The API server's own caches keep what they hold."""
        revision = _etcd(self.etcd_url, "maintenance/status", {})["header"]["revision"]
        _etcd(self.etcd_url, "kv/compaction", {"revision": revision, "physical": True})

    def run_kubectl(self, *arguments: str) -> str:
        """Run kubectl as the administrator; return its output. Raises CalledProcessError."""
        command = [str(self.kubectl), f"--kubeconfig={self.kubeconfig}", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@contextlib.contextmanager
def running(
    users: Mapping[str, Sequence[str]] | None = None, flags: Sequence[str] = (), crd: bool = True
) -> Iterator[Server]:
    """Start etcd and kube-apiserver; stop both in the end.

    Args:
        users: further users by name, each with its groups; their tokens are in `Server.tokens`.
        flags: more flags for kube-apiserver.
        crd: whether the ProwJob resource is installed.

    Raises:
        install.CannotInstall: the programs cannot be had here.
        NotStarted: they do not come up.
    """
    tools = install.ensure()
    folder = Path(tempfile.mkdtemp(prefix="prow-async-real-"))
    try:
        with contextlib.ExitStack() as stack:
            server = _start(folder, tools, {"nobody": (), **(users or {})}, flags, stack)
            if crd:
                _install_crd(server)
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(
    folder: Path, tools: Path, users: Mapping[str, Sequence[str]], flags: Sequence[str], stack: contextlib.ExitStack
) -> Server:
    tokens = {"admin": secrets.token_hex(16), **{name: secrets.token_hex(16) for name in users}}
    groups = {"admin": ["system:masters"], **users}
    rows = [f'{tokens[name]},{name},{name},"{",".join(groups[name])}"\n' for name in tokens]
    _write_private(folder / "tokens.csv", "".join(rows))
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    _write_private(folder / "service-account.key", key.decode())
    for attempt in range(1, ATTEMPTS + 1):
        with contextlib.ExitStack() as one:
            try:
                url, etcd_url, pids = _start_processes(folder / str(attempt), tools, folder, flags, one)
            except NotStarted:
                if attempt == ATTEMPTS:
                    raise
                continue
            stack.push(one.pop_all())
            ca = folder / str(attempt) / "certs" / "apiserver.crt"
            server = Server(folder, url, etcd_url, tokens["admin"], ca, tools, pids)
            server.tokens = tokens
            return server
    raise AssertionError("unreachable")


def _start_processes(
    place: Path, tools: Path, shared: Path, flags: Sequence[str], stack: contextlib.ExitStack
) -> tuple[str, str, tuple[int, int]]:
    """Start both programs; return once the API server says it is ready. Raises NotStarted."""
    place.mkdir()
    client, peer, secure = free_ports(3)
    etcd = stack.enter_context(
        _process(
            [
                str(tools / "etcd"),
                f"--data-dir={place / 'etcd'}",
                f"--listen-client-urls=http://127.0.0.1:{client}",
                f"--advertise-client-urls=http://127.0.0.1:{client}",
                f"--listen-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-cluster=default=http://127.0.0.1:{peer}",
                "--unsafe-no-fsync",
                "--log-level=warn",
            ],
            place / "etcd.log",
        )
    )
    api = stack.enter_context(
        _process(
            [
                str(tools / "kube-apiserver"),
                f"--etcd-servers=http://127.0.0.1:{client}",
                "--bind-address=127.0.0.1",
                "--advertise-address=10.0.0.1",
                f"--secure-port={secure}",
                f"--cert-dir={place / 'certs'}",
                "--endpoint-reconciler-type=none",
                "--service-cluster-ip-range=10.0.0.0/24",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={shared / 'service-account.key'}",
                f"--service-account-signing-key-file={shared / 'service-account.key'}",
                f"--token-auth-file={shared / 'tokens.csv'}",
                "--authorization-mode=RBAC",
                "--disable-admission-plugins=ServiceAccount",
                *flags,
            ],
            place / "kube-apiserver.log",
        )
    )
    url = f"https://127.0.0.1:{secure}"
    _wait_ready(url, place, (etcd, api))
    return url, f"http://127.0.0.1:{client}", (etcd.pid, api.pid)


def _wait_ready(url: str, place: Path, processes: Sequence[subprocess.Popen[bytes]]) -> None:
    blind = ssl.create_default_context()
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE  # /readyz is open to all; the certificate may not be written yet
    deadline = time.monotonic() + READY_S
    last = "no answer"
    while time.monotonic() < deadline:
        if any(process.poll() is not None for process in processes):
            break
        try:
            status, _ = _http(url, "GET", "/readyz", blind)
        except OSError as error:
            last = str(error)
        else:
            if status == 200:
                return
            last = str(status)
        time.sleep(0.1)
    logs = "\n".join(f"{log.name}:\n{log.read_text(errors='replace')[-1500:]}" for log in sorted(place.glob("*.log")))
    raise NotStarted(f"the API server at {url} did not become ready ({last})\n{logs}")


@contextlib.contextmanager
def _process(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    try:
        yield process
    finally:
        # Nobody needs a graceful end: what they hold is thrown away with the folder.
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.wait()


def _install_crd(server: Server) -> None:
    """Create the ProwJob resource and wait until it is served."""
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    server.request("POST", crds, yaml.safe_load(CRD.read_text()))
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        try:
            server.request("GET", "/apis/prow.k8s.io/v1/prowjobs?limit=1")
            return
        except Answered:
            time.sleep(0.05)
    conditions = server.request("GET", f"{crds}/prowjobs.prow.k8s.io").get("status", {}).get("conditions")
    raise NotStarted(f"the ProwJob resource is not served: {conditions}")


def _etcd(url: str, call: str, body: Any) -> Any:
    """Call etcd's JSON gateway."""
    status, answer = _http(url, "POST", f"/v3/{call}", None, body)
    if status != 200:
        raise Answered(status, answer)
    return json.loads(answer)


def _http(
    url: str,
    method: str,
    path: str,
    context: ssl.SSLContext | None,
    body: Any = None,
    headers: Mapping[str, str] = {},
) -> tuple[int, bytes]:
    """Send one request on a connection of its own; return the status and the body. Raises OSError."""
    place = url.partition("://")[2]
    plain = http.client.HTTPConnection(place, timeout=REQUEST_S)
    connection = http.client.HTTPSConnection(place, timeout=REQUEST_S, context=context) if context else plain
    with contextlib.closing(connection):
        try:
            connection.request(method, path, None if body is None else json.dumps(body), dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException as error:
            raise ConnectionError(f"{type(error).__name__}: {error}") from error


def _write_private(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


# For pytest.

REAL = (pytest.mark.real, pytest.mark.xdist_group("real_kube"))
"""Marks of a test that needs the real server; with xdist all of them share one worker, and so one server."""
_why_not: list[str] = []


@pytest.fixture(scope="session")
def real_kube() -> Iterator[Server]:
    """The real API server, one for the whole session."""
    if _why_not:
        pytest.fail(_why_not[0], pytrace=False)
    with running() as server:
        yield server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the tests of the real server if so asked; else build its programs before the first test starts."""
    wanted = [item for item in items if item.get_closest_marker("real")]
    if os.environ.get(install.SKIP) == "1":
        for item in wanted:
            item.add_marker(pytest.mark.skip(reason=f"{install.SKIP}=1: not run on the real kube-apiserver"))
    elif wanted and not _why_not:
        try:
            install.ensure()
        except install.CannotInstall as error:
            _why_not.append(str(error))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what was not run on the real server."""
    left_out = sorted(
        {report.nodeid for report in terminalreporter.stats.get("skipped", ()) if install.SKIP in str(report.longrepr)}
    )
    if left_out and not getattr(terminalreporter, "told_of_real", False):
        terminalreporter.told_of_real = True
        terminalreporter.section(f"not run on the real kube-apiserver ({install.SKIP}=1)")
        for nodeid in left_out:
            terminalreporter.write_line(nodeid)
