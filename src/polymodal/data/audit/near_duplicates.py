"""Cells that are nearly the same: a picture coded anew, a recording at another volume, a text with other commas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy import sparse

from polymodal.data.audit.crossing import Crossing
from polymodal.data.audit.finding import SHOWN, Finding, number
from polymodal.data.audit.subject import AuditedTable
from polymodal.data.audit.traits import Traits

_BLOCK = 512  # cells that are compared with all others at a time


def check(subject: AuditedTable) -> Iterator[Finding]:
    """One finding for each column whose modality has fingerprints."""
    crossing = Crossing(subject)
    for name, traits in subject.traits.items():
        pairs = near_pairs(traits)
        if not pairs:
            continue
        across = sorted({row for pair in pairs for row in crossing.of(pair)})
        cells = sorted({row for pair in pairs for row in pair})
        example = " and ".join(map(str, subject.numbers(_shown(pairs, across), 2)))
        if across:
            what = f"the cell of {number(len(across), f'{crossing.noun} row')} nearly equals that of {crossing.other}"
            advice = "Look at them: if the rows are of one thing, they belong on one side (split.method=group)."
        else:
            what, advice = f"{number(len(cells), 'cell')} nearly equal another", "Look at them: they may be copies."
        yield Finding(
            check="near_duplicates",
            severity="warning" if across else "note",
            what=f"{what} (such as rows {example}).",
            advice=advice,
            columns=(name,),
            count=len(across or cells),
            rows=subject.numbers(across or cells, SHOWN),
        )


def _shown(pairs: Sequence[tuple[int, int]], across: Sequence[int]) -> tuple[int, int]:
    """The closest pair, of those that cross a border if any does."""
    crossing = set(across)
    return next((pair for pair in pairs if crossing & set(pair)), pairs[0])


def near_pairs(traits: Traits) -> list[tuple[int, int]]:
    """Pairs of rows whose cells are nearly, but not exactly the same; the closest first."""
    prints = traits.fingerprints
    if prints is None:
        return []
    found = []
    for start in range(0, prints.shape[0], _BLOCK):
        product = prints[start : start + _BLOCK] @ prints.T
        dense = product.toarray() if sparse.issparse(product) else product
        for one, two in np.argwhere(dense >= traits.near):
            first, second = int(traits.compared[one + start]), int(traits.compared[two])
            if first < second and traits.digests[first] != traits.digests[second]:
                found.append((float(dense[one, two]), int(traits.rows[first]), int(traits.rows[second])))
    found.sort(key=lambda pair: (-pair[0], *pair[1:]))
    return [pair[1:] for pair in found]
