"""Options of the programs in a job's pod: JSON in a variable, or flags, or both.

Without the variable the flags say everything. With it, its JSON is the ground, and only flags that are really given
change it: a decorated pod gives both, and they agree. Keys are matched exactly, unknown ones passed over, null counts
as absent, as Go's encoding/json has it.

Source: upstream pkg/pod-utils/options/load.go (there, flags beside the variable are not even looked at).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from prow_async.api.errors import CannotStart
from prow_async.core import goflags

T = TypeVar("T", bound=msgspec.Struct)


class PodFlag(msgspec.Struct, frozen=True):
    """One flag and the option it fills.

    `field` is the option's JSON key, with dots below an object (`gcs_options.bucket`); "" is for a flag that `finish`
    of its program looks at. `shape` turns the flag's value (goflags: durations are seconds) into the JSON value.
    """

    flag: goflags.Flag
    field: str
    shape: Callable[[Any], Any] | None = None


class Program(msgspec.Struct, frozen=True):
    """How one program is told what to do."""

    name: str
    """As in messages: `clonerefs`."""
    variable: str
    """The variable that holds the JSON: `CLONEREFS_OPTIONS`."""
    flags: tuple[PodFlag, ...]
    words: str = ""
    """The key of the option that the words after the flags fill; "" allows none."""
    zero: Mapping[str, Any] = {}
    """What keys that must be there are worth when the JSON lacks them; may nest."""
    finish: Callable[[dict[str, Any], goflags.Flags], None] | None = None
    """Changes the options once more, by the flags; may raise CannotStart."""


def pod_flag(flag: goflags.Flag, field: str = "", shape: Callable[[Any], Any] | None = None) -> PodFlag:
    """Make a flag that fills the option of its own name (`src-root`: `src_root`), unless another is named."""
    return PodFlag(flag, field or flag.name.replace("-", "_"), shape)


def nanoseconds(seconds: float) -> int:
    """Shape a duration flag for an option, where Go keeps nanoseconds."""
    return round(seconds * 1_000_000_000)


def read(program: Program, kind: type[T], text: str | None, argv: Sequence[str]) -> T:
    """Return a program's options. Raises CannotStart with one line for a person, goflags.Help when asked for help.

    Args:
        text: the variable's value; None when it is not set.
    """
    parsed = goflags.parse(program.name, [one.flag for one in program.flags], argv)
    options = _ground(program, "{}" if text is None else text)
    for one in program.flags:
        if one.field and (text is None or one.flag.name in parsed.given):
            value = parsed[one.flag.name]
            _put(options, one.field, one.shape(value) if one.shape else value)
    if parsed.words:
        if not program.words:
            raise CannotStart(f"{program.name}: only flags are understood, not {parsed.words[0]!r}")
        _put(options, program.words, parsed.words)
    if program.finish is not None:
        program.finish(options, parsed)
    try:
        return msgspec.convert(options, kind)
    except msgspec.ValidationError as error:
        where = "the options" if text is None else program.variable
        raise CannotStart(f"{program.name}: {where} cannot be used: {error}") from error


def _ground(program: Program, text: str) -> dict[str, Any]:
    """Return what the variable says, with what it lacks. Raises CannotStart."""
    try:
        found = msgspec.json.decode(text.encode(errors="surrogateescape"))
        if isinstance(found, dict):
            return _merged(program.zero, found)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise CannotStart(f"{program.name}: {program.variable} is not JSON: {error}") from error
    raise CannotStart(f"{program.name}: {program.variable} must hold a JSON object")


def _merged(ground: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one object over another, objects inside likewise; null covers nothing."""
    out = {key: _merged(value, {}) if isinstance(value, Mapping) else value for key, value in ground.items()}
    for key, value in over.items():
        below = out.get(key)
        if isinstance(value, dict):
            out[key] = _merged(below if isinstance(below, dict) else {}, value)
        elif isinstance(value, list):
            out[key] = [_merged({}, item) if isinstance(item, dict) else item for item in value]
        elif value is not None:
            out[key] = value
    return out


def _put(options: dict[str, Any], field: str, value: Any) -> None:
    *above, last = field.split(".")
    for key in above:
        inner = options.setdefault(key, {})
        if not isinstance(inner, dict):  # msgspec's own words say what is wrong with it
            return
        options = inner
    options[last] = value
