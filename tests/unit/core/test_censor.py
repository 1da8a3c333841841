"""Secrets in streams: whatever the cut, whatever overlaps."""

import base64
import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.core.censor import Censor
from prow_async.core.censor_plan import MASK

WORDS = st.binary(min_size=1, max_size=40).map(lambda data: bytes(b"abc"[byte % 3] for byte in data))
"""Over three letters, so that secrets overlap, nest and repeat."""


def naive(forms: list[bytes], data: bytes) -> bytes:
    """Mask by looking at every place for every secret."""
    out = bytearray(data)
    for form in forms:
        for at in range(len(data) - len(form) + 1):
            if data.startswith(form, at):
                out[at : at + len(form)] = MASK * len(form)
    return bytes(out)


def in_pieces(found: Censor, pieces: list[bytes]) -> tuple[bytes, bytes]:
    stream = found.stream()
    out = [*(stream.feed(piece) for piece in pieces), stream.finish()]
    return b"".join(piece.raw for piece in out), b"".join(piece.masked for piece in out)


@given(st.lists(WORDS, max_size=8), st.lists(WORDS, max_size=12))
def test_every_byte_of_every_occurrence_is_masked_and_no_other(forms: list[bytes], pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    raw, masked = in_pieces(Censor(forms), pieces)
    assert raw == data
    assert masked == naive(forms, data)
    assert not any(form in masked for form in forms)


@given(st.lists(WORDS, min_size=1, max_size=8), st.lists(st.lists(WORDS, max_size=12), min_size=2, max_size=4))
def test_secrets_that_are_everywhere_are_found_in_another_way(forms: list[bytes], texts: list[list[bytes]]) -> None:
    found = Censor(forms, every_bytes=10)
    for pieces in texts:
        assert in_pieces(found, pieces)[1] == naive(forms, b"".join(pieces))


def test_words_become_frequent_and_stay_exact() -> None:
    forms = [b"test", b"testing", b"stop", b"a secret that is rare", b"X-ray"]
    found = Censor(forms)
    text = b"a test of testing, do not stop; X-ray " * 100
    rare = b"testest stest teststop a secret that is rartest a secret that is rare X-ray"
    for _ in range(3):
        assert found.whole(text) == naive(forms, text)
    assert found.plan.frequent == (b"testing", b"test", b"stop")
    for size in (1, 5, 1000):
        data = text + rare + text
        assert in_pieces(found, [data[at : at + size] for at in range(0, len(data), size)])[1] == naive(forms, data)


@given(st.lists(st.binary(min_size=1, max_size=80), max_size=6), st.data())
def test_any_cut_gives_what_the_whole_gives(forms: list[bytes], data: st.DataObject) -> None:
    parts = data.draw(st.lists(st.one_of(st.binary(max_size=30), st.sampled_from(forms or [b""])), max_size=12))
    text = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=10)))
    edges = [0, *cuts, len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(edges)]
    found = Censor(forms)
    assert in_pieces(found, pieces) == (text, found.whole(text))
    assert found.whole(text) == naive(forms, text)


def test_secrets_that_begin_alike_are_told_apart_by_all_their_bytes() -> None:
    begin = b"-----BEGIN RSA PRIVATE KEY-----\n"
    forms = [begin + b"one" * 1000, begin + b"two" * 1000, begin[:30]]
    text = b"a " + forms[0] + b" b " + forms[1][:-1] + b" c"
    masked = Censor(forms).whole(text)
    assert masked == b"a " + b"X" * len(forms[0]) + b" b " + b"X" * 30 + forms[1][30:-1] + b" c"


def test_a_short_secret_where_a_longer_one_only_begins() -> None:
    long = b"0123456789" * 4
    masked = Censor([long, long[:7]]).whole(b"<" + long[:-1] + b">")
    assert masked == b"<" + b"X" * 7 + b"789" + (b"X" * 7 + b"789") * 2 + b"X" * 7 + b"78>"


def test_a_piece_without_secrets_is_given_back_as_it_is() -> None:
    stream = Censor([b"hunter2"]).stream()
    piece = stream.feed(b"nothing to see here")
    assert piece.raw is piece.masked
    assert not Censor([])
    assert Censor([b"", b""]).whole(b"all") == b"all"


def test_hundreds_of_secrets_in_all_forms_at_every_offset_of_a_cut() -> None:
    source = random.Random(7)
    secrets = [source.randbytes(source.randint(6, 60)) for _ in range(200)]
    forms = [*secrets, *map(base64.b64encode, secrets)]
    found = Censor(forms)
    text = b" ".join(source.choice(forms) for _ in range(300))
    for size in (1, 7, 61, 4096):
        _, masked = in_pieces(found, [text[at : at + size] for at in range(0, len(text), size)])
        assert set(masked) == set(b"X "), size


@pytest.mark.parametrize("secret", [b".*", b"a|b", b"\\E", b"\x00\xff", "пароль".encode(), b"(", b"\n\n"])
def test_secrets_are_bytes_and_no_patterns(secret: bytes) -> None:
    assert Censor([secret]).whole(b"<" + secret + b">ab") == b"<" + b"X" * len(secret) + b">ab"
