"""Keyed actors, on virtual time."""

import anyio
import pytest

from prow_async.runtime.backoff import Backoff
from prow_async.runtime.keyed import KeyedActors, Limits
from tests import virtual


class Recorder:
    """A turn that writes down what it was given and how it overlapped."""

    def __init__(self, takes_s: float = 1.0) -> None:
        self.turns: list[tuple[str, tuple[str, ...], float]] = []
        self.now: set[str] = set()
        self.most = 0
        self.takes_s = takes_s
        self.fail: dict[str, int] = {}
        self.again: dict[str, list[float | None]] = {}
        self.failures: list[tuple[str, str, int]] = []

    async def turn(self, key: str, mails: list[str]) -> float | None:
        assert key not in self.now, "two turns of one key at once"
        self.now.add(key)
        self.most = max(self.most, len(self.now))
        self.turns.append((key, tuple(mails), anyio.current_time()))
        try:
            await anyio.sleep(self.takes_s)
        finally:
            self.now.discard(key)
        if self.fail.get(key, 0) > 0:
            self.fail[key] -= 1
            raise RuntimeError("as told")
        plan = self.again.get(key)
        return plan.pop(0) if plan else None

    def failed(self, key: str, error: Exception, failures: int) -> None:
        self.failures.append((key, str(error), failures))


def run_family(recorder: Recorder, drive, limits: Limits | None = None) -> KeyedActors[str, str]:
    made: list[KeyedActors[str, str]] = []

    async def body() -> None:
        family: KeyedActors[str, str] = KeyedActors("t", recorder.turn, recorder.failed, "wake", limits)
        made.append(family)
        async with anyio.create_task_group() as group:
            group.start_soon(family.run)
            await drive(family)
            group.cancel_scope.cancel()

    virtual.run(body)
    return made[0]


def test_mail_during_a_turn_waits_for_the_next_and_coalesces() -> None:
    """Never two turns of a key at once; what arrives meanwhile is one later turn, one mail a kind."""
    r = Recorder()

    async def drive(family: KeyedActors[str, str]) -> None:
        family.post("a", "x")
        await anyio.sleep(0.5)
        for mail in ("y", "z", "y"):
            family.post("a", mail)
        await anyio.sleep(5)

    run_family(r, drive)
    assert [(k, m) for k, m, _ in r.turns] == [("a", ("x",)), ("a", ("y", "z"))]


def test_different_keys_run_side_by_side_up_to_the_limit() -> None:
    r = Recorder()

    async def drive(family: KeyedActors[str, str]) -> None:
        for i in range(10):
            family.post(f"k{i}", "m")
        await anyio.sleep(20)

    family = run_family(r, drive, Limits(concurrency=4))
    assert len(r.turns) == 10
    assert r.most == 4
    assert family.statistics()["turns"] == 10
    assert not family.busy


def test_a_failed_turn_is_told_and_tried_again_later() -> None:
    """The wait grows with failures in a row and starts anew after a success."""
    r = Recorder(takes_s=0)
    r.fail["a"] = 3

    async def drive(family: KeyedActors[str, str]) -> None:
        family.post("a", "m")
        await anyio.sleep(100)

    run_family(r, drive, Limits(backoff=Backoff(1.0, 60.0, rng=lambda: 1.0)))
    assert [f for _, _, f in r.failures] == [1, 2, 3]
    assert [t for _, _, t in r.turns] == [0.0, 1.0, 3.0, 7.0]
    assert r.turns[1][1] == ("wake",)


def test_a_turn_asks_to_be_woken_again() -> None:
    r = Recorder(takes_s=0)
    r.again["a"] = [10.0, None]

    async def drive(family: KeyedActors[str, str]) -> None:
        family.post("a", "m")
        await anyio.sleep(100)

    run_family(r, drive)
    assert [t for _, _, t in r.turns] == [0.0, 10.0]


def test_news_before_the_deadline_replaces_the_timer() -> None:
    r = Recorder(takes_s=0)
    r.again["a"] = [10.0, None]

    async def drive(family: KeyedActors[str, str]) -> None:
        family.post("a", "m")
        await anyio.sleep(4)
        family.post("a", "news")
        await anyio.sleep(100)

    run_family(r, drive)
    assert [t for _, _, t in r.turns] == [0.0, 4.0]


def test_forget_drops_the_timer() -> None:
    r = Recorder(takes_s=0)
    r.again["a"] = [10.0]

    async def drive(family: KeyedActors[str, str]) -> None:
        family.post("a", "m")
        await anyio.sleep(4)
        family.forget("a")
        await anyio.sleep(100)

    run_family(r, drive)
    assert len(r.turns) == 1


def test_a_full_mailbox_drops_its_oldest_mail_and_still_wakes() -> None:
    r = Recorder()

    async def drive(family: KeyedActors[str, str]) -> None:
        family.post("a", "first")
        await anyio.sleep(0.1)
        for i in range(5):
            family.post("a", f"m{i}")
        await anyio.sleep(10)

    family = run_family(r, drive, Limits(mailbox=3))
    assert r.turns[1][1] == ("m2", "m3", "m4")
    assert family.statistics()["dropped"] == 2


def test_mail_posted_before_and_between_runs_is_served() -> None:
    """A family that is cancelled in a turn and run again serves that key anew: its supervisor restarts it so."""
    r = Recorder()

    async def body() -> None:
        family: KeyedActors[str, str] = KeyedActors("t", r.turn, r.failed, "wake")
        family.post("a", "early")
        with anyio.move_on_after(0.5):
            await family.run()
        r.now.clear()
        family.post("b", "between")
        with anyio.move_on_after(10):
            await family.run()

    virtual.run(body)
    assert [k for k, _, _ in r.turns] == ["a", "a", "b"] or [k for k, _, _ in r.turns] == ["a", "b", "a"]


@pytest.mark.anyio
async def test_on_the_shipped_loop() -> None:
    """The same kernel on asyncio: a thousand keys, each served."""
    r = Recorder(takes_s=0)
    family: KeyedActors[int, str] = KeyedActors("t", r.turn, r.failed, "wake")  # type: ignore[arg-type]
    async with anyio.create_task_group() as group:
        group.start_soon(family.run)
        for i in range(1000):
            family.post(i, "m")
        with anyio.fail_after(10):
            while family.busy:
                await anyio.sleep(0)
        group.cancel_scope.cancel()
    assert len(r.turns) == 1000


def test_a_stuck_lane_takes_no_room_from_others() -> None:
    """1. More keys of one lane hang than may. 2. Keys of another lane run at once. 3. All get their turn in the end."""
    r = Recorder(takes_s=100.0)

    async def drive(family: KeyedActors[str, str]) -> None:
        for i in range(20):
            family.post(f"stuck-{i}", "m")
        await anyio.sleep(1)
        for i in range(3):
            family.post(f"free-{i}", "m")
        await anyio.sleep(1)
        assert [key for key, _, at in r.turns if at >= 1] == ["free-0", "free-1", "free-2"]
        family.post("stuck-19", "m")  # waits for room: one turn all the same
        await anyio.sleep(600)
        assert not family.busy

    run_family(r, drive, Limits(concurrency=64, in_lane=4, lane=lambda key: key.partition("-")[0]))
    assert sorted(key for key, _, _ in r.turns) == sorted(
        [f"stuck-{i}" for i in range(20)] + ["free-0", "free-1", "free-2"]
    )
    assert r.most == 7


def test_cancelled_with_keys_waiting_for_room() -> None:
    """A family that is run again gives their turns to those that waited, and to those it cut off."""
    r = Recorder(takes_s=100.0)

    async def drive(family: KeyedActors[str, str]) -> None:
        for i in range(5):
            family.post(f"k{i}", "m")
        await anyio.sleep(1)

    async def body() -> None:
        family: KeyedActors[str, str] = KeyedActors(
            "t", r.turn, r.failed, "wake", Limits(in_lane=2, lane=lambda _: "one")
        )
        for wait_s in (1, 1000):
            async with anyio.create_task_group() as group:
                group.start_soon(family.run)
                if wait_s == 1:
                    await drive(family)
                else:
                    await anyio.sleep(wait_s)
                group.cancel_scope.cancel()
        assert not family.busy

    virtual.run(body)
    assert {key for key, _, at in r.turns if at >= 1} == {f"k{i}" for i in range(5)}


@pytest.mark.parametrize("limits", [Limits(concurrency=1), Limits(in_lane=1, lane=lambda _: "one")])
def test_a_turn_that_ends_as_the_family_is_cancelled(limits: Limits) -> None:
    """The keys that wait behind it lose nothing, whichever of the two comes first: each is served by the next run."""

    async def body() -> None:
        answered, served, now = anyio.Event(), set[str](), set[str]()

        async def turn(key: str, mails: list[str]) -> None:
            assert key not in now, "two turns of one key at once"
            now.add(key)
            try:
                await answered.wait()
                served.add(key)
            finally:
                now.discard(key)

        for _ in range(50):  # the loop's dice say who comes first
            family: KeyedActors[str, str] = KeyedActors("t", turn, lambda *_: None, "wake", limits)
            answered = anyio.Event()
            async with anyio.create_task_group() as group:
                group.start_soon(family.run)
                for key in "abc":
                    family.post(key, "m")
                await anyio.sleep(1)
                answered.set()
                group.cancel_scope.cancel()
            with anyio.move_on_after(1):
                await family.run()
            assert served == {"a", "b", "c"}
            served.clear()
            assert not family.busy

    virtual.run(body)


def test_a_seeded_family_keeps_nothing_while_it_does_not_run() -> None:
    """1. Mail before and between runs is dropped. 2. Each run begins with the seed. 3. Timers end with the run."""
    r = Recorder(takes_s=0)
    r.again = {"a": [5.0, 5.0]}
    keys = ["a"]

    async def body() -> None:
        limits = Limits(seed=lambda: keys)
        family: KeyedActors[str, str] = KeyedActors("t", r.turn, r.failed, "wake", limits)
        family.post("x", "early")
        with anyio.move_on_after(1):
            await family.run()
        family.post("y", "between")
        assert not family.busy
        assert family.statistics()["timers"] == 0
        keys[:] = ["b"]
        with anyio.move_on_after(10):
            await family.run()

    virtual.run(body)
    assert [(key, mails) for key, mails, _ in r.turns] == [("a", ("wake",)), ("b", ("wake",))]


def test_a_wait_that_no_clock_moves_by_is_lengthened() -> None:
    """A turn that waits for a deadline, and is off by less than the clock can tell, gets there all the same."""

    async def body() -> None:
        deadline = anyio.current_time() + 1.0
        turns: list[float] = []

        async def turn(key: str, mails: list[str]) -> float | None:
            turns.append(anyio.current_time())
            return 1e-15 if turns[-1] <= deadline else None

        actors: KeyedActors[str, str] = KeyedActors("test", turn, lambda *_: None, "again")
        async with anyio.create_task_group() as group:
            group.start_soon(actors.run)
            actors.post("a", "go")
            await anyio.sleep(2.0)
            group.cancel_scope.cancel()
        assert 900 < len(turns) < 1100

    virtual.run(body)
