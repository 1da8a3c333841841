"""Addresses as people may see them."""

import pytest

from prow_async.core import urls


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://plugin:8888/hook", "http://plugin:8888/hook"),
        ("https://me:pass@word@plugin/hook?token=t", "https://plugin/hook"),
        ("http://token@plugin", "http://plugin"),
        ("http://plugin/a@b", "http://plugin/a@b"),
        ("trigger", "trigger"),
    ],
)
def test_nothing_secret_is_shown(url: str, shown: str) -> None:
    assert urls.shown(url) == shown
