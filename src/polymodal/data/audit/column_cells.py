"""The cells of one column as rules see them: by their value, their words, their beginning, the numbers in them."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from polymodal.codecs.numerals import means_missing
from polymodal.data.audit.readings import NumericCells, numbers_inside, value_inside
from polymodal.data.audit.subject import AuditedTable
from polymodal.data.tables.column_data import as_text

EMPTY = "whether it is empty"
VALUE = "its value"
_MOST_PARTS = 250
_MOST_WORDS = 500_000  # of a column
_FEWEST_WORDS = 24  # of a cell
_WORD = re.compile(r"[^\W_]+")
_LETTERS = re.compile(r"[^\W\d_]+(?=\d)")
_MOST_HOLDING = 4_000  # cells
_PLACES = {"first": 0, "last": -1}


@dataclass(frozen=True)
class ColumnCells:
    """The cells of some rows of one column.

    Attributes:
        texts: as they are written, None where missing.
        reading: as numbers or dates; None where most are neither.
    """

    texts: list[str | None]
    reading: NumericCells | None

    @classmethod
    def of(cls, subject: AuditedTable, name: str, rows: np.ndarray) -> ColumnCells:
        """The cells of a column that holds words, numbers or dates."""
        cells = subject.cells(name)
        texts = [None if (cell := cells[row]) is None else as_text(cell).strip() for row in rows.tolist()]
        reading = subject.reading(name)
        return cls(texts, None if reading is None else NumericCells(reading.kind, reading.values[rows]))

    @cached_property
    def there(self) -> Bool[np.ndarray, " N"]:
        """Whether the cell holds a value: it is not empty, and says not that none is known."""
        if self.reading is not None:
            return np.array(~np.isnan(self.reading.values))
        return np.array([text is not None and not means_missing(text) for text in self.texts])

    def keys(self) -> dict[str, list[Hashable]]:
        """What could be noted of each cell, by a description; numbers and dates are left to `numbers`."""
        keys: dict[str, list[Hashable]] = {}
        if any(text is None for text in self.texts):
            keys[EMPTY] = [text is None for text in self.texts]
        keys[VALUE] = list(self.texts)
        if self.reading is not None:
            return keys
        found = [_WORD.findall(text.casefold()) if text else [] for text in self.texts]
        keys["its first word"] = [of_cell[0] if of_cell else None for of_cell in found]
        keys["its last word"] = [of_cell[-1] if of_cell else None for of_cell in found]
        keys["its length"] = [None if text is None else len(text) for text in self.texts]
        begins = [_LETTERS.match(of_cell[0]) if of_cell else None for of_cell in found]
        if any(begins):
            keys["the letters at its beginning"] = [None if one is None else one[0] for one in begins]
        return keys

    def numbers(self) -> Iterator[tuple[str, Float[np.ndarray, " N"]]]:
        """By a description, the numbers that the cells are, or the first and the last that a text holds."""
        if self.reading is not None:
            yield f"its {self.reading.kind}", self.reading.values
            return
        found: list[Float[np.ndarray, " N"]] = []
        for decimal in ".,":
            for which, place in _PLACES.items():
                inside = [value_inside(of_cell[place], decimal) if of_cell else np.nan for of_cell in self._inside]
                values = np.array(inside)
                if not np.isnan(values).all() and not any(np.array_equal(values, other, True) for other in found):
                    found.append(values)
                    yield f"the {which} number in it", values

    def holds(self, answers: Float[np.ndarray, " N"]) -> tuple[float, float]:
        """Share of the texts that hold the number that is asked for, and share that hold the number of another row."""
        inside = [
            {value_inside(number, decimal) for number in numbers for decimal in ".,"}
            for numbers in self._inside[:_MOST_HOLDING]
        ]
        asked = answers[: len(inside)].tolist()
        others = asked[1:] + asked[:1]
        held = [
            (_among(one, values), _among(other, values))
            for one, other, values in zip(asked, others, inside, strict=True)
        ]
        own, by_chance = np.mean(held, axis=0).tolist()
        return own, by_chance

    @property
    def words(self) -> list[list[str]]:
        """The different words of each cell; of long cells the first and the last ones."""
        half = max(_FEWEST_WORDS, _MOST_WORDS // len(self.texts)) // 2
        found = (_WORD.findall((text or "").casefold()) for text in self.texts)
        return [
            list(dict.fromkeys(words if len(words) <= 2 * half else words[:half] + words[-half:])) for words in found
        ]

    @cached_property
    def _inside(self) -> list[list[str]]:
        return numbers_inside(self.texts)

    def parts(self, values: Float[np.ndarray, " N"]) -> list[Hashable]:
        """In which part of its range each number of the cells is; of a cell without one its text."""
        parts = min(_MOST_PARTS, 10 * max(1, len(values) // 100))  # tens, as a target of numbers has tenths
        cuts = np.unique(np.nanquantile(values, np.linspace(0, 1, parts + 1)[1:-1]))
        places = np.searchsorted(cuts, values).tolist()
        odd = np.isnan(values).tolist()
        return [text if nan else place for text, nan, place in zip(self.texts, odd, places, strict=True)]


def _among(number: float, values: set[float]) -> bool:
    return any(math.isclose(number, value, rel_tol=1e-9) for value in values)
