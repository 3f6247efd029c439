"""Has scikit-learn fit what stands on top of tokens that nothing is learned for."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from polymodal.errors import ConfigError
from polymodal.layers.pooling import masked_mean
from polymodal.metrics.bootstrap import known_rows
from polymodal.model import Model
from polymodal.timing import Training
from polymodal.timings._machines import Machine
from polymodal.timings._predictors import Lessons, Predictor, fit_machine
from polymodal.types import Encoder, Tokens


def require_frozen(where: str, name: str, encoder: Encoder) -> None:
    """Raises ConfigError where an encoder has something to learn."""
    if not encoder.frozen:
        raise ConfigError(
            f"{where}: the encoder of the input {name!r} has weights to learn, and here nothing trains them. Name "
            "none, for simple features, or one that is frozen."
        )


def learn_machine(
    trainer: Training,
    model: Model,
    machine: Machine,
    predictor: Predictor,
    rows: np.ndarray,
    *,
    key: str,
    fusion: nn.Module | None = None,
) -> bool:
    """Fits a machine on features of some rows.

    Args:
        trainer: knows the target and the weights of the rows.
        model: of frozen encoders.
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
    if predictor.name == "given" and key not in trainer.estimators:
        raise ConfigError(
            "timing: the predictor is one that Python gave, and that no file holds. Train again from Python, or name "
            "one: logistic, ridge, svm or svm_rbf."
        )
    tokens = trainer.tokens(model, rows)
    with torch.no_grad():
        fused: Tokens = next(iter(tokens.values())) if fusion is None else fusion.cpu()(tokens)
    target = trainer.target[rows]
    known = known_rows(target) & fused.present.numpy()
    simple = all(getattr(encoder, "takes_features", False) for encoder in model.encoders.values())
    lessons = Lessons(
        features=masked_mean(fused.values, fused.mask).numpy()[known],
        target=target[known],
        weight=np.ones(int(known.sum())) if trainer.weight is None else trainer.weight[rows][known],
        meaning=machine.meaning,
        scale=fusion is None and not simple,
        seed=trainer.config.seed,
    )
    return fit_machine(machine, predictor, lessons, trainer.estimators.get(key))
