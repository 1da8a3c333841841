"""Tokens: read again when their file changes, and kept out of texts."""

import logging
import os
from pathlib import Path

import pytest

from prow_async.adapters.github.credentials import Credentials, FixedToken, TokenFile
from prow_async.adapters.github.wire import Ask, Pass
from prow_async.api.errors import CannotStart
from tests import virtual


def pass_of(credentials: Credentials) -> Pass:
    found: Pass = virtual.run(lambda: credentials.travel(Ask("GET", "/user")))
    return found


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """A rotated token is used from the next request on, and the new one is censored."""
    file = tmp_path / "token"
    file.write_text("first\n")
    credentials = TokenFile(file)
    first = pass_of(credentials)
    assert first.token == "first"
    file.write_text("  second-one \n")
    second = pass_of(credentials)
    assert second.token == "second-one"
    assert (second.who, second.view) != (first.who, first.view)
    assert credentials.censor("with second-one in it") == "with ***** in it"


def test_a_swapped_link_is_read_again(tmp_path: Path) -> None:
    """A mounted secret changes by swapping a link: same time, same size, another file."""
    for name, token in (("a", "token-a"), ("b", "token-b")):
        (tmp_path / name).write_text(token)
        os.utime(tmp_path / name, ns=(0, 0))
    link = tmp_path / "token"
    link.symlink_to("a")
    credentials = TokenFile(link)
    link.unlink()
    link.symlink_to("b")
    assert credentials.token() == "token-b"


def test_the_last_good_token_stays_and_one_warning_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that goes away or empty does not stop requests; people are told once each."""
    file = tmp_path / "token"
    file.write_text("good")
    credentials = TokenFile(file)
    with caplog.at_level(logging.WARNING):
        file.write_text("")
        assert [credentials.token() for _ in range(3)] == ["good"] * 3
        file.unlink()
        assert credentials.token() == "good"
    assert len(caplog.records) == 2
    file.write_text("better")
    assert credentials.token() == "better"


@pytest.mark.parametrize("content", [None, b"", b"two words", "tokén".encode(), b"\xff"])
def test_no_token_no_start(tmp_path: Path, content: bytes | None) -> None:
    """One line that names the file, and never the content."""
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CannotStart) as caught:
        TokenFile(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_anonymous_and_fixed() -> None:
    """No token is fine; one that cannot be sent is not."""
    nobody = FixedToken()
    assert (pass_of(nobody), nobody.censor("x")) == (Pass("", "anonymous", "anonymous"), "x")
    with pytest.raises(CannotStart):
        FixedToken("two words")
