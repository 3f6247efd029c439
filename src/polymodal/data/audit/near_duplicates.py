"""Cells that are nearly the same: a picture coded anew, a recording at another volume, a text with other commas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy import sparse

from polymodal.data.audit.finding import Finding, number
from polymodal.data.audit.profile import AuditProfile
from polymodal.data.audit.split_leakage import LOOK, LOOK_ACROSS, SplitLeakage
from polymodal.data.audit.subject import AuditedTable

_BLOCK = 512  # cells that are compared with all others at a time


def check(subject: AuditedTable) -> Iterator[Finding]:
    """One finding for each column whose modality has fingerprints."""
    leakage = SplitLeakage(subject)
    for name, profiles in subject.profiles.items():
        pairs = near_pairs(profiles)
        if not pairs:
            continue
        across = sorted({row for pair in pairs for row in leakage.of(pair)})
        cells = sorted({row for pair in pairs for row in pair})
        example = " and ".join(map(str, subject.numbers(_shown(pairs, across), 2)))
        if across:
            noun = number(len(across), f"{leakage.noun} row")
            what = f"the cell of {noun} nearly equals that of {leakage.other} (such as rows {example})."
            yield subject.finding("near_duplicates", "warning", what, LOOK_ACROSS, columns=(name,), rows=across)
        else:
            what = f"{number(len(cells), 'cell')} nearly equal another (such as rows {example})."
            yield subject.finding("near_duplicates", "note", what, LOOK, columns=(name,), rows=cells)


def _shown(pairs: Sequence[tuple[int, int]], across: Sequence[int]) -> tuple[int, int]:
    """The closest pair, of those that cross a border if any does."""
    leakage = set(across)
    return next((pair for pair in pairs if leakage & set(pair)), pairs[0])


def near_pairs(profiles: AuditProfile) -> list[tuple[int, int]]:
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
