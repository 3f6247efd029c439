"""Simple models on handcrafted features of each input: what a model has to beat. All fit in seconds."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import sparse
from torch import Tensor

from polymodal.abilities import Features, InputFeatures
from polymodal.baselines.rare_classes import rare_classes
from polymodal.baselines.scaling import side_by_side
from polymodal.baselines.trees import Inputs, boosted_classes, boosted_columns
from polymodal.types import Cells, Scores

_C = 20.0  # inverse strength of the logistic regression's L2 penalty, for rows of unit size
_ALPHA = 1.0  # strength of the ridge penalty, for rows of unit size

Found = dict[str, Scores | dict[str, Scores]]
"""Predictions for the test rows by the name of the baseline; of `linear_by_input`, one for each input."""


def class_baselines(
    inputs: Inputs,
    target: Cells,
    num_rows: int,
    *,
    num_classes: int,
    as_scores: Callable[[Tensor], Tensor] = lambda log_probabilities: log_probabilities,
) -> Found:
    """`majority`: the classes' shares; `linear`: logistic regression for each input, their log-probabilities averaged
    over the inputs that a row has; `gradient_boosting`: of trees on all inputs, where there are at most 50 classes;
    `linear_by_input`: logistic regressions, each by itself.

    The target, of the training rows, is Int "N 1"; `num_rows` are to be predicted. `as_scores` makes scores of the task
    of log-probabilities.
    """
    classes = target.values[:, 0].numpy()
    counts = np.bincount(classes, minlength=num_classes)
    log_prior = np.log((counts + 1 / num_classes) / (len(classes) + 1))  # one more row, spread over all classes
    total, num_present, alone = np.zeros((num_rows, num_classes)), np.zeros(num_rows), {}
    for name, features in inputs.items():
        if len(np.unique(classes[features.in_train])) < 2:
            continue  # nothing to tell apart: the input says nothing
        fitted = np.where(features.in_test[:, None], _logistic(features, classes, np.exp(log_prior)), 0)
        total, num_present = total + fitted, num_present + features.in_test
        alone[name] = np.where(features.in_test[:, None], fitted, log_prior)
    mean = total / np.maximum(num_present, 1)[:, None]
    mean -= np.logaddexp.reduce(mean, axis=1, keepdims=True)

    def scores(log_probabilities: np.ndarray) -> Scores:
        return _scores(as_scores(torch.from_numpy(np.ascontiguousarray(log_probabilities))))

    boosted = boosted_classes(inputs, classes, np.exp(log_prior), num_rows)
    return {
        "majority": scores(np.tile(log_prior, (num_rows, 1))),
        "linear": scores(np.where(num_present[:, None] > 0, mean, log_prior)),
        **({} if boosted is None else {"gradient_boosting": scores(boosted)}),
        "linear_by_input": {name: scores(found) for name, found in alone.items()},
    }


def number_baselines(inputs: Inputs, target: Cells, num_rows: int) -> Found:
    """`mean`; `linear`: ridge regression on the features of all inputs side by side; `gradient_boosting`: of trees on
    them, for at most 10 targets; `linear_by_input`: ridge regression on each.

    The target, of the training rows, is numbers and which of them are known, Float "N 2 K"; `num_rows` are to be
    predicted.
    """
    numbers, known = target.values.double().numpy().swapaxes(0, 1)
    constant = (numbers * known).sum(axis=0) / known.sum(axis=0)

    def fit(features: InputFeatures | None) -> np.ndarray:
        scores = np.tile(constant, (num_rows, 1))
        for k, there in enumerate(known.T > 0):  # each target from the rows that have it
            if features is not None and (there & features.in_train).any():
                of_known = replace(features, train=features.train[there], in_train=features.in_train[there])
                scores[:, k] = _ridge(of_known, numbers[there, k], constant[k])
        return scores

    boosted = boosted_columns(inputs, np.where(known > 0, numbers, np.nan), constant, num_rows, numbers=True)
    return _fitted(inputs, fit, boosted, without="mean")


def label_baselines(inputs: Inputs, target: Cells, num_rows: int) -> Found:
    """`prevalence`: how frequent each label is; `linear`: one ridge regression a label on the features of all inputs
    side by side; `gradient_boosting`: of trees on them, for at most 10 labels; `linear_by_input`: ridge regression on
    each.

    The target, of the training rows, is Float "N K"; `num_rows` are to be predicted.
    """
    labels = target.values.double().numpy()
    share = (labels.sum(axis=0) + 0.5) / (len(labels) + 1)
    prior = np.log(share / (1 - share))

    def fit(features: InputFeatures | None) -> np.ndarray:
        return np.tile(prior, (num_rows, 1)) if features is None else _ridge_labels(features, labels, prior)

    return _fitted(inputs, fit, boosted_columns(inputs, labels, prior, num_rows, numbers=False), without="prevalence")


def _fitted(
    inputs: Inputs, fit: Callable[[InputFeatures | None], np.ndarray], boosted: np.ndarray | None, *, without: str
) -> Found:
    """What is predicted from no input, by the name `without`; from all inputs as one, also by trees; and from each."""
    known = {name: features for name, features in inputs.items() if features.in_train.any()}

    def scores(features: InputFeatures | None) -> Scores:
        return _scores(torch.from_numpy(fit(features)))

    return {
        without: scores(None),
        "linear": scores(_joined(list(known.values())) if known else None),
        **({} if boosted is None else {"gradient_boosting": _scores(torch.from_numpy(boosted))}),
        "linear_by_input": {name: scores(features) for name, features in known.items()},
    }


def _joined(inputs: Sequence[InputFeatures]) -> InputFeatures:
    """Several inputs as one, which a row has if it has any of them."""
    return InputFeatures(
        train=side_by_side([one.train for one in inputs]),
        test=side_by_side([one.test for one in inputs]),
        in_train=np.any([one.in_train for one in inputs], axis=0),
        in_test=np.any([one.in_test for one in inputs], axis=0),
    )


def _scores(values: Float[Tensor, "M K"]) -> Scores:
    return Scores(values, torch.ones(len(values), dtype=torch.bool))


def _logistic(
    features: InputFeatures, target: Int[np.ndarray, " N"], prior: Float[np.ndarray, " K"]
) -> Float[np.ndarray, "M K"]:
    """Log-probabilities of the test rows; the prior enters as one more training row, so that none is infinite."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    seen = target[features.in_train]
    model = LogisticRegression(C=_C, max_iter=200)
    with rare_classes():  # which restores the filters
        # The iterations bound the time; a baseline that is not quite at its optimum is still a baseline.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features.train[features.in_train], seen)
    probabilities = np.zeros((len(features.in_test), len(prior)))
    probabilities[:, model.classes_] = model.predict_proba(features.test)
    return np.asarray(np.log((len(seen) * probabilities + prior) / (len(seen) + 1)))


def _ridge(features: InputFeatures, target: Float[np.ndarray, " N"], constant: float) -> Float[np.ndarray, " M"]:
    """Predictions for the test rows: the constant where they have nothing."""
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=_ALPHA).fit(features.train[features.in_train], target[features.in_train])
    return np.where(features.in_test, model.predict(features.test), constant)


def _ridge_labels(
    features: InputFeatures, target: Float[np.ndarray, "N K"], prior: Float[np.ndarray, " K"]
) -> Float[np.ndarray, "M K"]:
    """Log odds of every label for the test rows: the prior where they have nothing.

    Ridge regression in its dual form (Hastie et al. 2009, The Elements of Statistical Learning, section 12.3.7): the
    products of all rows are decomposed once for all labels. What it gives becomes log odds as the logistic function is
    near one half; that keeps the order, by which most metrics go.
    """
    train, has = features.train[features.in_train], target[features.in_train]
    products, mean = _dense(train @ train.T), has.mean(axis=0)
    of_test = _dense(features.test @ train.T)
    centred = products - products.mean(axis=0) - products.mean(axis=1)[:, None] + products.mean()
    of_test = of_test - of_test.mean(axis=1)[:, None] - products.mean(axis=0) + products.mean()
    weights = np.linalg.solve(centred + _ALPHA * np.eye(len(centred)), has - mean)
    return np.where(features.in_test[:, None], 4 * (mean + of_test @ weights - 0.5), prior)


def _dense(matrix: Features) -> np.ndarray:
    return np.asarray(matrix.toarray() if isinstance(matrix, sparse.csr_matrix) else matrix, dtype=np.float64)
