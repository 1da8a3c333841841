"""One file at a time: no secret stays, whatever the file is made of."""

import gzip
import os
import tempfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.core.censor import Censor
from prow_async.podutils import censored_files

SECRET = b"hunter2"
TEXT = st.lists(st.one_of(st.binary(max_size=50), st.just(SECRET)), max_size=30).map(b"".join)


def censored(content: bytes, piece_bytes: int = 64) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content)
        try:
            censored_files.censor(str(path), folder, Censor([SECRET]), piece_bytes)
        except censored_files.Damaged:
            assert content.startswith(b"\x1f\x8b")
        assert os.listdir(folder) == ["file"]
        return path.read_bytes()


def readable(packed: bytes) -> bytes:
    """Return what can be had from gzip data, however broken."""
    out = b""
    while packed:
        member = zlib.decompressobj(wbits=31)
        try:
            for at in range(len(packed)):
                out += member.decompress(packed[at : at + 1])
                if member.eof:
                    break
            else:
                return out
        except zlib.error:
            return out
        packed = packed[at + 1 :]
    return out


@given(TEXT, st.integers(1, 200))
def test_plain(text: bytes, piece_bytes: int) -> None:
    assert censored(text, piece_bytes) == text.replace(SECRET, b"X" * 7)


@given(st.lists(TEXT, min_size=1, max_size=3), st.integers(1, 200))
def test_compressed_in_any_number_of_members(texts: list[bytes], piece_bytes: int) -> None:
    packed = b"".join(map(gzip.compress, texts))
    assert gzip.decompress(censored(packed, piece_bytes)) == b"".join(texts).replace(SECRET, b"X" * 7)


@given(TEXT, st.integers(0, 200), TEXT, st.integers(1, 200))
def test_compressed_and_broken(text: bytes, cut: int, garbage: bytes, piece_bytes: int) -> None:
    packed = gzip.compress(text + SECRET + text)
    broken = packed[: max(0, len(packed) - cut)] + garbage
    after = censored(broken, piece_bytes)
    assert SECRET not in after
    assert SECRET not in readable(after)
    if SECRET in readable(broken):  # otherwise what looks like one in the compressed bytes is masked, harmful or not
        assert readable(after) == readable(broken).replace(SECRET, b"X" * 7)


def test_a_file_outside_its_folder_is_left_alone(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(SECRET)
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "folder").symlink_to(tmp_path)
    with pytest.raises(censored_files.NotCensored):
        censored_files.censor(str(inside / "folder" / "outside"), str(inside), Censor([SECRET]), 64)
    (inside / "link").symlink_to(outside)
    with pytest.raises(OSError, match="symbolic links"):
        censored_files.censor(str(inside / "link"), str(inside), Censor([SECRET]), 64)
    assert outside.read_bytes() == SECRET
