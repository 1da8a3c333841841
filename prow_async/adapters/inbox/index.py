"""What the log says, in memory: which deliveries wait, where their bodies lie, how far their decisions have come.

Fed in the order of the log, by the writer as it writes and by the scan at start: both end in the same state.
"""

from collections.abc import Iterator

import msgspec

from prow_async.adapters.inbox import records
from prow_async.adapters.inbox.segment import Found, Place, Segment
from prow_async.ports.inbox import ActionState


class Recorded(msgspec.Struct, gc=False):
    """A plugin's decision: where it lies, and the states of its actions."""

    place: Place
    states: tuple[ActionState, ...]


class Waiting(msgspec.Struct, gc=False):
    """A delivery that is not finished."""

    place: Place
    received_s: float
    decisions: dict[str, Recorded] | None = None

    def places(self) -> list[Place]:
        return [self.place, *(entry.place for entry in (self.decisions or {}).values())]


class Index:
    """All deliveries that wait, and the segments that hold them, oldest first."""

    def __init__(self) -> None:
        self.waiting: dict[int, Waiting] = {}
        """By sequence number, in its order."""
        self.segments: dict[int, Segment] = {}
        self._oldest_seq = 0

    def apply(self, found: Found) -> None:
        """Take in one record. Words about deliveries that are gone are passed over."""
        place, description = found.place, found.description
        match description:
            case records.Accepted(seq=seq, received_s=received_s):
                self._accepted(seq, place, received_s)
            case records.Decided(seq=seq, plugin=plugin, states=states):
                self._decided(seq, plugin, Recorded(place, states))
            case records.Marked(seq=seq, plugin=plugin, states=states):
                delivery = self.waiting.get(seq)
                if delivery is not None and delivery.decisions and plugin in delivery.decisions:
                    delivery.decisions[plugin].states = states
            case records.Finished(seq=seq):
                self.drop(seq)
            case records.Voided(seqs=seqs):
                for seq in seqs:
                    self.drop(seq)

    def _accepted(self, seq: int, place: Place, received_s: float) -> None:
        delivery = self.waiting.get(seq)
        if delivery is None:
            self.waiting[seq] = Waiting(place, received_s)
        else:  # carried to a younger segment
            self._weigh(delivery.place, -1)
            delivery.place = place
        self._weigh(place, 1)

    def _decided(self, seq: int, plugin: str, entry: Recorded) -> None:
        delivery = self.waiting.get(seq)
        if delivery is None:
            return
        if delivery.decisions is None:
            delivery.decisions = {}
        older = delivery.decisions.get(plugin)
        if older is not None:
            self._weigh(older.place, -1)
        delivery.decisions[plugin] = entry
        self._weigh(entry.place, 1)

    def drop(self, seq: int) -> None:
        delivery = self.waiting.pop(seq, None)
        if delivery is not None:
            for place in delivery.places():
                self._weigh(place, -1)

    def _weigh(self, place: Place, sign: int) -> None:
        segment = self.segments.get(place.segment)
        if segment is not None:
            segment.live_bytes += sign * place.size_bytes

    def in_order(self) -> None:
        """Bring carried deliveries back into the order of their numbers, after a scan."""
        self.waiting = dict(sorted(self.waiting.items()))

    def after(self, seq: int) -> Iterator[tuple[int, Waiting]]:
        return ((number, delivery) for number, delivery in self.waiting.items() if number > seq)

    def in_segment(self, number: int) -> list[int]:
        """Numbers of the deliveries that have a record in a segment."""
        return [
            seq for seq, delivery in self.waiting.items() if any(place.segment == number for place in delivery.places())
        ]

    def oldest(self) -> Waiting | None:
        """The delivery that has waited longest. Found again only when the last one found is gone."""
        if self._oldest_seq not in self.waiting:
            self._oldest_seq = next(iter(self.waiting), 0)
        return self.waiting.get(self._oldest_seq)

    def newest_seq(self) -> int:
        return next(reversed(self.waiting), 0)
