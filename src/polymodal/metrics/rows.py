"""Statistics of rows, from which every metric follows: computed once, weighted as often as a bootstrap asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from polymodal.metrics.bootstrap import point
from polymodal.protocols import Prediction, Task
from polymodal.types import Cells


@dataclass(frozen=True)
class RowStatistics:
    """What a task keeps of its predictions for some rows, all of known target.

    Attributes:
        task: knows what the arrays are.
        rows: numbers in the table.
        arrays: by name, [N, ...].
    """

    task: Task
    rows: Int[np.ndarray, " N"]
    arrays: Mapping[str, np.ndarray]

    @classmethod
    def of(
        cls, task: Task, prediction: Prediction, target: Cells | None, rows: Int[np.ndarray, " M"] | None = None
    ) -> RowStatistics:
        """Those of the rows whose target is known.

        Args:
            task: fitted.
            prediction: of M rows, on the CPU.
            target: of the same rows; None of a task without a target.
            rows: their numbers in the table; None: they are counted.
        """
        rows = np.arange(len(prediction.present)) if rows is None else rows
        if target is not None and not bool(target.present.all()):
            known = target.present
            prediction, target, rows = prediction.rows(known), target.rows(known), rows[known.numpy()]
        return cls(task, rows, task.rows(prediction, target))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def size(self) -> int:
        """Numbers that a weighting looks at."""
        return max((array.size for array in self.arrays.values()), default=0)

    def metrics(self, weights: Float[np.ndarray, "S N"]) -> Mapping[str, Float[np.ndarray, " S"]]:
        """Every metric for each of S weightings of the rows."""
        return self.task.metrics(self.arrays, weights)

    def values(self) -> dict[str, float]:
        """Every metric, each row counting once; those that are undefined are left out."""
        return point(self.metrics, len(self))
