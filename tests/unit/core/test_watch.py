"""The list/watch machine: lines out of bytes cut anywhere, and where to go on after whatever happened."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.core import watch
from prow_async.core.watch import Position

EVENTS = (b'{"type":"ADDED","object":{"a":1}}\n', b'{"type":"BOOKMARK","object":{}}\n', b"\n")


def frame(kind: str, content: object) -> watch.Frame:
    return watch.Frame(kind, msgspec.Raw(msgspec.json.encode(content)))


@given(st.lists(st.sampled_from(EVENTS), max_size=8), st.lists(st.integers(1, 40), max_size=20))
def test_lines_come_whole_however_they_are_cut(lines: list[bytes], sizes: list[int]) -> None:
    """Pieces of any size give the same frames, in order; an empty line is nothing."""
    stream = b"".join(lines)
    pieces: list[bytes] = []
    for size in sizes:
        pieces.append(stream[:size])
        stream = stream[size:]
    reader = watch.Lines()
    found = [got.type for piece in [*pieces, stream] for got in reader.feed(piece)]
    assert found == [msgspec.json.decode(line)["type"] for line in lines if line.strip()]


def test_the_object_stays_as_it_came() -> None:
    (got,) = watch.Lines().feed(b'{"type":"ADDED","object":{"x": [1,  2]}}\n')
    assert bytes(got.object) == b'{"x": [1,  2]}'


@pytest.mark.parametrize("line", [b"<html>\n", b"{}\n", b'{"type":"ADDED"}\n', b'{"type":7,"object":{}}\n', b"\xff\n"])
def test_what_is_no_event_breaks_the_stream(line: bytes) -> None:
    with pytest.raises(watch.Broken, match="no watch event"):
        watch.Lines().feed(line)


def test_a_line_without_end_breaks_the_stream() -> None:
    """A server that never ends a line does not fill our memory."""
    lines = watch.Lines(max_line_bytes=100)
    lines.feed(b"x" * 100)
    with pytest.raises(watch.Broken, match="longer than 100 bytes"):
        lines.feed(b"x")


@pytest.mark.parametrize(
    ("annotations", "ends"),
    [({"k8s.io/initial-events-end": "true"}, True), ({"k8s.io/initial-events-end": "false"}, False), ({}, False)],
)
def test_bookmark(annotations: dict[str, str], ends: bool) -> None:
    content = {"kind": "Pod", "metadata": {"resourceVersion": "12", "annotations": annotations}}
    assert watch.bookmark(frame("BOOKMARK", content)) == watch.Bookmark("12", ends)


@pytest.mark.parametrize("content", [{}, {"metadata": {}}, {"metadata": {"resourceVersion": 12}}, [], None])
def test_a_bookmark_that_says_nothing_breaks_the_stream(content: object) -> None:
    with pytest.raises(watch.Broken):
        watch.bookmark(frame("BOOKMARK", content))


@pytest.mark.parametrize(
    ("content", "expired"),
    [
        ({"code": 410, "reason": "Expired", "message": "too old"}, True),
        ({"code": 410, "reason": "Gone"}, True),
        ({"reason": "Gone"}, True),
        ({"code": 500, "reason": "InternalError"}, False),
        ({"code": 429}, False),
        ("what?", False),
    ],
)
def test_an_error_in_the_stream(content: object, expired: bool) -> None:
    """Only a resource version that is gone calls for a new list; everything else goes on from where it was."""
    assert watch.stream_error(frame("ERROR", content)).expired is expired


def test_positions() -> None:
    """Start: WatchList. Synced: watch. Holes: from the start. Without WatchList: paged lists, for good."""
    start = Position()
    assert start.move == "watchlist"
    synced = watch.synced(start, "7")
    assert (synced.move, synced.resource_version) == ("watch", "7")
    assert watch.relist(synced) == start
    paged = watch.without_watchlist(start)
    assert paged.move == "list"
    assert watch.relist(watch.synced(paged, "8")).move == "list"


@given(st.lists(st.sampled_from(["synced", "relist", "without"]), max_size=12))
def test_unsupported_is_never_forgotten(moves: list[str]) -> None:
    """Once WatchList was refused it is not asked for again; a watch always has a version to start from."""
    at, refused = Position(), False
    for move in moves:
        at = {"synced": watch.synced(at, "9"), "relist": watch.relist(at), "without": watch.without_watchlist(at)}[move]
        refused = refused or move == "without"
        assert at.unsupported is refused
        assert not (refused and at.move == "watchlist")
        assert bool(at.resource_version) == (at.move == "watch")
