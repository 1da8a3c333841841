"""Cron expressions as robfig/cron v3 reads them, set up as upstream Prow does: seconds optional, descriptors, UTC.

Five fields (minute hour day-of-month month day-of-week) or six with seconds first; `*`, `?`, lists, ranges, steps,
month and weekday names; `@hourly` and its kin; `@every DURATION`; a `TZ=` or `CRON_TZ=` prefix. When both day fields
are restricted, either may match; a field counts as unrestricted only for `*`, `?` and steps of 1 over them.

Source: upstream pkg/cron/cron.go and the schedule semantics of github.com/robfig/cron/v3 v3.0.1.
"""

import functools
import re

import msgspec

from prow_async.core import cron_times, durations

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY_NAMES = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = {name: i for i, name in enumerate(_MONTH_NAMES, 1)}
_DAYS = {name: i for i, name in enumerate(_DAY_NAMES)}
_DESCRIPTORS = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}

Schedule = cron_times.Schedule
next_after = cron_times.next_after

_NUMBER = re.compile(r"\+?[0-9]{1,9}", re.ASCII)


class CronError(ValueError):
    """The text is no cron expression; the message says which part. Tell the person who wrote it."""


class _Field(msgspec.Struct, frozen=True):
    """A field of the expression: its bounds, and the names that may stand for numbers."""

    name: str
    low: int
    high: int
    names: dict[str, int] = {}


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 6, _DAYS),
)


@functools.lru_cache(maxsize=8192)
def parse(text: str) -> Schedule:
    """Read a cron expression, or return it from the cache.

    Raises: CronError.
    """
    zone = "UTC"
    spec = text
    if spec.startswith(("TZ=", "CRON_TZ=")):
        head, space, spec = spec.partition(" ")
        zone = head.partition("=")[2] or "UTC"
        if not space:
            raise CronError(f'"{text}": a time zone and nothing behind it')
        try:
            cron_times.zone_named(zone)
        except LookupError as error:
            raise CronError(str(error)) from error
        spec = spec.strip()
    if not spec:
        raise CronError("empty spec string")
    if spec.startswith("@"):
        return _descriptor(spec, zone)
    fields = spec.split()
    if len(fields) == 5:
        fields.insert(0, "0")
    if len(fields) != 6:
        raise CronError(f'"{text}": expected 5 to 6 fields, found {len(fields)}')
    return _from_fields(fields, zone)


def _descriptor(spec: str, zone: str) -> Schedule:
    if spec in _DESCRIPTORS:
        return _from_fields(_DESCRIPTORS[spec].split(), zone)
    if spec.startswith("@every "):
        try:
            wait_ns = durations.parse_ns(spec.removeprefix("@every "))
        except durations.DurationError as error:
            raise CronError(f'"{spec}": {error}') from error
        return Schedule(every_s=max(1, wait_ns // 1_000_000_000), zone=zone)
    raise CronError(f'unrecognized descriptor: "{spec}"')


def _from_fields(fields: list[str], zone: str) -> Schedule:
    bits = [_bits(text, field) for text, field in zip(fields, _FIELDS, strict=True)]
    return Schedule(
        second=bits[0][0],
        minute=bits[1][0],
        hour=bits[2][0],
        day=bits[3][0],
        any_day=bits[3][1],
        month=bits[4][0],
        weekday=bits[5][0],
        any_weekday=bits[5][1],
        zone=zone,
    )


def _bits(text: str, field: _Field) -> tuple[int, bool]:
    """Return the set of a field's numbers, and whether one of its parts is an unstepped star."""
    bits, star = 0, False
    for part in text.split(","):
        if part:  # robfig drops empty list items
            more, is_star = _part(part, field)
            bits |= more
            star |= is_star
    return bits, star


def _part(part: str, field: _Field) -> tuple[int, bool]:
    span, *steps = part.split("/")
    low_text, *high_texts = span.split("-")
    star = low_text in ("*", "?")
    if len(steps) > 1 or len(high_texts) > 1:
        raise CronError(f'{field.name} "{part}": too many {"slashes" if len(steps) > 1 else "hyphens"}')
    if star:
        low, high = field.low, field.high
    else:
        low = _number(low_text, field)
        high = _number(high_texts[0], field) if high_texts else low
    step = 1
    if steps:
        step = _plain_number(steps[0], field)
        if not high_texts and not star:
            high = field.high
        star = star and step <= 1
    if step == 0:
        raise CronError(f'{field.name} "{part}": the step must be a positive number')
    if low < field.low or high > field.high:
        raise CronError(f'{field.name} "{part}": must be within {field.low}-{field.high}')
    if low > high:
        raise CronError(f'{field.name} "{part}": the range begins beyond its end')
    return sum(1 << n for n in range(low, high + 1, step)), star


def _number(text: str, field: _Field) -> int:
    named = field.names.get(text.lower())
    return _plain_number(text, field) if named is None else named


def _plain_number(text: str, field: _Field) -> int:
    if not _NUMBER.fullmatch(text):
        raise CronError(f'{field.name}: "{text}" is not a number')
    return int(text)
