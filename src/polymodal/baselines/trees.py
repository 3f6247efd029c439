"""Gradient boosted decision trees on handcrafted features of all inputs: what linear models cannot tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from polymodal.abilities import Features, InputFeatures
from polymodal.baselines.rare_classes import rare_classes
from polymodal.baselines.scaling import components

_MOST_ITERATIONS = 300
_USUAL_ITERATIONS = 100  # with up to ten times as many rows; more rows bear more
_LEAVES = 15
_BINS = 63  # a third of the time that 255 take on some thousand rows, and as accurate there
_OF_MANY_CLASSES = {"max_leaf_nodes": 8, "max_bins": 31, "learning_rate": 0.2}  # as accurate in a quarter of the time
_TREES, _FEWEST_ITERATIONS = 300, 10  # of many classes: of all together, and of each
_MOST_CLASSES = 50  # of a baseline, whose time must not grow with them
_MOST_ESTIMATORS = 10  # of a baseline: one for each label, or target

Inputs = Mapping[str, InputFeatures]


def fit_boosting(
    features: Float[np.ndarray, "N F"],
    target: np.ndarray,
    *,
    numbers: bool = False,
    weight: Float[np.ndarray, " N"] | None = None,
    seed: int = 0,
) -> Any:
    """Fits gradient boosting (Friedman 2001, Annals of Statistics 29:5) of histograms (Ke et al. 2017, LightGBM).

    It has a tree for every ten rows, from 100 to 300. Of K > 2 classes each has 300 / K smaller trees, at least 10 and
    at most half as many as that.

    Args:
        features: NaN where they are missing.
        target: a class or a number each row.
        numbers: it is a number.
        weight: of each row.
        seed: any.

    Returns:
        A `HistGradientBoostingClassifier` or `-Regressor` of scikit-learn.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    num_classes = 1 if numbers else len(np.unique(target))
    iterations = int(np.clip(len(features) // 10, _USUAL_ITERATIONS, _MOST_ITERATIONS))
    chosen: dict[str, Any] = {"max_leaf_nodes": _LEAVES, "max_bins": _BINS, "learning_rate": 0.1}
    if num_classes > 2:  # each iteration has a tree for every class
        iterations = int(np.clip(_TREES // num_classes, _FEWEST_ITERATIONS, iterations // 2))
        chosen = _OF_MANY_CLASSES
    estimator = (HistGradientBoostingRegressor if numbers else HistGradientBoostingClassifier)(
        max_iter=iterations,
        min_samples_leaf=min_rows_of_leaf(len(features)),
        early_stopping=False,
        random_state=seed % 2**32,
        **chosen,
    )
    empty = np.isnan(features).all(axis=0)  # of which scikit-learn can make no histogram
    with _one_thread(), rare_classes():
        return estimator.fit(np.where(empty, 0, features), target, sample_weight=weight)


def min_rows_of_leaf(num_rows: int) -> int:
    """How many training rows every leaf holds: 20, or fewer where rows are few."""
    return min(20, max(1, num_rows // 20))


def boosted_classes(
    inputs: Inputs, classes: Int[np.ndarray, " N"], prior: Float[np.ndarray, " K"], num_rows: int
) -> Float[np.ndarray, "M K"] | None:
    """Log-probabilities of the `num_rows` test rows; None where there are more than 50 classes.

    The prior enters as one more training row, so that none is infinite; rows with no input get it alone.
    """
    if len(prior) > _MOST_CLASSES:
        return None
    found = np.tile(np.log(prior), (num_rows, 1))
    joined = _joined(inputs)
    if joined is None or len(np.unique(classes[joined.in_train])) < 2:
        return found
    seen, has = classes[joined.in_train], joined.in_test
    estimator = fit_boosting(joined.train[joined.in_train], seen)
    probabilities = np.zeros((int(has.sum()), len(prior)))
    if has.any():
        with _one_thread():
            probabilities[:, estimator.classes_] = estimator.predict_proba(joined.test[has])
    found[has] = np.log((len(seen) * probabilities + prior) / (len(seen) + 1))
    return found


def boosted_columns(
    inputs: Inputs,
    wanted: Float[np.ndarray, "N K"],
    constant: Float[np.ndarray, " K"],
    num_rows: int,
    *,
    numbers: bool,
) -> Float[np.ndarray, "M K"] | None:
    """Numbers, or log odds of labels, of the `num_rows` test rows; None where there are more than 10 of them.

    What is wanted is a number, or 0 or 1, NaN where it is unknown; rows with no input get the constant.
    """
    if len(constant) > _MOST_ESTIMATORS:
        return None
    found = np.tile(constant, (num_rows, 1))
    joined = _joined(inputs)
    if joined is None or not joined.in_test.any():
        return found
    has, test = joined.in_test, joined.test[joined.in_test]
    for k, column in enumerate(wanted.T):
        known = joined.in_train & ~np.isnan(column)
        if not known.any() or np.ptp(column[known]) == 0:
            continue  # nothing to tell apart
        estimator = fit_boosting(joined.train[known], column[known], numbers=numbers)
        with _one_thread():
            said = estimator.predict(test) if numbers else estimator.predict_proba(test)[:, 1]
        if not numbers:  # the prior enters as one more row, as above
            share = (known.sum() * said + 1 / (1 + np.exp(-constant[k]))) / (known.sum() + 1)
            said = np.log(share / (1 - share))
        found[has, k] = said
    return found


@contextmanager
def _one_thread() -> Iterator[None]:
    """Without the threads of OpenMP, which wait for one another ten times as long as they work on busy cores."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="openmp"):
        yield


def _joined(inputs: Inputs) -> InputFeatures | None:
    """A few dense features of each input side by side, NaN where a row lacks it; None where no training row has any."""
    reduced = [_reduced(features) for features in inputs.values() if features.in_train.any()]
    if not reduced:
        return None
    return InputFeatures(
        train=np.hstack([np.where(one.in_train[:, None], one.train, np.nan) for one in reduced]),
        test=np.hstack([np.where(one.in_test[:, None], one.test, np.nan) for one in reduced]),
        in_train=np.any([one.in_train for one in reduced], axis=0),
        in_test=np.any([one.in_test for one in reduced], axis=0),
    )


def _reduced(features: InputFeatures) -> InputFeatures:
    """Dense features: those that there are, or the principal components of many."""
    train, test, directions = features.train, features.test, components(features.train[features.in_train])
    if directions is not None:
        train, test = train @ directions, test @ directions
    return InputFeatures(_dense(train), _dense(test), features.in_train, features.in_test)


def _dense(matrix: Features) -> np.ndarray:
    return np.asarray(matrix.toarray() if isinstance(matrix, sparse.csr_matrix) else matrix)
