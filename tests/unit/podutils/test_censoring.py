"""What happens to files when something goes wrong on the way to them."""

from collections.abc import Iterator

import pytest

from prow_async.podutils import censoring


def test_finding_files_that_fails_is_not_the_end_of_them() -> None:
    def broken() -> Iterator[tuple[str, str]]:
        yield "a", "/"
        raise OSError("the disk is gone")

    todo = censoring.Todo(broken())
    assert todo.take() == ("a", "/")
    with pytest.raises(OSError, match="gone"):
        todo.take()
    assert todo.take() is None
    assert not todo.is_exhausted


def test_all_taken() -> None:
    todo = censoring.Todo([("a", "/")])
    assert [todo.take(), todo.take(), todo.is_exhausted] == [("a", "/"), None, True]
