"""Columns that give the target away: by a cell, or a part of it, one could tell the answer without learning anything.

One column at a time: from half of the rows it is noted which answer goes with which cell (or with its first or last
word, its length, whether it is missing); the other half is answered by these notes, and the other way round.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence

import numpy as np

from polymodal import registry
from polymodal.data.audit.finding import Finding
from polymodal.data.audit.subject import AuditedTable, as_numbers
from polymodal.schema import Column

_FEWEST = 30  # rows with a target
_FEWEST_OTHERS = 10  # of them with another answer than the commonest one
_MOST = 20_000  # rows; a draw of them tells as much
_CERTAIN, _LIKELY = 0.97, 0.9  # of the way from the commonest answer to all answers
_MOST_PARTS = 250
_WORD = re.compile(r"[^\W_]+")
_SHORTEST_NAME = 3
_ASKED = ("identifier", "constant", "unknown")  # beside the features: somebody may want to use them


def check(subject: AuditedTable) -> Iterator[Finding]:
    """One finding for each column that answers nearly all rows of a target; nothing without a target."""
    for target in subject.config.targets:
        answers = subject.answers(target)
        drawn = _drawn(answers) if answers else None
        for column in subject.columns:
            if column.modality is None and column.kind not in _ASKED:
                continue
            if column.modality is not None and registry.load("modalities", column.modality).media:
                continue  # the model sees the pictures, not the names of their files
            if not subject.has_words(column.name):
                continue
            found = _told(subject, column, target, drawn) if drawn else _held(subject, column, target)
            if found is not None:
                yield found


_Drawn = tuple[np.ndarray, list[str], int]


def _drawn(answers: Sequence[str]) -> _Drawn:
    """Rows that are asked, their answers, and how often the commonest of these occurs: the same for every column."""
    labelled = np.array([row for row, answer in enumerate(answers) if answer], dtype=np.int64)
    rows = np.random.default_rng(0).permutation(labelled)[:_MOST]
    asked = [answers[row] for row in rows]
    return rows, asked, max(Counter(asked).values(), default=0)


def _told(subject: AuditedTable, column: Column, target: str, drawn: _Drawn) -> Finding | None:
    """Whether a note of the column's cells answers the rows of a target of classes or numbers."""
    rows, asked, commonest = drawn
    if len(rows) < _FEWEST or len(rows) - commonest < _FEWEST_OTHERS:
        return None
    notes = _notes(subject, column.name, rows)
    right = {how: _right(keys, asked) for how, keys in notes.items()}
    how = max(right, key=lambda name: right[name])
    base = commonest / len(rows)
    skill = (right[how] - base) / (1 - base)
    if skill < (_CERTAIN if how == _SIZE else _LIKELY):  # a number may well be a good feature
        return None
    what = (
        f"gives {target!r} away: {how} tells {right[how]:.1%} of held-out rows right "
        f"(always the commonest answer: {base:.1%})."
    )
    return _finding(column, what, certain=skill >= _CERTAIN and how != _SIZE)


_SIZE = "the size of the number"


def _notes(subject: AuditedTable, name: str, rows: np.ndarray) -> dict[str, list[Hashable]]:
    """What could be noted of each row's cell, by a description."""
    cells = subject.words(name, rows)
    notes: dict[str, list[Hashable]] = {"the whole cell": list(cells)}
    numbers = as_numbers(subject.cells(name))
    if numbers is not None:
        parts = min(_MOST_PARTS, 10 * max(1, len(rows) // 100))  # tens, as a target of numbers has tenths
        cuts = np.unique(np.nanquantile(numbers, np.linspace(0, 1, parts + 1)[1:-1]))
        asked = numbers[rows]
        places = np.searchsorted(cuts, asked).tolist()
        notes[_SIZE] = [None if gone else place for gone, place in zip(np.isnan(asked), places, strict=True)]
        return notes
    found = [_WORD.findall(cell.casefold()) if cell else [] for cell in cells]
    notes["the first word of the cell"] = [of_cell[0] if of_cell else None for of_cell in found]
    notes["the last word of the cell"] = [of_cell[-1] if of_cell else None for of_cell in found]
    notes["the length of the cell"] = [None if cell is None else len(cell) for cell in cells]
    return notes


def _right(keys: Sequence[Hashable], answers: Sequence[str]) -> float:
    """Share of rows that notes on the other half of the rows answer right; a cell without a note gets the commonest."""
    half = len(keys) // 2
    hits = 0
    for learn, ask in ((slice(half), slice(half, None)), (slice(half, None), slice(half))):
        notes: defaultdict[Hashable, Counter[str]] = defaultdict(Counter)
        for key, answer in zip(keys[learn], answers[learn], strict=True):
            notes[key][answer] += 1
        told = {key: max(counts, key=counts.__getitem__) for key, counts in notes.items()}
        commonest = Counter(answers[learn]).most_common(1)[0][0]
        hits += sum(told.get(key, commonest) == answer for key, answer in zip(keys[ask], answers[ask], strict=True))
    return hits / len(keys)


def _held(subject: AuditedTable, column: Column, target: str) -> Finding | None:
    """Whether the column's cells hold the target's text, as a copy of it under another name does."""
    targets, cells = subject.words(target), subject.words(column.name)
    pairs = [(t.casefold(), (c or "").casefold()) for t, c in zip(targets, cells, strict=True) if t]
    pairs = [pair for pair in pairs[:_MOST] if len(pair[0]) >= _SHORTEST_NAME]
    if len(pairs) < _FEWEST:
        return None
    held = sum(text in cell for text, cell in pairs) / len(pairs)
    by_chance = sum(pairs[place - 1][0] in cell for place, (_, cell) in enumerate(pairs)) / len(pairs)
    if held - by_chance < _LIKELY:
        return None
    what = f"gives {target!r} away: {held:.1%} of its cells hold the text of the target."
    return _finding(column, what, certain=held >= _CERTAIN)


def _finding(column: Column, what: str, *, certain: bool) -> Finding:
    if column.modality is None:
        what = f"{what[:-1]}; it is left out as {column.kind}."
        return Finding("target_leakage", "note", what, "Keep it out.", (column.name,))
    advice = f"Will you know it of new rows before the answer? If not, leave it out: --drop {column.name}."
    return Finding("target_leakage", "error" if certain else "warning", what, advice, (column.name,))
