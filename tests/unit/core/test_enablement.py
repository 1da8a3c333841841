"""Which repositories a process handles at all."""

import pytest

from prow_async.api.errors import CannotStart
from prow_async.core import enablement

NO = ()


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ((NO, NO, NO, NO), {"o/r": True, "o/x": True, "p/r": True}),
        ((("o",), NO, NO, NO), {"o/r": True, "o/x": True, "p/r": False}),
        ((NO, ("o/r",), NO, NO), {"o/r": True, "o/x": False, "p/r": False}),
        ((("p",), ("o/r",), NO, NO), {"o/r": True, "o/x": False, "p/r": True}),
        ((NO, NO, ("o",), NO), {"o/r": False, "o/x": False, "p/r": True}),
        ((NO, NO, NO, ("o/r",)), {"o/r": False, "o/x": True, "p/r": True}),
        ((("o",), NO, NO, ("o/r",)), {"o/r": False, "o/x": True, "p/r": False}),
        ((NO, ("o/r",), ("o",), NO), {"o/r": False, "o/x": False, "p/r": False}),
    ],
)
def test_enabled(lists: tuple[tuple[str, ...], ...], expected: dict[str, bool]) -> None:
    """Without an enabled list everything; with one only what it names; disabled always wins."""
    found = enablement.parse(*lists)
    assert {name: found.enabled(*name.split("/")) for name in expected} == expected


@pytest.mark.parametrize("repo", ["o", "o/", "/r", "o/r/x", ""])
@pytest.mark.parametrize("disabled", [False, True])
def test_no_repository(repo: str, disabled: bool) -> None:
    lists = (NO, NO, NO, (repo,)) if disabled else (NO, (repo,), NO, NO)
    with pytest.raises(CannotStart, match="is no org/repo"):
        enablement.parse(*lists)


@pytest.mark.parametrize("lists", [(("o",), NO, ("o",), NO), (NO, ("o/r",), NO, ("o/r",))])
def test_both_enabled_and_disabled(lists: tuple[tuple[str, ...], ...]) -> None:
    with pytest.raises(CannotStart, match="both enabled and disabled: o"):
        enablement.parse(*lists)
