"""What the checks look at: a table (of a long one a sample), its columns, targets and sides, and what cells hold."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from functools import cached_property

import numpy as np

from polymodal.codecs.blanks import trimmed
from polymodal.config.run_config import RunConfig
from polymodal.data.audit.finding import SHOWN, Finding, Severity
from polymodal.data.audit.profile import AuditProfile
from polymodal.data.audit.readings import NumericCells, reading_of
from polymodal.data.columns.profile import key_of
from polymodal.data.split.sides import sides_of
from polymodal.data.tables import column_data
from polymodal.data.tables.column_data import as_text
from polymodal.data.tables.table import Table
from polymodal.schema import Column

MOST_CLASSES = 200
_SCALARS = (str, int, float, Decimal, date, time, timedelta, np.generic)
_QUANTILES = 10  # classes that stand for a target of numbers


@dataclass(frozen=True)
class AuditedTable:
    """A table under audit. Rows are counted in the sample; `row_numbers` gives their numbers in the whole table.

    Attributes:
        table: the rows looked at.
        row_numbers: [rows] in the whole table.
        columns: what every column is.
        config: what is known: target, split, groups, columns left out.
        profiles: by column, what its cells hold; columns that were not read are absent.
        given_sides: by row `train`, `validation` or `test` ("" for none) where the rows are divided already.
    """

    table: Table
    row_numbers: np.ndarray
    columns: tuple[Column, ...]
    config: RunConfig
    profiles: dict[str, AuditProfile]
    given_sides: np.ndarray | None = None
    _cells: dict[str, list[object]] = field(default_factory=dict, init=False, repr=False)
    _readings: dict[str, NumericCells | None] = field(default_factory=dict, init=False, repr=False)

    @property
    def features(self) -> tuple[Column, ...]:
        """Columns that would enter the model."""
        return tuple(column for column in self.columns if column.modality is not None)

    def cells(self, name: str) -> list[object]:
        """The cells of a column."""
        if name not in self._cells:
            self._cells[name] = self.table.values(name)
        return self._cells[name]

    def reading(self, name: str) -> NumericCells | None:
        """The cells of a column as numbers or dates; None where most are neither."""
        if name not in self._readings:
            self._readings[name] = self._read(name) if self.has_words(name) else None
        return self._readings[name]

    def _read(self, name: str) -> NumericCells | None:
        column = self.table.arrow(name)
        if column is not None and column_data.is_numeric(column.type):
            values = column_data.floats(column)
            if not (np.isinf(values).any() or np.isnan(values).all()):
                return NumericCells("number", values)
        return reading_of(self.cells(name))

    def keys(self, name: str) -> list[Hashable]:
        """By row, what is equal for equal cells of a column; None where missing."""
        cells = self.cells(name)
        if self.table.arrow(name) is not None:
            return cells
        return [None if cell is None else key_of(cell) for cell in cells]

    def words(self, name: str, rows: np.ndarray | None = None) -> list[str | None]:
        """The cells of a column, or of some of its rows, as text without outer white space."""
        cells = self.cells(name)
        asked = cells if rows is None else (cells[row] for row in rows.tolist())
        return [None if cell is None else as_text(cell).strip() for cell in asked]

    def has_words(self, name: str) -> bool:
        """Whether the cells are words, numbers, dates and the like, not bytes, arrays or lists."""
        return self.table.arrow(name) is not None or all(
            cell is None or isinstance(cell, _SCALARS) for cell in self.cells(name)
        )

    def finding(
        self,
        check: str,
        severity: Severity,
        what: str,
        advice: str,
        *,
        columns: tuple[str, ...] = (),
        rows: np.ndarray | Sequence[int] = (),
    ) -> Finding:
        """A finding about some rows, of which it names the first; about the table where there are none."""
        count = len(rows) or None
        return Finding(check, severity, what, advice, columns, count=count, rows=self.numbers(rows, SHOWN))

    def numbers(self, rows: np.ndarray | Sequence[int], most: int) -> tuple[int, ...]:
        """The first of some rows, by their numbers in the whole table."""
        return tuple(int(self.row_numbers[row]) for row in list(rows)[:most])

    @cached_property
    def sides(self) -> np.ndarray | None:
        """By row `train`, `validation` or `test`; "" where the split column names none. None without a split."""
        if self.given_sides is not None:
            return self.given_sides
        if (column := self.config.split.column) is None:
            return None
        return np.array(sides_of(column, self.cells(column)))

    @cached_property
    def groups(self) -> list[object] | None:
        """The cells of the column whose equal cells belong to one side; None without one."""
        by = self.config.split.by
        return None if by is None or self.config.split.method != "group" else self.cells(by)

    def classes(self, target: str) -> list[str] | None:
        """A target's classes by row, "" where it is missing; None where its values are no classes."""
        words = [unicodedata.normalize("NFC", trimmed(word or "")) for word in self.words(target)]
        counts = Counter(words)
        counts.pop("", None)
        few = len(counts) <= MOST_CLASSES and 2 * len(counts) <= max(counts.total(), 4)
        return words if few else None

    def answers(self, target: str) -> list[str] | None:
        """The classes; of a target of numbers its tenths, "" where it is missing; None for any other target."""
        if (classes := self.classes(target)) is not None:
            return classes
        if (reading := self.reading(target)) is None:
            return None
        values = reading.values
        cuts = np.nanquantile(values, np.linspace(0, 1, _QUANTILES + 1)[1:-1])
        return ["" if np.isnan(value) else str(np.searchsorted(cuts, value)) for value in values]
