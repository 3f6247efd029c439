"""Rows and cells that come again: on both sides of the split they leak, with another target they contradict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence

import numpy as np

from polymodal.data.audit.finding import Finding, number
from polymodal.data.audit.split_leakage import LOOK, LOOK_ACROSS, SplitLeakage
from polymodal.data.audit.subject import AuditedTable
from polymodal.data.columns.profile import key_of
from polymodal.schema import Column

_COMMON = 0.2  # a larger share of repeated rows is the nature of the table, as where all columns are categories
_MOSTLY_DIFFERENT = 0.5  # a column whose cells repeat more than this is made of categories


def check(subject: AuditedTable) -> Iterator[Finding]:
    """Findings on whole rows, then on the cells of single columns."""
    keys = {column.name: keys_of(subject, column) for column in subject.features}
    yield from _rows(subject, list(keys.values()))
    if len(keys) > 1:
        for name, of_column in keys.items():
            yield from _cells(subject, name, of_column)


def keys_of(subject: AuditedTable, column: Column) -> list[Hashable]:
    """By row, what is equal for equal cells; None where missing. What was read counts, else what the table holds."""
    keys: list[Hashable] = [None if cell is None else key_of(cell) for cell in subject.cells(column.name)]
    profiles = subject.profiles.get(column.name)
    if profiles is not None:
        for row, digest in zip(profiles.rows.tolist(), profiles.digests, strict=True):
            keys[row] = digest
    return keys


def alike(keys: Sequence[Hashable]) -> list[list[int]]:
    """Rows of equal keys, where there are at least two; rows without a key (None) are like no other."""
    rows: defaultdict[Hashable, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        if key is not None:
            rows[key].append(row)
    return [same for same in rows.values() if len(same) > 1]


def _rows(subject: AuditedTable, columns: Sequence[Sequence[Hashable]]) -> Iterator[Finding]:
    whole = [None if all(key is None for key in row) else row for row in zip(*columns, strict=True)]
    sets = alike(whole)
    repeated = [row for same in sets for row in same[1:]]
    if not repeated:
        return
    natural = len(repeated) > _COMMON * len(whole)
    leakage = SplitLeakage(subject)
    if rows := sorted({row for same in sets for row in leakage.of(same)}):
        what = f"{number(len(rows), f'{leakage.noun} row')} equal to {leakage.other} in every feature: a leak."
        advice = "Give equal rows one side, or drop them from train (clean.duplicates=drop)."
        yield subject.finding("duplicates", "warning" if natural else "error", what, advice, rows=rows)
    if rows := _contradicting(subject, sets):
        what = f"{number(len(rows), 'row')} equal to others in every feature, but not in the target."
        advice = "One of the answers is wrong, or the features do not tell them apart."
        yield subject.finding("duplicates", "warning", what, advice, rows=rows)
    what = f"{number(len(repeated), 'row')} equal to an earlier one in every feature."
    advice = "clean.duplicates=drop learns from equal rows once, if their target is equal, too."
    yield subject.finding("duplicates", "note" if natural else "warning", what, advice, rows=sorted(repeated))


def _contradicting(subject: AuditedTable, sets: Sequence[Sequence[int]]) -> list[int]:
    """Rows of a set whose known targets differ."""
    rows = set()
    for target in subject.config.targets:
        words = subject.words(target)
        rows |= {row for same in sets if len({words[row] for row in same if words[row]}) > 1 for row in same}
    return sorted(rows)


def _cells(subject: AuditedTable, name: str, keys: Sequence[Hashable]) -> Iterator[Finding]:
    present = sum(key is not None for key in keys)
    sets = alike(keys)
    repeated = [row for same in sets for row in same[1:]]
    if not repeated or len(repeated) > (1 - _MOSTLY_DIFFERENT) * present:
        return
    if not isinstance(subject.cells(name)[repeated[0]], str | bytes | np.ndarray):
        return  # equal numbers are no duplicates
    leakage = SplitLeakage(subject)
    if rows := sorted({row for same in sets for row in leakage.of(same)}):
        what = f"the cell of {number(len(rows), f'{leakage.noun} row')} is equal to that of {leakage.other}."
        yield subject.finding("duplicates", "warning", what, LOOK_ACROSS, columns=(name,), rows=rows)
    else:
        what = f"{number(len(repeated), 'cell')} equal to that of an earlier row."
        yield subject.finding("duplicates", "note", what, LOOK, columns=(name,), rows=sorted(repeated))
