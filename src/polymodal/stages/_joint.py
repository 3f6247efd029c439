"""Encoders, fusion and head that learn together, with one loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol

import numpy as np
import torch

from polymodal.abilities import Scoring
from polymodal.calibration.temperature import Temperature
from polymodal.layers.scores_head import ScoresHead
from polymodal.metrics.direction import greater_is_better
from polymodal.metrics.rows import RowStatistics
from polymodal.metrics.significance import Scored, difference, resampled
from polymodal.models.ensemble import Ensemble
from polymodal.models.model import Model, Network
from polymodal.models.stage import FitResult, Fitter, Parts, Stage
from polymodal.protocols import Fusion, Task
from polymodal.types import Cells, Scores

_WEIGHT = 0.5
"""Of the unimodal predictions in the ensemble, unless the user or the validation rows say otherwise."""

_FEWEST_ROWS, _MOST_ROWS = 30, 5_000  # to tell whether they do harm


class JointStage(Stage, Protocol):
    """A stage at which a tower for each side and a head learn together; an ensemble around them where they score."""

    joint: ClassVar[bool] = True

    def fusion(self, parts: Parts, widths: Mapping[str, int]) -> Fusion:
        """The fusion of a side's inputs, which have these widths."""
        return parts.fusion(widths)

    def assemble(self, parts: Parts) -> Network:
        task, train, widths = parts.task, parts.config.train, parts.widths
        fusions = {
            side: self.fusion(parts, {name: widths[name] for name in names}) for side, names in parts.sides.items()
        }
        heads = {}
        if isinstance(task, Scoring) and train.auxiliary_loss:
            heads = {name: ScoresHead.of(task, width) for name, width in widths.items()}
        towers = {side: parts.tower(side, fusion) for side, fusion in fusions.items()}
        model = Model(towers, task.head({side: fusion.width for side, fusion in fusions.items()}))
        if not isinstance(task, Scoring):
            return model
        weight = train.ensemble_weight
        if weight is None:
            weight = _WEIGHT if len(heads) > 1 else 0.0
        return Ensemble(model, heads, meaning=task.meaning, weight=weight, calibrator=Temperature())

    def learn(
        self, fitter: Fitter, rows: np.ndarray, validation: np.ndarray, *, before: FitResult | None = None
    ) -> FitResult:
        """Trains the whole network at once; validation rows then set the ensemble's weight and temperature."""
        network = fitter.build()
        if before is not None:
            history = fitter.fit(network, rows, None, phase="refit", epochs=before.histories["train"].best_epoch)
            if isinstance(network, Ensemble) and isinstance(before.network, Ensemble):
                network.weight.copy_(before.network.weight)
                network.calibrator.load_state_dict(before.network.calibrator.state_dict())
            return FitResult(network, {"refit": history})
        history = fitter.fit(network, rows, validation, phase="train")
        found = None
        if isinstance(network, Ensemble) and len(validation) >= _FEWEST_ROWS:
            order = np.random.default_rng(fitter.config.seed).permutation(len(validation))[:_MOST_ROWS]
            predicted = _weigh_and_calibrate(fitter, network, validation[order])
            if len(order) == len(validation):
                found = predicted.rows(torch.from_numpy(order.argsort()))
        return FitResult(network, {"train": history}, found)


def _weigh_and_calibrate(fitter: Fitter, network: Ensemble, rows: np.ndarray) -> Scores:
    """Sets what rows decide that nobody learned from: whether unimodal predictions count, and the temperature.

    Returns:
        The predictions for these rows then.
    """
    tokens, target, task = fitter.tokens(network, rows), fitter.target(rows), fitter.task
    assert target is not None, "a task that gives scores has a target"
    network.cpu()

    def scores() -> Scores:
        with torch.inference_mode():
            return network.combine(tokens)

    if float(network.weight) and fitter.config.train.ensemble_weight is None:
        averaged = scores()
        network.weight.fill_(0.0)
        if not _is_better(task, scores(), averaged, target, seed=fitter.config.seed):
            network.weight.fill_(_WEIGHT)
    network.calibrator.fit(task, scores(), target)
    return scores()


def _is_better(task: Task, scores: Scores, others: Scores, target: Cells, *, seed: int) -> bool:
    """Whether scores beat others in the task's first metric, by the 95 % interval of the paired bootstrap."""
    statistics = (RowStatistics.of(task, one, target) for one in (scores, others))
    measured = (
        resampled([Scored(one.rows, one.metrics, one.size)], one.rows, samples=400, seed=seed) for one in statistics
    )
    first, second = (of_one.get(task.metric) for of_one in measured)
    if first is None or second is None:  # undefined, such as a correlation of equal numbers
        return False
    greater = greater_is_better(task.greater_is_better, task.metric)
    return difference(first, second, greater_is_better=greater, test_share=0.0, trainings=False).interval.low > 0
