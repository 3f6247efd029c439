"""Reads the cells of a column as numbers: as they stand, as people write them, dates, and numbers inside of texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Literal, SupportsFloat, SupportsIndex, TypeAlias

import numpy as np
from jaxtyping import Float

from polymodal.codecs import dates, numerals
from polymodal.codecs.notation import most, numerals_of
from polymodal.errors import MissingCellError, UnreadableCellError

_PLAIN = {int, float, bool, type(None)}
_LOOKED_AT = 4_000  # cells
_BLANK = "['’ \u00a0\u202f]"
_NUMBER = re.compile(rf"(?:(?<![\w.,])[-\u2212])?[0-9]+(?:[.,][0-9]+|{_BLANK}[0-9]{{3}}(?![0-9]))*")
_DAY = float(dates.DAY)  # microseconds
_ENDS = 1_000  # characters at each end of a text, in which numbers are looked for

Kind: TypeAlias = Literal["number", "date"]


@dataclass(frozen=True)
class NumericCells:
    """The cells of a column as numbers.

    Attributes:
        kind: what they are; a date is the days since 1970.
        values: [rows] NaN where a cell is missing or cannot be read.
    """

    kind: Kind
    values: Float[np.ndarray, " N"]


def reading_of(cells: Sequence[object]) -> NumericCells | None:
    """The cells as numbers or dates, where most of them are; a few odd ones do not count.

    >>> reading_of(["1,5 kg", "2,5 kg", "?", "4,5 kg"]).values.tolist()
    [1.5, 2.5, nan, 4.5]
    """
    if (plain := as_numbers(cells)) is not None:
        return NumericCells("number", plain)
    present = [cell for cell in cells if cell is not None]
    some = present[:: 1 + len(present) // _LOOKED_AT]
    found = numerals_of(some)
    if most(found.numbers, found.cells):
        return _reading("number", cells, partial(_number, notation=found.notation))
    order = dates.order_of(some)
    words = Counter(cell for cell in some if isinstance(cell, str))  # each once: categories repeat
    dated = sum(count for word, count in words.items() if _days(word, order) is not None)
    dated += sum(_days(cell, order) is not None for cell in some if not isinstance(cell, str))
    if most(dated, len(some)):
        return _reading("date", cells, partial(_days, order=order))
    return None


def as_numbers(cells: Sequence[object]) -> Float[np.ndarray, " N"] | None:
    """Cells as float64, NaN where missing; None where one that is not missing is no finite number."""
    if set(map(type, cells)) <= _PLAIN:
        try:
            values = np.array(cells, dtype=np.float64)  # None becomes NaN, which no cell is
        except OverflowError:
            return None
        return None if np.isinf(values).any() or np.isnan(values).all() else values
    values = np.full(len(cells), np.nan)
    for row, cell in enumerate(cells):
        if cell is None:
            continue
        if not isinstance(cell, str | bytes | SupportsFloat | SupportsIndex):
            return None
        try:
            values[row] = float(cell)
        except (TypeError, ValueError, OverflowError):
            return None
        if not np.isfinite(values[row]):
            return None
    return None if np.isnan(values).all() else values


def numbers_inside(texts: Sequence[str | None]) -> list[list[str]]:
    """The numbers in each text, as they are written there.

    >>> numbers_inside(["price: 1,234.50 EUR (2 left)", None])
    [['1,234.50', '2'], []]
    """
    return [[] if text is None else _NUMBER.findall(_shortened(text)) for text in texts]


def value_inside(number: str, decimal: str) -> float:
    """The value of a number in a text by its decimal mark, `.` or `,`; NaN where it is written otherwise."""
    plain = re.sub(_BLANK, "", number).replace("\u2212", "-").replace("," if decimal == "." else ".", "")
    try:
        return float(plain.replace(",", "."))
    except ValueError:
        return np.nan


def _reading(kind: Kind, cells: Sequence[object], read: Callable[[object], float | None]) -> NumericCells | None:
    known: dict[object, float | None] = {}  # cells that come again are read once
    for cell in cells:
        if cell not in known:
            known[cell] = read(cell)
    values = np.array([known[cell] for cell in cells], dtype=np.float64)
    return None if np.isnan(values).all() else NumericCells(kind, values)


def _number(cell: object, notation: numerals.Notation) -> float | None:
    try:
        if isinstance(cell, str):
            value = numerals.read_numeral(cell, notation)
        elif isinstance(cell, timedelta):
            value = cell.total_seconds()
        elif isinstance(cell, SupportsFloat):
            value = float(cell)
        else:
            return None
    except (MissingCellError, UnreadableCellError, TypeError, ValueError, OverflowError):
        return None
    return value if np.isfinite(value) else None


def _days(cell: object, order: dates.Order | None) -> float | None:
    try:
        found = dates.read_date(cell, order)
    except UnreadableCellError:
        return None
    return None if found.days is None and found.micros is None else (found.days or 0) + (found.micros or 0) / _DAY


def _shortened(text: str) -> str:
    return text if len(text) <= 2 * _ENDS else f"{text[:_ENDS]} {text[-_ENDS:]}"
