"""What a town of two replicas saw, and what its stories of take-overs do again and again."""

from typing import Any

from prow_async.adapters.kube import collection
from prow_async.core import instants
from tests.actors.replicas import Gate, Replica, Wire, leads
from tests.actors.worlds import BOT, JOBS, ORG, PODS, REPO, Town, settle
from tests.lives.ledger import Ledger, Life, Seen


class Watched:
    """What a town saw: every state of every ProwJob and pod, and every status and comment."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self.changed: list[str] = []
        self.jobs = Ledger(town.kube.world, town.clock, collection.PROWJOBS.path(JOBS), self._job)
        self.pods = Ledger(town.kube.world, town.clock, collection.PODS.path(PODS), lambda life, seen: None)

    def _job(self, life: Life, seen: Seen) -> None:
        if len(life.states) > 1 and seen.kind == "MODIFIED":
            before, after = (state.content.get("status", {}) for state in life.states[-2:])
            fields = ("state", "completionTime", "description", "pod_name", "build_id")
            if before.get("completionTime") and any(before.get(f) != after.get(f) for f in fields):
                self.changed.append(f"{life.name}: {before} became {after}")

    def judge(self) -> None:
        assert self.changed == []
        attempts = [pod.attempt for pod in self.pods.lives.values()]
        assert len(attempts) == len(set(attempts)), attempts

    def comments(self, number: int) -> list[str]:
        said = self._town.github.comments(ORG, REPO, number)
        return [comment.body or "" for comment in said if comment.user.login == BOT]

    def statuses(self, sha: str) -> dict[str, str]:
        return {status.context: status.state for status in self._town.github.statuses(ORG, REPO, sha)}


def is_write(method: str, part: str) -> Any:
    return lambda asked, path: asked == method and part in path


def complete(town: Town, name: str, state: str) -> None:
    town.kube.set_status(name, state=state, completionTime=instants.rfc3339(town.clock.now()))


def posted(town: Town, sha: str) -> int:
    """Return how many statuses a commit was ever given."""
    return len(town.github.repo(ORG, REPO).statuses[sha])


async def overtaken(wire: Wire, first: Replica, second: Replica) -> Gate:
    """Leave what the first's wire holds on its way, and let the second lead meanwhile; return what holds it back."""
    await settle()
    assert wire.out.held
    on_its_way = wire.leave_held()
    await take_over(first, second)
    return on_its_way


async def take_over(first: Replica, second: Replica) -> None:
    """Pause the first for as long as the second needs to lead."""
    first.pause()
    await leads(second, 10.0)
    await settle()
