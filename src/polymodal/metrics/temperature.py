"""Which temperature makes probabilities fit best."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Num

from polymodal.types import Head

_OF_PROBABILITIES = ("log_loss", "label_log_loss")
_SPREAD = 0.5  # of its logarithm before any row was seen: few rows, all of them right, make nobody certain
_FARTHEST = math.log(20)


def best_temperature(head: Head, scores: Float[np.ndarray, "N K"], target: Num[np.ndarray, "N ..."]) -> float:
    """The temperature with the smallest log loss, held near 1 by a normal prior on its logarithm.

    Args:
        head: whose metrics are used.
        scores: of rows that the model did not learn from.
        target: as the task encodes it; known for every row.

    Returns:
        1 for tasks without a log loss.
    """
    from scipy.optimize import minimize_scalar

    def measured(temperature: float) -> Mapping[str, float]:
        return head.metrics((scores / temperature).astype(scores.dtype), target)

    name = next((name for name in _OF_PROBABILITIES if name in measured(1.0)), None)
    if name is None:
        return 1.0

    def objective(logarithm: float) -> float:
        return len(scores) * measured(math.exp(logarithm))[name] + 0.5 * (logarithm / _SPREAD) ** 2

    return math.exp(minimize_scalar(objective, bounds=(-_FARTHEST, _FARTHEST), method="bounded").x)
