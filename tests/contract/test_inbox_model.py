"""Any order of work, restarts and tidying leaves exactly what a plain dictionary would hold."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from prow_async.adapters.inbox import durable, records
from prow_async.adapters.inbox.store import Op, Settings, Store
from prow_async.ports.inbox import Accepted
from tests.contract.inbox_parts import SMALL, guid

NOW_S = 1_700_000_000.0
Step = tuple[Literal["accept", "finish", "decide", "mark", "restart", "tidy"], int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["accept", "accept", "accept", "finish", "finish", "decide", "mark", "restart", "tidy"]),
        st.integers(0, 25),
        st.integers(0, 9000),
    ),
    max_size=60,
)


class Model:
    """What an inbox is, without a disk."""

    def __init__(self) -> None:
        self.seqs: dict[str, int] = {}
        self.waiting: dict[str, bytes] = {}
        self.journal: dict[str, dict[str, tuple[bytes, tuple[str, ...]]]] = {}


class Pair:
    """A store and its model, doing the same."""

    def __init__(self, folder: Path, sizes: Settings) -> None:
        self.folder = folder
        self.sizes = sizes
        self.model = Model()
        self.store = Store(folder, sizes, NOW_S)

    def step(self, kind: str, number: int, size: int) -> None:
        name = guid(number)
        seq = self.model.seqs.get(name, 10_000)
        journal = self.model.journal.get(name, {})
        match kind:
            case "accept":
                self._accept(name, b"%d" % number * size)
            case "finish":
                self._write(Op(records.Finished(seq, NOW_S, "done")))
                self.model.waiting.pop(name, None)
                self.model.journal.pop(name, None)
            case "decide":
                decision = b"decision" * (size % 200)
                self._write(Op(records.Decided(seq, "p", ("planned",)), decision))
                if name in self.model.waiting:
                    self.model.journal.setdefault(name, {})["p"] = (decision, ("planned",))
            case "mark":
                self._write(Op(records.Marked(seq, "p", ("done",))))
                if "p" in journal:
                    journal["p"] = (journal["p"][0], ("done",))
            case "restart":
                self.store.close()
                self.store = Store(self.folder, self.sizes, NOW_S)
            case "tidy":
                self.store.tidy(NOW_S)

    def _write(self, op: Op) -> None:
        assert self.store.commit([op]) == [None]

    def _accept(self, name: str, body: bytes) -> None:
        described = records.Accepted(0, durable.key_of(name, body), name, "push", {"a": "b"}, NOW_S)
        (outcome,) = self.store.commit([Op(described, body)])
        assert isinstance(outcome, Accepted)
        assert outcome.new is (name not in self.model.seqs)
        if outcome.new:
            assert all(outcome.seq > seq for seq in self.model.seqs.values())
            self.model.seqs[name] = outcome.seq
            self.model.waiting[name] = body
        assert outcome.seq == self.model.seqs[name]

    def check(self) -> None:
        pending = self.store.pending(0, 1000)
        assert {delivery.guid: delivery.body for delivery in pending} == self.model.waiting
        assert [delivery.seq for delivery in pending] == sorted(delivery.seq for delivery in pending)
        for delivery in pending:
            assert delivery.seq == self.model.seqs[delivery.guid]
            found = {plugin: (body, marked.states) for plugin, body, marked in self.store.journal(delivery.seq)}
            assert found == self.model.journal.get(delivery.guid, {})
        statistics = self.store.statistics()
        assert statistics.waiting == len(pending)
        assert statistics.newest_waiting_seq == (pending[-1].seq if pending else 0)


@contextmanager
def pair(sizes: Settings) -> Iterator[Pair]:
    with tempfile.TemporaryDirectory() as folder:
        made = Pair(Path(folder), sizes)
        try:
            yield made
        finally:
            made.store.close()


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_the_store_does_what_a_dictionary_does(steps: list[Step]) -> None:
    with pair(SMALL) as both:
        for kind, number, size in steps:
            both.step(kind, number, size)
        both.check()
        both.step("restart", 0, 0)
        both.check()


def test_many_restarts_with_something_left_need_little_space() -> None:
    """A process that keeps falling over must not fill the disk with nearly empty files."""
    with pair(SMALL) as both:
        for number in range(20):
            both.step("accept", number, 50)
            both.step("restart", 0, 0)
            both.step("tidy", 0, 0)
        both.check()
        assert len(list(both.folder.glob("*.log"))) <= SMALL.carry_above + SMALL.spares + 2
