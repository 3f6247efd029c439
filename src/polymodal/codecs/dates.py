"""Reads dates and times as they are commonly written, and only where the writing leaves no doubt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Literal, TypeAlias, get_args

from polymodal.codecs.date_words import WEEKDAYS, ZONES, month_of, without_accents
from polymodal.errors import UnreadableCellError

Order: TypeAlias = Literal["day_first", "month_first", "year_first"]

ORDERS: tuple[Order, ...] = get_args(Order)

PIVOT = 69
"""Years of two digits from here on are of the twentieth century, as POSIX has it."""

DAY = 86_400_000_000  # microseconds
_EPOCH = date(1970, 1, 1).toordinal()
_LONGEST = 64  # characters
_MOST = 0.9  # of the cells that tell the order
_WEEKDAY = rf"(?:(?:{WEEKDAYS})\.?,?\s+)?"
_NAME = r"(?P<name>[a-z]{3,10})\.?"
_DAY = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th|er|\.)?"
_YEAR = r"(?P<year>[0-9]{4})"
_ANY_YEAR = r"(?P<year>[0-9]{4}|'?[0-9]{2})"
_OFFSET = r"(?:utc|gmt)[+-][0-9]{1,2}(?::?[0-9]{2})?|[+-][0-9]{2}(?::?[0-9]{2})?"
_ZONE = rf"(?:\s?(?P<zone>{'|'.join(ZONES)}|{_OFFSET})(?:\[[a-z0-9/_+-]+\])?)?"
_CLOCK = (
    r"(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?)?"
    r"(?:\s?(?P<half>[ap])\.?m\.?)?" + _ZONE
)
_COMPACT_CLOCK = r"(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})(?P<second>[0-9]{2})?" + _ZONE
_THEN_CLOCK = rf"(?:(?:t|,?\s+){_CLOCK})?"
_DATES = (
    rf"{_YEAR}(?P<sign>[-/.])(?P<month>[0-9]{{1,2}})(?P=sign)(?P<day>[0-9]{{1,2}}){_THEN_CLOCK}",  # 2024-03-01
    rf"{_YEAR}-(?P<month>[0-9]{{2}})",  # 2024-03
    rf"{_YEAR}-?w(?P<week>[0-9]{{2}})(?:-?(?P<weekday>[1-7]))?",  # 2024-W09, 2024-W09-5
    rf"(?:{_YEAR}[\s-]?q(?P<quarter>[1-4])|q(?P<quarter_>[1-4])[\s/-](?P<year_>[0-9]{{4}}))",  # 2024-Q1, Q1 2024
    rf"{_NAME}[\s-]{_YEAR}",  # March 2024
    rf"{_YEAR}(?P<month>[0-9]{{2}})(?P<day>[0-9]{{2}})(?:t{_COMPACT_CLOCK})?",  # 20240301T120000Z
    rf"(?P<month>[0-9]{{2}})[/-]{_YEAR}",  # 03/2024
    rf"(?P<one>[0-9]{{1,2}})(?P<sign>[/.-])(?P<two>[0-9]{{1,2}})(?P=sign)'?(?P<three>[0-9]{{4}}|[0-9]{{2}}){_THEN_CLOCK}",
    rf"{_WEEKDAY}{_DAY}(?:[\s-]|(?<=\.)|\s+de\s+){_NAME},?(?:[\s-]|\s+del?\s+){_ANY_YEAR}{_THEN_CLOCK}",  # 1 Mar 2024
    rf"{_WEEKDAY}{_NAME}\s+{_DAY},\s+{_ANY_YEAR}{_THEN_CLOCK}",  # March 1st, 24
    rf"{_WEEKDAY}{_NAME}\s+{_DAY},?\s+{_YEAR}{_THEN_CLOCK}",  # March 1st 2024
    rf"{_WEEKDAY}{_NAME}\s+{_DAY}\s+{_CLOCK}\s+{_YEAR}",  # Fri Mar  1 12:00:00 2024
    rf"t?{_CLOCK}",  # 12:30
)
_OTHER_ZONE = re.compile(r"(?P<moment>.*[0-9])\s*\[?(?P<zone>[a-z]{2,5}|[a-z]+/[a-z_/]+)\]?", re.ASCII | re.IGNORECASE)
_FORMS = tuple(re.compile(form, re.ASCII | re.IGNORECASE) for form in _DATES)
_CLOCK_ONLY = _FORMS[-1]
_EITHER = next(form for form in _FORMS if "one" in form.groupindex)


@dataclass(frozen=True)
class DateTime:
    """A point in time, or what of it is known, in UTC.

    Attributes:
        days: since 1970-01-01; None where only a time of day was written.
        micros: microseconds of the day; None where only a date was written.
        offset: of the zone that was written, in seconds east of UTC; None where none was.
    """

    days: int | None
    micros: int | None
    offset: int | None = None


def read_date(cell: object, order: Order | None = None, pivot: int = PIVOT) -> DateTime:
    """A date, a time or both, from Python's own types or from text.

    Args:
        cell: `datetime`, `date`, `time` or a string.
        order: what comes first in 03/04/2024; None: such a string is refused where both may be the month, but with
            dots (03.04.2024) the day comes first.
        pivot: years of two digits from it on are 19.., those below it 20...

    Raises:
        UnreadableCellError: with the reason.

    >>> read_date("1 Mar 1970 12:00 +02:00")
    DateTime(days=59, micros=36000000000, offset=7200)
    """
    if isinstance(cell, datetime):
        return _joined(cell.date(), cell.time(), _seconds_east(cell))
    if isinstance(cell, date):
        return _joined(cell, None, None)
    if isinstance(cell, time):
        return _joined(None, cell, _seconds_east(cell))
    if not isinstance(cell, str):
        raise UnreadableCellError(f"not a date: a cell of type {type(cell).__name__}")
    found = _matched(cell)
    if found is None or (found.re is _CLOCK_ONLY and not _is_clock(found)):
        if (zone := unknown_zone(cell)) is not None:
            raise UnreadableCellError(f"what time zone {zone} is, is not known; write its offset, such as +01:00")
        raise UnreadableCellError(f"not a date or time that is known: {_short(cell)}")
    return _from_match(found, order, cell, pivot)


def order_of(cells: Iterable[object]) -> Order | None:
    """What comes first in 25/12/2024 and the like: by most of the strings that can only be read one way.

    None where fewer than nine in ten of them agree, or there is none. A day that equals its month tells nothing.

    >>> order_of(["03/03/2004", "04/05/2004", "12/25/2004"])
    'month_first'
    """
    found = _orders(cells)
    if not found:
        return None
    ((order, count),) = found.most_common(1)
    return order if count >= _MOST * found.total() else None


def of_both_orders(cells: Iterable[object]) -> bool:
    """Whether some strings have the day first and others the month, and too many either for the others to follow.

    >>> of_both_orders(["25/12/2004", "12/25/2004"])
    True
    """
    cells = list(cells)
    return len(_orders(cells)) > 1 and order_of(cells) is None


def unknown_zone(cell: object) -> str | None:
    """The word behind a date and time that stands for no time zone that is known; None where all is known.

    >>> unknown_zone("2024-03-01 12:30 Europe/Berlin"), unknown_zone("2024-03-01 12:30 CET")
    ('Europe/Berlin', None)
    """
    found = _OTHER_ZONE.fullmatch(cell.strip()) if isinstance(cell, str) and len(cell) <= _LONGEST else None
    if found is None or _matched(found[0]) is not None:
        return None
    moment = _matched(found["moment"])
    timed = moment is not None and moment.re is not _CLOCK_ONLY and moment.groupdict().get("hour")
    return found["zone"] if timed else None


def is_ambiguous(cell: object) -> bool:
    """Whether day and month of a string, or day and year, could each be the other, and that would be another day.

    Not where dots stand between them: without another order the day then comes first.
    """
    return is_of_several_days(cell) and "." not in str(cell).split()[0]


def is_of_several_days(cell: object) -> bool:
    """The same for any sign between the numbers."""
    match = _of_numbers(cell)
    return match is not None and _days(match) > 1


def possible_orders(cell: object) -> tuple[Order, ...]:
    """In which orders a string such as 10/01/13 is a date, by its numbers alone; none of any other cell.

    >>> possible_orders("10/01/13"), possible_orders("25/12/2013")
    (('day_first', 'month_first', 'year_first'), ('day_first',))
    """
    match = _of_numbers(cell)
    if match is None:
        return ()
    one, two, three = (int(match[part]) for part in ("one", "two", "three"))
    short = len(match["one"]) == len(match["three"]) == 2
    fits: dict[Order, bool] = {
        "day_first": 1 <= one <= 31 and 1 <= two <= 12,
        "month_first": 1 <= one <= 12 and 1 <= two <= 31 and _may_begin_with_month(match),
        "year_first": short and 1 <= two <= 12 and 1 <= three <= 31,
    }
    return tuple(order for order, fit in fits.items() if fit)


def may_have_year_first(cells: Iterable[object]) -> bool:
    """Whether all strings such as 10/01/13 may have the year first, and the third number differs more than the first.

    A column of days of one month or year rather than of one day of all years: false for most that have the day first.
    """
    matches = [match for cell in cells if (match := _of_numbers(cell)) is not None]
    first, third = {match["one"] for match in matches}, {match["three"] for match in matches}
    return len(third) > len(first) and all("year_first" in possible_orders(match[0]) for match in matches)


def has_short_year(cell: object) -> bool:
    """Whether a string has a year of two digits."""
    found = _matched(cell) if isinstance(cell, str) else None
    if found is None:
        return False
    parts = found.groupdict()
    year = parts.get("three") or parts.get("year") or ""
    return len(year.lstrip("'")) == 2


def from_micros(micros: int) -> DateTime:
    """Microseconds since 1970-01-01 in UTC.

    Raises:
        UnreadableCellError: outside of the years 1 to 9999.
    """
    days, rest = divmod(micros, DAY)
    if not 1 <= days + _EPOCH <= date.max.toordinal():
        raise UnreadableCellError("a time outside of the years 1 to 9999; is the unit right, seconds or milliseconds?")
    return DateTime(days, rest)


def date_of(days: int) -> date:
    """The date so many days after 1970-01-01; the first and the last day that Python knows, where it lies beyond."""
    return date.fromordinal(min(max(days + _EPOCH, 1), date.max.toordinal()))


def _joined(day: date | None, clock: time | None, offset: int | None) -> DateTime:
    days = None if day is None else day.toordinal() - _EPOCH
    if clock is None:
        return DateTime(days, None)
    micros = ((clock.hour * 60 + clock.minute) * 60 + clock.second) * 1_000_000 + clock.microsecond
    carried, micros = divmod(micros - (offset or 0) * 1_000_000, DAY)
    return DateTime(None if days is None else days + carried, micros, offset)


def _matched(cell: str) -> re.Match[str] | None:
    """The first form that a string has."""
    text = without_accents(cell.strip()) if len(cell) <= _LONGEST else ""
    return next((match for form in _FORMS if (match := form.fullmatch(text))), None)


def _orders(cells: Iterable[object]) -> Counter[Order]:
    """How many of the strings that can only be read one way have which order."""
    matches = [match for cell in cells if (match := _of_numbers(cell)) is not None]
    return Counter(orders[0] for match in matches if len(orders := list(_readings(match))) == 1)


def _of_numbers(cell: object) -> re.Match[str] | None:
    """The parts of a string such as 03/04/2024; None of any other."""
    return _EITHER.fullmatch(cell.strip()) if isinstance(cell, str) and len(cell) <= _LONGEST else None


def _readings(match: re.Match[str]) -> dict[Order, tuple[int, int, int]]:
    """The orders in which the parts can be read, and year, month and day in each."""
    one, two, three = int(match["one"]), int(match["two"]), int(match["three"])
    short = len(match["three"]) == 2
    found: dict[Order, tuple[int, int, int]] = {}
    if two <= 12 and one <= 31:
        found["day_first"] = three, two, one
    if one <= 12 and two <= 31 and _may_begin_with_month(match):
        found["month_first"] = three, one, two
    may_be_year = len(match["one"]) == 2 and (not 1 <= one <= 31 or match["sign"] == "-")
    if short and may_be_year and two <= 12 and 1 <= three <= 31:
        found["year_first"] = one, two, three
    return found


def _may_begin_with_month(match: re.Match[str]) -> bool:
    """Whether the numbers are no version such as 3.14.1: with dots few write a month like that first."""
    return match["sign"] != "." or len(match["three"]) == 4 or len(match["one"]) == len(match["two"]) == 2


def _days(match: re.Match[str]) -> int:
    """How many days the parts can be."""
    return len(set(_readings(match).values()))


def _from_match(found: re.Match[str], order: Order | None, cell: str, pivot: int) -> DateTime:
    parts = found.groupdict()
    if parts.get("one"):
        parts["year"], parts["month"], parts["day"] = _by_order(found, order, cell)
    elif parts.get("name"):
        parts["month"] = _month(parts["name"], cell)
    elif quarter := parts.get("quarter") or parts.get("quarter_"):
        parts["year"] = parts["year"] or parts["year_"]
        parts["month"] = str(3 * int(quarter) - 2)
    if parts.get("year"):
        parts["year"] = _whole_year(parts["year"] or "", pivot)
    try:
        day = None if found.re is _CLOCK_ONLY else _day(parts)
        clock = None if not parts.get("hour") else _clock(parts)
    except ValueError:
        raise UnreadableCellError(f"no such day or time: {_short(cell)}") from None
    return _joined(day, clock, _offset(parts.get("zone")))


def _by_order(found: re.Match[str], order: Order | None, cell: str) -> tuple[str, str, str]:
    """Year, month and day."""
    if order is None and is_ambiguous(cell):
        first, *others = _readings(found)  # reasons without the cell are equal, to be counted
        either = "the day, the month or the year" if "year_first" in others else "the day or the month"
        raise UnreadableCellError(
            f"{either} may come first; set order to {', '.join([first, *others[:-1]])} or {others[-1]}"
        )
    chosen = order or next(iter(_readings(found)), "day_first")  # the last: there is no such month
    one, two, three = found["one"], found["two"], found["three"]
    if chosen == "year_first":
        if len(three) == 4:
            raise UnreadableCellError(f"the year does not come first: {_short(cell)}")
        return one, two, three
    return (three, two, one) if chosen == "day_first" else (three, one, two)


def _whole_year(year: str, pivot: int) -> str:
    """A year of two digits with its century."""
    short = year.lstrip("'")
    if len(short) != 2:
        return year
    return f"{19 if int(short) >= pivot else 20}{short}"


def _month(name: str, cell: str) -> str:
    if (month := month_of(name)) is not None:
        return str(month)
    raise UnreadableCellError(f"not a date or time that is known: {_short(cell)}")


def _day(parts: dict[str, str | None]) -> date:
    """The first day of what was written: of a week its Monday, of a month or quarter the first."""
    if week := parts.get("week"):
        return date.fromisocalendar(int(parts["year"] or 0), int(week), int(parts.get("weekday") or 1))
    return date(*(int(parts.get(key) or 1) for key in ("year", "month", "day")))


def _clock(parts: dict[str, str | None]) -> time:
    hour = int(parts["hour"] or 0)
    if half := parts.get("half"):
        if not 1 <= hour <= 12:
            raise ValueError
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    elif parts.get("minute") is None:
        raise ValueError  # a lone hour
    fraction = ((parts.get("fraction") or "") + "000000")[:6]
    return time(hour, int(parts["minute"] or 0), int(parts.get("second") or 0), int(fraction))


def _is_clock(found: re.Match[str]) -> bool:
    """Tells 12:30 from 2:1 and from a lone number: two digits for the hour, or am or pm."""
    return bool(found["half"]) or (len(found["hour"]) == 2 and found["minute"] is not None)


def _offset(zone: str | None) -> int | None:
    """Seconds east of UTC.

    Raises:
        UnreadableCellError: no such zone.
    """
    if zone is None:
        return None
    if (known := ZONES.get(zone.lower())) is not None:
        return known * 3600
    zone = zone.lower().removeprefix("utc").removeprefix("gmt")
    digits = zone[1:].replace(":", "")
    hours, minutes = (int(digits), 0) if len(digits) <= 2 else (int(digits[:-2]), int(digits[-2:]))
    if hours > 15 or minutes > 59:
        raise UnreadableCellError(f"no such time zone: {zone}")
    return (-1 if zone[0] == "-" else 1) * (hours * 60 + minutes) * 60


def _seconds_east(cell: datetime | time) -> int | None:
    offset = cell.utcoffset()
    return None if offset is None else round(offset.total_seconds())


def _short(cell: str) -> str:
    return repr(cell) if len(cell) <= 40 else f"{cell[:40]!r}..."
