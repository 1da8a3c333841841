"""When a cron schedule fires. Its text form is read by core/cron.

Source: the schedule semantics of github.com/robfig/cron/v3 v3.0.1, clock changes included.
"""

import functools
import zoneinfo
from datetime import UTC, date, datetime, timedelta, tzinfo

import msgspec

_YEARS_AHEAD = 5


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """When to fire. With `every_s` above 0 that many seconds after the given time, and the rest is unused.

    The other fields are bit sets: bit N is set when N matches. `any_*` says that the day field stands unrestricted.
    """

    every_s: int = 0
    second: int = 0
    minute: int = 0
    hour: int = 0
    day: int = 0
    month: int = 0
    weekday: int = 0
    any_day: bool = False
    any_weekday: bool = False
    zone: str = "UTC"


def next_after(schedule: Schedule, t_s: float) -> float | None:
    """Return the first time after `t_s` (Unix seconds) at which it fires, or None when there is none in five years."""
    start = int(t_s // 1)
    if schedule.every_s:
        return float(start + schedule.every_s)
    if not (schedule.second and schedule.minute and schedule.hour):
        return None  # a field of nothing but commas
    zone = zone_named(schedule.zone)
    if zone is UTC:
        return _next_utc(schedule, start + 1)
    return _next_zoned(schedule, start + 1, zone)


@functools.lru_cache(maxsize=64)
def zone_named(name: str) -> tzinfo:
    """Return a time zone. Raises LookupError when none of that name is known here."""
    if name == "UTC":
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise LookupError(f'"{name}" is no time zone known here') from error


def _day_matches(schedule: Schedule, day: date) -> bool:
    by_day = bool(schedule.day >> day.day & 1)
    by_weekday = bool(schedule.weekday >> day.isoweekday() % 7 & 1)
    if schedule.any_day or schedule.any_weekday:
        return by_day and by_weekday
    return by_day or by_weekday


def _lowest_from(bits: int, low: int) -> int:
    """Return the lowest member that is at least `low`, or -1."""
    left = bits >> low
    return -1 if not left else low + (left & -left).bit_length() - 1


def _next_utc(schedule: Schedule, start: int) -> float | None:
    try:
        at = datetime.fromtimestamp(start, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    last_year = at.year + _YEARS_AHEAD
    time_of_day = _time_from(schedule, at.hour, at.minute, at.second)
    day = at.date()
    if time_of_day is None or not _month_and_day_match(schedule, day):
        time_of_day = _time_from(schedule, 0, 0, 0)
        found = _next_day(schedule, day, last_year)
        if found is None or time_of_day is None:
            return None
        day = found
    hour, minute, second = time_of_day
    return datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=UTC).timestamp()


def _month_and_day_match(schedule: Schedule, day: date) -> bool:
    return bool(schedule.month >> day.month & 1) and _day_matches(schedule, day)


def _next_day(schedule: Schedule, day: date, last_year: int) -> date | None:
    """Return the first matching day after `day`, up to the end of `last_year`."""
    while True:
        if schedule.month >> day.month & 1:
            day += timedelta(days=1)
        else:
            day = (day.replace(day=1) + timedelta(days=31)).replace(day=1)
        if day.year > last_year:
            return None
        if _month_and_day_match(schedule, day):
            return day


def _time_from(schedule: Schedule, hour: int, minute: int, second: int) -> tuple[int, int, int] | None:
    """Return the first matching time of day from the given one on, or None when the day has no more."""
    found_second = _lowest_from(schedule.second, second)
    if found_second < 0:
        minute += 1
    found_minute = _lowest_from(schedule.minute, minute)
    if found_minute < 0:
        hour += 1
    found_hour = _lowest_from(schedule.hour, hour)
    if found_hour < 0:
        return None
    first_minute, first_second = _lowest_from(schedule.minute, 0), _lowest_from(schedule.second, 0)
    if found_hour > hour or found_minute < 0:
        return found_hour, first_minute, first_second
    if found_minute > minute or found_second < 0:
        return found_hour, found_minute, first_second
    return found_hour, found_minute, found_second


class _Walk:
    """A moment in a zone with clock changes, stepped as robfig steps it: calendar units by the wall clock, hours and
    smaller by real time. Each `to_*` moves on to a matching unit and says whether it stayed inside the unit above.
    """

    def __init__(self, schedule: Schedule, t_s: int, zone: tzinfo) -> None:
        self._schedule = schedule
        self._zone = zone
        self._cut = False
        self._go(t_s)

    def _go(self, t_s: int) -> None:
        self.t_s = t_s
        self.at = datetime.fromtimestamp(t_s, self._zone)

    def _offset_s(self, t_s: int) -> int:
        offset = datetime.fromtimestamp(t_s, self._zone).utcoffset()
        return 0 if offset is None else int(offset.total_seconds())

    def _go_wall(self, day: date, hour: int = 0, minute: int = 0, second: int = 0) -> None:
        """Go to a wall-clock time. Where clocks jump, choose as Go's time.Date does."""
        as_utc = int(datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=UTC).timestamp())
        self._go(as_utc - self._offset_s(as_utc - self._offset_s(as_utc)))

    def _cut_to(self, day: date, hour: int = 0) -> None:
        if not self._cut:
            self._cut = True
            self._go_wall(day, hour)

    def to_month(self) -> bool:
        while not self._schedule.month >> self.at.month & 1:
            self._cut_to(self.at.date().replace(day=1))
            at = self.at
            first = (at.date().replace(day=1) + timedelta(days=31)).replace(day=1)
            self._go_wall(first + timedelta(days=at.day - 1), at.hour, at.minute, at.second)
            if self.at.month == 1:
                return False
        return True

    def to_day(self) -> bool:
        while not _day_matches(self._schedule, self.at.date()):
            self._cut_to(self.at.date())
            at = self.at
            self._go_wall(at.date() + timedelta(days=1), at.hour, at.minute, at.second)
            hour = self.at.hour
            if hour:  # midnight does not exist on that day
                self._go(self.t_s + (24 - hour if hour > 12 else -hour) * 3600)
            if self.at.day == 1:
                return False
        return True

    def to_hour(self) -> bool:
        while not self._schedule.hour >> self.at.hour & 1:
            self._cut_to(self.at.date(), self.at.hour)
            self._go(self.t_s + 3600)
            if self.at.hour == 0:
                return False
        return True

    def to_minute(self) -> bool:
        while not self._schedule.minute >> self.at.minute & 1:
            self._go(self.t_s + 60 - (0 if self._cut else self.t_s % 60))
            self._cut = True
            if self.at.minute == 0:
                return False
        return True

    def to_second(self) -> bool:
        while not self._schedule.second >> self.at.second & 1:
            self._cut = True
            self._go(self.t_s + 1)
            if self.at.second == 0:
                return False
        return True


def _next_zoned(schedule: Schedule, start: int, zone: tzinfo) -> float | None:
    walk = _Walk(schedule, start, zone)
    last_year = walk.at.year + _YEARS_AHEAD
    while walk.at.year <= last_year:
        if walk.to_month() and walk.to_day() and walk.to_hour() and walk.to_minute() and walk.to_second():
            return float(walk.t_s)
    return None
