"""People who work on the repository: they open pull requests, push, comment and change their minds, by dice."""

from collections.abc import Callable

import anyio

from prow_async.sandbox.github.records import IssueRecord
from tests.lives import setup
from tests.lives.ledger import Life
from tests.lives.post import Post
from tests.lives.worlds import Told, Worlds

ORG, REPO = setup.ORG, setup.REPO
COMMENTS = (
    "/test unit",
    "/test unit\n/test broken",
    "/test all",
    "/test manual",
    "/test docs",
    "/test lost",
    "/test nosuch",
    "/test nosuch",
    "/test ?",
    "/retest",
    "/retest",
    "Looks good to me.",
)
PATIENCE_S = 15.0
"""How often somebody who waits for the bot looks."""


class Person:
    """Acts in the worlds, without faults; whoever is called on is present.

    Attributes:
        docs: for each pull request, whether it changes documents: all its pushes do, or none.
        heads: for each pull request, its head commits and since when.
        by_hand: UIDs of ProwJobs that somebody aborted with kubectl.
    """

    def __init__(self, worlds: Worlds, post: Post, told: Told) -> None:
        self._worlds = worlds
        self._post = post
        self._told = told
        self._dice = worlds.plan.dice("person")
        self.docs: dict[int, bool] = {}
        self.heads: dict[int, list[tuple[float, str]]] = {}
        self.by_hand: set[str] = set()
        self._outsiders: set[int] = set()

    @property
    def _now(self) -> float:
        return self._worlds.clock.now()

    async def run(self) -> None:
        """Act until the script is over."""
        plan = self._worlds.plan
        times = sorted(self._dice.uniform(0, plan.script_s) for _ in range(plan.steps))
        async with anyio.create_task_group() as group:
            self._open()
            if self._dice.random() < 0.5:
                group.start_soon(self._outsider)
            for at_s in times:
                await anyio.sleep(max(0.0, at_s - anyio.current_time()))
                self._step()
                if self._dice.random() < 0.2:
                    self._step()
            await anyio.sleep(max(0.0, plan.script_s - anyio.current_time()))
            group.cancel_scope.cancel()

    def _step(self) -> None:
        if self._dice.random() < self._worlds.plan.hands:
            self._abort()
            return
        number = self._pick()
        acts: list[tuple[int, Callable[[], None]]] = [
            (2, self._open),
            (3, lambda: self._push(number)),
            (7, lambda: self._comment(number)),
            (1, lambda: self._toggle(number)),
            (2, self._push_branch),
            (1, self._post.twice),
        ]
        weights = [weight for weight, _ in acts]
        self._dice.choices([act for _, act in acts], weights)[0]()

    def _pick(self) -> int:
        return self._dice.choice([number for number in self.docs if number not in self._outsiders])

    def _open(self) -> None:
        docs, dice = self._dice.random() < 0.4, self._dice
        base = "release" if dice.random() < 0.2 else "main"
        author = dice.choice(setup.MEMBERS)
        pull = self._worlds.github.open_pull(
            ORG, REPO, author, "A change", "a-branch", _files(docs), base=base, now_s=self._now
        )
        self._opened(pull, docs)
        self._told(f"{author} opens #{pull.number} onto {base}{' with docs' if docs else ''}")

    def _opened(self, pull: IssueRecord, docs: bool) -> None:
        assert pull.pull is not None
        self.docs[pull.number] = docs
        self.heads[pull.number] = [(self._now, pull.pull.head_sha)]

    def _push(self, number: int) -> None:
        sha = self._worlds.github.push_to_pull(ORG, REPO, number, _files(self.docs[number]), now_s=self._now)
        self.heads[number].append((self._now, sha))
        self._told(f"push to #{number}")

    def _comment(self, number: int) -> None:
        text = self._dice.choice(COMMENTS)
        self._worlds.github.comment(ORG, REPO, number, self._dice.choice(setup.MEMBERS), text, now_s=self._now)
        self._told(f"comment on #{number}: {text!r}")

    def _toggle(self, number: int) -> None:
        github = self._worlds.github
        if github.issue(ORG, REPO, number).closed_s is None:
            github.close(ORG, REPO, number, by=setup.MEMBERS[0], now_s=self._now)
            self._told(f"#{number} closed")
        else:
            github.reopen(ORG, REPO, number, by=setup.MEMBERS[0], now_s=self._now)
            self._told(f"#{number} reopened")

    def _push_branch(self) -> None:
        branch, docs = self._dice.choice(["main", "main", "release"]), self._dice.random() < 0.5
        self._worlds.github.push_branch(ORG, REPO, branch, _files(docs), by=setup.MEMBERS[1], now_s=self._now)
        self._told(f"push to {branch}{' with docs' if docs else ''}")

    def _abort(self) -> None:
        """Abort a ProwJob that is under way, as people do with kubectl."""
        running = [job for job in self._worlds.jobs if not job.complete and not job.gone and not _aborted(job)]
        if not running:
            return
        job = self._dice.choice(running)
        self.by_hand.add(job.uid)
        path = f"/apis/prow.k8s.io/v1/namespaces/{setup.JOBS_NAMESPACE}/prowjobs/{job.name}"
        self._worlds.infra.ask("PATCH", path, {"status": {"state": "aborted", "description": "by hand"}})
        self._told(f"job {job.name[:8]} aborted by hand")

    async def _outsider(self) -> None:
        """A stranger's pull request: welcomed, refused, vouched for, each after the bot's answer to the step before."""
        github, dice = self._worlds.github, self._dice
        await anyio.sleep(dice.uniform(0, self._worlds.plan.script_s / 4))
        pull = github.open_pull(ORG, REPO, setup.OUTSIDER, "A gift", "gift", _files(False), now_s=self._now)
        number = pull.number
        self._opened(pull, False)
        self._outsiders.add(number)
        self._told(f"a stranger opens #{number}")
        await self._until(lambda: "needs-ok-to-test" in pull.labels)
        if dice.random() < 0.5:
            before = len(pull.comments)
            github.comment(ORG, REPO, number, setup.OUTSIDER, "/test all", now_s=self._now)
            await self._until(lambda: len(pull.comments) > before + 1)
        github.comment(ORG, REPO, number, setup.MEMBERS[0], "/ok-to-test", now_s=self._now)
        self._told(f"#{number} is vouched for")

    @staticmethod
    async def _until(true: Callable[[], bool]) -> None:
        while not true():
            await anyio.sleep(PATIENCE_S)


def _files(docs: bool) -> list[str]:
    return ["docs/guide.md", "main.c"] if docs else ["main.c"]


def _aborted(job: Life) -> bool:
    return job.status("state") == "aborted"
