"""Archives stay readable, whatever is masked in them."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.core.censor import Censor, Piece
from prow_async.core.tar_headers import TarHeaders

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def archive(form: int, members: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "to-hunter2"
        tar.addfile(link)
    return out.getvalue()


def masked(data: bytes, secrets: list[bytes], size: int) -> bytes:
    stream, headers = Censor(secrets).stream(), TarHeaders()
    pieces = [stream.feed(data[at : at + size]) for at in range(0, len(data), size)] + [stream.finish()]
    out = [*map(headers.feed, pieces), headers.finish()]
    assert b"".join(piece.raw for piece in out) == data
    return b"".join(piece.masked for piece in out)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("size", [1, 500, 512, 100_000])
def test_names_links_and_content_are_masked_and_the_archive_reads(form: int, size: int) -> None:
    long = "folder/" * 20 + "hunter2"
    data = archive(form, [("a-hunter2", b"my hunter2!"), ("empty", b""), (long[-90:], b"x" * 2000 + b"hunter2")])
    with tarfile.open(fileobj=io.BytesIO(masked(data, [b"hunter2"], size))) as tar:
        assert tar.getnames() == ["a-XXXXXXX", "empty", long[-90:-7] + "XXXXXXX", "link"]
        assert [tar.extractfile(name).read() for name in tar.getnames()[:3]] == [  # type: ignore[union-attr]
            b"my XXXXXXX!",
            b"",
            b"x" * 2000 + b"XXXXXXX",
        ]
        assert tar.getmember("link").linkname == "to-XXXXXXX"


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_lie_in_blocks_of_their_own(form: int) -> None:
    data = archive(form, [("d/" * 150 + "hunter2", b"1")])
    with tarfile.open(fileobj=io.BytesIO(masked(data, [b"hunter2"], 700))) as tar:
        assert tar.getnames() == ["d/" * 150 + "XXXXXXX", "link"]


def test_a_secret_that_looks_like_a_number_of_a_header_stays_in_it() -> None:
    data = archive(tarfile.USTAR_FORMAT, [("a", b"0000644")])
    with tarfile.open(fileobj=io.BytesIO(masked(data, [b"0000644"], 512))) as tar:
        member = tar.getmember("a")
        assert (member.mode, tar.extractfile(member).read()) == (0o644, b"XXXXXXX")  # type: ignore[union-attr]


@given(st.binary(max_size=3000), st.integers(1, 1200))
def test_what_is_no_archive_passes_as_it_is(data: bytes, size: int) -> None:
    headers = TarHeaders()
    pieces = [
        Piece(part, part.replace(b"a", b"X")) for at in range(0, len(data), size) if (part := data[at : at + size])
    ]
    out = [*map(headers.feed, pieces), headers.finish()]
    assert b"".join(piece.masked for piece in out) == data.replace(b"a", b"X")
