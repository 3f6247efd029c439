"""Has scikit-learn fit what stands on top of tokens that nothing is learned for."""

from __future__ import annotations

import numpy as np
import torch

from polymodal.errors import ConfigError
from polymodal.layers.pooling import masked_mean
from polymodal.models.network import Network
from polymodal.models.stage import Fitter
from polymodal.protocols import Encoder, Fusion
from polymodal.stages._machines import Machine
from polymodal.stages._predictors import PredictorConfig, TrainingArrays, fit_machine
from polymodal.types import Cells, Meaning


def require_frozen(where: str, name: str, encoder: Encoder) -> None:
    """Raises ConfigError where an encoder has something to learn."""
    if not encoder.frozen:
        raise ConfigError(
            f"{where}: the encoder of the input {name!r} has weights to learn, and here nothing trains them. Name "
            "none, for simple features, or one that is frozen."
        )


def learn_machine(
    fitter: Fitter,
    network: Network,
    machine: Machine,
    predictor: PredictorConfig,
    rows: np.ndarray,
    *,
    key: str,
    fusion: Fusion | None = None,
) -> bool:
    """Fits a machine on features of some rows.

    Args:
        fitter: knows the target and the weights of the rows.
        network: of frozen encoders.
        machine: where the result goes.
        predictor: what to fit.
        rows: numbers of the rows to learn from.
        key: of the estimator that Python gave, if it gave one.
        fusion: what makes features of the encoders' tokens, scaled as they should be; None: the only input's tokens
            are the features.

    Returns:
        Whether there was anything to learn.

    Raises:
        ConfigError: an estimator from Python that is not there.
    """
    if predictor.name == "given" and key not in fitter.estimators:
        raise ConfigError(
            "stage: the predictor is one that Python gave, and that no file holds. Train again from Python, or name "
            "one: logistic, ridge, svm or svm_rbf."
        )
    tokens = fitter.tokens(network, rows)
    if fusion is not None:
        fusion.cpu()
    with torch.no_grad():
        fused = next(iter(tokens.values())) if fusion is None else fusion(tokens)
    target = fitter.target(rows)
    assert target is not None, "a task that gives scores has a target"
    known = (target.present & fused.present).numpy()
    simple = all(getattr(encoder, "takes_features", False) for encoder in network.encoders.values())
    lessons = TrainingArrays(
        features=masked_mean(fused.values, fused.mask).numpy()[known],
        target=_truth(target, machine.meaning)[known],
        weight=fitter.weights(rows).double().numpy()[known],
        meaning=machine.meaning,
        scale=fusion is None and not simple,
        seed=fitter.config.seed,
    )
    return fit_machine(machine, predictor, lessons, fitter.estimators.get(key))


def _truth(target: Cells, meaning: Meaning) -> np.ndarray:
    """Classes [N], labels [N, K], or numbers [N, K] with NaN where one is unknown."""
    values = target.values.numpy()
    if meaning == "numbers":
        numbers, known = values.swapaxes(0, 1)
        return np.where(known > 0, numbers, np.nan)
    return np.asarray(values[:, 0] if values.dtype.kind == "i" else values)
