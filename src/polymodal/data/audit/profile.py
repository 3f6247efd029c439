"""Reads the cells of one column and keeps of each only what the checks need; the decoded cells go by in pieces."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import sparse

from polymodal.abilities import Comparable, Measuring
from polymodal.config.run_config import LimitsConfig
from polymodal.data.cells.media import digest
from polymodal.data.cells.reading import ColumnReader, Reject, modality_of
from polymodal.data.tables.table import Table
from polymodal.schema import Column

_PIECE = 256  # rows whose cells are in memory at a time
_SMALL = 16  # bytes; a hash of so few costs more than they do


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
        notes: of how many cells reading changes what.
        missing: number of the rows without a cell, or with one such as `NA` beside numbers, that says so.
    """

    rows: np.ndarray
    tried: int
    digests: tuple[str, ...]
    measures: dict[str, np.ndarray]
    fingerprints: np.ndarray | sparse.csr_matrix | None
    compared: np.ndarray
    near: float
    rejects: tuple[Reject, ...]
    notes: Counter[str] = field(default_factory=Counter)
    missing: int = 0


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
    reader = ColumnReader(table.column(column.name), column, modality, limits)
    kept: list[int] = []
    digests: list[str] = []
    rejects: list[Reject] = []
    notes = Counter[str]()
    present = 0
    measures: defaultdict[str, list[float]] = defaultdict(list)
    prints: list[np.ndarray | sparse.csr_matrix] = []
    compared: list[int] = []
    measuring = modality if isinstance(modality, Measuring) else None
    comparable = modality if isinstance(modality, Comparable) else None
    drawn = set() if comparable is None else set(np.random.default_rng(0).permutation(rows)[:compare].tolist())
    for start in range(0, len(rows), _PIECE):
        piece = rows[start : start + _PIECE]
        part = reader.table if len(piece) == reader.table.num_rows else reader.table.take(piece)  # rows ascend
        read = replace(reader, table=part).read(None)
        rejects += [replace(reject, row=int(piece[reject.row])) for reject in read.rejects]
        notes += read.notes
        present += int(read.store.present.sum())
        arrays = zip(piece.tolist(), read.store.arrays(range(len(piece))), strict=True)
        here = [(row, array) for row, array in arrays if array is not None and array.size]
        if measuring is not None:
            for _, array in here:
                for name, value in measuring.measures(array).items():
                    measures[name].append(value)
        places = [place for place, (row, _) in enumerate(here) if row in drawn]
        if comparable is not None and places:
            prints.append(comparable.fingerprints([here[place][1] for place in places]))
            compared += [len(kept) + place for place in places]
        kept += [row for row, _ in here]
        digests += [_key(array) for _, array in here]
    joined = None if not prints else sparse.vstack(prints) if sparse.issparse(prints[0]) else np.vstack(prints)
    return AuditProfile(
        rows=np.array(kept, dtype=np.int64),
        tried=len(rows),
        digests=tuple(digests),
        measures={name: np.array(values) for name, values in measures.items()},
        fingerprints=joined,
        compared=np.array(compared, dtype=np.int64),
        near=1.0 if comparable is None else comparable.near,
        rejects=tuple(rejects),
        notes=notes,
        missing=len(rows) - present - len(rejects),
    )


def _key(array: np.ndarray) -> str:
    """Equal for equal arrays of one type."""
    return array.tobytes().hex() if array.ndim == 1 and array.nbytes <= _SMALL else digest(array)
