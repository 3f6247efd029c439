"""Measures predictions: every metric of a task with its interval, over the rows whose target is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int

from polymodal.data.tables.table import Table
from polymodal.data.target.class_names import name_of
from polymodal.data.target.reading import read_values
from polymodal.errors import DataError
from polymodal.metrics.bootstrap import WeightedMetrics, intervals
from polymodal.metrics.results import Report
from polymodal.metrics.rows import RowStatistics
from polymodal.protocols import Prediction, Task
from polymodal.schema import Target
from polymodal.types import Cells

_NAMED = 10  # classes in a message
_WORK = 100_000_000  # numbers looked at over all samples: about five seconds


@dataclass(frozen=True)
class EvaluatedRows:
    """What the figures of a run are about.

    Attributes:
        side: `test`, of the final model; without test rows `validation`, of the model that did not learn from them.
        rows: their numbers in the table.
        prediction: of these rows.
        target: of these rows, as the task collates it; None of a task without a target.
    """

    side: str
    rows: Int[np.ndarray, " N"]
    prediction: Prediction
    target: Cells | None

    def statistics(self, task: Task) -> RowStatistics:
        """Those of the rows whose target is known, from which every metric follows."""
        return RowStatistics.of(task, self.prediction, self.target, self.rows)


def report(statistics: RowStatistics, *, seed: int) -> Report:
    """Every metric of the task, with 95 % bootstrap intervals."""
    return measure(statistics.metrics, len(statistics), size=statistics.size, seed=seed)


def measure(function: WeightedMetrics, num_rows: int, *, size: int, seed: int, most: int = 1000) -> Report:
    """Metrics of `function` with 95 % bootstrap intervals.

    `most` samples up to 100,000 numbers (`size`) that a sample looks at; more get fewer samples, at least 200.
    """
    samples = int(np.clip(_WORK // max(size, 1), 200, most))
    return intervals(function, num_rows, samples=samples, seed=seed)


@dataclass(frozen=True)
class Truth:
    """What is true of the rows of a table.

    Attributes:
        target: as the task collates it, of length 0 where it is unknown; None of a task without a target.
        known: rows whose target the task knows; all, of a task without a target.
        labelled: rows that have a target, perhaps one that is new to the task.
        unreadable: number of rows whose target cannot be read; they have none.
        notes: what was read of the target, but not as it stands, in sentences.
        encoded: the target of each row as the task encodes it, None where it is unknown; None of a task without a
            target.
    """

    target: Cells | None
    known: Bool[np.ndarray, " N"]
    labelled: Bool[np.ndarray, " N"]
    unreadable: int = 0
    notes: tuple[str, ...] = ()
    encoded: Sequence[np.ndarray | None] | None = None

    def report(self, task: Task, prediction: Prediction, *, seed: int) -> Report:
        """Every metric of the task, with 95 % bootstrap intervals."""
        return report(RowStatistics.of(task, prediction, self.target), seed=seed)

    def report_of(self, rows: Bool[np.ndarray, " N"], task: Task, prediction: Prediction, *, seed: int) -> Report:
        """The same over some of the rows, of which the prediction has all; nothing of no rows."""
        if not rows.any():
            return {}
        some = torch.from_numpy(rows)
        target = None if self.target is None else self.target.rows(some)
        return report(RowStatistics.of(task, prediction.rows(some), target), seed=seed)

    @property
    def counts(self) -> dict[str, int]:
        """Where every row goes: `measured`, `unlabelled`, of an `unknown_class`, or with an `unreadable_target`."""
        measured, labelled = int(self.known.sum()), int(self.labelled.sum())
        counts = {
            "measured": measured,
            "unlabelled": len(self.known) - labelled - self.unreadable,
            "unknown_class": labelled - measured,
        }
        return counts | ({"unreadable_target": self.unreadable} if self.unreadable else {})


def truth_of(task: Task, target: Target, table: Table, values: Sequence[object] | None) -> Truth:
    """The truth by the cells of the target: a value for each row, None where it is missing.

    Instead of values, a task without a target takes None.

    Raises:
        DataError: no row has a target that the task knows.
    """
    if values is None:
        every = np.ones(table.num_rows, dtype=bool)
        return Truth(None, every, every)
    read = read_values(task, values, column=target.name)
    found = read.values or []
    arrays = [task.encode(value) for value in found]
    known = np.array([array is not None for array in arrays], dtype=bool)
    if not known.any():
        raise DataError(
            f"{table.source}: no cell of the target {target.name!r} holds a value that the model knows."
            + _both(found, target)
        )
    labelled = np.array([value is not None for value in found], dtype=bool)
    unreadable = sum(found[row] is None for row in {one.row for one in read.unreadable})
    named = (f"{table.where(one.row)}, target unreadable: {one.reason}" for one in read.unreadable[:_NAMED])
    notes = (*(f"{target.name}: {note}" for note in read.notes), *_unknown(found, known, target), *named)
    return Truth(task.collate(arrays), known, labelled, unreadable, notes, arrays)


def _unknown(values: Sequence[object], known: np.ndarray, target: Target) -> tuple[str, ...]:
    """Names the classes that the model does not know."""
    counts = Counter(name_of(value) for value, one in zip(values, known, strict=True) if value is not None and not one)
    if not counts or "classes" not in target.statistics:
        return ()
    shown = ", ".join(f"{name!r} ({count:,})" for name, count in counts.most_common(_NAMED))
    return (f"{target.name}: classes that training did not have: {shown}{', ...' if len(counts) > _NAMED else ''}",)


def _both(values: Sequence[object], target: Target) -> str:
    """The values of a table beside those of the model, where they are classes."""
    classes: Any = target.statistics.get("classes", [])
    names = sorted({name_of(value) for value in values if isinstance(value, str | int | float)})
    if not names or not classes:
        return " All of its cells are empty." if not names else ""
    return f" The table has {_some(names)}; the model knows {_some([*map(str, classes)])}."


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_NAMED])) + (", ..." if len(names) > _NAMED else "")
