"""Go text/template, as far as Prow's configuration uses it: parsed at load, executed on a ProwJob.

Fields are written by their Go names (`.Spec.Refs.Org`); core/gofields has the table. Known: if, else if, with, range,
break, continue, variables, define, template, block, parentheses, pipes, comments, trim markers and the built-in
functions except `call`. Text is written as it is: escaping for HTML is the page's business.

Source: Go's text/template and text/template/parse; errors are worded and placed as theirs where a person sees them.
"""

import functools
from typing import Any

import msgspec

from prow_async.core import gotemplate_funcs, gotemplate_lex, gotemplate_run
from prow_async.core.gotemplate_lex import Token
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

__all__ = ["Template", "TemplateError", "parse"]

_MAX_DEPTH = 50
_MAX_VARIABLES = 1000
_MAX_TEXT = 1_000_000


class Template(msgspec.Struct, frozen=True):
    """A parsed template. Immutable and shared."""

    name: str
    body: Body
    named: dict[str, Body]

    def execute(self, data: Any) -> str:
        """Return the text for `data`: a Struct of core/gofields, or mappings keyed by Go names.

        Raises: TemplateError, for example on `.Spec.Refs.Org` where the job has no refs.
        """
        return gotemplate_run.Run(self.name, self.named, data).text(self.body)


@functools.lru_cache(maxsize=1024)
def parse(text: str, name: str = "template", further: frozenset[str] = frozenset()) -> Template:
    """Read a template, or return it from the cache.

    Args:
        further: names of gotemplate_funcs.FURTHER that it may use beside the built-in functions.

    Raises: TemplateError, its message as `template: NAME:LINE: what is wrong`.
    """
    if len(text) > _MAX_TEXT:
        raise TemplateError(f"template: {name}:1: longer than {_MAX_TEXT} characters")
    parser = _Parser(gotemplate_lex.tokens(text, name), name, further)
    body = parser.top()
    return Template(name, body, parser.named)


class _Parser:
    """Recursive descent over the tokens. `_variables` are the names in scope, innermost last."""

    def __init__(self, tokens: list[Token], name: str, further: frozenset[str]) -> None:
        self._functions = gotemplate_funcs.NAMES | further
        self._tokens = tokens
        self._name = name
        self._at = 0
        self._depth = 0
        self._loops = 0
        self._variables = ["$"]
        self.named: dict[str, Body] = {}

    def top(self) -> Body:
        body, ending = self._body()
        if ending:
            raise self._error(f"unexpected {{{{{ending}}}}}")
        return body

    # tokens

    def _error(self, text: str) -> TemplateError:
        last = self._tokens[min(self._at, len(self._tokens)) - 1] if self._tokens else Token("text", "", 1)
        return TemplateError(f"template: {self._name}:{last.line}: {text}")

    def _next(self) -> Token:
        """Take the next token that is no space."""
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            self._at += 1
            if token.kind != "space":
                return token
        raise self._error("unexpected EOF")

    def _peek(self) -> Token:
        at = self._at
        token = self._next()
        self._at = at
        return token

    def _close(self, context: str) -> None:
        token = self._next()
        if token.kind != "close":
            raise self._error(f'unexpected "{token.text}" in {context}')

    # nodes

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._error(f"nested deeper than {_MAX_DEPTH} levels")

    def _body(self) -> tuple[Body, str]:
        """Read nodes up to `{{end}}`, `{{else}}` or the end of the text; return them and which it was."""
        self._deeper()
        nodes: list[Node] = []
        ending = ""
        while self._at < len(self._tokens) and not ending:
            token = self._tokens[self._at]
            self._at += 1
            if token.kind == "text":
                nodes.append(Text(token.text))
                continue
            word = self._peek()
            if word.kind == "word" and word.text in ("end", "else"):
                self._next()
                ending = word.text
                if ending == "end":
                    self._close("end")
                continue
            node = self._action(word)
            if node is not None:
                nodes.append(node)
        self._depth -= 1
        return tuple(nodes), ending

    def _action(self, word: Token) -> Node | None:
        keyword = word.text if word.kind == "word" else ""
        if keyword in ("if", "with", "range"):
            self._next()
            return self._block(keyword, word.line)
        if keyword in ("define", "block", "template"):
            self._next()
            return self._template(keyword, word.line)
        if keyword in ("break", "continue"):
            self._next()
            if not self._loops:
                raise self._error(f"{{{{{keyword}}}}} outside {{{{range}}}}")
            self._close(keyword)
            return Leave(keyword == "continue")
        pipeline = self._pipeline("command")
        self._close("command")
        return Print(pipeline)

    def _block(self, keyword: str, line: int) -> Node:
        scope = len(self._variables)
        value = self._pipeline(keyword)
        self._close(keyword)
        self._loops += keyword == "range"
        body, ending = self._body()
        self._loops -= keyword == "range"
        otherwise: Body = ()
        if ending == "else":
            otherwise = self._otherwise(keyword)
        elif not ending:
            raise self._error("unexpected EOF")
        del self._variables[scope:]
        if keyword == "if":
            return If(value, body, otherwise)
        return With(value, body, otherwise) if keyword == "with" else Range(value, body, otherwise, line)

    def _otherwise(self, keyword: str) -> Body:
        word = self._peek()
        if word.kind == "word" and word.text == keyword and keyword in ("if", "with"):
            self._next()
            self._deeper()
            chained = self._block(keyword, word.line)
            self._depth -= 1
            return (chained,)
        self._close("else")
        body, ending = self._body()
        if ending == "else":
            raise self._error("expected end; found {{else}}")
        if not ending:
            raise self._error("unexpected EOF")
        return body

    def _template(self, keyword: str, line: int) -> Node | None:
        name = self._next()
        if name.kind != "string":
            raise self._error(f'unexpected "{name.text}" in {keyword} clause')
        value = None
        if keyword == "block" or (keyword == "template" and self._peek().kind != "close"):
            value = self._pipeline(keyword)
        self._close(keyword)
        if keyword == "template":
            return Call(name.text, value, line)
        outer, self._variables = self._variables, ["$"]
        body, ending = self._body()
        self._variables = outer
        if ending != "end":
            raise self._error(f"unexpected {f'{{{{{ending}}}}}' if ending else 'EOF'} in {keyword} clause")
        self.named[name.text] = body
        return Call(name.text, value, line) if keyword == "block" else None

    # pipelines

    def _pipeline(self, context: str) -> Pipeline:
        self._deeper()
        names, assign = self._declaration(context)
        commands: list[Command] = []
        while True:
            command = self._command(context)
            if commands and isinstance(command.operands[0], Literal | Dot):
                raise self._error(f"non executable command in pipeline stage {len(commands) + 1}")
            commands.append(command)
            if self._peek().text != "|" or self._peek().kind != "mark":
                break
            self._next()
        if not assign:
            self._variables.extend(names)
            if len(self._variables) > _MAX_VARIABLES:
                raise self._error(f"more than {_MAX_VARIABLES} variables")
        self._depth -= 1
        return Pipeline(tuple(commands), names, assign)

    def _declaration(self, context: str) -> tuple[tuple[str, ...], bool]:
        start = self._at
        names: list[str] = []
        while self._peek().kind == "variable":
            names.append(self._next().text)
            mark = self._next()
            if mark.text in (":=", "=") and mark.kind == "mark":
                unknown = next((name for name in names if name not in self._variables), None)
                if mark.text == "=" and unknown:
                    raise self._error(f'undefined variable "{unknown}"')
                return tuple(names), mark.text == "="
            if mark.text != "," or context != "range" or len(names) > 1:
                break
        self._at = start
        return (), False

    def _command(self, context: str) -> Command:
        operands: list[Operand] = []
        line = self._peek().line
        while True:
            token = self._peek()
            if token.kind == "close" or (token.kind == "mark" and token.text in ("|", ")")):
                break
            if operands and self._tokens[self._at].kind != "space":
                raise self._error(f'unexpected "{token.text}" in operand')
            operands.append(self._operand(context))
        if not operands:
            raise self._error(f"missing value for {context}")
        return Command(tuple(operands), line)

    def _operand(self, context: str) -> Operand:
        operand = self._term(self._next(), context)
        fields: list[str] = []
        while self._at < len(self._tokens) and self._tokens[self._at].kind == "field":
            fields.append(self._tokens[self._at].text)
            self._at += 1
        if not fields:
            return operand
        if isinstance(operand, Literal | Function):
            raise self._error(f'unexpected ".{fields[0]}" after a constant or function')
        return Chain(operand, tuple(fields))

    def _term(self, token: Token, context: str) -> Operand:
        if token.kind == "field":
            self._at -= 1
            return Dot()
        if token.kind == "string":
            return Literal(token.text)
        if token.kind == "number":
            return Literal(self._number(token.text))
        if token.kind == "variable":
            if token.text not in self._variables:
                raise self._error(f'undefined variable "{token.text}"')
            return Variable(token.text)
        if token.kind == "word":
            return self._word(token.text)
        if token.text == ".":
            return Dot()
        if token.text == "(":
            inner = self._pipeline("parenthesized pipeline")
            if self._next().text != ")":
                raise self._error("unclosed left paren")
            return inner
        raise self._error(f'unexpected "{token.text}" in {context}')

    def _number(self, text: str) -> int | float:
        try:
            return gotemplate_funcs.number(text)
        except gotemplate_funcs.FunctionError as error:
            raise self._error(str(error)) from error

    def _word(self, word: str) -> Operand:
        constants = {"true": True, "false": False, "nil": None}
        if word in constants:
            return Literal(constants[word])
        if word not in self._functions:
            raise self._error(f'function "{word}" not defined')
        return Function(word)
