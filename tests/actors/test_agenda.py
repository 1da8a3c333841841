"""The agenda, against a plain dictionary."""

from hypothesis import given
from hypothesis import strategies as st

from prow_async.actors.agenda import Agenda

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("at"), st.sampled_from("abc"), st.integers(0, 20)),
        st.tuples(st.just("now"), st.sampled_from("abc"), st.just(0)),
        st.tuples(st.just("take"), st.just(""), st.integers(0, 20)),
    )
)


@given(STEPS)
def test_each_name_is_in_once_for_its_earliest_time(steps: list[tuple[str, str, int]]) -> None:
    """Whatever the order of asking: taken once, when its earliest time has come, the earliest first."""
    agenda, known = Agenda(), dict[str, float]()
    for step, name, when in steps:
        if step == "take":
            due = {one for one, at in known.items() if at <= when}
            taken = agenda.take(when)
            assert taken == sorted(due, key=lambda one: (known[one], one))
            known = {one: at for one, at in known.items() if one not in due}
        elif step == "now":
            agenda.now(name)
            known[name] = float("-inf")
        else:
            agenda.at(name, when)
            known[name] = min(known.get(name, when), when)
        assert len(agenda) == len(known)


def test_it_does_not_grow_with_what_gave_way() -> None:
    """A yearly periodic is looked at with every new configuration, and each time put in for the same far day."""
    agenda = Agenda()
    for minute in range(10_000):
        agenda.at("yearly", 1e9)
        agenda.now("yearly")
        assert agenda.take(minute) == ["yearly"]
    agenda.at("yearly", 1e9)
    assert agenda.size < 200
    assert agenda.take(1e9) == ["yearly"]
    assert agenda.take(1e9) == []
