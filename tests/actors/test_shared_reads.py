"""One delivery's reads: each fact once, a fresh payload before a request, trust for five minutes."""

from collections.abc import Callable
from typing import Any, cast

import anyio
import pytest

from prow_async.actors.shared_reads import SharedReads
from prow_async.actors.trust_cache import TrustCache
from prow_async.api.errors import Retry
from prow_async.core.payload import NOTHING, Known
from prow_async.ports.clock import Clock
from prow_async.ports.github import GitHubReads
from tests import virtual


class Slow:
    """Stands for a GitHub that takes a second an answer; notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.trouble: list[Exception] = []
        self.members = {"ann"}

    async def _answer(self, question: str, value: Any) -> Any:
        self.asked.append(question)
        await anyio.sleep(1)
        if self.trouble:
            raise self.trouble.pop()
        return value

    async def labels(self, org: str, repo: str, number: int) -> tuple[str, ...]:
        return cast("tuple[str, ...]", await self._answer(f"labels {number}", ("bug",)))

    async def is_member(self, org: str, login: str) -> bool:
        return cast("bool", await self._answer(f"member {login}", login in self.members))


class Now:
    def __init__(self) -> None:
        self.at_s = 0.0

    def now(self) -> float:
        return self.at_s


def reads(github: Slow, trust: TrustCache | None = None, known: Known = NOTHING) -> SharedReads:
    return SharedReads(cast(GitHubReads, github), trust or TrustCache(cast(Clock, Now())), known)


def test_asked_by_two_at_once_it_is_read_once() -> None:
    github = Slow()
    answers: list[tuple[str, ...]] = []

    async def body() -> None:
        shared = reads(github)

        async def ask() -> None:
            answers.append(await shared.labels("o", "r", 1))

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            group.start_soon(ask)
        await ask()

    virtual.run(body)
    assert answers == [("bug",)] * 3
    assert github.asked == ["labels 1"]


def test_who_asked_first_may_be_cancelled() -> None:
    github = Slow()

    async def body() -> tuple[str, ...]:
        shared = reads(github)

        async def impatient() -> None:
            with anyio.move_on_after(0.5):
                await shared.labels("o", "r", 1)

        async with anyio.create_task_group() as group:
            group.start_soon(impatient)
            await anyio.sleep(0.1)
            return await shared.labels("o", "r", 1)

    assert virtual.run(body) == ("bug",)
    assert github.asked == ["labels 1", "labels 1"]


def test_an_error_is_everybodys() -> None:
    github = Slow()
    github.trouble.append(Retry("later"))

    async def body() -> None:
        shared = reads(github)
        for _ in range(2):
            with pytest.raises(Retry):
                await shared.labels("o", "r", 1)

    virtual.run(body)
    assert github.asked == ["labels 1"]


def test_what_the_payload_tells_is_not_read() -> None:
    github = Slow()

    async def body() -> tuple[Any, ...]:
        shared = reads(github, known=Known("o", "r", 1, ("lgtm",)))
        return await shared.labels("O", "r", 1), await shared.labels("o", "r", 2)

    assert virtual.run(body) == (("lgtm",), ("bug",))
    assert github.asked == ["labels 2"]


def _nothing(trust: TrustCache, now: Now) -> None:
    pass


def _later(trust: TrustCache, now: Now) -> None:
    now.at_s += 300.0


def _told(trust: TrustCache, now: Now) -> None:
    trust.heard("organization", "O")


def _told_of_another(trust: TrustCache, now: Now) -> None:
    trust.heard("organization", "p")
    trust.heard("push", "o")


@pytest.mark.parametrize(("meanwhile", "asked"), [(_nothing, 1), (_told_of_another, 1), (_later, 2), (_told, 2)])
def test_trust_is_kept_for_five_minutes_or_until_members_change(
    meanwhile: Callable[[TrustCache, Now], None], asked: int
) -> None:
    github, now = Slow(), Now()
    trust = TrustCache(cast(Clock, now))

    async def body() -> None:
        assert await reads(github, trust).is_member("o", "Ann") is False
        github.members.add("ann")
        meanwhile(trust, now)
        assert await reads(github, trust).is_member("o", "ann") is (asked == 2)

    virtual.run(body)
    assert len(github.asked) == asked


def test_an_answer_from_before_a_change_of_members_is_not_kept() -> None:
    """1. GitHub is asked. 2. While its answer is on the way it tells of a change. 3. The next one asks again."""
    github = Slow()
    trust = TrustCache(cast(Clock, Now()))

    async def body() -> None:
        async def ask() -> None:
            assert await reads(github, trust).is_member("o", "ann"), "as it was when it was asked"

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await anyio.sleep(0.5)
            github.members.clear()
            trust.heard("organization", "o")
        assert not await reads(github, trust).is_member("o", "ann")
        assert not await reads(github, trust).is_member("o", "ann")
        assert github.asked == ["member ann"] * 2

    virtual.run(body)
