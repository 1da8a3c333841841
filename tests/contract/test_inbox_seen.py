"""What the filter in front of the keys' file promises: a key that counts is never called new."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from prow_async.adapters.inbox.seen import Seen

KEPT_S = 100.0
KEYS = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(st.tuples(KEYS, st.floats(0, 60))))
def test_a_key_is_known_as_long_as_it_counts(added: list[tuple[int, float]]) -> None:
    """Time goes on between them by up to a minute."""
    seen, now_s = Seen(KEPT_S), 1e9
    young: list[tuple[int, float]] = []
    for key, after_s in added:
        now_s += after_s
        seen.add(key, now_s)
        young.append((key, now_s))
        assert all(older in seen for older, at_s in young if now_s - at_s <= KEPT_S)


def test_most_new_keys_are_called_new() -> None:
    """With 200,000 keys of 64 bits, fewer than one in a thousand others is taken for one of them."""
    seen = Seen(KEPT_S)
    for number in range(200_000):
        seen.add(hashed(number), 0.0)
    assert sum(hashed(number) in seen for number in range(200_000, 220_000)) < 20


def test_what_is_twice_as_old_makes_room() -> None:
    """Else a process that runs for months would call every new key known, and ask the file for each."""
    seen = Seen(KEPT_S)
    for number in range(3):
        seen.add(hashed(number), number * 150.0)
    assert [hashed(number) in seen for number in range(3)] == [False, True, True]


def hashed(number: int) -> int:
    return int.from_bytes(hashlib.blake2b(number.to_bytes(8, "little"), digest_size=8).digest(), "little", signed=True)
