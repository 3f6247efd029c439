"""Rows that sum others up, or stand below the table as notes: as spreadsheets have them, and no examples to learn from.

A word such as `Total` in a cell makes a row suspect; that its numbers are sums or means of other rows, that it is empty
where others are not, or that the word stands among numbers shows it. Without such a word the numbers have to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from polymodal.codecs.numerals import is_total, short
from polymodal.data.audit.finding import Finding, Severity, number
from polymodal.data.audit.subject import AuditedTable

_FEWEST = 5  # rows of a table
_LONGEST = 40  # characters of a name of a sum
_USUAL = 0.8  # of the rows have a cell in a column: a row without one has a gap
_GAPS = 0.5  # of such columns
_CLOSE, _EXACT = 1e-3, 1e-6  # of the sum of the amounts: of rows that a word names, and of others
_ADDENDS, _ADDENDS_OF_ALL = 3, 5  # other than 0
_BEYOND = 1.5  # times the largest other number
_MOST_NOTES = 10  # rows
_LOOKED_AT = 20  # rows that may be sums: the others are as these
_MOST_SUSPECTS = 0.34  # of the rows: a word in more of them is a value of its column
_STATISTICS = frozenset(
    ["count", "n", "mean", "median", "std", "sd", "std dev", "stdev", "var", "variance", "min", "minimum", "max",
     "maximum", "25%", "50%", "75%"]
)  # fmt: skip
_COUNT = re.compile(r"\s*[:=(\[]*\s*[-+]?[$€£]?\s*[0-9][0-9.,'’ \u00a0\u202f]*\s*[^\W\d_]{0,3}[%€$£]?\s*[)\]]?$")
_NOTE = re.compile(
    r"(sources?|notes?|quellen?|hinweis|fuentes?|nota|remarques?|fonte|legende?)\b|[*†‡¹]", re.IGNORECASE
)


@dataclass(frozen=True)
class _Named:
    """A cell that names a sum: by this word alone, or beside other words."""

    row: int
    column: str
    text: str
    alone: bool


def check(subject: AuditedTable) -> Iterator[Finding]:
    """One finding about rows that sum others up, one about notes below the table."""
    found = _Summaries(subject)
    severity, advice = _advice(subject, found.rows)
    if found.named:
        first = found.named[0]
        columns = tuple(dict.fromkeys(one.column for one in found.named))
        rows = [one.row for one in found.named]
        yield subject.finding(
            "summary_rows", severity, _what(rows, short(first.text)), advice, columns=columns, rows=rows
        )
    if found.by_numbers:
        what = _what(found.by_numbers, "its numbers say so" if len(found.by_numbers) == 1 else "their numbers say so")
        yield subject.finding("summary_rows", severity, what, advice, rows=found.by_numbers)
    if found.notes:
        ones = len(found.notes) == 1
        what = f"{number(len(found.notes), 'row')} below the table with one cell only: " + (
            "a note" if ones else "notes"
        )
        severity, advice = _advice(subject, found.notes)
        yield subject.finding("summary_rows", severity, f"{what}.", advice, rows=found.notes)


def summary_rows(subject: AuditedTable) -> list[int]:
    """The rows that sum others up, and those of notes below the table."""
    found = _Summaries(subject)
    return sorted({*found.rows, *found.notes})


def _advice(subject: AuditedTable, rows: Sequence[int]) -> tuple[Severity, str]:
    """How bad such rows are, and what to do: without a target nothing is learned from them."""
    it, is_left = ("it", "it is") if len(rows) == 1 else ("them", "they are")
    targets = [subject.cells(target) for target in subject.config.targets]
    if targets and all(cells[row] is None for cells in targets for row in rows):
        return "note", f"Without a target {is_left} left out of training; better delete {it}."
    return "warning", f"Delete {it}" + (", or empty the target there: such rows are left out." if targets else ".")


def _what(rows: Sequence[int], why: str) -> str:
    ones = len(rows) == 1
    return f"{number(len(rows), 'row')} {'is a sum or mean' if ones else 'are sums or means'} of other rows ({why})."


@dataclass(frozen=True)
class _Summaries:
    """A table, and which of its rows are no rows of their own."""

    subject: AuditedTable

    @property
    def rows(self) -> list[int]:
        """Those that sum others up."""
        return sorted({*(one.row for one in self.named), *self.by_numbers})

    @cached_property
    def named(self) -> list[_Named]:
        """Those that a word names, and that are otherwise unlike rows of their own."""
        found = []
        for column in dict.fromkeys(one.column for one in self._suspects):
            suspects = [one for one in self._suspects if one.column == column]
            some = suspects[:_LOOKED_AT]
            shown = [one for one in some if self._is_summary(one, lone=len(suspects) == 1)]
            if shown and 2 * len(shown) >= len(some):  # else the word is one of the column's values
                found += shown + suspects[_LOOKED_AT:]
        rows = {one.row: one for one in reversed(found + self._statistics)}
        return [rows[row] for row in sorted(rows)]

    @cached_property
    def by_numbers(self) -> list[int]:
        """Those that only their numbers show: the first or the last, or those with gaps that sum up what is above."""
        if not self._in_sequence or self.named or self._num < _FEWEST:
            return []
        last = self._end - 1
        for row in (last, 0):
            close = _CLOSE if row == last and self._filled[row].sum() <= 1 else _EXACT  # it may be rounded
            if self._sums(row, [self._others(row)], close, _ADDENDS_OF_ALL) >= max(1, self._amounts(row) / 2):
                return [row]
        return self._blocks()

    @cached_property
    def notes(self) -> list[int]:
        """Rows at the end with one cell only, below a sum, or that begin as notes do."""
        rows = list(range(self._end, self._num))
        after = bool(self.rows) and self.rows[-1] == self._end - 1
        return rows if after or any(_NOTE.match(self._only_text(row)) for row in rows) else []

    @cached_property
    def _num(self) -> int:
        return self.subject.table.num_rows

    @cached_property
    def _in_sequence(self) -> bool:
        return int(self.subject.row_numbers[-1]) + 1 == self._num

    @cached_property
    def _names(self) -> list[str]:
        return [name for name in self.subject.table.names if self.subject.has_words(name)]

    @cached_property
    def _words(self) -> Bool[np.ndarray, "N C"]:
        """Whether each cell is filled, of the columns of words that are filled in most rows."""
        words = [name for name in self._names if self.subject.reading(name) is None]
        filled = np.array([[cell is not None for cell in self.subject.cells(name)] for name in words], dtype=bool)
        return np.array([one for one in filled if one.mean() >= _USUAL], dtype=bool).reshape(-1, self._num).T

    @cached_property
    def _filled(self) -> Bool[np.ndarray, "N C"]:
        """Of the columns that are filled in most rows, whether each cell is."""
        filled = [[cell is not None for cell in self.subject.cells(name)] for name in self._names]
        usual = [one for one in np.array(filled, dtype=bool).reshape(-1, self._num) if one.mean() >= _USUAL]
        return np.array(usual, dtype=bool).reshape(-1, self._num).T

    @cached_property
    def _numbers(self) -> Float[np.ndarray, "N C"]:
        """The columns of numbers that differ."""
        readings = [self.subject.reading(name) for name in self._names]
        numbers = [one.values for one in readings if one is not None and one.kind == "number"]
        values: np.ndarray = np.array(numbers).reshape(-1, self._num)
        kept: np.ndarray = values[np.fmin.reduce(values, axis=1) < np.fmax.reduce(values, axis=1)]
        return kept.T

    @cached_property
    def _end(self) -> int:
        """The row behind the last one that is no note below the table."""
        end = self._num
        width = self._filled.shape[1]
        while width >= 3 and self._num - end < _MOST_NOTES and end > _FEWEST:
            text = self._only_text(end - 1)
            if not text or _named(text) is not None:
                break
            end -= 1
        return end

    def _only_text(self, row: int) -> str:
        """The text of a row with one cell only, which is no number among numbers; empty of any other row."""
        if self._filled[row].sum() > 1:
            return ""
        filled = [name for name in self._names if self.subject.cells(name)[row] is not None]
        if len(filled) != 1:
            return ""
        cell, reading = self.subject.cells(filled[0])[row], self.subject.reading(filled[0])
        is_read = reading is not None and not np.isnan(reading.values[row])
        return cell.strip() if isinstance(cell, str) and not is_read else ""

    @cached_property
    def _statistics(self) -> list[_Named]:
        """Rows at the end that a column names as count, mean, deviation and the like, each once."""
        for name in self._names if self._num >= _FEWEST and self._in_sequence else ():
            cells = self.subject.cells(name)
            words = [cell.strip().casefold() if isinstance(cell, str) else "" for cell in cells]
            start = self._num
            while start and (words[start - 1] in _STATISTICS or is_total(words[start - 1])):
                start -= 1
            block = words[start:]
            other = set(block) - set(words[:start])
            if len(block) >= 2 and len(other) == len(block) <= _MOST_SUSPECTS * self._num and other & _STATISTICS:
                return [_Named(row, name, str(cells[row]).strip(), alone=True) for row in range(start, self._num)]
        return []

    @cached_property
    def _suspects(self) -> list[_Named]:
        found = []
        for name in self._names if self._num >= _FEWEST else ():
            cells = self.subject.cells(name)
            names = {cell: alone for cell in {cell for cell in cells if isinstance(cell, str)}
                     if (alone := _named(cell)) is not None}  # fmt: skip
            rows = [row for row, cell in enumerate(cells) if names and isinstance(cell, str) and cell in names]
            if len(rows) <= max(1, _MOST_SUSPECTS * self._num):
                found += [_Named(row, name, text.strip(), names[text]) for row in rows if (text := str(cells[row]))]
        return found

    @cached_property
    def _suspect_rows(self) -> list[int]:
        return sorted({one.row for one in self._suspects})

    @cached_property
    def _ordinary(self) -> Bool[np.ndarray, " N"]:
        """Rows above the notes without a word for sums."""
        ordinary = np.arange(self._num) < self._end
        ordinary[self._suspect_rows] = False
        return ordinary

    def _is_summary(self, one: _Named, *, lone: bool) -> bool:
        row = one.row
        addends = self._addends(row)
        sums = self._sums(row, addends, _CLOSE, _ADDENDS)
        if not one.alone:
            return sums >= max(1, self._amounts(row) / 2)
        reading = self.subject.reading(one.column)
        among_numbers = reading is not None and bool(np.isnan(reading.values[row]))
        if sums or among_numbers or self._gaps(row) >= _GAPS or self._is_mean(row, addends):
            return True
        if not lone or row not in (0, self._end - 1):
            return False
        numbers = np.abs(self._numbers[row])
        others = np.abs(np.nan_to_num(np.delete(self._numbers, row, axis=0))).max(axis=0)
        return bool(np.isnan(numbers).all() or (numbers > _BEYOND * others).any())

    def _gaps(self, row: int) -> float:
        """Share of the other columns that are filled in most rows where this one is empty."""
        empty = int((~self._filled[row]).sum())
        return empty / max(1, int(self._filled.shape[1]) - 1)

    def _amounts(self, row: int) -> int:
        return int((~np.isnan(self._numbers[row])).sum())

    def _others(self, row: int) -> np.ndarray:
        ordinary = self._ordinary.copy()
        ordinary[row] = False
        return np.flatnonzero(ordinary)

    def _addends(self, row: int) -> list[np.ndarray]:
        """Rows that one may sum up: those since the last such, all above, those until the next, all others."""
        before = [other for other in self._suspect_rows if other < row]
        after = [other for other in self._suspect_rows if other > row]
        others = self._others(row)
        start, stop = (before or [-1])[-1], (after or [self._end])[0]
        return [others[(others > start) & (others < row)], others[others < row],
                others[(others > row) & (others < stop)], others]  # fmt: skip

    def _sums(self, row: int, addends: Sequence[np.ndarray], close: float, fewest: int) -> int:
        """How many numbers of a row are the sum of those of one set of other rows."""
        said = self._numbers[row]
        found = 0
        for rows in addends if self._in_sequence else ():
            values = np.nan_to_num(self._numbers[rows])
            amount, total = np.abs(values).sum(axis=0), values.sum(axis=0)
            enough = ((values != 0).sum(axis=0) >= fewest) & (np.abs(total) > np.abs(values).max(axis=0, initial=0))
            is_sum = np.abs(said - total) <= close * amount
            found = max(found, int((enough & is_sum).sum()))
        return found

    def _is_mean(self, row: int, addends: Sequence[np.ndarray]) -> bool:
        """Whether all numbers of a row are the means of those of one set of other rows."""
        said = self._numbers[row]
        there = ~np.isnan(said)
        for rows in addends if self._in_sequence and there.any() else ():
            values = self._numbers[rows][:, there]
            count = (~np.isnan(values)).sum(axis=0)
            if (count >= _ADDENDS).all():
                off = np.abs(said[there] - np.nansum(values, axis=0) / count)
                if (off <= _CLOSE * np.nansum(np.abs(values), axis=0) / count).all():
                    return True
        return False

    def _blocks(self) -> list[int]:
        """Rows with gaps among words that sum up those since the row before of this kind, in all their numbers."""
        numbers = np.nan_to_num(self._numbers)
        total, amount, addends = (np.vstack([np.zeros(numbers.shape[1]), np.cumsum(one, axis=0)])
                                  for one in (numbers, np.abs(numbers), numbers != 0))  # fmt: skip
        gaps = np.flatnonzero(~self._words.all(axis=1) & ~np.isnan(self._numbers).all(axis=1))
        found: list[int] = []
        matches = 0
        for place, row in enumerate(gaps[gaps < self._end].tolist()):
            if place >= _LOOKED_AT and 2 * len(found) < place:
                return []
            start, there = found[-1] + 1 if found else 0, ~np.isnan(self._numbers[row])
            sums, of_size = (total[row] - total[start])[there], (amount[row] - amount[start])[there]
            enough = (addends[row] - addends[start])[there] >= 2
            if (enough & (np.abs(numbers[row][there] - sums) <= _EXACT * of_size)).all():
                found.append(row)
                matches += int(there.sum())
        return found if matches >= 2 and 2 * len(found) >= len(gaps) else []


def _named(text: str) -> bool | None:
    """Whether a text names a sum by the word alone, with a number or without; None where it names none."""
    plain = text.strip().casefold()
    if len(plain) > _LONGEST:
        return None
    if is_total(_COUNT.sub("", plain)):
        return True
    words = plain.rstrip(":").split()
    return False if len(words) > 1 and (is_total(words[0]) or is_total(words[-1])) else None
