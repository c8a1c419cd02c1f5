"""Dates and times: types F, G, I and J (EN 13757-3, annex A). Meter time is local and has no zone.

Each function takes the bytes least significant first and returns the value, or None
and why there is none. A day, month or time that means "every" is no point in time. Year 127
means every year (a due date); such a date is told as one of the year 2127, with that mark.
"""
from __future__ import annotations

from datetime import date, datetime, time

from mbusgw.model.wording import counted

TimePoint = date | datetime | time
Decoded = tuple[TimePoint | None, str | None]


def decode_time_point(data: bytes) -> Decoded:
    """A time point by the length of its data: 2 bytes G, 3 bytes J, 4 bytes F, 6 bytes I."""
    decoder = _BY_LENGTH.get(len(data))
    if decoder is None:
        return None, f"no date or time has {counted(len(data), 'byte')}"
    return decoder(data)


def decode_type_g(data: bytes) -> Decoded:
    """Type G, 2 bytes: a date."""
    if data == b"\xff\xff" or data == b"\x00\x00":
        return None, "no date is set"
    year = data[0] >> 5 | (data[1] & 0xF0) >> 1
    return _date(_two_digit_year(year), data[1] & 0x0F, data[0] & 0x1F)


def decode_type_j(data: bytes) -> Decoded:
    """Type J, 3 bytes: a time of day."""
    second, minute, hour = data[0] & 0x3F, data[1] & 0x3F, data[2] & 0x1F
    if second > 59 or minute > 59 or hour > 23:
        return None, f"no time of day: {hour:02}:{minute:02}:{second:02}"
    return time(hour, minute, second), None


def decode_type_f(data: bytes) -> Decoded:
    """Type F, 4 bytes: date and time to the minute. Bits 5 and 6 of the hour count centuries from 1900."""
    if data[0] & 0x80:
        return None, "the meter marks this time as invalid"
    if data == b"\x00\x00\x00\x00":
        return None, "no time is set"
    year = data[2] >> 5 | (data[3] & 0xF0) >> 1
    centuries = data[1] >> 5 & 0x03
    full_year = 1900 + 100 * centuries + year if centuries and year <= 99 else _two_digit_year(year)
    return _datetime((full_year, data[3] & 0x0F, data[2] & 0x1F), (data[1] & 0x1F, data[0] & 0x3F, 0))


def decode_type_i(data: bytes) -> Decoded:
    """Type I, 6 bytes: date and time to the second, with day of week and week number, which are not needed."""
    if data[1] & 0x80:
        return None, "the meter marks this time as invalid"
    if not any(data):
        return None, "no time is set"
    year = data[3] >> 5 | (data[4] & 0xF0) >> 1
    full_year = 2000 + year if year <= 99 or year == _EVERY_YEAR else None
    return _datetime((full_year, data[4] & 0x0F, data[3] & 0x1F), (data[2] & 0x1F, data[1] & 0x3F, data[0] & 0x3F))


#: The year of two digits that stands for every year, and the year that we tell it as.
_EVERY_YEAR = 127
_TOLD_YEAR = 2127

_BY_LENGTH = {2: decode_type_g, 3: decode_type_j, 4: decode_type_f, 6: decode_type_i}


def _two_digit_year(year: int) -> int | None:
    """The year of a field that ends at 99: 0 to 80 are 2000 to 2080 (EN 13757-3, annex A). None: no year."""
    if year == _EVERY_YEAR:
        return _TOLD_YEAR
    if year > 99:
        return None
    return 2000 + year if year <= 80 else 1900 + year


def _date(year: int | None, month: int, day: int) -> tuple[date | None, str | None]:
    if year is None:
        return None, f"no year: month {month}, day {day}"
    try:
        return date(year, month, day), "every year" if year == _TOLD_YEAR else None
    except ValueError:
        return None, f"no calendar date: year {year}, month {month}, day {day}"


def _datetime(ymd: tuple[int | None, int, int], hms: tuple[int, int, int]) -> Decoded:
    day, problem = _date(*ymd)
    if day is None:
        return None, problem
    hour, minute, second = hms
    if hour > 23 or minute > 59 or second > 59:
        return None, f"no time of day: {hour:02}:{minute:02}:{second:02} on {day}"
    return datetime(day.year, day.month, day.day, hour, minute, second), problem
