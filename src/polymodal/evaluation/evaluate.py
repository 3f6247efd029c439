"""Measures predictions: every metric of a task with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from polymodal.metrics.bootstrap import WeightedMetrics, intervals
from polymodal.metrics.results import Report
from polymodal.metrics.rows import RowStatistics
from polymodal.protocols import Prediction, Task
from polymodal.types import Cells

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
    """Every metric of the task, with 95 % bootstrap intervals.

    Args:
        statistics: of rows whose target is known.
        seed: of the bootstrap.
    """
    return measure(statistics.metrics, len(statistics), size=statistics.size, seed=seed)


def measure(function: WeightedMetrics, num_rows: int, *, size: int, seed: int, most: int = 1000) -> Report:
    """Metrics of `function` with 95 % bootstrap intervals.

    `most` samples up to 100,000 numbers that a sample looks at; more get fewer samples, at least 200.

    Args:
        function: weights [S, N] -> values [S] by name.
        num_rows: N.
        size: numbers that a sample looks at.
        seed: of the bootstrap.
        most: samples.
    """
    samples = int(np.clip(_WORK // max(size, 1), 200, most))
    return intervals(function, num_rows, samples=samples, seed=seed)
