"""How scikit-learn fits predictors: what they learn from, and the arrays that they give to their machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import sparse
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import cdist

from polymodal.baselines.rare_classes import rare_classes
from polymodal.types import Meaning

UNSEEN = -10.0  # score of a class that the rows do not hold: a probability near zero
_FOLDS = 5
_GAMMA = 1.0  # of the RBF kernel, for features whose rows have the mean square one

Features = Any
"""[rows, features], dense or sparse."""

Buffers = dict[str, np.ndarray]
"""What a machine takes over, by the names of its buffers."""


@dataclass(frozen=True)
class TrainingArrays:
    """What a predictor learns from.

    Attributes:
        features: of the rows, as they should be.
        wanted: what each score is to be: 1 or -1, or a number, NaN where it is unknown.
    """

    features: Features
    wanted: Float[np.ndarray, "N K"]
    weight: Float[np.ndarray, " N"]
    meaning: Meaning
    seed: int

    def rows(self, index: np.ndarray) -> TrainingArrays:
        """Some of the rows, by number."""
        return TrainingArrays(self.features[index], self.wanted[index], self.weight[index], self.meaning, self.seed)


def logistic(data: TrainingArrays, c: float) -> Buffers:
    """Logistic regression: over all classes at once, or of each label."""
    from sklearn.linear_model import LogisticRegression

    features, wanted = data.features, data.wanted
    num_rows, num_scores = wanted.shape
    weight, bias = np.zeros((num_scores, features.shape[1])), np.full(num_scores, UNSEEN)
    if data.meaning == "classes":
        fitted = LogisticRegression(C=c, max_iter=300)
        with rare_classes():
            fitted.fit(features, wanted.argmax(axis=1), sample_weight=data.weight)
        two = len(fitted.classes_) == 2  # one row of coefficients: for the second class against the first
        weight[fitted.classes_[-len(fitted.coef_) :]] = fitted.coef_
        bias[fitted.classes_] = 0.0
        bias[fitted.classes_[-1:] if two else fitted.classes_] = fitted.intercept_
        return {"weight": weight, "bias": bias}
    for k, column in enumerate((wanted > 0).T):
        if np.ptp(column.astype(int)) == 0:  # all rows alike: half a row more of each
            bias[k] = np.log((column.sum() + 0.5) / (num_rows - column.sum() + 0.5))
            continue
        fitted = LogisticRegression(C=c, max_iter=300)
        fitted.fit(features, column, sample_weight=data.weight)
        weight[k], bias[k] = fitted.coef_[0], fitted.intercept_[0]
    return {"weight": weight, "bias": bias}


def ridge(data: TrainingArrays, c: float) -> Buffers:
    """Ridge regression; `c` is the inverse strength of the penalty, as everywhere here."""
    from sklearn.linear_model import Ridge

    return _calibrated(data, partial(_one_each, estimator=Ridge(alpha=1 / c)))


def svm(data: TrainingArrays, c: float) -> Buffers:
    """A linear support vector machine."""
    from sklearn.svm import LinearSVC, LinearSVR

    kind = LinearSVR if data.meaning == "numbers" else LinearSVC
    return _calibrated(data, partial(_one_each, estimator=kind(C=c, random_state=data.seed % 2**32)))


def svm_rbf(data: TrainingArrays, c: float) -> Buffers:
    """A support vector machine with the RBF kernel."""
    from sklearn.svm import SVC, SVR

    kind = SVR if data.meaning == "numbers" else SVC
    return _calibrated(data, partial(_one_each, estimator=kind(C=c, gamma=_GAMMA), of_rows=True))


def _one_each(data: TrainingArrays, *, estimator: Any, of_rows: bool = False) -> Buffers:
    """One machine a score: against the rest, or for the number, from the rows where it is known.

    The estimator's coefficients are those of features, or `of_rows`, the support vectors.
    """
    features, wanted = data.features, data.wanted
    coefficients = np.zeros((wanted.shape[1], features.shape[0 if of_rows else 1]))
    bias = np.zeros(wanted.shape[1])
    for k, column in enumerate(wanted.T):
        rows = np.flatnonzero(~np.isnan(column))
        if not len(rows):
            continue
        if np.ptp(column[rows]) == 0:  # nothing to tell apart
            bias[k] = column[rows].mean()
            continue
        estimator.fit(features[rows], column[rows], sample_weight=data.weight[rows])
        bias[k] = np.ravel(estimator.intercept_)[0]
        if of_rows:
            coefficients[k, rows[estimator.support_]] = _dense(estimator.dual_coef_)[0]
        else:
            coefficients[k] = np.ravel(estimator.coef_)
    if not of_rows:
        return {"weight": coefficients, "bias": bias}
    support = np.flatnonzero(coefficients.any(axis=0))
    dual, gamma = np.ascontiguousarray(coefficients[:, support]), np.array(_GAMMA)
    return {"support": _dense(features[support]), "dual": dual, "bias": bias, "gamma": gamma}


def _calibrated(data: TrainingArrays, fit: Callable[[TrainingArrays], Buffers]) -> Buffers:
    """What is fitted, with slope and offset from its decisions to log-probabilities, or log odds; numbers as they are.

    SVM and ridge regression give no probabilities of classes. Theirs come from decisions for rows that were held out,
    in up to five folds: softmax of the decisions times one slope (temperature scaling, Guo et al. 2017, arXiv
    1706.04599, section 4.2: a slope for each class would need more rows), of labels Platt's sigmoid (1999). With a
    class of one row the decisions themselves stand for log-probabilities.
    """
    from sklearn.linear_model import LogisticRegression

    buffers, num_scores = fit(data), data.wanted.shape[1]
    folds = [] if data.meaning == "numbers" else list(_folds(data))
    if not folds:
        return buffers
    decisions = np.zeros(data.wanted.shape)
    for train, held_out in folds:
        decisions[held_out] = _decisions(fit(data.rows(train)), data.features[held_out])
    slope, offset = np.eye(num_scores), np.zeros(num_scores)
    if data.meaning == "classes":
        truth = data.wanted.argmax(axis=1)
        seen = np.bincount(truth, minlength=num_scores) > 0

        def loss(log_slope: float) -> float:
            scores = np.where(seen, np.exp(log_slope) * decisions, -np.inf)
            log_probability = scores[np.arange(len(truth)), truth] - np.logaddexp.reduce(scores, axis=1)
            return -float(np.average(log_probability, weights=data.weight))

        slope *= np.exp(minimize_scalar(loss, bounds=(-5, 5), method="bounded").x)
        return buffers | {"slope": slope, "offset": np.where(seen, 0.0, UNSEEN)}
    for k, column in enumerate((data.wanted > 0).T):
        if np.ptp(column.astype(int)):
            fitted = LogisticRegression(C=100.0).fit(decisions[:, [k]], column, sample_weight=data.weight)
            slope[k, k], offset[k] = fitted.coef_[0, 0], fitted.intercept_[0]
    return buffers | {"slope": slope, "offset": offset}


def _folds(data: TrainingArrays) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows to learn from, and rows held out; none where a class has one row only."""
    from sklearn.model_selection import KFold, StratifiedKFold

    num_rows = len(data.wanted)
    if data.meaning == "classes":
        labels = data.wanted.argmax(axis=1)
        counts = np.bincount(labels)
        num_folds = min(_FOLDS, int(counts[counts > 0].min()))
        if num_folds > 1:
            yield from StratifiedKFold(num_folds, shuffle=True, random_state=0).split(labels, labels)
    elif num_rows > 1:
        yield from KFold(min(_FOLDS, num_rows), shuffle=True, random_state=0).split(data.wanted)


def _decisions(buffers: Buffers, features: Features) -> np.ndarray:
    """What a machine with these arrays decides."""
    if "support" in buffers:
        distance = cdist(_dense(features), buffers["support"], "sqeuclidean")
        return np.asarray(np.exp(-buffers["gamma"] * distance) @ buffers["dual"].T + buffers["bias"])
    return np.asarray(features @ buffers["weight"].T + buffers["bias"])


def _dense(features: Features) -> np.ndarray:
    return np.asarray(features.toarray() if sparse.issparse(features) else features, dtype=np.float64)
