"""Reads every cell of a table once into compact arrays; what cannot be read becomes a reject with its reason."""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from polymodal.config.run_config import LimitsConfig
from polymodal.data.cells.features import fit_features
from polymodal.data.cells.reading import ColumnReader, Reject, modality_of
from polymodal.data.cells.store import Store
from polymodal.data.tables.table import Table
from polymodal.errors import DataError
from polymodal.protocols import Modality
from polymodal.schema import Column

__all__ = ["Prepared", "Reject", "Store", "fit_statistics", "modality_of", "prepare", "write_records"]


@dataclass(frozen=True)
class Prepared:
    """A table as arrays.

    Attributes:
        stores: by column.
        rejects: in the order of columns, then rows.
        dropped: numbers of the rows that the policy `drop` takes out, ascending; the stores still count them.
        notes: column -> what reading changed -> number of cells; columns with nothing to say are left out.
    """

    stores: dict[str, Store]
    rejects: tuple[Reject, ...]
    dropped: np.ndarray
    notes: dict[str, dict[str, int]] = field(default_factory=dict)


def prepare(
    table: Table,
    columns: Sequence[Column],
    *,
    limits: LimitsConfig,
    bad_cells: Literal["missing", "drop", "error"],
    cache: Path | None = None,
    modalities: Mapping[str, Modality] | None = None,
    with_notes: bool = True,
) -> Prepared:
    """Reads the cells of all columns that enter the model; those without a modality are passed over.

    Args:
        table: holds these columns.
        columns: of a schema, with complete settings; statistics are not needed.
        limits: what a cell may cost, checked before it is read.
        bad_cells: a cell that cannot be read becomes missing; or its row is also listed as dropped; or it is an error.
        cache: a folder that keeps decoded media by content and settings: memory-mapped, so that they need not fit
            into memory, and used again by later runs. Without it everything is held in memory.
        modalities: by column, for a caller that has them already; None: made here.
        with_notes: without it nothing is remarked on cells that were read; each then has to be looked at only once. Not
            together with a cache, whose other readers want the notes.

    Raises:
        ColumnError: the table lacks a column.
        DataError: an unreadable cell under the policy `error`; no row left under `drop`.
    """
    present = [column for column in columns if column.modality is not None]
    table.require(*(column.name for column in present))
    stores: dict[str, Store] = {}
    rejects: list[Reject] = []
    notes: dict[str, dict[str, int]] = {}
    with warnings.catch_warnings():  # Pillow warns of tags that it passes over, and could not say of which file
        warnings.filterwarnings("ignore", module=r"PIL\.")
        for column in present:
            modality = modality_of(column) if modalities is None else modalities[column.name]
            read = ColumnReader(table, column, modality, limits, with_notes).read(cache)
            if read.rejects and bad_cells == "error":
                raise DataError(_describe(table, read.rejects))
            stores[column.name] = read.store
            rejects += read.rejects
            if read.notes:
                notes[column.name] = dict(read.notes)
    dropped = sorted({reject.row for reject in rejects}) if bad_cells == "drop" else []
    if len(dropped) == table.num_rows:
        raise DataError(f"No row is left: every one has a cell that cannot be read. {_describe(table, rejects)}")
    return Prepared(stores, tuple(rejects), np.array(dropped, dtype=np.int64), notes)


def fit_statistics(
    columns: Sequence[Column],
    prepared: Prepared,
    rows: np.ndarray,
    *,
    together: Sequence[Sequence[str]] = (),
    given: Collection[str] = (),
) -> tuple[Column, ...]:
    """The columns with what their modalities learn from some rows: those of training, never others.

    Args:
        columns: with complete settings.
        prepared: their cells.
        rows: numbers of the training rows.
        together: names of columns whose modality learns from the cells of all of them, as of one long column.
        given: names of columns that keep what was learned of them before.

    Raises:
        DataError: none of the rows has a cell that could be read.
    """
    if not any(store.present[rows].any() for store in prepared.stores.values()):
        first = prepared.rejects[0] if prepared.rejects else None
        why = f" {first.file}, row {first.row}, column {first.column!r}: {first.reason}." if first else ""
        raise DataError(f"No training row has a single readable cell.{why} Repair the cells, or use other columns.")
    by_name = {column.name: column for column in columns}
    learned = {name: by_name[name].statistics for name in given}
    for group in [*together, *([column.name] for column in columns if column.modality is not None)]:
        if not learned.keys() >= set(group):
            learned |= dict.fromkeys(group, _fit(by_name[group[0]], [prepared.stores[name] for name in group], rows))
    fitted = []
    for column in columns:
        statistics = learned[column.name] if column.modality is not None else column.statistics
        fitted.append(column.model_copy(update={"statistics": statistics}))
        if column.features is not None and column.name not in given:
            features = fit_features(modality_of(fitted[-1]), prepared.stores[column.name], rows)
            fitted[-1] = fitted[-1].model_copy(update={"features": features})
    return tuple(fitted)


def write_records(records: Iterable[Any], path: Path) -> None:
    """Writes dataclasses, such as rejects and what cleaning did, as JSON lines; of none, an empty file."""
    # a lone surrogate in a file's name becomes an escape, which JSON reads back as it was
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
        file.writelines(json.dumps(asdict(record), ensure_ascii=False) + "\n" for record in records)


def _fit(column: Column, stores: Sequence[Store], rows: np.ndarray) -> dict[str, Any]:
    arrays = (array for store in stores for array in store.present_arrays(rows))
    return modality_of(column.model_copy(update={"statistics": {}})).fit(arrays)


def _describe(table: Table, rejects: Sequence[Reject]) -> str:
    first = rejects[0]
    others = f" {len(rejects) - 1} more cannot be read." if len(rejects) > 1 else ""
    file = "" if first.file == table.source else f"{first.file}: "
    return (
        f"{table.where(first.row)}, column {first.column!r}: {file}{first.reason}.{others} "
        "Repair them, or set bad_cells to missing or drop."
    )
