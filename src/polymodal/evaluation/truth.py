"""How good a trained model is on a table whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from polymodal.data.tables.table import Table
from polymodal.errors import DataError
from polymodal.evaluation.evaluate import report
from polymodal.metrics.results import Report
from polymodal.metrics.rows import RowStatistics
from polymodal.protocols import Prediction, Task
from polymodal.schema import Target
from polymodal.types import Cells


@dataclass(frozen=True)
class Truth:
    """What is true of the rows of a table.

    Attributes:
        target: as the task collates it, of length 0 where it is unknown; None of a task without a target.
        known: rows whose target the task knows; all, of a task without a target.
        labelled: rows that have a target, perhaps one that is new to the task.
    """

    target: Cells | None
    known: Bool[np.ndarray, " N"]
    labelled: Bool[np.ndarray, " N"]

    def report(self, task: Task, prediction: Prediction, *, seed: int) -> Report:
        """Every metric over the rows whose target is known, with 95 % bootstrap intervals."""
        return report(RowStatistics.of(task, prediction, self.target), seed=seed)

    @property
    def counts(self) -> dict[str, int]:
        """Where every row goes: `measured`, `unlabelled`, or of an `unknown_class`."""
        measured, labelled = int(self.known.sum()), int(self.labelled.sum())
        return {
            "measured": measured,
            "unlabelled": len(self.known) - labelled,
            "unknown_class": labelled - measured,
        }


def truth_of(task: Task, target: Target, table: Table, values: Sequence[object] | None) -> Truth:
    """The truth by the cells of the target.

    Args:
        task: fitted.
        target: names its columns.
        table: whose rows they are.
        values: one cell a row, None where it is missing; None of a task without a target.

    Raises:
        DataError: no row has a target that the task knows.
    """
    if values is None:
        every = np.ones(table.num_rows, dtype=bool)
        return Truth(None, every, every)
    arrays = [task.encode(value) for value in values]
    known = np.array([array is not None for array in arrays], dtype=bool)
    if not known.any():
        raise DataError(f"{table.source}: no cell of the target {target.name!r} holds a value that the model knows.")
    labelled = np.array([value is not None for value in values], dtype=bool)
    return Truth(task.collate(arrays), known, labelled)
