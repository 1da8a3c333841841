"""Which ProwJobs a life must have led to, worked out anew from the deliveries and the installation in plain words."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from prow_async.core import identity, instants
from prow_async.sandbox.github.records import Repository
from tests.lives import setup
from tests.lives.inbox import Handled, MemoryInbox
from tests.lives.person import Person
from tests.lives.setup import Job
from tests.lives.worlds import Worlds

Json = dict[str, Any]
_RED = {"failure", "error"}
LATE_S = 30.0
"""A push that is heard of so late starts nothing where jobs of a newer one run."""


class Wanted(msgspec.Struct, frozen=True):
    """A ProwJob that a delivery leads to; surely, or perhaps where it hangs on the moment of a look at GitHub."""

    name: str
    type: str
    job: Job
    guid: str
    surely: bool = True


class Model:
    """What people asked for."""

    def __init__(self, worlds: Worlds, inbox: MemoryInbox, person: Person) -> None:
        self._repo = worlds.repo
        self._docs = person.docs
        self._heads = person.heads
        self._inbox = inbox

    def wanted(self) -> dict[str, Wanted]:
        """Return all ProwJobs of webhooks, by name."""
        found = [one for handled in self._inbox.handled.values() for one in self._of(handled)]
        return {one.name: one for one in found}

    def _of(self, handled: Handled) -> Iterator[Wanted]:
        delivery = handled.delivery
        body: Json = msgspec.json.decode(delivery.body)
        match delivery.event:
            case "pull_request":
                on_time = delivery.received_s - instants.seconds(body["pull_request"]["updated_at"]) < LATE_S
                yield from _made("presubmit", delivery.guid, self._pull(body), surely=on_time)
            case "push":
                yield from _made("postsubmit", delivery.guid, _pushed(body))
            case "issue_comment":
                surely, perhaps = self._comment(body, handled)
                yield from _made("presubmit", delivery.guid, surely)
                yield from _made("presubmit", delivery.guid, perhaps - surely, surely=False)
            case _:
                return

    def _pull(self, body: Json) -> set[Job]:
        pull = body["pull_request"]
        trusted = pull["user"]["login"] in setup.MEMBERS
        if body["action"] in {"opened", "synchronize", "reopened"} and trusted:
            return self._automatic(body["number"], pull["base"]["ref"])
        return set()

    def _automatic(self, number: int, branch: str) -> set[Job]:
        return {job for job in setup.PRESUBMITS if job.wanted(branch, self._docs[number])}

    def _comment(self, body: Json, handled: Handled) -> tuple[set[Job], set[Job]]:
        """Return what runs surely, and what may run."""
        issue, text = body["issue"], body["comment"]["body"]
        who = body["comment"]["user"]["login"]
        if body["action"] != "created" or issue["state"] != "open" or who not in setup.MEMBERS:
            return set(), set()
        number = issue["number"]
        record = self._repo.issues[number].pull
        assert record is not None
        branch = record.base_ref
        lines = text.split("\n")
        if "/test all" in lines or "/ok-to-test" in lines:
            every = self._automatic(number, branch)
            return every, every
        if lines == ["/retest"]:
            return self._retest(number, branch, handled)
        named = {job for job in setup.PRESUBMITS if f"/test {job.name}" in lines and job.allows(branch)}
        return named, named

    def _retest(self, number: int, branch: str, handled: Handled) -> tuple[set[Job], set[Job]]:
        """A retest goes by the statuses of the head commit at some moment between acceptance and decision."""
        until_s = handled.decided_s or handled.finished_s or handled.delivery.received_s
        heads = _within(self._heads[number], handled.delivery.received_s, until_s)
        looks = [look for sha in heads for look in looks_at(self._repo, sha, handled.delivery.received_s, until_s)]
        chosen = [self._retested(number, branch, look) for look in looks]
        return set.intersection(*chosen), set.union(*chosen)

    def _retested(self, number: int, branch: str, statuses: dict[str, str]) -> set[Job]:
        found = set()
        for job in setup.PRESUBMITS:
            if not job.allows(branch):
                continue
            unseen = job.name not in statuses and job.wanted(branch, self._docs[number])
            if statuses.get(job.name) in _RED or unseen:
                found.add(job)
        return found


def _pushed(body: Json) -> set[Job]:
    touched = [name for commit in body["commits"] for name in (*commit["added"], *commit["modified"])]
    docs = any(name.startswith("docs/") for name in touched)
    return {job for job in setup.POSTSUBMITS if job.wanted(body["ref"].removeprefix("refs/heads/"), docs)}


def _made(job_type: str, guid: str, jobs: Iterable[Job], surely: bool = True) -> Iterator[Wanted]:
    for job in jobs:
        name = identity.name_for(setup.INSTALLATION, "trigger", setup.FULL_REPO, job_type, job.name, guid)
        yield Wanted(name, job_type, job, guid, surely)


def _within(known: list[tuple[float, str]], since_s: float, until_s: float) -> list[str]:
    """Return the heads a pull request had within a span of time."""
    ends = [*(at_s for at_s, _ in known[1:]), float("inf")]
    return [sha for (at_s, sha), end_s in zip(known, ends, strict=True) if at_s <= until_s and end_s >= since_s]


def looks_at(repo: Repository, sha: str, since_s: float, until_s: float) -> Iterator[dict[str, str]]:
    """Yield what the newest statuses of a commit were, before and after each change within a span of time."""
    newest: dict[str, str] = {}
    for record in repo.statuses.get(sha, ()):
        if record.created_s > until_s:
            break
        if record.created_s >= since_s:
            yield dict(newest)
        newest[record.context] = record.state
    yield dict(newest)


def slots_between(since_s: float, until_s: float) -> list[str]:
    """Return the slots of the nightly cron within a span of time, as they stand in names."""
    first = int(since_s // setup.CRON_S + 1) * setup.CRON_S
    return [instants.rfc3339(at_s) for at_s in range(first, int(until_s) + 1, setup.CRON_S)]
