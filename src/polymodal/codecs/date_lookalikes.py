"""Recognises text that looks like a date or a duration, and that `read_date` does not read or would read otherwise."""

from __future__ import annotations

import re
from datetime import date

from polymodal.codecs.date_words import month_of

_YEAR_FIRST = re.compile(r"([12][0-9]{3})([-/.])([0-9]{1,2})\2([0-9]{1,2})")
_DIGITS = re.compile(r"[0-9]{7,8}")
_MONTH = re.compile(r"([A-Za-z]{3,9})\.?[-/ ]'?([0-9]{2})")
_WORDS = re.compile(r"[0-9]{1,2}\.?[\s-]([^\W\d_]{3,12})\.?[\s,-]+(?:[12][0-9]{3})(?:\s?г\.?|\s?r\.?)?")
_DURATION = re.compile(r"-?[0-9]{1,3}:[0-5][0-9]:[0-5][0-9](?:[.,][0-9]+)?")
_YEARS = range(1900, 2101)


def day_before_month(cell: object) -> bool:
    """Whether a cell is a date such as 2010-25-12, in which year, day and month can only have this order."""
    found = _YEAR_FIRST.fullmatch(cell.strip()) if isinstance(cell, str) else None
    return found is not None and int(found[3]) > 12 and _is_day(int(found[1]), int(found[4]), int(found[3]))


def dated_form(cell: object) -> str | None:
    """What a cell that `read_date` does not take for a date looks like; None where it looks like none.

    >>> dated_form("2010-25-12"), dated_form("25122010"), dated_form("Mar-98"), dated_form("12 марта 1998")
    ('year, day and month', 'eight digits', 'month and year of two digits', 'a month in words')
    """
    text = str(cell) if isinstance(cell, int) and not isinstance(cell, bool) else cell
    if not isinstance(text, str):
        return None
    text = text.strip()
    if (found := _YEAR_FIRST.fullmatch(text)) is not None:
        return "year, day and month" if _is_day(int(found[1]), int(found[4]), int(found[3])) else None
    if _DIGITS.fullmatch(text):
        return "eight digits" if _of_digits(text.zfill(8)) else None
    if (found := _MONTH.fullmatch(text)) is not None:
        return "month and year of two digits" if month_of(found[1]) is not None else None
    if (found := _WORDS.fullmatch(text)) is not None:
        return "a month in words"
    return "a duration" if _DURATION.fullmatch(text) else None


def _of_digits(text: str) -> bool:
    """Whether eight digits are day, month and year in one of the usual orders."""
    one, two, year = int(text[:2]), int(text[2:4]), int(text[4:])
    behind = year in _YEARS and (_is_day(year, two, one) or _is_day(year, one, two))
    first = int(text[:4])
    return behind or (first in _YEARS and _is_day(first, int(text[4:6]), int(text[6:])))


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
