"""Encoders, fusion and head that learn together, with one loss."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
import torch

from polymodal.abilities import Scoring
from polymodal.calibration.temperature import Temperature
from polymodal.layers.scores_head import ScoresHead
from polymodal.models.ensemble import UNIMODAL, Ensemble
from polymodal.models.model import Model, Network
from polymodal.models.stage import FitResult, Fitter, Parts, Stage
from polymodal.protocols import Fusion
from polymodal.stages._datastore import learning, remember
from polymodal.stages._ensemble_weights import Evidence, learn_weights, understands
from polymodal.stages._feature_members import (
    affords_folds,
    evidence_of,
    feature_members,
    fit_feature_members,
    out_of_fold,
    predictions,
)
from polymodal.types import Scores

if TYPE_CHECKING:
    from polymodal.metrics.history import History

_REFIT_LR = 0.5  # share of that of the training
_FEWEST_ROWS, _MOST_ROWS = 50, 5_000  # to learn the weights from: fewer validation rows are joined by folds


class JointStage(Stage, Protocol):
    """A stage at which a tower for each side and a head learn together; an ensemble around them where they score."""

    joint: ClassVar[bool] = True
    refit_epochs: ClassVar[float] = 0.25

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
        asked = train.ensemble.members or ()
        return Ensemble(
            model,
            heads,
            feature_members(parts, task),
            pools_heads=UNIMODAL in asked and len(heads) > 1,
            meaning=task.meaning,
            calibrator=Temperature(),
        )

    def learn(
        self, fitter: Fitter, rows: np.ndarray, validation: np.ndarray, *, before: FitResult | None = None
    ) -> FitResult:
        """Trains the whole network at once, and fits the other members; rows that none learned from weigh them all.

        A refit goes on from the best weights, for a quarter of the epochs that were best: as accurate on folds of
        training rows as from fresh weights, and four times as fast (decision 0003).
        """
        if before is not None:
            network = copy.deepcopy(before.network)
            with learning(network):
                history = refit(fitter, network, rows, before.histories["train"])
            remember(fitter, network, rows, validation)
            if isinstance(network, Ensemble):
                fit_feature_members(fitter, network, rows)
            return FitResult(network, {"refit": history})
        network = fitter.build()
        with learning(network):
            history = fitter.fit(network, rows, validation, phase="train")
        remember(fitter, network, rows, validation)
        found = None
        if isinstance(network, Ensemble):
            fit_feature_members(fitter, network, rows)
            found = weigh_and_calibrate(fitter, network, rows, validation)
        return FitResult(network, {"train": history}, found)


def refit(
    fitter: Fitter, network: Network, rows: np.ndarray, first: History, *, phase: str = "refit", seed: int | None = None
) -> History:
    """Goes on training a network from its best weights, of which its first training tells the epoch, in place."""
    epochs = max(1, round(JointStage.refit_epochs * first.best_epoch))
    return fitter.fit(network, rows, None, phase=phase, epochs=epochs, lr_factor=_REFIT_LR, seed=seed)


def weigh_and_calibrate(fitter: Fitter, network: Ensemble, rows: np.ndarray, validation: np.ndarray) -> Scores | None:
    """Learns weights and temperature from rows that nobody learned from.

    Few validation rows are joined by the training rows, of which the models of handcrafted features predict each fold
    after they have learned from the others.

    Returns:
        The predictions for the validation rows, where all of them were predicted.
    """
    rng = np.random.default_rng(fitter.config.seed)
    order = rng.permutation(len(validation))[:_MOST_ROWS]
    target = fitter.target(rows)
    if target is None or not understands(target, network.meaning):
        return None
    some, members, evidence = validation[order], dict[str, Scores](), list[Evidence]()
    if len(some):
        members = predictions(fitter, network, some)
        evidence.append(evidence_of(fitter, network, members, some))
    if len(some) < _FEWEST_ROWS and network.takes_features and affords_folds(fitter.budget):
        drawn = np.sort(rng.permutation(rows)[:_MOST_ROWS])
        evidence.append(evidence_of(fitter, network, *out_of_fold(fitter, network, drawn)))
    network.cpu()
    if (evidence and len(network.names) > 1) or len(some) >= _FEWEST_ROWS:
        found = learn_weights(evidence, network.prior(), network.meaning)
        network.weights.copy_(found.members)
        network.temperatures.copy_(found.temperatures)
        network.calibrator.value.fill_(found.temperature)
    if not len(some) or len(some) < len(validation):
        return None
    with torch.inference_mode():
        return network.pooled(members).rows(torch.from_numpy(order.argsort()))
