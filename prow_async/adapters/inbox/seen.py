"""Which keys may have been accepted before: Bloom filters, which say of most new keys that they are new.

What they have been told they do not forget while a key counts; about one they have not been told they may be wrong, the
more often the fuller they are. So most deliveries need no look into a file.
"""

BITS = 23
"""2**23 bits take a megabyte. With 700,000 keys, 14 days of 50,000, one new key in 150 passes for known."""
_MASK = (1 << BITS) - 1
_SHIFTS = (0, 13, 27, 41)
"""Keys are hashes of 64 bits: these pieces of one are its places."""


class Seen:
    """Keys of the last `kept_s` seconds, and some older ones: what is older than twice that is gone."""

    def __init__(self, kept_s: float) -> None:
        self._kept_s = kept_s
        self._young = self._old = bytearray(1 << (BITS - 3))
        self._since_s: float | None = None
        """When the first key of `_young` was accepted, by the clock that is told."""

    def add(self, key: int, at_s: float) -> None:
        if self._since_s is None:
            self._since_s = at_s
        elif at_s - self._since_s > self._kept_s:
            self._old, self._young, self._since_s = self._young, bytearray(1 << (BITS - 3)), at_s
        for shift in _SHIFTS:
            place = (key >> shift) & _MASK
            self._young[place >> 3] |= 1 << (place & 7)

    def __contains__(self, key: int) -> bool:
        """False only for a key that is new, or as old."""
        return _holds(self._young, key) or (self._old is not self._young and _holds(self._old, key))


def _holds(places: bytearray, key: int) -> bool:
    for shift in _SHIFTS:
        place = (key >> shift) & _MASK
        if not places[place >> 3] >> (place & 7) & 1:
            return False
    return True
