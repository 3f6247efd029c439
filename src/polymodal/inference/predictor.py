"""A trained model, warm: everything that depends on the bundle alone is done once, then tables are predicted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from polymodal.bundles.bundle import Bundle
from polymodal.data.cells.clean import clean_cells, counted
from polymodal.data.cells.dataset import Dataset
from polymodal.data.cells.date_orders import date_order_warnings
from polymodal.data.cells.notes import Notes, sentences, unlike_training, unseen
from polymodal.data.cells.prepare import Reject, modality_of, prepare
from polymodal.data.cells.rejected import rejected
from polymodal.data.tables.inputs import require_inputs
from polymodal.data.tables.table import Table, read_table
from polymodal.device import pick_device
from polymodal.errors import DataError
from polymodal.inference.forward import forward_batches, joined, loader_for
from polymodal.inference.predictions import Predictions
from polymodal.models.model import Model
from polymodal.protocols import Prediction

_CHUNK_ROWS = 512  # media of so many rows are in memory at a time


class Predictor:
    """Predicts tables with one trained model; fitted modalities and tokenizers are held once.

    Args:
        bundle: the trained model with the schema of its columns.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        ConfigError: this machine has no such device.
    """

    def __init__(self, bundle: Bundle, device: str = "auto") -> None:
        self.bundle, self.device = bundle, pick_device(device)
        self.columns = bundle.schema.features()
        self.modalities = {column.name: modality_of(column) for column in self.columns}
        self.network, self.task = bundle.model, bundle.task
        self.network.to(self.device).eval()

    def __call__(
        self,
        source: object,
        *,
        batch_size: int = 64,
        bad_cells: Literal["missing", "drop", "error"] = "missing",
        on_message: Callable[[str], None] | None = None,
        on_read: Callable[[int, Dataset], None] | None = None,
    ) -> Predictions:
        """Predicts every row of a table; cells that cannot be read count as missing, and the status says so.

        Some hundred rows are read and predicted at a time, so that memory does not grow with the media of the table.

        Args:
            source: whatever `read_table` takes. Columns that the model does not use are ignored.
            batch_size: rows that enter the model at a time; no result depends on it.
            bad_cells: `error` stops at the first cell that cannot be read; `drop` means `missing` here, because no row
                is ever left out of a prediction.
            on_message: called with each note on cells that were read, but not as they stand; they are not rejects.
            on_read: called with every part of the table that was read, and the number of its first row.

        Raises:
            ColumnError: a column that the model uses is absent.
            DataError: the table, or under `error` a cell, cannot be read.
        """
        table = read_table(source, text=self.bundle.config.table)
        parts: list[Prediction] = []
        rejects: list[Reject] = []
        notes: list[Notes] = []
        read_cells = Counter[str]()
        for start, dataset in self.in_chunks(table, with_notes=on_message is not None):
            if on_read is not None:
                on_read(start, dataset)
            prepared = dataset.prepared
            loader = loader_for(self.network, dataset, batch_size=batch_size)
            read_cells.update({name: int(store.present.sum()) for name, store in prepared.stores.items()})
            rejects += [replace(reject, row=reject.row + start) for reject in prepared.rejects]
            if rejects and bad_cells == "error":
                raise DataError(
                    f"{table.where(rejects[0].row)}, column {rejects[0].column!r}: {rejects[0].reason}."
                    " Repair the cell, or set bad_cells to missing."
                )
            if on_message is not None:
                read = (prepared, self.modalities, loader.rows)
                notes += [prepared.notes, unseen(*read), unlike_training(*read), counted(clean_cells(*read))]
            parts += [prediction for _, prediction in forward_batches(self.network, loader, self.device)]
        if on_message is not None:
            of_table = (f"{table.source}: {note}" for note in (*table.warnings, *table.notes))
            for sentence in (*of_table, *sentences(*notes)):
                on_message(sentence)
        prediction = joined(parts)
        towers = self.network.towers.values() if isinstance(self.network, Model) else ()
        along = next((tower.along for tower in towers if tower.along is not None), "input")
        status = _status(prediction.present.numpy(), rejects, along)
        warnings = self._warnings(table, rejects, read_cells)
        return Predictions(self.task.decode(prediction), status, prediction, tuple(rejects), warnings)

    def _warnings(self, table: Table, rejects: Sequence[Reject], read_cells: Mapping[str, int]) -> tuple[str, ...]:
        """What a user should hear of cells that could not be read, or may be misread, of whole columns above all."""
        several = [name for name, count in Counter(reject.column for reject in rejects).items() if count > 1]
        folder = f" Relative paths are looked for in {table.folder}; pm.read_table(..., folder=...) says where else."
        unreadable = {name: folder if self.modalities[name].media else "" for name in several if not read_cells[name]}
        found = rejected(rejects, source=table.source, became="counted as missing", unreadable=unreadable)
        return (*found, *date_order_warnings(table, self.columns, trained=True))

    def in_chunks(self, table: Table, *, with_notes: bool = False) -> Iterator[tuple[int, Dataset]]:
        """All rows of a table as the model reads them, some hundred at a time: first row of each part, and the part.

        Notes on cells that were read take a second look at each.

        Raises:
            ColumnError: a column that the model uses is absent.
            DataError: the table cannot be read.
        """
        require_inputs(table, self.modalities)
        table = table.without([name for name in table.names if name not in self.modalities])
        for start in range(0, table.num_rows, _CHUNK_ROWS):
            rows = np.arange(start, min(start + _CHUNK_ROWS, table.num_rows))
            chunk = table if len(rows) == table.num_rows else table.take(rows)
            prepared = prepare(
                chunk,
                self.columns,
                limits=self.bundle.config.limits,
                bad_cells="missing",
                modalities=self.modalities,
                with_notes=with_notes,
            )
            yield start, Dataset(prepared, self.modalities)


def predict(
    bundle: Bundle,
    source: object,
    *,
    batch_size: int = 64,
    device: str = "auto",
    bad_cells: Literal["missing", "drop", "error"] = "missing",
    on_message: Callable[[str], None] | None = None,
) -> Predictions:
    """Predicts every row of a table once; who asks more than once holds a `Predictor`, whose arguments these are."""
    return Predictor(bundle, device)(source, batch_size=batch_size, bad_cells=bad_cells, on_message=on_message)


def _status(present: np.ndarray, rejects: Iterable[Reject], needed: str) -> list[str]:
    """What a row was predicted from: all it has, not its cells that cannot be read, or nothing that is needed."""
    reasons: defaultdict[int, list[str]] = defaultdict(list)
    for reject in rejects:
        reasons[reject.row].append(f"{reject.column} unreadable ({reject.reason})")
    status = []
    for row, found in enumerate(present.tolist()):
        words = "; ".join(reasons.get(row, ()))
        if not found:
            status.append(f"prior: no {needed} present; {words}".removesuffix("; "))
        else:
            status.append(f"partial: {words}" if words else "ok")
    return status
