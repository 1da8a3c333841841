"""What a parsed template is made of. Read by core/gotemplate_run, made by core/gotemplate."""

from typing import Any

import msgspec


class TemplateError(ValueError):
    """A template that does not parse, or fails on its data. The message has the template's name and line."""


class Literal(msgspec.Struct, frozen=True):
    """A constant: text, number, truth value or nil."""

    value: Any


class Dot(msgspec.Struct, frozen=True):
    """The current value."""


class Variable(msgspec.Struct, frozen=True):
    """`$name`; the bare `$` is the data handed in."""

    name: str


class Function(msgspec.Struct, frozen=True):
    """A built-in function's name in operand position."""

    name: str


class Chain(msgspec.Struct, frozen=True):
    """`.A.B` behind an operand."""

    operand: "Operand"
    fields: tuple[str, ...]


class Command(msgspec.Struct, frozen=True):
    """A function or value with its arguments."""

    operands: tuple["Operand", ...]
    line: int


class Pipeline(msgspec.Struct, frozen=True):
    """Commands, each handed the one before as its last argument; the result may be named."""

    commands: tuple[Command, ...]
    names: tuple[str, ...] = ()
    assign: bool = False
    """True for `=`, which changes a variable that exists."""


Operand = Literal | Dot | Variable | Function | Chain | Pipeline


class Text(msgspec.Struct, frozen=True):
    """Written as it is."""

    text: str


class Print(msgspec.Struct, frozen=True):
    """`{{pipeline}}`."""

    pipeline: Pipeline


class If(msgspec.Struct, frozen=True):
    """`{{if}}`; an `else if` is an If alone in `otherwise`."""

    test: Pipeline
    body: tuple["Node", ...]
    otherwise: tuple["Node", ...]


class With(msgspec.Struct, frozen=True):
    """`{{with}}`: the body sees the value as its dot."""

    value: Pipeline
    body: tuple["Node", ...]
    otherwise: tuple["Node", ...]


class Range(msgspec.Struct, frozen=True):
    """`{{range}}` over a list, a mapping (by sorted keys) or a whole number."""

    value: Pipeline
    body: tuple["Node", ...]
    otherwise: tuple["Node", ...]
    line: int


class Leave(msgspec.Struct, frozen=True):
    """`{{break}}` or `{{continue}}`."""

    again: bool


class Call(msgspec.Struct, frozen=True):
    """`{{template "name" value}}`."""

    name: str
    value: Pipeline | None
    line: int


Node = Text | Print | If | With | Range | Leave | Call
Body = tuple[Node, ...]
