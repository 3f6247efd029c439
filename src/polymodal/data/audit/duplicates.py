"""Rows and cells that come again: on both sides of the split they leak, with another target they contradict.

Cells count also where they are only nearly the same: a picture coded anew, a recording at another volume, a text with
other commas.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence

import numpy as np
from scipy import sparse

from polymodal.data.audit.finding import Finding, number
from polymodal.data.audit.profile import AuditProfile
from polymodal.data.audit.subject import AuditedTable
from polymodal.schema import Column

_COMMON = 0.2  # a larger share of repeated rows is the nature of the table, as where all columns are categories
_MOSTLY_DIFFERENT = 0.5  # a column whose cells repeat more than this is made of categories
_BLOCK = 512  # cells that are compared with all others at a time
_LOOK = "Look at them: they may be copies."
_LOOK_ACROSS = "Look at them: if the rows are of one thing, they belong on one side (split.method=group)."


def check(subject: AuditedTable) -> Iterator[Finding]:
    """Findings on whole rows, then on the cells of single columns."""
    keys = {column.name: _keys(subject, column) for column in subject.features}
    yield from _rows(subject, list(keys.values()))
    if len(keys) > 1:
        for name, of_column in keys.items():
            yield from _cells(subject, name, of_column)


def check_near(subject: AuditedTable) -> Iterator[Finding]:
    """One finding for each column whose modality has fingerprints: on cells that are nearly the same."""
    for name, profiles in subject.profiles.items():
        pairs = _near_pairs(profiles)
        if not pairs:
            continue
        across, noun, other = _leaking(subject, pairs)
        leaking = set(across)
        closest = next((pair for pair in pairs if leaking & set(pair)), pairs[0])
        example = " and ".join(map(str, subject.numbers(closest, 2)))
        if across:
            what = f"the cell of {noun} nearly equals that of {other} (such as rows {example})."
            yield subject.finding("near_duplicates", "warning", what, _LOOK_ACROSS, columns=(name,), rows=across)
        else:
            cells = sorted({row for pair in pairs for row in pair})
            what = f"{number(len(cells), 'cell')} nearly equal another (such as rows {example})."
            yield subject.finding("near_duplicates", "note", what, _LOOK, columns=(name,), rows=cells)


def _keys(subject: AuditedTable, column: Column) -> list[Hashable]:
    """By row, what is equal for equal cells; None where missing. What was read counts, else what the table holds."""
    keys = subject.keys(column.name)
    profiles = subject.profiles.get(column.name)
    if profiles is not None:
        keys = list(keys)
        for row, digest in zip(profiles.rows.tolist(), profiles.digests, strict=True):
            keys[row] = digest
    return keys


def _alike(keys: Sequence[Hashable]) -> list[list[int]]:
    """Rows of equal keys, where there are at least two; rows without a key (None) are like no other."""
    rows: defaultdict[Hashable, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        if key is not None:
            rows[key].append(row)
    return [same for same in rows.values() if len(same) > 1]


def _rows(subject: AuditedTable, columns: Sequence[Sequence[Hashable]]) -> Iterator[Finding]:
    whole = [None if all(key is None for key in row) else row for row in zip(*columns, strict=True)]
    sets = _alike(whole)
    repeated = [row for same in sets for row in same[1:]]
    if not repeated:
        return
    natural = len(repeated) > _COMMON * len(whole)
    rows, noun, other = _leaking(subject, sets)
    if rows:
        what = f"{noun} equal to {other} in every feature: a leak."
        advice = "Give equal rows one side, or drop them from train (clean.duplicates=drop)."
        yield subject.finding("duplicates", "warning" if natural else "error", what, advice, rows=rows)
    if rows := _contradicting(subject, sets):
        what = f"{number(len(rows), 'row')} equal to others in every feature, but not in the target."
        advice = "One of the answers is wrong, or the features do not tell them apart."
        yield subject.finding("duplicates", "warning", what, advice, rows=rows)
    what = f"{number(len(repeated), 'row')} equal to an earlier one in every feature."
    advice = "clean.duplicates=drop learns from equal rows once, if their target is equal, too."
    yield subject.finding("duplicates", "note" if natural else "warning", what, advice, rows=sorted(repeated))


def _leaking(subject: AuditedTable, sets: Sequence[Sequence[int]]) -> tuple[list[int], str, str]:
    """Rows that are like one across the border that measuring relies on, ascending; words for them and for the other.

    They are test rows that are like one in train or validation; without a split, like rows in more than one group.
    """
    sides, groups = subject.sides, subject.groups
    found: set[int] = set()
    for rows in sets:
        if sides is not None and any(sides[row] in ("train", "validation") for row in rows):
            found.update(row for row in rows if sides[row] == "test")
        elif sides is None and groups is not None and len({str(groups[row]) for row in rows}) > 1:
            found.update(rows)
    if sides is not None:
        return sorted(found), number(len(found), "test row"), "a row that is learned from"
    return sorted(found), number(len(found), "grouped row"), "a row of another group"


def _contradicting(subject: AuditedTable, sets: Sequence[Sequence[int]]) -> list[int]:
    """Rows of a set whose known targets differ."""
    rows = set()
    for target in subject.config.targets:
        words = subject.words(target)
        rows |= {row for same in sets if len({words[row] for row in same if words[row]}) > 1 for row in same}
    return sorted(rows)


def _cells(subject: AuditedTable, name: str, keys: Sequence[Hashable]) -> Iterator[Finding]:
    present = sum(key is not None for key in keys)
    sets = _alike(keys)
    repeated = [row for same in sets for row in same[1:]]
    if not repeated or len(repeated) > (1 - _MOSTLY_DIFFERENT) * present:
        return
    if not isinstance(subject.cells(name)[repeated[0]], str | bytes | np.ndarray):
        return  # equal numbers are no duplicates
    rows, noun, other = _leaking(subject, sets)
    if rows:
        what = f"the cell of {noun} is equal to that of {other}."
        yield subject.finding("duplicates", "warning", what, _LOOK_ACROSS, columns=(name,), rows=rows)
    else:
        what = f"{number(len(repeated), 'cell')} equal to that of an earlier row."
        yield subject.finding("duplicates", "note", what, _LOOK, columns=(name,), rows=sorted(repeated))


def _near_pairs(profiles: AuditProfile) -> list[tuple[int, int]]:
    """Pairs of rows whose cells are nearly, but not exactly the same; the closest first."""
    prints = profiles.fingerprints
    if prints is None:
        return []
    found = []
    for start in range(0, prints.shape[0], _BLOCK):
        product = prints[start : start + _BLOCK] @ prints.T
        dense = product.toarray() if sparse.issparse(product) else product
        for one, two in np.argwhere(dense >= profiles.near):
            first, second = int(profiles.compared[one + start]), int(profiles.compared[two])
            if first < second and profiles.digests[first] != profiles.digests[second]:
                found.append((float(dense[one, two]), int(profiles.rows[first]), int(profiles.rows[second])))
    found.sort(key=lambda pair: (-pair[0], *pair[1:]))
    return [pair[1:] for pair in found]
