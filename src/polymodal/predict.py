"""A trained model and rows of a table -> predictions, exactly one for each row, in order."""

from __future__ import annotations

import csv
import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from jaxtyping import Float

from polymodal.bundle import Bundle
from polymodal.data.clean import repaired
from polymodal.data.loader import Loader, LoaderSettings
from polymodal.data.prepare import Prepared, Reject, modality_of, prepare
from polymodal.data.remarks import Remarks, sentences, unseen
from polymodal.data.table import Table, read_table
from polymodal.device import pick_device
from polymodal.errors import DataError, UsageError, did_you_mean
from polymodal.model import Model
from polymodal.types import Batch, Prediction

_CHUNK_ROWS = 512  # media of so many rows are in memory at a time
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


@dataclass(frozen=True)
class Predictions:
    """One prediction for each row of a table, in its order.

    Attributes:
        columns: `prediction`, `p_CLASS`, ..., as the task decodes its scores.
        status: of each row: `ok`; `partial: photo unreadable (truncated JPEG)` where a cell could not be read and
            counted as missing; `prior: no input present` where nothing was there to go by.
        scores: what the model gave, [rows, K].
        rejects: the cells that could not be read.
    """

    columns: dict[str, np.ndarray]
    status: list[str]
    scores: Float[np.ndarray, "rows K"]
    rejects: tuple[Reject, ...]

    def __len__(self) -> int:
        return len(self.status)

    def write(self, path: Path) -> None:
        """Writes one row for each row predicted, with the result columns and `status`.

        `.csv` marks text that a spreadsheet would take for a formula: where a text begins with `=`, `+`, `-`, `@`, a
        tab or a carriage return, or with such a character after single quotes, one single quote is put before it;
        taking one away gives the text back. Numbers that are not finite become empty or null. Half of a surrogate
        pair, which UTF-8 has no form for, becomes its escape.

        Raises:
            UsageError: the ending is none of .csv, .parquet, .jsonl, .ndjson, or the file cannot be written.
        """
        check_ending(path)
        columns = {name: [_plain(value) for value in values.tolist()] for name, values in self.columns.items()}
        try:
            _WRITERS[path.suffix.lower()]({**columns, "status": list(self.status)}, path)
        except OSError as error:
            raise UsageError(f"Cannot write predictions to {path}: {error.strerror or error}.") from error


def check_ending(path: Path) -> None:
    """Checks before the work that predictions can be written to a file of that name.

    Raises:
        UsageError: the ending is none of .csv, .parquet, .jsonl, .ndjson.
    """
    if path.suffix.lower() not in _WRITERS:
        raise UsageError(
            f"Cannot write predictions to {path}: the ending {path.suffix!r} says no format."
            f"{did_you_mean(path.suffix, _WRITERS)} Known: {', '.join(_WRITERS)}."
        )


def predict(
    bundle: Bundle,
    source: object,
    *,
    batch_size: int = 64,
    device: str = "auto",
    bad_cells: Literal["missing", "drop", "error"] = "missing",
    tell: Callable[[str], None] | None = None,
) -> Predictions:
    """Predicts every row of a table; cells that cannot be read count as missing, and the status says so.

    Some hundred rows are read and scored at a time, so that memory does not grow with the media of the table.

    Args:
        bundle: the trained model with the schema of its columns.
        source: whatever `read_table` takes. Columns that the model does not use are ignored.
        batch_size: rows that enter the model at a time; no result depends on it.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        bad_cells: `error` stops at the first cell that cannot be read; `drop` means `missing` here, because no row is
            ever left out of a prediction.
        tell: called with each remark on cells that were read, but not as they stand; they are not rejects.

    Raises:
        ColumnError: a column that the model uses is absent.
        DataError: the table, or under `error` a cell, cannot be read.
    """
    table = read_table(source, text=bundle.config.table)
    modalities = {column.name: modality_of(column) for column in bundle.schema.features()}
    model, where = cast(Model, bundle.model), pick_device(device)
    parts: list[Prediction] = []
    rejects: list[Reject] = []
    remarks: list[Remarks] = []
    for start, prepared, loader in in_chunks(bundle, table, batch_size=batch_size):
        rejects += [replace(reject, row=reject.row + start) for reject in prepared.rejects]
        if rejects and bad_cells == "error":
            raise DataError(
                f"{table.where(rejects[0].row)}, column {rejects[0].column!r}: {rejects[0].reason}."
                " Repair the cell, or set bad_cells to missing."
            )
        present = loader.rows
        remarks += [prepared.remarks, unseen(prepared, modalities, present), repaired(prepared, modalities, present)]
        parts += [prediction for _, prediction in score_batches(model, loader, where)]
    if tell is not None:
        for sentence in sentences(*remarks):
            tell(sentence)
    scores = np.concatenate([part.scores.numpy() for part in parts])
    present = np.concatenate([part.present.numpy() for part in parts])
    return Predictions(model.head.decode(scores), _status(present, rejects), scores, tuple(rejects))


def in_chunks(bundle: Bundle, table: Table, *, batch_size: int = 64) -> Iterator[tuple[int, Prepared, Loader]]:
    """All rows of a table as a bundle reads them, some hundred at a time: first row, cells and batches of each.

    Raises:
        ColumnError: a column that the model uses is absent.
        DataError: the table cannot be read.
    """
    columns = bundle.schema.features()
    used = [column.name for column in columns]
    table.require(*used)
    table = table.without([name for name in table.names if name not in used])
    modalities = {column.name: modality_of(column) for column in columns}
    settings = LoaderSettings(batch_size=batch_size, shuffle=False, augment=False, seed=0)
    for start in range(0, table.num_rows, _CHUNK_ROWS):
        chunk = table.take(np.arange(start, min(start + _CHUNK_ROWS, table.num_rows)))
        prepared = prepare(chunk, columns, limits=bundle.config.limits, bad_cells="missing")
        yield start, prepared, Loader(prepared, modalities, rows=np.arange(chunk.num_rows), settings=settings)


def score(model: Model, loader: Loader, device: torch.device) -> Float[np.ndarray, "rows K"]:
    """The model's scores for the rows of a loader, in the loader's order, float32."""
    return np.concatenate([prediction.scores.numpy() for _, prediction in score_batches(model, loader, device)])


def score_batches(model: Model, loader: Loader, device: torch.device) -> Iterator[tuple[Batch, Prediction]]:
    """Batches with what the model makes of them, in eval mode and without mixed precision; all on the CPU."""
    model.to(device).eval()
    for batch in loader.epoch(0):
        with torch.inference_mode():
            prediction = model(batch.to(device))
        yield batch, Prediction(prediction.scores.float().cpu(), prediction.present.cpu())


def _status(present: np.ndarray, rejects: Iterable[Reject]) -> list[str]:
    reasons: defaultdict[int, list[str]] = defaultdict(list)
    for reject in rejects:
        reasons[reject.row].append(f"{reject.column} unreadable ({reject.reason})")
    status = []
    for row, found in enumerate(present.tolist()):
        words = "; ".join(reasons.get(row, ()))
        if not found:
            status.append(f"prior: no input present; {words}".removesuffix("; "))
        else:
            status.append(f"partial: {words}" if words else "ok")
    return status


def _write_csv(columns: dict[str, list[object]], path: Path) -> None:
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_neutral(name) for name in columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow(_neutral(value) for value in row)


def _write_lines(columns: dict[str, list[object]], path: Path) -> None:
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
        for row in zip(*columns.values(), strict=True):
            record = dict(zip(columns, row, strict=True))
            file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")


def _write_parquet(columns: dict[str, list[object]], path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table(
        {_utf8(name): pyarrow.array([_utf8(value) for value in values]) for name, values in columns.items()}
    )
    with path.open("wb") as file:
        parquet.write_table(table, file)


def _utf8(value: object) -> object:
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def _neutral(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _plain(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


_WRITERS = {".csv": _write_csv, ".parquet": _write_parquet, ".jsonl": _write_lines, ".ndjson": _write_lines}
