"""Regular expressions in Go's syntax, through RE2. Searching is unanchored, as Go's MatchString is.

Checked against Go on production patterns: no difference in matching; `\\C`, which Go refuses and RE2 takes, is refused.
"""

import functools
import re

import re2

_MAX_NESTING = 1000
"""Go's limit; RE2 has none, and takes gigabytes for a few thousand parentheses in one another."""
_SHOWN = 200
_PARENTHESES = re.compile(r"\\Q.*?(?:\\E|$)|\\.|\[\^?\]?(?:\[:\w+:\]|\\.|[^\]\\])*\]?|[()]", re.DOTALL)
_ODD_STEPS = re.compile(r"\\Q.*?(?:\\E|$)|\\(.)", re.DOTALL)


class PatternError(ValueError):
    """The pattern does not compile. The message says why; tell the person who wrote it."""


class Pattern:
    """A compiled pattern. Immutable, safe to share."""

    __slots__ = ("_compiled", "text")

    def __init__(self, text: str) -> None:
        if "\\C" in text and any(found.group(1) == "C" for found in _ODD_STEPS.finditer(text)):
            raise PatternError(f"error parsing regexp: invalid escape sequence: `\\C` in `{_short(text)}`")
        if _too_deep(text):
            raise PatternError(f"error parsing regexp: expression nests too deeply: `{_short(text)}`")
        options = re2.Options()
        options.log_errors = False
        try:
            self._compiled = re2.compile(_encodable(text), options)
        except re2.error as error:
            raise PatternError(f"error parsing regexp: {_reason(error)} in `{_short(text)}`") from error
        self.text = text

    @property
    def size(self) -> int:
        """Return the number of instructions: at the worst a search takes as many steps for each character."""
        return self._compiled.programsize

    def search(self, text: str) -> bool:
        """Say whether the pattern matches anywhere in `text`."""
        return self._compiled.search(_encodable(text)) is not None

    def groups(self, text: str) -> tuple[str | None, ...] | None:
        """Return the groups of the first match (None for one that took no part), or None without a match."""
        found = self._compiled.search(_encodable(text))
        return None if found is None else found.groups()

    def find_all(self, text: str) -> list[tuple[str, tuple[str | None, ...]]]:
        """Return every match that does not overlap another: what it covers, and its groups."""
        return [(found.group(0), found.groups()) for found in self._compiled.finditer(_encodable(text))]


@functools.lru_cache(maxsize=65_536)
def compile(pattern: str) -> Pattern:  # the field's word; used as patterns.compile
    """Compile a Go pattern, or return it from the cache.

    Raises: PatternError.
    """
    return Pattern(pattern)


def problem(pattern: str) -> str | None:
    """Return why a pattern does not compile, or None when it does."""
    try:
        compile(pattern)
    except PatternError as error:
        return str(error)
    return None


def _encodable(text: str) -> str:
    """Replace lone surrogates (JSON can carry them) as Go does, so that the text has a UTF-8 form."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _too_deep(text: str) -> bool:
    """Say whether groups nest deeper than Go allows. Looks closer only at text that has enough parentheses."""
    if text.count("(") <= _MAX_NESTING:
        return False
    depth = deepest = 0
    for found in _PARENTHESES.finditer(text):
        depth += {"(": 1, ")": -1}.get(found.group(), 0)
        deepest = max(deepest, depth)
    return deepest > _MAX_NESTING


def _reason(error: re2.error) -> str:
    reason = error.args[0] if error.args else error
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
