"""Which byte strings count as secret."""

import base64

import pytest

from prow_async.core import secret_forms


def test_trimmed_and_base64_of_both() -> None:
    found = secret_forms.of([b" token\n"])
    assert found == {b"token", base64.b64encode(b"token"), base64.b64encode(b" token\n")}


@pytest.mark.parametrize("secret", [b"", b" \n\t", b"true", b"False\n", b"TRUE", "\u00a0".encode()])
def test_what_is_no_secret(secret: bytes) -> None:
    assert secret_forms.of([secret]) == set()


def test_the_shortest_length_counts_the_trimmed_bytes() -> None:
    assert secret_forms.of([b"abc  ", b"abcd"], 4) == secret_forms.of([b"abcd"])


def test_bytes_that_are_no_text_keep_every_byte() -> None:
    assert b"\xff\xfe\x80" in secret_forms.of([b"\xff\xfe\x80\n"])


def test_credentials_of_docker() -> None:
    inner = b'{"r": {"auth": "QQ==", "password": "pw", "email": "e"}, "s": {}, "t": null}'
    assert secret_forms.inside(".dockercfg", inner, ()) == (b"QQ==", b"pw")
    assert secret_forms.inside(".dockerconfigjson", b'{"auths": %s}' % inner, ()) == (b"QQ==", b"pw")
    assert secret_forms.inside(".dockerconfigjson", b"{}", ()) == ()
    assert secret_forms.inside("config.json", inner, ()) == ()


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"r": {"auth": 3, "password": "hidden"}}', b"\xff"])
def test_broken_credentials_are_told_without_showing_them(content: bytes) -> None:
    with pytest.raises(secret_forms.NotReadable) as told:
        secret_forms.inside(".dockercfg", content, ())
    assert "hidden" not in str(told.value)
    assert told.value.__cause__ is None


def test_values_of_ini_files() -> None:
    content = b"""\xef\xbb\xbf; comment
top = 1st
[aws "x"]
key: 2nd # why
quoted = "3rd ; all of it"
long = 4\\
  th
empty =
no value here
raw = `5th`
"""
    found = secret_forms.inside("credentials", content, ["credentials"])
    assert found == (b"1st", b"2nd", b"3rd ; all of it", b"4th", b"5th")
