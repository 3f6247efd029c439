"""What a user should hear of cells that were read, but not as they stand: counted, and said in one sentence each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from polymodal.abilities import Ranged
from polymodal.data.cells.prepare import Prepared
from polymodal.protocols import Modality
from polymodal.schema import Column

Notes: TypeAlias = Mapping[str, Mapping[str, int]]
"""Column -> note -> number of cells."""

_UNSEEN = "of a category unseen, or too rare, in training"
_UNKNOWN = "with a word unseen, or too rare, in training"
_TRUNCATED = "of the training rows cut to the length that the model takes"
_NUMBER = re.compile(r": [0-9]+ cells? ")
_SHOWN = 5  # notes a column; a table may hold recordings of a thousand rates


def unseen(prepared: Prepared, modalities: Mapping[str, Modality], rows: np.ndarray) -> Notes:
    """The cells whose category has the reserved code 0, and the texts with a word that has no id of its own.

    Args:
        prepared: the cells.
        modalities: by column, fitted; those that give neither codes nor whole words are passed over.
        rows: that the model is measured on.
    """
    counts = {}
    for name, modality in modalities.items():
        gives_codes = getattr(modality, "cardinality", None) is not None
        unknown, note = (0, _UNSEEN) if gives_codes else (getattr(modality, "unknown_id", None), _UNKNOWN)
        if unknown is None:
            continue
        cells = modality.collate(prepared.stores[name].arrays(rows))
        counts[name] = {note: int((cells.present & (cells.values == unknown).any(dim=1)).sum())}
    return counts


def unlike_training(prepared: Prepared, modalities: Mapping[str, Modality], rows: np.ndarray) -> Notes:
    """The cells of new rows, where all of a column are of another scale than those of training."""
    counts = {}
    for name, modality in modalities.items():
        if isinstance(modality, Ranged):
            arrays = list(prepared.stores[name].present_arrays(rows))
            if (note := modality.unlike_training(arrays)) is not None:
                counts[name] = {note: len(arrays)}
    return counts


def truncated(columns: Iterable[Column], *, together: Sequence[Sequence[str]] = ()) -> Notes:
    """The cells of the training rows that `Modality.fit` found longer than what enters the model.

    Columns that were fitted together are counted together.
    """
    names = {name: ", ".join(group) for group in together for name in group}
    counts = {names.get(column.name, column.name): column.statistics.get("truncated", 0) for column in columns}
    return {name: {_TRUNCATED: count} for name, count in counts.items() if isinstance(count, int)}


def sentences(*notes: Notes) -> tuple[str, ...]:
    """One sentence for each note with a cell, its counts added up; the most frequent ones of each column.

    >>> sentences({"sound": {"cut to 30 s": 2}}, {"sound": {"cut to 30 s": 1}})
    ('sound: 3 cells cut to 30 s',)
    """
    totals: dict[str, Counter[str]] = {}
    for counts in notes:
        for column, of_column in counts.items():
            totals.setdefault(column, Counter()).update(of_column)
    return tuple(f"{column}: {words}" for column, total in totals.items() for words in _words(+total))


def fact_of(sentence: str) -> str | None:
    """A note less its number of cells, where it says how a column is read; None of words that training did not have.

    >>> fact_of("stay: 12 cells of a duration, read in seconds")
    'stay: of a duration, read in seconds'
    """
    return None if sentence.endswith((_UNSEEN, _UNKNOWN)) else _NUMBER.sub(": ", sentence, count=1)


def _words(total: Counter[str]) -> list[str]:
    ranked = total.most_common()
    words = [f"{_cells(count)} {note}" for note, count in ranked[:_SHOWN]]
    others = ranked[_SHOWN:]
    more = f"{_cells(sum(count for _, count in others))} changed in {len(others)} other ways"
    return [*words, more] if others else words


def _cells(count: int) -> str:
    return f"{count} cell" if count == 1 else f"{count} cells"
