"""Predictions for the rows of a table, exactly one for each, and the files that they are written to."""

from __future__ import annotations

import csv
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polymodal.data.cells.prepare import Reject
from polymodal.errors import UsageError, did_you_mean
from polymodal.protocols import Prediction

_FORMULA = re.compile(r"'*[=+\-@\t\r]")


@dataclass(frozen=True)
class Predictions:
    """One prediction for each row of a table, in its order.

    Attributes:
        columns: `prediction`, `p_CLASS`, ..., as the task decodes what the model gave.
        status: of each row: `ok`; `partial: photo unreadable (truncated JPEG)` where a cell could not be read and
            counted as missing; `prior: no input present` where nothing was there to go by.
        prediction: what the model gave.
        rejects: the cells that could not be read.
        warnings: what the user should hear of these, in sentences.
    """

    columns: dict[str, np.ndarray]
    status: list[str]
    prediction: Prediction
    rejects: tuple[Reject, ...]
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.status)

    @property
    def marked(self) -> list[str]:
        """Texts among the predictions that a CSV file holds with a single quote before them, each once."""
        texts = (value for column in self.columns.values() for value in column.tolist())
        return sorted(
            {value for value in texts if _neutral(value) != value} | {n for n in self.columns if _FORMULA.match(n)}
        )

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
