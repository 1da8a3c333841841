"""YAML as Go reads it: bytes in, plain values out, with the line of everything.

Follows the YAML library upstream Prow links (go.yaml.in/yaml/v2 behind sigs.k8s.io/yaml): YAML 1.1 booleans also for
`y`, `n`, `on`, `off`, `0o17` and `017` octal, `12:30` a string, `1e3` a float, dates strings, the first document only,
keys always strings, the last of duplicate keys, a `<<` written after a key overriding it. Types are fitted to their
fields later, by core/goconvert.
"""

import base64
import binascii
import math
import sys
from typing import Any

import msgspec
from yaml import MappingNode, MarkedYAMLError, Node, ScalarNode, SequenceNode, YAMLError
from yaml._yaml import CParser

from prow_async.api.errors import ConfigErrors, Problem
from prow_async.core import goscalars

MAX_DEPTH = 128
"""Deeper nesting is refused. Go allows 10,000; no configuration comes near, and deep input must not eat the stack."""

MAX_NODES = 1_000_000
"""More keys, values and items in one file are refused: each costs memory far beyond its text."""

_MAX_DOUBLE_KEYS = 100
_FREE_ALIASED_NODES = 400_000
_PLAIN = "plain"
_TEXT = "text"
_TAG = "tag:yaml.org,2002:"

Path = tuple[str | int, ...]
_Keys = dict[str, tuple[Node, Node]]


class Document:
    """The first document of a file, its warnings, and the way back to its lines.

    `value` is built of dict, list, str, int, float, bool and None. Aliased parts are the same object twice: never
    change it in place. Keep a Document only while its file is being worked on; it holds the whole node tree.
    """

    __slots__ = ("_keys", "_root", "problems", "value")

    def __init__(self, value: Any, problems: tuple[Problem, ...], root: Node | None) -> None:
        self.value = value
        self.problems = problems
        self._root = root
        self._keys: dict[int, _Keys] = {}
        """The keys of the mappings that were asked for: whoever has many lines to find asks for the same ones."""

    def line(self, path: Path) -> int:
        """Return the line, from 1, where `path` begins; where a part of it is missing, that of the part above."""
        node = self._root
        if node is None:
            return 0
        found: int = node.start_mark.line
        for step in path:
            key, below = self._child(node, step)
            if below is None:
                break
            found = (key or below).start_mark.line
            node = below
        return found + 1

    def depth(self, path: Path) -> int:
        """Return how many steps of `path` the document has."""
        node = self._root
        for reached, step in enumerate(path):
            below = None if node is None else self._child(node, step)[1]
            if below is None:
                return reached
            node = below
        return len(path)

    def _child(self, node: Node, step: str | int) -> tuple[Node | None, Node | None]:
        """Return the key node (None in a list) and the value node one step below, or (None, None)."""
        if isinstance(node, SequenceNode):
            if isinstance(step, int) and step < len(node.value):
                return None, node.value[step]
            return None, None
        if isinstance(node, MappingNode) and isinstance(step, str):
            return self._keys_of(node).get(step, (None, None))
        return None, None

    def _keys_of(self, node: MappingNode) -> "_Keys":
        """Return a mapping's keys, merged ones too, as they are written and as they are read; the last one counts."""
        known = self._keys.get(id(node))
        if known is not None:
            return known
        found: _Keys = {}
        for key, value in node.value:
            if key.tag == _PLAIN and key.value == "<<":
                below = value.value if isinstance(value, SequenceNode) else [value]
                for part in reversed(below):
                    if isinstance(part, MappingNode):
                        found.update(self._keys_of(part))
            elif isinstance(key, ScalarNode):
                found[key.value] = found[_key_text(key)] = (key, value)
        self._keys[id(node)] = found
        return found


class _Composer(CParser):
    """libyaml's composer, told to leave the resolving to us and to stop at MAX_DEPTH and MAX_NODES."""

    depth = 0
    nodes = 0

    def resolve(self, kind: type[Node], value: str, implicit: tuple[bool, bool] | bool) -> str:
        return _PLAIN if implicit is not True and implicit is not False and implicit[0] else _TEXT

    def descend_resolver(self, parent: Node | None, index: Any) -> None:
        self.depth += 1
        self.nodes += 1
        if self.depth > MAX_DEPTH:
            raise _Wrong(parent, f"nested deeper than {MAX_DEPTH} levels")
        if self.nodes > MAX_NODES:
            raise _Wrong(parent, f"has more than {MAX_NODES} keys, values and items; split the file")

    def ascend_resolver(self) -> None:
        self.depth -= 1


class _Built(msgspec.Struct):
    """A finished collection: its value and how many nodes it stands for with all aliases written out."""

    value: Any
    size: int


class _Wrong(Exception):
    """A place that cannot be read; ends the file."""

    def __init__(self, node: Node | None, text: str) -> None:
        super().__init__(text)
        self.line = 0 if node is None else node.start_mark.line + 1
        self.text = text


def load(data: bytes, file: str) -> Document:
    """Read the first document of `data`.

    Returns: the Document; `problems` holds warnings (duplicate keys). An empty file gives the value None.

    Raises: ConfigErrors with the one place where reading had to stop.
    """
    composer = _Composer(data)
    try:
        root = composer.get_node() if composer.check_node() else None
        builder = _Builder(file)
        value = None if root is None else builder.build(root)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 0 if mark is None else min(mark.line, data.rstrip().count(b"\n")) + 1
        text = " ".join(part for part in (error.context, error.problem) if part)
        raise ConfigErrors([Problem(file, line, f"not readable as YAML: {text}")]) from error
    except _Wrong as error:
        raise ConfigErrors([Problem(file, error.line, error.text)]) from error
    except YAMLError as error:
        place = getattr(error, "position", None)  # a byte that YAML does not take
        line = data[:place].count(b"\n") + 1 if isinstance(place, int) and place >= 0 else 0
        text = " ".join(str(error).split())
        raise ConfigErrors([Problem(file, line, f"not readable as YAML: {text}")]) from error
    finally:
        composer.dispose()
    return Document(value, tuple(builder.problems), root)


class _Builder:
    """Turns nodes into values. One per file."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.problems: list[Problem] = []
        self._scalars: dict[str, Any] = {}
        self._built: dict[int, _Built] = {}
        self._nodes = 0
        self._aliased = 0

    def build(self, node: Node) -> Any:
        """Return the node's value; collections met again through an alias are the same object."""
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        known = self._built.get(id(node))
        if known is not None:
            if known.size == 0:
                raise _Wrong(node, "an anchor contains itself")
            self._nodes += known.size
            self._aliased += known.size
            if self._aliased > _FREE_ALIASED_NODES and self._aliased * 10 > self._nodes * 9:
                raise _Wrong(node, "excessive aliasing: the document would grow far beyond its text")
            return known.value
        built = self._built[id(node)] = _Built(None, 0)
        before = self._nodes
        self._nodes += 1
        if isinstance(node, MappingNode):
            built.value = self._mapping(node)
        else:
            built.value = [self.build(item) for item in node.value]
        built.size = self._nodes - before
        return built.value

    def _scalar(self, node: ScalarNode) -> Any:
        self._nodes += 1
        text: str = node.value
        if node.tag == _PLAIN:
            try:
                return self._scalars[text]
            except KeyError:
                value = goscalars.resolve(text)
                if isinstance(value, float) and not math.isfinite(value):
                    raise _Wrong(node, f"{text} cannot be written as JSON; put it in quotes if it is text") from None
                if value is text:
                    value = sys.intern(text)
                self._scalars[text] = value
                return value
        if node.tag == _TEXT:
            return sys.intern(text)
        return _tagged(node)

    def _mapping(self, node: MappingNode) -> dict[str, Any]:
        out: dict[str, Any] = {}
        merged: set[str] = set()
        for key_node, value_node in node.value:
            if key_node.tag == _PLAIN and key_node.value == "<<":
                for key, value in self._merge(value_node).items():
                    out[key] = value
                    merged.add(key)
                continue
            if not isinstance(key_node, ScalarNode):
                raise _Wrong(key_node, "a mapping key must be a scalar")
            key = self._scalar(key_node)
            if not isinstance(key, str):
                if key is None:
                    raise _Wrong(key_node, "a mapping key must not be null")
                key = sys.intern(goscalars.key_text(key))
            if key in out and key not in merged:
                self._double(key, key_node)
            merged.discard(key)
            out[key] = self.build(value_node)
        return out

    def _double(self, key: str, node: Node) -> None:
        told = len(self.problems)
        if told > _MAX_DOUBLE_KEYS:
            return
        text = f'key "{key}" appears twice; the last one counts'
        if told == _MAX_DOUBLE_KEYS:
            text += "; so do further keys of this file, which are not listed"
        self.problems.append(Problem(self._file, node.start_mark.line + 1, text))

    def _merge(self, node: Node) -> dict[str, Any]:
        if isinstance(node, MappingNode):
            found: dict[str, Any] = self.build(node)
            return found
        out: dict[str, Any] = {}
        parts = list(node.value) if isinstance(node, SequenceNode) else [node]
        for part in reversed(parts):  # earlier ones take precedence
            if not isinstance(part, MappingNode):
                raise _Wrong(part, "<< needs a mapping or a list of mappings")
            out.update(self.build(part))
        return out


def _tagged(node: ScalarNode) -> Any:
    """Return the value of a scalar with an explicit tag. Tags that are not YAML's own leave the text as it is."""
    text: str = node.value
    if not node.tag.startswith(_TAG):
        return text
    kind = node.tag.removeprefix(_TAG)
    if kind == "str":
        return text
    if kind == "binary":
        try:
            return base64.b64decode("".join(text.split()), validate=True).decode("utf-8", "replace")
        except binascii.Error as error:
            raise _Wrong(node, "!!binary value is not base64") from error
    value = goscalars.resolve(text)
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    wanted = {"bool": bool, "int": int, "float": float, "null": type(None)}.get(kind)
    if wanted is not None and type(value) is not wanted:
        raise _Wrong(node, f'"{text[:100]}" cannot be read as !!{kind}')
    return text if wanted is None else value


def _key_text(key: ScalarNode) -> str:
    return goscalars.key_text(goscalars.resolve(key.value)) if key.tag == _PLAIN else key.value
