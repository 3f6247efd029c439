"""How well one column tells the classes of a target by itself, by rules that need no training.

Of the training rows it is noted which answer goes with which cell (or with a word of it, its length, its size, whether
it is missing); the test rows are answered by these notes. Without a split half of the rows are answered by notes on the
other half, and the other way round.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int

from polymodal.data.audit.column_cells import EMPTY, ColumnCells
from polymodal.data.audit.held_out import FEWEST_OTHERS, HeldOut

WHERE = " where there is one"  # of a rule on the rows that have a cell
_T = TypeVar("_T")


@dataclass(frozen=True)
class LeakageRule:
    """The best of all rules.

    Attributes:
        how: in words, such as "the whole cell".
        score: share of held-out rows told right; of a target of numbers R2.
        graded: it goes by the size of a number or by a date, as a good feature may.
        base: share of the same rows that have the commonest answer; 0 of a target of numbers.
        num_rows: that were told.
    """

    how: str
    score: float
    graded: bool = False
    base: float = 0.0
    num_rows: int = 0

    @property
    def skill(self) -> float:
        """How far it comes from the commonest answer to all answers."""
        return (self.score - self.base) / (1 - self.base)


def tell_classes(cells: ColumnCells, held: HeldOut, answers: Sequence[str]) -> LeakageRule:
    """The rule by which a column tells the most of the answers of the held-out rows."""
    found: list[LeakageRule] = []

    def add(how: str, told: Sequence[str], there: Bool[np.ndarray, " N"], *, graded: bool = False) -> None:
        found.append(_rule(how, told, held, answers, graded=graded))
        shown = None if how == EMPTY or there.all() else held.where(there)
        if shown is not None:
            found.append(_rule(f"{how}{WHERE}", told, shown, answers, graded=graded))

    for how, keys in cells.keys().items():
        add(how, lookup(keys, answers, held, commonest), cells.there)
    if cells.reading is None:
        add("one of its words", _told_by_word(cells.words, answers, held), cells.there)
    for how, numbers in cells.numbers():
        parts = cells.parts(numbers)  # which may hold a border, and of which one may be all that is near
        for told in (
            lookup(parts, answers, held, commonest),
            _told_by_border(numbers, answers, held),
            _told_by_neighbour(numbers, answers, held),
        ):
            add(how, told, ~np.isnan(numbers), graded=True)
    return best(found)


def tell_by_emptiness(filled: Bool[np.ndarray, " N"], held: HeldOut, answers: Sequence[str]) -> LeakageRule:
    """How many answers whether a cell is filled tells."""
    return _rule(EMPTY, lookup(filled.tolist(), answers, held, commonest), held, answers)


def best(found: Sequence[LeakageRule]) -> LeakageRule:
    """The rule with the most skill; of equals the first."""
    return max(found, key=lambda rule: rule.skill)


def commonest(answers: Sequence[str]) -> str:
    """The answer that occurs most."""
    return Counter(answers).most_common(1)[0][0]


def lookup(
    keys: Sequence[Hashable], answers: Sequence[_T], held: HeldOut, common: Callable[[Sequence[_T]], _T]
) -> list[_T]:
    """The answer by notes to every held-out row; that to a cell without a note is of all."""
    told: list[_T] = list(answers)
    for learn, ask in held.parts:
        notes: defaultdict[Hashable, list[_T]] = defaultdict(list)
        for place in learn.tolist():
            notes[keys[place]].append(answers[place])
        known, of_all = {key: common(found) for key, found in notes.items()}, common([answers[k] for k in learn])
        for place in ask.tolist():
            told[place] = known.get(keys[place], of_all)
    return told


def _rule(how: str, told: Sequence[str], held: HeldOut, answers: Sequence[str], *, graded: bool = False) -> LeakageRule:
    true = np.array(answers)
    most, count = max(Counter(true[held.asked].tolist()).values()), len(held.asked)
    if count - most < FEWEST_OTHERS:
        return LeakageRule(how, 0.0)
    return LeakageRule(how, held.share(np.array(told) == true), graded, most / count, count)


def _told_by_word(words: Sequence[Sequence[str]], answers: Sequence[str], held: HeldOut) -> list[str]:
    """The same by the most telling word of each cell: that with one answer nearly always."""
    told: list[str] = list(answers)
    for learn, ask in held.parts:
        notes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for place in learn.tolist():
            for word in words[place]:
                notes[word][answers[place]] += 1
        known = {}
        for word, counts in notes.items():
            answer, count = counts.most_common(1)[0]
            known[word] = (count / (counts.total() + 1), answer)  # a word that was seen once proves little
        none = (0.0, commonest([answers[place] for place in learn]))
        for place in ask.tolist():
            told[place] = max((known[w] for w in words[place] if w in known), default=none)[1]
    return told


def _told_by_border(numbers: Float[np.ndarray, " N"], answers: Sequence[str], held: HeldOut) -> list[str]:
    """The same by the number on one side of which, and on the other, most rows have one answer."""
    told: list[str] = list(answers)
    names, codes = np.unique(np.array(answers), return_inverse=True)
    for learn, ask in held.parts:
        there = learn[~np.isnan(numbers[learn])]
        missing = learn[np.isnan(numbers[learn])]
        none = commonest([answers[place] for place in (missing if len(missing) else learn)])
        border, below, above = _border(numbers[there], codes[there], len(names))
        for place in ask.tolist():
            number = numbers[place]
            told[place] = none if math.isnan(number) else str(names[below if number < border else above])
    return told


def _border(numbers: Float[np.ndarray, " N"], codes: Int[np.ndarray, " N"], num: int) -> tuple[float, int, int]:
    """The border between two numbers that tells the most, and the classes below and above it."""
    if not len(numbers):
        return 0.0, 0, 0
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    below = np.cumsum(np.eye(num, dtype=np.int64)[codes[order]], axis=0)
    above = below[-1] - below
    right = below.max(axis=1) + above.max(axis=1)
    right[:-1][ordered[1:] == ordered[:-1]] = 0  # equal numbers stand on one side
    cut = int(right.argmax())
    border = ordered[cut] + 1 if cut + 1 == len(ordered) else (ordered[cut] + ordered[cut + 1]) / 2
    return float(border), int(below[cut].argmax()), int(above[cut].argmax())


def _told_by_neighbour(numbers: Float[np.ndarray, " N"], answers: Sequence[str], held: HeldOut) -> list[str]:
    """The same by the row with the nearest number; a row without one gets the commonest answer of such rows."""
    told: list[str] = list(answers)
    for learn, ask in held.parts:
        notes: defaultdict[float, list[str]] = defaultdict(list)
        without: list[str] = []
        for place in learn.tolist():
            (without if math.isnan(numbers[place]) else notes[float(numbers[place])]).append(answers[place])
        none, places = commonest(without or [answers[place] for place in learn]), sorted(notes)
        known = {number: commonest(found) for number, found in notes.items()}
        for place in ask.tolist():
            number = float(numbers[place])
            told[place] = none if math.isnan(number) or not places else known[_nearest(places, number)]
    return told


def _nearest(places: Sequence[float], number: float) -> float:
    """Of ascending numbers the one nearest to another."""
    place = bisect_left(places, number)
    return min(places[max(place - 1, 0) : place + 1], key=lambda near: abs(near - number))
