"""The embedded default: the small worlds and the local kubelet, put on their doors.

The engine in the same process uses the direct doors; people, kubectl and curl use HTTP.
"""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio.to_thread
import msgspec
import yaml

from prow_async.adapters.kube import collection
from prow_async.api.errors import CannotStart
from prow_async.ports.clock import Clock, Ids
from prow_async.ports.transport import Transport
from prow_async.sandbox.github import direct as github_direct
from prow_async.sandbox.github import http as github_http
from prow_async.sandbox.github import keeping, landing, steps
from prow_async.sandbox.github import world as github_world
from prow_async.sandbox.github.git import command
from prow_async.sandbox.github.git.store import Repositories
from prow_async.sandbox.github.person import Person
from prow_async.sandbox.kube import direct as kube_direct
from prow_async.sandbox.kube import http as kube_http
from prow_async.sandbox.kube import kubeconfig, statedir
from prow_async.sandbox.kube import world as kube_world
from prow_async.sandbox.kubelet import kubelet, supplies

BOT, PERSON = "prow-bot", "octocat"
HELLO = {
    "README.md": b"# hello\n\nThe sample repository.\n",
    "hello.py": b'print("hello")\n',
}
"""What the sample repository holds at first."""


class Kube(msgspec.Struct, frozen=True):
    """The small Kubernetes API server as the engine and people reach it."""

    world: kube_world.World
    transport: Transport
    url: str
    kubeconfig: Path
    kubelet: kubelet.Kubelet


class GitHub(msgspec.Struct, frozen=True):
    """The small GitHub. `token` is the bot's; `person` is octocat, who owns the sample organization."""

    world: github_world.World
    transport: Transport
    url: str
    token: str
    person: Person
    person_token: str


class Place(msgspec.Struct, frozen=True):
    """Where and when the embedded parts live. Port 0 chooses a free one."""

    folder: Path
    clock: Clock
    ids: Ids
    kube_port: int = 0
    github_port: int = 0
    state: Path | None = None
    """Where the API server's objects are kept; None keeps them in memory alone."""
    host_paths: tuple[str, ...] = ()
    """Folders of this machine that pods may mount."""

    @property
    def node(self) -> kubelet.Settings:
        return kubelet.Settings(host_paths=self.host_paths, hidden=(str(self.folder),))


def crd() -> dict[str, object]:
    """Read the ProwJob resource's definition. Raises CannotStart outside a checkout."""
    path = Path(__file__).resolve().parents[2] / "deploy" / "crd" / "prowjobs.yaml"
    try:
        loaded: dict[str, object] = yaml.safe_load(path.read_text())
    except OSError as error:
        raise CannotStart(f"{path} cannot be read ({error.strerror}): run prow-async from a checkout") from error
    return loaded


@asynccontextmanager
async def kube(place: Place, prowjob_namespace: str, pod_namespace: str) -> AsyncIterator[Kube]:
    """Serve a small API server with the ProwJob resource and the namespaces; write its kubeconfig into the folder."""
    async with _world(place) as world, _served(place, world, prowjob_namespace, pod_namespace) as served:
        yield served


@asynccontextmanager
async def _world(place: Place) -> AsyncIterator[kube_world.World]:
    """Make the API server's world, with what it held when it was last used if that is kept."""
    world = kube_world.World(place.ids)
    async with AsyncExitStack() as stack:
        if place.state is not None:
            await stack.enter_async_context(statedir.opened(place.state, world, place.clock.now()))
        world.install(crd(), place.clock.now())
        yield world


@asynccontextmanager
async def _served(
    place: Place, world: kube_world.World, prowjob_namespace: str, pod_namespace: str
) -> AsyncIterator[Kube]:
    token = secrets.token_urlsafe(32)
    transport = kube_direct.DirectTransport(world, place.clock)
    pods = collection.KubeCollection(transport, "default", collection.PODS, pod_namespace)
    node = kubelet.Kubelet(pods, place.folder / "pods", place.clock, access(transport, pods), place.node)
    async with kube_http.serve(world, place.clock, token, port=place.kube_port, log_source=node.logs) as url:
        for name in sorted({prowjob_namespace, pod_namespace} - {"default"}):
            body: dict[str, object] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            await _create(transport, collection.NAMESPACES.path(), body)
        path = place.folder / "kubeconfig"
        kubeconfig.write(path, kubeconfig.render(url, token))
        yield Kube(world, transport, url, path, node)


def access(transport: Transport, pods: collection.KubeCollection) -> supplies.Access:
    """Let a kubelet of one namespace read the secrets and config maps its pods name."""

    def of(kind: collection.Kind) -> Callable[[str], collection.KubeCollection]:
        return lambda namespace: collection.KubeCollection(transport, pods.cluster, kind, namespace)

    return supplies.Access(
        pods=lambda _: pods,
        secrets=of(collection.SECRETS),
        configmaps=of(collection.CONFIG_MAPS),
        events=of(collection.EVENTS),
    )


async def _create(transport: Transport, path: str, body: dict[str, object]) -> None:
    async with transport.send("POST", path, {"Content-Type": "application/json"}, msgspec.json.encode(body)) as reply:
        answer = await reply.read()
        if reply.status not in {201, 409}:
            raise CannotStart(f"the embedded API server refused {path}: {answer.decode(errors='replace')}")


@asynccontextmanager
async def github(place: Place) -> AsyncIterator[GitHub]:
    """Serve a small GitHub with the sample organization and repository, the latter a real git repository."""
    world = github_world.World(place.ids)
    await anyio.to_thread.run_sync(command.require)
    world.git = Repositories(place.folder / "repositories")
    path = place.folder / "github-state"
    state = keeping.read(path)
    if state is None:
        world.add_org("octo-org", members=[BOT], owners=[PERSON])
        await steps.run(landing.make_repo(world, ("octo-org", "hello"), files=HELLO, now_s=place.clock.now()))
    else:
        _restore(world, path, state)
        await steps.run(keeping.catch_up(world, place.clock.now()))
    token, person_token = (_token(place.folder / name) for name in ("github-token", "octocat-token"))
    world.add_bot(BOT, token)
    world.add_user(PERSON, person_token)
    transport = github_direct.DirectTransport(world, place.clock, token)
    person = Person(github_direct.DirectTransport(world, place.clock, person_token))
    async with keeping.kept(world, path), github_http.serve(world, place.clock, port=place.github_port) as url:
        yield GitHub(world, transport, url, token, person, person_token)


def _restore(world: github_world.World, path: Path, state: bytes) -> None:
    try:
        keeping.restore(world, state)
    except CannotStart as why:
        raise CannotStart(f"{path} cannot be taken over: {why}; move it away to begin anew") from why


def _token(path: Path) -> str:
    """Read a token of an earlier run, so that clones keep working, or make one."""
    try:
        return path.read_text().strip() or secrets.token_urlsafe(32)
    except FileNotFoundError:
        return secrets.token_urlsafe(32)
    except OSError as error:
        raise CannotStart(f"{path} cannot be read: {error.strerror}") from error
