"""What is in the files of data/, and how they were written: by the version that was the first of their format.

`python -m tests.formats.content FOLDER` writes them anew there. Files of a format that was ever released stay in data/
as they are: a new format gets new files beside them. The API server's is read too, though it is for trying things.
"""

import sys
import tarfile
import tempfile
import time
from pathlib import Path
from uuid import UUID

import anyio
import msgspec
import yaml

from prow_async.adapters.inbox import durable
from prow_async.adapters.inbox.store import Settings
from prow_async.api.actions import CreateComment, Decision
from prow_async.ports.inbox import ActionState
from prow_async.sandbox.kube import direct, statedir
from prow_async.sandbox.kube.world import World
from tests import realkube
from tests.contract.kube_targets import RandomIds
from tests.contract.kube_victim import WallClock

DATA = Path(__file__).parent / "data"
SMALL = Settings(segment_bytes=64 << 10, spares=0, carry_above=2)
AT_S = 1_790_000_000.0
HEADERS = {"X-GitHub-Event": "push"}
GUIDS = {name: str(UUID(int=number, version=4)) for number, name in enumerate(("finished", "decided", "new"))}
DECISION = Decision((CreateComment(org="o", repo="r", number=1, body="hello", why="greeting"),) * 2, "they came")
STATES: tuple[ActionState, ...] = ("done", "sent")
JOBS = "/apis/prow.k8s.io/v1/namespaces/default/prowjobs"
JOB = {
    "apiVersion": "prow.k8s.io/v1",
    "kind": "ProwJob",
    "metadata": {"name": "kept", "labels": {"a": "b"}},
    "spec": {"type": "periodic", "job": "ci-kept", "agent": "kubernetes"},
    "status": {"state": "triggered", "startTime": "2026-11-27T06:00:00Z"},
}


class SetClock:
    def now(self) -> float:
        return AT_S


def body(name: str) -> bytes:
    return b'{"name":"%s"}' % name.encode()


async def write_inbox(folder: Path) -> None:
    """Three deliveries: one handled, one whose decision is half performed, one that just came."""
    async with durable.opened(folder, SetClock(), SMALL) as box:
        seqs = {}
        for name, guid in GUIDS.items():
            seqs[name] = (await box.accept(guid, "push", HEADERS, body(name))).seq
        await box.decide(seqs["decided"], "trigger", DECISION, ("planned", "planned"))
        await box.mark(seqs["decided"], "trigger", STATES)
        await box.finish(seqs["finished"], "done with")


async def write_kube(folder: Path) -> None:
    """A definition, an object of its kind that was changed, and one that was deleted."""
    world = World(RandomIds())
    async with statedir.opened(folder, world, time.time()):
        world.install(yaml.safe_load(realkube.CRD.read_text()), time.time())
        to = direct.DirectTransport(world, WallClock())
        gone = {**JOB, "metadata": {"name": "gone"}}
        for method, path, what, media in (
            ("POST", JOBS, JOB, "application/json"),
            ("POST", JOBS, gone, "application/json"),
            ("PATCH", f"{JOBS}/kept", {"status": {"state": "pending"}}, "application/merge-patch+json"),
            ("DELETE", f"{JOBS}/gone", {}, "application/json"),
        ):
            async with to.send(method, path, {"content-type": media}, msgspec.json.encode(what)) as reply:
                assert reply.status < 300, await reply.read()


def main(target: Path) -> None:
    for name, write in (("inbox-1", write_inbox), ("kube-1", write_kube)):
        with tempfile.TemporaryDirectory() as folder:
            anyio.run(write, Path(folder) / name)
            with tarfile.open(target / f"{name}.tar.gz", "w:gz") as archive:
                archive.add(Path(folder) / name, name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
