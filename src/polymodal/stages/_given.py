"""An estimator of scikit-learn that Python gave, in the place of a predictor by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polymodal.errors import ConfigError
from polymodal.stages._machines import Machine
from polymodal.types import Meaning

_CONFIDENT = 1e-6  # the smallest probability that is believed of it


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

    def fit(self, estimator: Any, features: np.ndarray, wanted: Float[np.ndarray, "N K"]) -> None:
        """Fits copies of an estimator.

        Args:
            estimator: not fitted; stays as it is.
            features: "N F".
            wanted: what each score is to be: 1 or -1, or a number, NaN where it is unknown.

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
