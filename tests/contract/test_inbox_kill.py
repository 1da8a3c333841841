"""kill -9 at any moment: what was promised holds, in one life after the other."""

import random
from pathlib import Path

import pytest

from tests.contract import victims
from tests.contract.inbox_parts import guid, inbox, waiting

LIVES = 5


def one_life(folder: Path, first: int, seed: int, words: int) -> list[tuple[str, int, int]]:
    """Return the words, numbers and sequence numbers that a victim promised before it was killed."""
    said = victims.kill_after(words, "inbox_victim", folder, first, seed)
    return [(word, int(number), int(seq)) for word, number, seq in said]


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
async def test_what_was_promised_before_a_kill_holds_after_it(tmp_path: Path, seed: int) -> None:
    """1. Accepted and not finished: waits. 2. Finished: does not. 3. Decided: still decided. 4. Numbers only grow."""
    rng = random.Random(seed)
    accepted: dict[int, int] = {}
    decided: set[int] = set()
    finishing: set[int] = set()
    finished: set[int] = set()
    for life in range(LIVES):
        said = one_life(tmp_path, 1_000_000 * (life + 1), seed * 100 + life, rng.randint(1, 400))
        assert all(seq > max(accepted.values(), default=0) for word, _, seq in said if word == "accepted")
        accepted |= {number: seq for word, number, seq in said if word == "accepted"}
        decided |= {number for word, number, _ in said if word == "decided"}
        finishing |= {number for word, number, _ in said if word == "finishing"}
        finished |= {number for word, number, _ in said if word == "finished"}
        async with inbox(tmp_path) as box:
            there = await waiting(box)
            assert {guid(number) for number in accepted.keys() - finishing} <= there.keys()
            assert not {guid(number) for number in finished} & there.keys()
            for number, seq in accepted.items():
                if guid(number) in there:
                    assert there[guid(number)].startswith(b'{"number":%d,' % number)
                    if number in decided:
                        assert [entry.decision.why for entry in await box.journal(seq)] == [f"about {number}"]
                assert not (await box.accept(guid(number), "push", {}, b"")).new
