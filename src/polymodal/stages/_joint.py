"""Encoders, fusion and head that learn together, with one loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from polymodal.abilities import Scoring
from polymodal.calibration.temperature import Temperature
from polymodal.layers.scores_head import ScoresHead
from polymodal.metrics.direction import greater_is_better
from polymodal.metrics.rows import RowStatistics
from polymodal.metrics.significance import Scored, difference, resampled
from polymodal.models.ensemble import Ensemble
from polymodal.models.model import Model
from polymodal.models.network import Network
from polymodal.models.stage import FitResult, Fitter, Parts
from polymodal.protocols import Fusion, Task
from polymodal.types import Cells, Scores

_WEIGHT = 0.5
"""Of the unimodal predictions in the ensemble, unless the user or the validation rows say otherwise."""

_FEWEST_ROWS, _MOST_ROWS = 30, 5_000  # to tell whether they do harm


def joint(parts: Parts, fuse: Callable[[Mapping[str, int]], Fusion]) -> Network:
    """A tower for each side and a head; of a task that gives scores an ensemble around them.

    Args:
        parts: what to assemble.
        fuse: widths of a side's inputs -> their fusion.
    """
    widths = parts.widths
    fusions = {side: fuse({name: widths[name] for name in names}) for side, names in parts.sides.items()}
    if not isinstance(parts.task, Scoring):
        return _model(parts, fusions)
    heads = _unimodal_heads(parts, parts.task) if parts.config.train.auxiliary_loss else {}
    weight = parts.config.train.auxiliary_vote
    if weight is None:
        weight = _WEIGHT if len(heads) > 1 else 0.0
    return Ensemble(_model(parts, fusions), heads, meaning=parts.task.meaning, weight=weight, calibrator=Temperature())


def _model(parts: Parts, fusions: Mapping[str, Fusion]) -> Model:
    towers = {side: parts.tower(side, fusion) for side, fusion in fusions.items()}
    return Model(towers, parts.task.head({side: fusion.width for side, fusion in fusions.items()}))


def _unimodal_heads(parts: Parts, task: Scoring) -> dict[str, ScoresHead]:
    return {name: ScoresHead(task.readout(width), task.criterion(), task.prior) for name, width in parts.widths.items()}


def learn_jointly(fitter: Fitter, rows: np.ndarray, validation: np.ndarray, before: FitResult | None) -> FitResult:
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

    if float(network.weight) and fitter.config.train.auxiliary_vote is None:
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
