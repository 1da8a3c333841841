"""Executes a parsed template on data."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from prow_async.core import gofields, gotemplate_funcs
from prow_async.core.gotemplate_nodes import (
    Body,
    Call,
    Chain,
    Command,
    Dot,
    Function,
    If,
    Leave,
    Literal,
    Node,
    Operand,
    Pipeline,
    Print,
    Range,
    TemplateError,
    Text,
    Variable,
    With,
)

_MAX_DEPTH = 100
_MAX_STEPS = 250_000
_CHARACTERS_A_STEP = 1000
_MAX_CHARACTERS = gotemplate_funcs.MAX_CHARACTERS


class _Left(Exception):
    """A break or continue on its way to its range."""

    def __init__(self, again: bool) -> None:
        super().__init__()
        self.again = again


class Run:
    """One execution. `_variables` is a stack of (name, value); the innermost of a name is the last."""

    def __init__(self, name: str, named: Mapping[str, Body], data: Any) -> None:
        self._name = name
        self._named = named
        self._variables: list[tuple[str, Any]] = [("$", data)]
        self._data = data
        self._out: list[str] = []
        self._written = 0
        self._depth = 0
        self._steps = 0
        self._line = 1

    def text(self, body: Body) -> str:
        """Return what the body writes. Raises TemplateError."""
        self._body(body, self._data)
        return "".join(self._out)

    def _error(self, text: str) -> TemplateError:
        return TemplateError(f"template: {self._name}:{self._line}: {text}")

    def _write(self, text: str) -> None:
        self._written += len(text)
        if self._written > _MAX_CHARACTERS:
            raise self._error(f"output is longer than {_MAX_CHARACTERS} characters")
        self._out.append(text)

    def _spend(self, characters: int = 0) -> None:
        """Count one step, more when it works on long text; so no template runs long, however it is written."""
        self._steps += 1 + characters // _CHARACTERS_A_STEP
        if self._steps > _MAX_STEPS:
            raise self._error(f"takes more than {_MAX_STEPS} steps")

    def _body(self, body: Body, dot: Any) -> None:
        scope = len(self._variables)
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._error(f"blocks and template calls run more than {_MAX_DEPTH} deep in one another")
        for node in body:
            self._spend()
            self._node(node, dot)
        self._depth -= 1
        del self._variables[scope:]

    def _node(self, node: Node, dot: Any) -> None:
        scope = len(self._variables)
        match node:
            case Text():
                self._write(node.text)
                return
            case Print():
                value = self._pipeline(node.pipeline, dot)
                if not node.pipeline.names:
                    self._write(self._checked(gotemplate_funcs.go_text, value))
                return  # a variable named here stays in scope
            case If():
                chosen = node.body if gotemplate_funcs.truth(self._pipeline(node.test, dot)) else node.otherwise
                self._body(chosen, dot)
            case With():
                value = self._pipeline(node.value, dot)
                if gotemplate_funcs.truth(value):
                    self._body(node.body, value)
                else:
                    self._body(node.otherwise, dot)
            case Range():
                self._range(node, dot)
            case Leave():
                raise _Left(node.again)
            case Call():
                self._call(node, dot)
        del self._variables[scope:]

    def _range(self, node: Range, dot: Any) -> None:
        self._line = node.line
        scope = len(self._variables)
        items = self._items(self._pipeline(node.value, dot, declare=False))
        if not items:
            self._body(node.otherwise, dot)
        names = node.value.names
        depth = self._depth
        for key, value in items:
            self._spend()
            if names:
                self._variables.extend(zip(names, (key, value)[2 - len(names) :], strict=True))
            try:
                self._body(node.body, value)
            except _Left as left:
                if not left.again:
                    break
            finally:
                self._depth = depth
                del self._variables[scope:]

    def _items(self, value: Any) -> list[tuple[Any, Any]]:
        if value is None or value is gotemplate_funcs.NO_VALUE:
            return []
        if isinstance(value, int) and not isinstance(value, bool):
            return [(i, i) for i in range(min(value, _MAX_STEPS + 1))]
        if isinstance(value, Mapping):
            return sorted(value.items())
        if isinstance(value, Sequence) and not isinstance(value, str):
            return list(enumerate(value))
        raise self._error(f"range can't iterate over {self._checked(gotemplate_funcs.go_text, value)}")

    def _call(self, node: Call, dot: Any) -> None:
        self._line = node.line
        body = self._named.get(node.name)
        if body is None:
            raise self._error(f'template "{node.name}" not defined')
        value = None if node.value is None else self._pipeline(node.value, dot)
        outer, self._variables = self._variables, [("$", value)]
        self._body(body, value)
        self._variables = outer

    def _pipeline(self, pipeline: Pipeline, dot: Any, declare: bool = True) -> Any:
        value: Any = gotemplate_funcs.NO_VALUE
        for number, command in enumerate(pipeline.commands):
            value = self._command(command, dot, () if number == 0 else (value,))
        if declare:
            for name in pipeline.names:
                self._name_value(name, value, pipeline.assign)
        return value

    def _name_value(self, name: str, value: Any, assign: bool) -> None:
        if not assign:
            self._variables.append((name, value))
            return
        for at in range(len(self._variables) - 1, -1, -1):
            if self._variables[at][0] == name:
                self._variables[at] = (name, value)
                return

    def _command(self, command: Command, dot: Any, piped: tuple[Any, ...]) -> Any:
        self._line = command.line
        first, *rest = command.operands
        if not isinstance(first, Function):
            if isinstance(first, Literal) and first.value is None:
                raise self._error("nil is not a command")
            if rest or piped:
                raise self._error("can't give arguments to a value that is no function")
            return self._operand(first, dot)
        if first.name in ("and", "or"):
            return self._short_circuit(first.name, rest, dot, piped)
        arguments = [self._operand(operand, dot) for operand in rest]
        return self._function(first.name, [*arguments, *piped])

    def _short_circuit(self, name: str, rest: list[Operand], dot: Any, piped: tuple[Any, ...]) -> Any:
        if not rest and not piped:
            raise self._error(f"wrong number of args for {name}: want at least 1 got 0")
        value: Any = None
        for operand in rest:
            value = self._operand(operand, dot)
            if gotemplate_funcs.truth(value) is (name == "or"):
                return value
        return piped[0] if piped else value

    def _function(self, name: str, arguments: list[Any]) -> Any:
        self._spend(sum(len(value) for value in arguments if isinstance(value, str)))
        return self._checked(gotemplate_funcs.call, name, arguments)

    def _checked(self, function: Any, *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except gotemplate_funcs.FunctionError as error:
            raise self._error(str(error)) from error

    def _operand(self, operand: Operand, dot: Any) -> Any:
        match operand:
            case Literal():
                return operand.value
            case Dot():
                return dot
            case Variable():
                return next(value for name, value in reversed(self._variables) if name == operand.name)
            case Function():
                return self._function(operand.name, [])
            case Pipeline():
                return self._pipeline(operand, dot)
            case Chain():
                value = self._operand(operand.operand, dot)
                for field in operand.fields:
                    value = self._field(value, field)
                return value

    def _field(self, value: Any, field: str) -> Any:
        if value is None:
            raise self._error(f"nil pointer evaluating .{field}")
        if isinstance(value, msgspec.Struct):
            try:
                return gofields.get(value, field)
            except LookupError:
                raise self._error(f"can't evaluate field {field} in type {type(value).__name__}") from None
        if isinstance(value, Mapping):
            for key in (field, field[:1].lower() + field[1:]):
                if key in value:
                    return value[key]
            return gotemplate_funcs.NO_VALUE
        raise self._error(f"can't evaluate field {field} in {self._checked(gotemplate_funcs.go_text, value)}")
