"""A pod's next step, for every state it can be in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.sandbox.kubelet import decide
from prow_async.sandbox.kubelet.decide import Facts, Kill, Ran, Settled, Start, Step, Stop, Stopping, Wait
from prow_async.sandbox.kubelet.refusal import Refusal
from tests.unit.sandbox_kubelet.pods import container, pod

RUNS = Ran(100.0)
WELL = Ran(100.0, 101.0, 0, "Completed")
BAD = Ran(100.0, 101.0, 3, "Error")
TWO = pod(
    container("a"),
    container("b"),
    inits=(container("i"), container("j")),
    activeDeadlineSeconds=60,
    terminationGracePeriodSeconds=7,
)
DONE = {"i": WELL, "j": WELL}
STOPPED = Stopping("deadline", 160.0)


@pytest.mark.parametrize(
    ("facts", "now_s", "step"),
    [
        (Facts(100.0, refused=Refusal("r", "m")), 100.0, Settled()),
        (Facts(100.0), 100.0, Start(("i",))),
        (Facts(100.0, ran={"i": RUNS}), 100.0, Wait(160.0)),
        (Facts(100.0, ran={"i": WELL}), 100.0, Start(("j",))),
        (Facts(100.0, ran={"i": BAD}), 100.0, Settled()),
        (Facts(100.0, ran=DONE), 100.0, Start(("a", "b"))),
        (Facts(100.0, ran=DONE | {"a": RUNS}), 100.0, Start(("b",))),
        (Facts(100.0, ran=DONE | {"a": RUNS, "b": BAD}), 100.0, Wait(160.0)),
        (Facts(100.0, ran=DONE | {"a": WELL, "b": BAD}), 100.0, Settled()),
        (Facts(100.0, ran=DONE | {"a": WELL, "b": WELL}), 500.0, Settled()),
        (Facts(100.0, ran=DONE | {"a": RUNS, "b": RUNS}), 160.0, Stop("deadline", "activeDeadlineSeconds 60 is over")),
        (Facts(100.0), 160.0, Stop("deadline", "activeDeadlineSeconds 60 is over")),
        (Facts(100.0, delete_grace_s=3.0), 100.0, Stop("deleted", "the pod was deleted")),
        (Facts(100.0, ran=DONE | {"a": WELL, "b": WELL}, delete_grace_s=3.0), 100.0, Settled()),
        (Facts(100.0, ran={"i": RUNS}, stopping=STOPPED), 161.0, Wait(167.0)),
        (Facts(100.0, ran={"i": RUNS}, stopping=STOPPED), 167.0, Kill()),
        (Facts(100.0, ran={"i": RUNS}, stopping=STOPPED, delete_grace_s=2.0), 162.0, Kill()),
        (Facts(100.0, ran={"i": RUNS}, stopping=Stopping("deadline", 160.0, killed=True)), 170.0, Wait(None)),
        (Facts(100.0, ran={"i": BAD}, stopping=STOPPED), 161.0, Settled()),
        (Facts(100.0, ran={"i": WELL}, stopping=STOPPED), 161.0, Settled()),
    ],
)
def test_next_step(facts: Facts, now_s: float, step: Step) -> None:
    """Init containers one by one, then all at once; deadlines and deletions end what runs, kindly at first."""
    assert decide.next_step(TWO, facts, now_s) == step


@given(st.lists(st.sampled_from(["ends", "fails", "deleted", "waits"]), max_size=30), st.booleans())
def test_every_life_ends(story: list[str], deadline: bool) -> None:
    """Whatever happens, and in whatever order, no container starts twice and the pod is settled at last."""
    subject = TWO if deadline else pod(container("a"), container("b"), inits=(container("i"),))
    facts, now_s, started = Facts(0.0), 0.0, list[str]()
    for happening in [*story, *["ends"] * 20]:
        match decide.next_step(subject, facts, now_s):
            case Settled():
                assert not any(r.running for r in facts.ran.values())
                return
            case Start(names):
                started += names
                facts.ran |= dict.fromkeys(names, Ran(now_s))
                continue
            case Stop(cause, _):
                facts.stopping = Stopping(cause, now_s)
            case Kill():
                assert facts.stopping is not None
                facts.stopping = Stopping(facts.stopping.cause, facts.stopping.at_s, killed=True)
            case Wait():
                pass
        now_s += 9.0 if happening == "waits" else 0.1
        running = [name for name, ran in facts.ran.items() if ran.running]
        if happening == "deleted":
            facts.delete_grace_s = 1.0
        elif happening != "waits" and running:
            facts.ran[running[0]] = Ran(0.0, now_s, int(happening == "fails"))
    assert len(started) == len(set(started))
    assert isinstance(decide.next_step(subject, facts, now_s), Settled)
