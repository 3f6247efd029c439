"""How well one column tells the target by itself, by rules that need no training.

Of the training rows it is noted which answer goes with which cell (or with a word of it, its length, its size, whether
it is missing); the test rows are answered by these notes. Without a split half of the rows are answered by notes on the
other half, and the other way round. For a target of numbers the answer is the mean, or a straight line through the
numbers of the column.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from polymodal.data.audit.subject import AuditedTable, as_numbers
from polymodal.data.tables.column_data import as_text

MOST = 20_000  # rows; a draw of them tells as much
SIZE = "the size of the number"
_MOST_PARTS = 250
_MOST_WORDS = 500_000  # of a column
_FEWEST_WORDS = 24  # of a cell
_WORD = re.compile(r"[^\W_]+")
_FEWEST_TEST = 30  # rows; fewer tell less than halves of all
_T = TypeVar("_T")


@dataclass(frozen=True)
class LeakageRule:
    """The best of all rules.

    Attributes:
        how: in words, such as "the whole cell".
        score: share of held-out rows told right; of a target of numbers R2.
    """

    how: str
    score: float


@dataclass(frozen=True)
class HeldOut:
    """Rows from which a rule is learned, and held-out rows on which it is tested.

    Attributes:
        rows: numbers of all of them.
        parts: places among these: of the rows to learn from, and of those to test on.
    """

    rows: np.ndarray
    parts: tuple[tuple[slice, slice], ...]

    @classmethod
    def of(cls, subject: AuditedTable, labelled: np.ndarray) -> HeldOut:
        """The test rows among the labelled ones, or where there are few of them every half."""
        rows = np.random.default_rng(0).permutation(labelled)[:MOST]
        if subject.sides is not None:
            sides = subject.sides[rows]
            learned, asked = rows[np.isin(sides, ["train", "validation"])], rows[sides == "test"]
            if min(len(learned), len(asked)) >= _FEWEST_TEST:
                border = len(learned)
                return cls(np.concatenate([learned, asked]), ((slice(border), slice(border, None)),))
        half = slice(len(rows) // 2), slice(len(rows) // 2, None)
        return cls(rows, (half, half[::-1]))

    @property
    def asked(self) -> np.ndarray:
        """Places of the rows to answer."""
        return np.concatenate([np.arange(len(self.rows))[ask] for _, ask in self.parts])


def tell_classes(subject: AuditedTable, name: str, held: HeldOut, answers: Sequence[str]) -> LeakageRule:
    """The rule by which a column tells the most of the answers of the held-out rows."""
    cells = _Cells.of(subject, name, held.rows)
    found = {how: _share(_told(keys, answers, held, _commonest), answers, held) for how, keys in cells.keys().items()}
    if cells.numbers is None:
        found["one word of the cell"] = _share(_told_by_word(cells.words, answers, held), answers, held)
    else:  # parts of numbers may hold the border between two answers
        nearest = _told_by_neighbour(cells.numbers, answers, held)
        found[SIZE] = max(found[SIZE], _share(nearest, answers, held))
    return _best(found)


def tell_numbers(subject: AuditedTable, name: str, held: HeldOut, answers: Float[np.ndarray, " N"]) -> LeakageRule:
    """The rule by which a column explains most of the variance of the numbers of the held-out rows."""
    cells = _Cells.of(subject, name, held.rows)
    found = {
        how: _r2(np.array(_told(keys, answers.tolist(), held, _mean)), answers, held)
        for how, keys in cells.keys().items()
    }
    if cells.numbers is not None:
        found["a straight line"] = _r2(_line(cells.numbers, answers, held), answers, held)
    return _best(found)


@dataclass(frozen=True)
class _Cells:
    """The cells of some rows of one column, as text; as numbers where all are."""

    texts: list[str | None]
    numbers: Float[np.ndarray, " N"] | None

    @classmethod
    def of(cls, subject: AuditedTable, name: str, rows: np.ndarray) -> _Cells:
        cells = subject.cells(name)
        asked = [cells[row] for row in rows.tolist()]
        return cls([None if cell is None else as_text(cell).strip() for cell in asked], as_numbers(asked))

    def keys(self) -> dict[str, list[Hashable]]:
        """What could be noted of each cell, by a description."""
        keys: dict[str, list[Hashable]] = {"the whole cell": list(self.texts)}
        if self.numbers is not None:
            parts = min(_MOST_PARTS, 10 * max(1, len(self.texts) // 100))  # tens, as a target of numbers has tenths
            cuts = np.unique(np.nanquantile(self.numbers, np.linspace(0, 1, parts + 1)[1:-1]))
            places = np.where(np.isnan(self.numbers), -1, np.searchsorted(cuts, self.numbers))
            return keys | {SIZE: list(places.tolist())}
        found = [_WORD.findall(text.casefold()) if text else [] for text in self.texts]
        keys["the first word of the cell"] = [of_cell[0] if of_cell else None for of_cell in found]
        keys["the last word of the cell"] = [of_cell[-1] if of_cell else None for of_cell in found]
        keys["the length of the cell"] = [None if text is None else len(text) for text in self.texts]
        return keys

    @property
    def words(self) -> list[list[str]]:
        """The different words of each cell; of long cells the first and the last ones."""
        half = max(_FEWEST_WORDS, _MOST_WORDS // len(self.texts)) // 2
        found = (_WORD.findall((text or "").casefold()) for text in self.texts)
        return [
            list(dict.fromkeys(words if len(words) <= 2 * half else words[:half] + words[-half:])) for words in found
        ]


def _best(found: dict[str, float]) -> LeakageRule:
    how = max(found, key=lambda name: found[name])
    return LeakageRule(how, found[how])


def _commonest(answers: Sequence[str]) -> str:
    return Counter(answers).most_common(1)[0][0]


def _mean(answers: Sequence[float]) -> float:
    return sum(answers) / len(answers)


def _told(
    keys: Sequence[Hashable], answers: Sequence[_T], held: HeldOut, common: Callable[[Sequence[_T]], _T]
) -> list[_T]:
    """The answer by notes to every held-out row; that to a cell without a note is of all."""
    told: list[_T] = list(answers)
    for learn, ask in held.parts:
        notes: defaultdict[Hashable, list[_T]] = defaultdict(list)
        for key, answer in zip(keys[learn], answers[learn], strict=True):
            notes[key].append(answer)
        known, of_all = {key: common(found) for key, found in notes.items()}, common(answers[learn])
        told[ask] = [known.get(key, of_all) for key in keys[ask]]
    return told


def _told_by_word(words: Sequence[Sequence[str]], answers: Sequence[str], held: HeldOut) -> list[str]:
    """The same by the most telling word of each cell: that with one answer nearly always."""
    told: list[str] = list(answers)
    for learn, ask in held.parts:
        notes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for of_cell, answer in zip(words[learn], answers[learn], strict=True):
            for word in of_cell:
                notes[word][answer] += 1
        known = {}
        for word, counts in notes.items():
            answer, count = counts.most_common(1)[0]
            known[word] = (count / (counts.total() + 1), answer)  # a word that was seen once proves little
        none = (0.0, _commonest(answers[learn]))
        told[ask] = [max((known[w] for w in of_cell if w in known), default=none)[1] for of_cell in words[ask]]
    return told


def _told_by_neighbour(numbers: Float[np.ndarray, " N"], answers: Sequence[str], held: HeldOut) -> list[str]:
    """The same by the row with the nearest number; a row without one gets the commonest answer."""
    told: list[str] = list(answers)
    for learn, ask in held.parts:
        notes: defaultdict[float, list[str]] = defaultdict(list)
        for number, answer in zip(numbers[learn].tolist(), answers[learn], strict=True):
            if not math.isnan(number):
                notes[number].append(answer)
        commonest, places = _commonest(answers[learn]), sorted(notes)
        known = {number: _commonest(found) for number, found in notes.items()}
        told[ask] = [
            commonest if math.isnan(number) or not places else known[_nearest(places, number)]
            for number in numbers[ask].tolist()
        ]
    return told


def _nearest(places: Sequence[float], number: float) -> float:
    """Of ascending numbers the one nearest to another."""
    place = bisect_left(places, number)
    return min(places[max(place - 1, 0) : place + 1], key=lambda near: abs(near - number))


def _line(numbers: Float[np.ndarray, " N"], answers: Float[np.ndarray, " N"], held: HeldOut) -> Float[np.ndarray, " N"]:
    """What a least-squares line gives for the held-out rows; the mean where the number is missing."""
    found = answers.copy()
    for learn, ask in held.parts:
        x, y = numbers[learn], answers[learn]
        there, mean = ~np.isnan(x), float(y.mean())
        spread = float(x[there].std()) if there.any() else 0.0
        if not spread:
            found[ask] = mean
            continue
        centre, level = float(x[there].mean()), float(y[there].mean())
        slope = float(((x[there] - centre) / spread * (y[there] - level)).mean())
        found[ask] = np.where(np.isnan(numbers[ask]), mean, level + slope * (numbers[ask] - centre) / spread)
    return found


def _share(told: Sequence[str], answers: Sequence[str], held: HeldOut) -> float:
    """Share of the held-out rows that are told right."""
    return float(np.mean([told[place] == answers[place] for place in held.asked]))


def _r2(told: Float[np.ndarray, " N"], answers: Float[np.ndarray, " N"], held: HeldOut) -> float:
    """Share of the variance of the held-out rows that is explained."""
    true = answers[held.asked]
    total = float(((true - true.mean()) ** 2).sum())
    return 1 - float(((true - told[held.asked]) ** 2).sum()) / total if total else 0.0
