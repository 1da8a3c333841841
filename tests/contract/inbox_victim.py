"""A process that works on an inbox until it is killed. It says on its output what it has been promised.

Run as `python -m tests.contract.inbox_victim FOLDER FIRST_NUMBER SEED`.
"""

import random
import sys
from pathlib import Path

import anyio

from prow_async.adapters.inbox import durable
from prow_async.api.actions import Decision
from tests.contract.inbox_parts import SMALL, accept, inbox


def say(word: str, number: int, seq: int) -> None:
    sys.stdout.write(f"{word} {number} {seq}\n")
    sys.stdout.flush()


async def work(box: durable.DurableInbox, numbers: range, rng: random.Random) -> None:
    for number in numbers:
        seq = await accept(box, number, rng.randint(50, 6000))
        say("accepted", number, seq)
        if rng.random() < 0.6:
            await box.decide(seq, "p", Decision((), f"about {number}"), ())
            say("decided", number, seq)
        if rng.random() < 0.7:
            say("finishing", number, seq)
            await box.finish(seq)
            say("finished", number, seq)


async def main(folder: Path, first: int, seed: int) -> None:
    async with inbox(folder, SMALL) as box, anyio.create_task_group() as group:
        for worker in range(8):
            start = first + worker * 10_000
            group.start_soon(work, box, range(start, start + 10_000), random.Random(seed + worker))


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
