"""Measures predictions: every metric of a task with its interval, ready for `metrics.json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float, Int, Num

from polymodal.metrics.bootstrap import WeightedMetrics, intervals, metrics_of
from polymodal.types import Head

Report = dict[str, dict[str, float]]
"""`{"accuracy": {"value": ..., "low": ..., "high": ...}, ...}`"""


@dataclass(frozen=True)
class Measured:
    """What the figures of a run are about.

    Attributes:
        side: `test`, of the final model; without test rows `validation`, of the model that did not learn from them.
        rows: their numbers in the table.
        scores: as the model gives them.
        target: as the task encodes it; NaN where unknown.
    """

    side: str
    rows: Int[np.ndarray, " N"]
    scores: Float[np.ndarray, "N K"]
    target: Num[np.ndarray, "N ..."]


_WORK = 100_000_000  # scores looked at over all samples: about five seconds


def evaluate_scores(
    task: Head, scores: Float[np.ndarray, "N K"], target: Num[np.ndarray, "N ..."], *, seed: int
) -> Report:
    """Every metric of the task over the rows whose target is known, with 95 % bootstrap intervals.

    Args:
        task: the model's head.
        scores: as the model gives them.
        target: as the task encodes it; NaN where missing.
        seed: of the bootstrap.
    """
    return report(scores, target, metrics_of(task), seed=seed)


def report(
    scores: Num[np.ndarray, "N ..."],
    target: Num[np.ndarray, "N ..."],
    function: WeightedMetrics,
    *,
    seed: int,
    most: int = 1000,
) -> Report:
    """Metrics of `function` with 95 % bootstrap intervals.

    `most` samples up to 100,000 scores (rows x classes); more scores get fewer samples, at least 200.
    """
    samples = int(np.clip(_WORK // max(scores.size, 1), 200, most))
    measured = intervals(scores, target, function, samples=samples, seed=seed)
    return {name: asdict(interval) for name, interval in measured.items()}
