"""Dates and times: a linear position, and the cycles of day, week and year."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from pydantic import Field

from polymodal.codecs import dates, previews
from polymodal.codecs.dates import DAY, DateTime, Order
from polymodal.config.node import settings
from polymodal.config.run_config import LimitsConfig
from polymodal.errors import UnreadableCellError
from polymodal.protocols import Modality, Recognition, Sample
from polymodal.types import Cells

UNKNOWN = np.iinfo(np.int64).min  # stands for the part of a moment that was not written
LIMIT = 1e6  # a position beyond it says no more, and its square must fit float32

_MICROS = {"seconds": 1_000_000, "milliseconds": 1_000}
_DATED = (str, date, time)  # types of cells that may be dates
_YEARS = range(1600, 2401)  # strings with other years are codes rather than dates
_NUMERAL = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")


@settings
class DatetimeConfig:
    """Settings of a datetime column.

    Attributes:
        order: what comes first in 03/04/2024: `day_first`, `month_first`, or in 98/04/03 `year_first`; null: cells
            where both may be are refused, but those with dots (03.04.2024) have the day first.
        pivot: years of two digits from it on are 19.., those below it 20..: 05/01/98 is in 1998, 05/01/24 in 2024.
        unix: numbers count the `seconds` or `milliseconds` since 1970 in UTC; null: numbers are refused.
        cycles: which of `hour`, `weekday` and `year` enter as sine and cosine, if they vary in training rows.
    """

    order: Order | None = None
    pivot: Annotated[int, Field(ge=0, le=100)] = dates.PIVOT
    unix: Literal["seconds", "milliseconds"] | None = None
    cycles: tuple[Literal["hour", "weekday", "year"], ...] = ("hour", "weekday", "year")


class Datetime(Modality):
    """Reads dates, times and both together as int64 [2]: days since 1970-01-01, and microseconds of the day, in UTC.

    Read are `datetime`, `date` and `time`, NumPy's and pandas' too, and as strings:

    - ISO 8601: 2024-03-01, 2024-03, 20240301, 2024-03-01T12:30:15.5+02:00; also 2024/03/01 and 2024.03.01;
    - weeks and quarters by their first day: 2024-W09, 2024-W09-5, 2024-Q1, Q1 2024; months too: March 2024, 03/2024;
    - 1 March 2024, Mar 1st, 2024, 01-Mar-2024, Fri, 01 Mar 2024 12:00:00 GMT, Fri Mar 1 12:00:00 2024, also with names
      in German, French, Spanish, Italian, Portuguese and Dutch: 1. März 2024, 1er mars 2024, 1 de marzo de 2024;
    - 25/12/2024, 12-25-2024 and 25.12.2024; where day and month may each be the other (03/04/2024), `order` decides,
      which is suggested by the other cells of the column; where they do not tell, the cell is unreadable, but with dots
      (3.4.2024) the day comes first;
    - 12:30, 12:30:15, 12:30 pm, alone or after a date.

    A year behind day and month may have two digits: 01/05/98, 1.5.98, 1-May-98; `pivot` tells the century.
    Times with an offset or one of a few names (CET, CEST, EST and the like) are moved to UTC, those without count as
    UTC. Other names of zones, and bare numbers (unless `unix` says what they count) are unreadable.

    What enters the model: the position in days, less the mean and divided by the deviation of the training rows (the
    share of the day, where no row has a date), then sine and cosine of each cycle that varies there: the hour (of 24),
    the weekday (of 7) and the day of the year. What a cell does not say is zero.
    """

    Config: ClassVar[type] = DatetimeConfig
    group: ClassVar[str | None] = "table"
    cardinality: ClassVar[int | None] = None

    def __init__(self, config: DatetimeConfig, statistics: Mapping[str, Any] | None = None) -> None:
        self.config = config
        statistics = statistics or {}
        self.dated = bool(statistics.get("dated", True))
        self.centre = float(statistics.get("centre", 0.0))
        self.spread = float(statistics.get("spread", 1.0))
        self.cycles: tuple[str, ...] = tuple(statistics.get("cycles", ()))
        self.num_features = 1 + 2 * len(self.cycles)

    @classmethod
    def examples(cls) -> list[object]:
        return ["2024-03-01", "2023-12-31 23:59:59", date(2020, 2, 29), "1 May 1999", "2024-03-01T12:00+02:00", "12:30"]

    @classmethod
    def recognise(cls, sample: Sample) -> Recognition | None:
        """Very sure from 95 % dates on, so that unique ones are no identifiers; sure from half on."""
        if sample.only_numbers:
            return None
        num_cells = len(sample.values)
        order = dates.order_of(sample.values)
        written = Counter(value for value in sample.values if isinstance(value, _DATED))
        found = sum(count for value, count in written.items() if _looks_dated(value, order))
        if 2 * found < max(num_cells, 1):
            return None
        reason = f"{found} of {num_cells} sampled cells are dates or times"
        both = dates.of_both_orders(sample.values)
        doubt = dates.is_of_several_days if both else dates.is_ambiguous
        if order is None and (doubtful := next(filter(doubt, sample.values), None)) is not None:
            if both:
                reason += f"; some with the day first, some with the month: {doubtful} is not known, write 2024-03-01"
            else:
                orders = " or ".join(dates.possible_orders(doubtful))
                reason += f"; what comes first in {doubtful} these cells do not tell: set order to {orders}"
        elif order is not None:
            reason += f", the {order.partition('_')[0]} first"
        if found < 0.95 * num_cells:
            return Recognition(0.75, f"{reason}; {_others(sample.values, order)}")
        return Recognition(0.98, reason)

    @classmethod
    def suggest(cls, cells: Sequence[object], limits: LimitsConfig) -> dict[str, Any]:
        """Whether day or month comes first, by the cells that can only be read one way."""
        order = dates.order_of(cells)
        return {} if order is None else {"order": order}

    def read(self, cell: object) -> Int64[np.ndarray, " 2"]:
        moment = self._moment(cell)
        parts = (moment.days, moment.micros)
        return np.array([UNKNOWN if part is None else part for part in parts], dtype=np.int64)

    def note(self, cell: object) -> str | None:
        """That a time is moved to UTC, that a year has two digits, or that with dots the day does not come first."""
        offset = self._moment(cell).offset
        if self.config.order == "month_first" and dates.is_of_several_days(cell) and not dates.is_ambiguous(cell):
            return "with dots between the numbers, read with the month first (setting order)"
        if dates.has_short_year(cell):
            first, last = 1900 + self.config.pivot, 1999 + self.config.pivot
            return f"with a year of two digits, taken as one of {first} to {last} (setting pivot)"
        if not offset:
            return None
        hours, minutes = divmod(abs(offset) // 60, 60)
        return f"moved from {'-' if offset < 0 else '+'}{hours:02}:{minutes:02} to UTC"

    def fit(self, arrays: Iterable[np.ndarray]) -> dict[str, Any]:
        """`dated`, `centre` and `spread` in days, and the `cycles` that vary."""
        table = np.array(list(arrays), dtype=np.int64).reshape(-1, 2)
        dated = bool((table[:, 0] != UNKNOWN).any())
        positions = _positions(table, dated)
        known = positions[~np.isnan(positions)]
        centre = float(known.mean()) if known.size else 0.0
        spread = float(known.std()) if known.size and known.min() < known.max() else 1.0
        angles = {name: _turns(table, name) for name in self.config.cycles}
        vary = [name for name, turns in angles.items() if len(np.unique(turns[~np.isnan(turns)])) > 1]
        return {"dated": dated, "centre": centre, "spread": spread, "cycles": vary}

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        """Float32 "B F": position, then sine and cosine of each cycle; zeros where the cell is missing."""
        present = np.array([array is not None for array in arrays], dtype=np.int64)
        return Cells(torch.from_numpy(self._features(arrays).astype(np.float32)), torch.from_numpy(present))

    def handcrafted_features(self, arrays: Sequence[np.ndarray | None]) -> Float[np.ndarray, "B F"]:
        """The same, as float64; NaN where the cell is missing."""
        features = self._features(arrays)
        features[[array is None for array in arrays]] = np.nan
        return features

    def measures(self, array: np.ndarray) -> dict[str, float]:
        """The year with its fraction, or the hour where there is no date."""
        days, micros = (int(part) for part in array)
        return {"hour": 24 * micros / DAY} if days == UNKNOWN else {"year": 1970 + days / 365.2425}

    def preview(self, cell: object) -> str:
        """The moment in ISO 8601, in UTC."""
        moment = self._moment(cell)
        day = None if moment.days is None else dates.date_of(moment.days).isoformat()
        clock = (
            None if moment.micros is None else (datetime.min + timedelta(microseconds=moment.micros)).time().isoformat()
        )
        return previews.words(" ".join(part for part in (day, clock) if part))

    def _moment(self, cell: object) -> DateTime:
        number = isinstance(cell, int | float | Decimal | np.integer | np.floating) and not isinstance(cell, bool)
        if number or (isinstance(cell, str) and self.config.unix and _NUMERAL.fullmatch(cell.strip())):
            if self.config.unix is None:
                raise UnreadableCellError(
                    "a bare number; if it counts time since 1970, set unix to seconds or milliseconds"
                )
            huge = isinstance(cell, int) and cell.bit_length() > 64  # Python prints no more than 4,300 digits
            value = Decimal("nan") if huge else Decimal(str(cell).strip())
            if not value.is_finite() or abs(value) > Decimal("1e18"):
                raise UnreadableCellError("not finite, or too large for a time")
            return dates.from_micros(math.floor(value * _MICROS[self.config.unix]))
        return dates.read_date(cell, self.config.order, self.config.pivot)

    def _features(self, arrays: Sequence[np.ndarray | None]) -> Float[np.ndarray, "B F"]:
        filled = [(UNKNOWN, UNKNOWN) if array is None else array for array in arrays]
        table = np.array(filled, dtype=np.int64).reshape(-1, 2)
        position = np.clip((_positions(table, self.dated) - self.centre) / self.spread, -LIMIT, LIMIT)
        columns = [position]
        for name in self.cycles:
            angle = 2 * np.pi * _turns(table, name)
            columns += [np.sin(angle), np.cos(angle)]
        return np.nan_to_num(np.stack(columns, axis=1), nan=0.0)


def _positions(table: Int64[np.ndarray, "B 2"], dated: bool) -> Float[np.ndarray, " B"]:
    """Days since 1970, with their fraction; or the share of the day alone. NaN where it is not known."""
    share = np.where(table[:, 1] == UNKNOWN, np.nan, table[:, 1] / DAY)
    if not dated:
        return share
    return np.where(table[:, 0] == UNKNOWN, np.nan, table[:, 0] + np.nan_to_num(share))


def _turns(table: Int64[np.ndarray, "B 2"], cycle: str) -> Float[np.ndarray, " B"]:
    """0 to 1 through the day, the week (from Monday) or the year; NaN where it is not known."""
    if cycle == "hour":
        return np.where(table[:, 1] == UNKNOWN, np.nan, table[:, 1] / DAY)
    known = table[:, 0] != UNKNOWN
    days = np.where(known, table[:, 0], 0)
    if cycle == "weekday":
        turns = (days + 3) % 7 / 7  # 1970-01-01 was a Thursday
    else:
        years = days.astype("M8[D]").astype("M8[Y]")
        first = years.astype("M8[D]").astype(np.int64)
        turns = (days - first) / ((years + 1).astype("M8[D]").astype(np.int64) - first)
    return np.where(known, turns, np.nan)


def _looks_dated(value: object, order: Order | None) -> bool:
    """Whether a cell is a date, in one order where the column has one, else in any."""
    if not isinstance(value, _DATED) or (isinstance(value, str) and value.strip().isdigit()):
        return False
    moment = _read_somehow(value, order)
    if moment is None:
        return False
    return not isinstance(value, str) or moment.days is None or dates.date_of(moment.days).year in _YEARS


def _others(values: Sequence[object], order: Order | None) -> str:
    """What becomes of the cells that do not look like dates: unreadable, or of a year that few dates have."""
    others = [value for value in values if not _looks_dated(value, order)]
    far = [value for value in others if isinstance(value, str) and _read_somehow(value, order) is not None]
    if not far:
        return "the others will be unreadable"
    said = f"{len(far)} are of years before {_YEARS[0]} or after {_YEARS[-1]}, such as {far[0]}"
    return said if len(far) == len(others) else f"{said}; the others will be unreadable"


def _read_somehow(value: str | date | time, order: Order | None) -> DateTime | None:
    """A date in one order, where the column has one, else in any; None where it cannot be read."""
    try:
        return dates.read_date(value, order or next(iter(dates.possible_orders(value)), None))
    except UnreadableCellError:
        return None
