"""Reads the cells of one column and keeps of each only what the checks need; the decoded cells go by in pieces."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from polymodal.abilities import Comparable, Measuring
from polymodal.config.run_config import LimitsConfig
from polymodal.data.cells.reading import ColumnReader, Reject, modality_of
from polymodal.data.tables.table import Table
from polymodal.schema import Column

_PIECE = 256  # rows whose cells are in memory at a time


@dataclass(frozen=True)
class AuditProfile:
    """What is kept of the cells of one column.

    Attributes:
        rows: of the cells that could be read, ascending.
        tried: number of the rows whose cells were tried.
        digests: [cells] equal for cells that read the same.
        measures: by name, one number for each cell.
        fingerprints: [some cells, F], rows of length 1, or zero where a cell has nothing to compare; None where the
            modality has none.
        compared: [fingerprints] which cells these are of.
        near: two cells whose fingerprints have this cosine are near duplicates.
        rejects: the cells that could not be read.
    """

    rows: np.ndarray
    tried: int
    digests: tuple[bytes, ...]
    measures: dict[str, np.ndarray]
    fingerprints: np.ndarray | sparse.csr_matrix | None
    compared: np.ndarray
    near: float
    rejects: tuple[Reject, ...]


def read_profile(table: Table, column: Column, rows: np.ndarray, limits: LimitsConfig, *, compare: int) -> AuditProfile:
    """Reads some cells of a column.

    Args:
        table: holds the column.
        column: what it is; statistics are not needed.
        rows: ascending.
        limits: what a cell may cost.
        compare: of at most so many cells, drawn at random, fingerprints are taken.
    """
    modality = modality_of(column.model_copy(update={"statistics": {}}))
    kept, digests, rejects = [], [], []
    measures: defaultdict[str, list[float]] = defaultdict(list)
    prints: list[np.ndarray | sparse.csr_matrix] = []
    compared: list[int] = []
    drawn = set(np.random.default_rng(0).permutation(rows)[:compare].tolist())
    for piece, arrays, bad in _pieces(ColumnReader(table, column, modality, limits), rows):
        present = [place for place, array in enumerate(arrays) if array is not None and array.size]
        here = [array for place in present if (array := arrays[place]) is not None]
        kept += [int(piece[place]) for place in present]
        digests += [hashlib.sha256(f"{a.shape}".encode() + a.tobytes()).digest() for a in here]
        rejects += bad
        if isinstance(modality, Measuring):
            for found in map(modality.measures, here):
                for name, value in found.items():
                    measures[name].append(value)
        places = [place for place in range(len(here)) if kept[place - len(here)] in drawn]
        if isinstance(modality, Comparable) and places:
            prints.append(modality.fingerprints([here[place] for place in places]))
            compared += [len(kept) - len(here) + place for place in places]
    joined = None if not prints else sparse.vstack(prints) if sparse.issparse(prints[0]) else np.vstack(prints)
    return AuditProfile(
        rows=np.array(kept, dtype=np.int64),
        tried=len(rows),
        digests=tuple(digests),
        measures={name: np.array(values) for name, values in measures.items()},
        fingerprints=joined,
        compared=np.array(compared, dtype=np.int64),
        near=modality.near if isinstance(modality, Comparable) else 1.0,
        rejects=tuple(rejects),
    )


def _pieces(
    reader: ColumnReader, rows: np.ndarray
) -> Iterator[tuple[np.ndarray, list[np.ndarray | None], list[Reject]]]:
    """Row numbers, arrays and rejects of some rows at a time."""
    alone = reader.table.without([name for name in reader.table.names if name != reader.column.name])
    for start in range(0, len(rows), _PIECE):
        piece = rows[start : start + _PIECE]
        read = replace(reader, table=alone.take(piece)).read(None)
        bad = [replace(reject, row=int(piece[reject.row])) for reject in read.rejects]
        yield piece, read.store.arrays(np.arange(len(piece))), bad
