"""Uploads in rounds: what is tried again, when the rest waits, what is told in the end."""

import io
import threading

import pytest

from prow_async.api.errors import Refused, Retry
from prow_async.podutils import logs, sending
from prow_async.podutils.sending import Upload


class Storage:
    """Takes uploads; fails each path as often as told, with the error told."""

    def __init__(self, failing: dict[str, list[Exception]] | None = None, down: bool = False) -> None:
        self.failing = failing or {}
        self.down = down
        self.tries: list[str] = []
        self.pauses: list[float] = []
        self.lock = threading.Lock()

    def send(self, upload: Upload) -> None:
        with self.lock:
            self.tries.append(upload.path)
            errors = self.failing.get(upload.path, [])
            if self.down:
                raise Retry("down")
            if errors:
                raise errors.pop(0)

    def run(self, *paths: str) -> tuple[sending.Failure, ...]:
        uploads = (Upload(path, b"") for path in paths)
        return sending.send_all(uploads, self.send, self.pauses.append, logs.Log("test", io.BytesIO()))


def test_everything_goes_up_once() -> None:
    storage = Storage()
    paths = [str(number) for number in range(100)]
    assert storage.run(*paths) == ()
    assert sorted(storage.tries) == sorted(paths)
    assert storage.pauses == []


def test_what_may_work_later_is_tried_four_times() -> None:
    storage = Storage(
        {"a": [Retry("1"), Retry("2"), Retry("3")], "b": [Retry("1")], "c": [Retry("x") for _ in range(9)]}
    )
    failures = storage.run("a", "b", "c", "d")
    assert [(failure.path, str(failure.error)) for failure in failures] == [("c", "x")]
    assert {path: storage.tries.count(path) for path in "abcd"} == {"a": 4, "b": 2, "c": 4, "d": 1}
    assert storage.pauses == [1, 4, 9]


def test_what_never_works_is_tried_once() -> None:
    storage = Storage({"a": [Refused("no")]})
    failures = storage.run("a", "b")
    assert [(failure.path, str(failure.error)) for failure in failures] == [("a", "no")]
    assert (sorted(storage.tries), storage.pauses) == (["a", "b"], [])


def test_an_outage_costs_little_however_much_there_is() -> None:
    """Nothing is left out of the account, though most of it was never tried."""
    storage = Storage(down=True)
    paths = [str(number) for number in range(5000)]
    failures = storage.run(*paths)
    assert sorted(failure.path for failure in failures) == sorted(paths)
    assert all(isinstance(failure.error, Retry) for failure in failures)
    assert len(storage.tries) < 100
    assert storage.pauses == [1, 4, 9]


def test_an_outage_that_ends_loses_nothing() -> None:
    storage = Storage(down=True)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        storage.down = len(pauses) < 3

    paths = [str(number) for number in range(1000)]
    uploads = (Upload(path, b"") for path in paths)
    assert sending.send_all(uploads, storage.send, pause, logs.Log("test", io.BytesIO())) == ()
    assert set(storage.tries) == set(paths)
    assert pauses == [1, 4, 9]


def test_a_mistake_of_ours_is_not_swallowed() -> None:
    storage = Storage({"a": [ZeroDivisionError("bug")]})
    with pytest.raises(ZeroDivisionError):
        storage.run("a", "b")
