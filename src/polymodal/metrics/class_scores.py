"""What tasks make of scores that stand for one class a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from jaxtyping import Float

from polymodal.metrics import classification
from polymodal.types import Cells, Classes, Scores


class ClassScores(Protocol):
    """A task that predicts one class a row inherits these, and says what log-probabilities its scores are.

    Attributes:
        labels: the classes in their order, as the column held them.
    """

    labels: np.ndarray

    def log_probabilities(self, prediction: Scores) -> Float[np.ndarray, "N K"]:
        """Of each class, in float64; the probabilities of a row add up to one."""

    def probabilities(self, prediction: Scores) -> Float[np.ndarray, "N K"]:
        """The probability of each class, in float64; those of a row add up to one."""
        return np.asarray(np.exp(self.log_probabilities(prediction)))

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        """Int "B 1", the place of the true class."""
        return Cells.stacked(arrays, shape=(1,), dtype=np.int64)

    def rows(self, prediction: Scores, target: Cells | None) -> dict[str, np.ndarray]:
        """Log-probabilities [N, K], and the place of the true class [N]."""
        assert target is not None, "a class is a target"
        return {"log_probabilities": self.log_probabilities(prediction), "target": target.values[:, 0].numpy()}

    def log_loss(self, scores: Scores, target: Cells) -> float:
        """Mean of minus the log-probability of the true class, in nats."""
        rows = self.rows(scores, target)
        weights = np.ones((1, len(rows["target"])))
        return float(classification.log_loss(rows["log_probabilities"], rows["target"], weights)[0])

    def outcomes(self, prediction: Scores, target: Cells, rows: np.ndarray, *, name: str) -> list[Classes]:
        """One class a row, beside the true one."""
        truth = target.values[:, 0].numpy()
        return [Classes(list(map(str, self.labels)), self.probabilities(prediction), truth, rows)]
