"""What a leader's predecessor may still be saying, and when to say it again ourselves.

A predecessor whose time ran out (killed, stopped, cut off) may have one last write under way to a server that knows no
conditions, such as GitHub: a status of yesterday would then stand over ours, or a comment stand twice. What it had not
recorded as told is what we tell in the first moments of our term; so that is told once more when nothing of it can be
under way any more, which repairs what came late and changes nothing else.
"""

LATE_S = 60.0
"""GitHub gives up a request after 10 s; the rest is for the way to it."""
LIMIT = 500
"""A predecessor has far fewer writes under way at once."""


class Doubts:
    """Keys told while a predecessor's writes may be under way, and those of them to be told again."""

    def __init__(self) -> None:
        self._noting = False
        self._told: dict[str, None] = {}
        self._again: set[str] = set()

    def begin(self) -> None:
        """A term begins after one that ended without order: note what is told."""
        self._noting = True
        self._told.clear()

    def told(self, key: str) -> None:
        """Something was told under this key."""
        self._again.discard(key)
        if self._noting and len(self._told) < LIMIT:
            self._told[key] = None

    def end(self) -> tuple[str, ...]:
        """LATE_S have passed: return what is to be told again."""
        self._noting = False
        self._again.update(self._told)
        due = tuple(self._told)
        self._told.clear()
        return due

    def __contains__(self, key: str) -> bool:
        """True while a key is to be told again."""
        return key in self._again

    def forget(self, key: str) -> None:
        self._told.pop(key, None)
        self._again.discard(key)
