"""Trained scikit-learn models as modules: as tensors, without a pickle, or an estimator that Python gave, as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polymodal.errors import ConfigError
from polymodal.layers.fitted import Fitted
from polymodal.layers.pooling import masked_mean
from polymodal.types import Meaning, Scores, Tokens

_CONFIDENT = 1e-6  # the smallest probability that is believed of it


class Machine(Fitted):
    """Mean of a row's tokens, standardised -> the scores of a task; rows with nothing present get the prior.

    A subclass gives decisions "B M"; the scores are an affine map of these, which calibrates them.
    """

    in_batch = False
    standardises = True  # features that nobody has standardised

    prior: Tensor
    centre: Tensor
    spread: Tensor
    slope: Tensor
    offset: Tensor

    def __init__(self, width: int, meaning: Meaning, prior: Float[Tensor, " K"]) -> None:
        super().__init__()
        num_scores = len(prior)
        self.meaning = meaning
        self.register_buffer("prior", prior.clone(), persistent=False)
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        self.register_buffer("slope", torch.eye(num_scores))
        self.register_buffer("offset", torch.zeros(num_scores))

    def forward(self, tokens: Mapping[str, Tokens]) -> Scores:
        """Scores from the tokens of the only side."""
        (only,) = tokens.values()
        features = (masked_mean(only.values, only.mask) - self.centre) / self.spread
        scores = self.decide(features) @ self.slope.T + self.offset
        return Scores.with_prior(scores, only.present, self.prior)

    def decide(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B M"]:
        raise NotImplementedError


class LinearMachine(Machine):
    """d = W x + b: logistic and ridge regression, linear SVM."""

    weight: Tensor
    bias: Tensor

    def __init__(self, width: int, meaning: Meaning, prior: Float[Tensor, " K"]) -> None:
        super().__init__(width, meaning, prior)
        num_scores = len(self.prior)
        self.register_buffer("weight", torch.zeros(num_scores, width))
        self.register_buffer("bias", torch.zeros(num_scores))

    def decide(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B M"]:
        return features @ self.weight.T + self.bias


class KernelMachine(Machine):
    """d = sum over support vectors s of a_s exp(-gamma |x - s|^2) + b: an SVM with the RBF kernel."""

    support: Tensor
    dual: Tensor
    bias: Tensor
    gamma: Tensor

    def __init__(self, width: int, meaning: Meaning, prior: Float[Tensor, " K"]) -> None:
        super().__init__(width, meaning, prior)
        num_scores = len(self.prior)
        self.register_buffer("support", torch.zeros(0, width))
        self.register_buffer("dual", torch.zeros(num_scores, 0))
        self.register_buffer("bias", torch.zeros(num_scores))
        self.register_buffer("gamma", torch.ones(()))

    def decide(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B M"]:
        distance = torch.cdist(features, self.support, compute_mode="donot_use_mm_for_euclid_dist")  # exact
        return torch.exp(-self.gamma * distance.square()) @ self.dual.T + self.bias


class Given(Machine):
    """An estimator that came from Python. It works here, but nothing can be saved that a bundle would understand.

    Attributes:
        estimators: fitted: one, or of labels and numbers one each.
        unsaveable: what a bundle says that it cannot hold.
    """

    def __init__(self, width: int, meaning: Meaning, prior: Float[Tensor, " K"]) -> None:
        super().__init__(width, meaning, prior)
        self.estimators: list[Any] = []
        self.unsaveable = "a scikit-learn estimator"

    def fit(self, estimator: Any, features: Float[np.ndarray, "N F"], wanted: Float[np.ndarray, "N K"]) -> None:
        """Fits copies of an estimator; what is wanted is that of `TrainingArrays`.

        Raises:
            ConfigError: the estimator does not suit the target.
        """
        from sklearn.base import clone, is_regressor

        self.unsaveable = type(estimator).__name__
        if self.meaning != "numbers" and is_regressor(estimator):
            raise ConfigError(f"stage: {self.unsaveable} predicts numbers, and the target is of classes.")
        if self.meaning == "classes":
            columns = [wanted.argmax(axis=1)]
        elif self.meaning == "labels":
            columns = list((wanted > 0).astype(int).T)
        else:
            columns = list(wanted.T)
        self.estimators = []
        for column in columns:
            known = ~np.isnan(column)
            self.estimators.append(clone(estimator).fit(features[known], column[known]))
        self._scores(features[:1])  # refused now, not in use

    def decide(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B M"]:
        return torch.as_tensor(self._scores(features.cpu().numpy()), dtype=torch.float32, device=features.device)

    def _scores(self, features: np.ndarray) -> Float[np.ndarray, "B K"]:
        """Log-probabilities, log odds, or numbers.

        Raises:
            ConfigError: a classifier without `predict_proba`.
        """
        first = self.estimators[0]
        if getattr(first, "_estimator_type", "") == "regressor" or not hasattr(first, "classes_"):
            return np.stack([np.ravel(one.predict(features)) for one in self.estimators], axis=1)
        if not hasattr(first, "predict_proba"):
            raise ConfigError(
                f"{type(first).__name__} gives no probabilities (predict_proba); wrap it in scikit-learn's "
                "CalibratedClassifierCV."
            )
        if self.meaning == "classes":
            scores = np.full((len(features), len(self.prior)), np.log(_CONFIDENT))
            scores[:, first.classes_.astype(int)] = np.log(np.maximum(first.predict_proba(features), _CONFIDENT))
            return scores
        columns = []
        for one in self.estimators:
            all_alike = len(one.classes_) == 1
            having = np.full(len(features), one.classes_[0]) if all_alike else one.predict_proba(features)[:, -1]
            having = np.clip(having, _CONFIDENT, 1 - _CONFIDENT)
            columns.append(np.log(having / (1 - having)))
        return np.stack(columns, axis=1)
