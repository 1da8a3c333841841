"""Cuts template text into literal text and the words inside `{{ }}`.

Source: Go's text/template: trim markers, comments, string, raw string, character and number forms.
"""

import json
import re
from typing import Literal

import msgspec

from prow_async.core.gotemplate_nodes import TemplateError

Kind = Literal["text", "open", "close", "field", "variable", "word", "string", "number", "mark", "space"]

_SPACE = " \t\r\n"
_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)")
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<string>"(?:\\.|[^"\\\n])*"|`[^`]*`)
    |(?P<char>'(?:\\.|[^'\\\n])+')
    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?)(?![\w.]))
    |(?P<field>\.[^\W\d]\w*)
    |(?P<variable>\$\w*)
    |(?P<word>[^\W\d]\w*)
    |(?P<mark>:=|[=|(),.])
    """,
    re.VERBOSE,
)


class Token(msgspec.Struct, frozen=True):
    """A piece of a template. `text` of a string is its value; the kind `space` matters between operands only."""

    kind: Kind
    text: str
    line: int


def tokens(text: str, name: str) -> list[Token]:
    """Return all tokens in order.

    Raises: TemplateError for a delimiter, comment or constant that does not end, and for foreign characters.
    """
    out: list[Token] = []
    at, line, trim = 0, 1, False
    while True:
        start = text.find("{{", at)
        literal = text[at:] if start < 0 else text[at:start]
        plain = literal.lstrip(_SPACE) if trim else literal
        if start < 0:
            if plain:
                out.append(Token("text", plain, line))
            return out
        begin = start + 2
        if text[begin : begin + 1] == "-" and text[begin + 1 : begin + 2] in tuple(_SPACE):
            plain = plain.rstrip(_SPACE)
            begin += 1
        if plain:
            out.append(Token("text", plain, line))
        line += literal.count("\n")
        at, trim = _action(text, begin, _Place(name, line), out)
        line += text.count("\n", start, at)


class _Place(msgspec.Struct, frozen=True):
    name: str
    line: int

    def error(self, text: str) -> TemplateError:
        return TemplateError(f"template: {self.name}:{self.line}: {text}")


def _action(text: str, begin: int, place: _Place, out: list[Token]) -> tuple[int, bool]:
    """Append the tokens of one action. Return where it ends, and whether white space behind it is dropped."""
    comment = re.compile(r"[ \t\r\n]?/\*").match(text, begin) if text[begin - 1] == "-" else None
    if comment or text.startswith("/*", begin):
        end = text.find("*/", begin)
        if end < 0:
            raise place.error("unclosed comment")
        closed = re.compile(r"([ \t\r\n]+-)?\}\}").match(text, end + 2)
        if not closed:
            raise place.error("comment ends before closing delimiter")
        return closed.end(), bool(closed.group(1))
    out.append(Token("open", "{{", place.line))
    at = begin
    while True:
        closed = re.compile(r"([ \t\r\n]+-)?\}\}").match(text, at)
        if closed:
            out.append(Token("close", "}}", place.line))
            return closed.end(), bool(closed.group(1))
        found = _TOKEN.match(text, at)
        if not found:
            raise place.error(_complaint(text, at))
        out.append(_token(found, place))
        at = found.end()


def _token(found: re.Match[str], place: _Place) -> Token:
    kind, text = found.lastgroup or "", found.group()
    if kind == "string":
        return Token("string", text[1:-1] if text[0] == "`" else _unquoted(text, place), place.line)
    if kind == "char":
        value = _unquoted('"' + text[1:-1].replace('"', '\\"').replace("\\'", "'") + '"', place)
        if len(value) != 1:
            raise place.error(f"malformed character constant: {text}")
        return Token("number", str(ord(value)), place.line)
    for known in ("space", "number", "field", "variable", "word", "mark"):
        if kind == known:
            return Token(known, text[1:] if known == "field" else text, place.line)
    raise place.error(f"unexpected {text}")


def _unquoted(text: str, place: _Place) -> str:
    simple = {"\\a": "\a", "\\v": "\v", "\\'": "'"}

    def plain(found: re.Match[str]) -> str:
        escape = found.group()
        if escape in simple:
            return json.dumps(simple[escape])[1:-1]
        if escape[1] in "xuU" and len(escape) > 2:
            return _character(int("0x" + escape[2:], base=0), 0x10FFFF)
        if escape[1].isdigit():
            return _character(int(escape[1:], base=8), 0xFF)
        return escape

    try:
        value: str = json.loads(_ESCAPE.sub(plain, text), strict=False)
    except ValueError as error:
        raise place.error(f"invalid syntax in string constant {text[:200]}") from error
    return value


def _character(code: int, highest: int) -> str:
    """Spell a character for JSON. Raises ValueError for what is none, as Go holds it."""
    if code > highest or 0xD800 <= code < 0xE000:
        raise ValueError(f"no character has the code {code}")
    return json.dumps(chr(code))[1:-1]


def _complaint(text: str, at: int) -> str:
    character = text[at : at + 1]
    if not character:
        return "unclosed action"
    if character == '"':
        return "unterminated quoted string"
    if character == "`":
        return "unterminated raw quoted string"
    if character == "'":
        return "unterminated character constant"
    if character == "\n":
        return "unclosed action"
    if character.isdigit() or character in "+-":
        word = re.compile(r"[\w.+-]+").match(text, at)
        return f'bad number syntax: "{word.group()[:100] if word else character}"'
    return f'unexpected "{character}" in command'
