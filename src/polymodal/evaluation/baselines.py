"""What a model has to beat: a constant, and a linear model on simple features of each input.

Classification (of ordered classes too): the majority class; logistic regression for each input, log-probabilities
averaged over the inputs that a row has. Regression: the mean; ridge regression on the features of all inputs side by
side. Tagging: how frequent each label is; one ridge regression a label, on the same features. All fit in seconds.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from scipy import sparse

from polymodal.data.prepare import Prepared
from polymodal.data.store import Store
from polymodal.evaluation.evaluate import Report, report
from polymodal.metrics import classification, ordinal
from polymodal.metrics.bootstrap import WeightedMetrics, known_rows
from polymodal.tasks.classify import Classify
from polymodal.tasks.ordinal import Ordinal
from polymodal.tasks.regress import Regress
from polymodal.tasks.tag import Tag
from polymodal.types import Head, Modality

Features: TypeAlias = np.ndarray | sparse.csr_matrix
"""[rows, features]; one kind for all rows of an input."""

_Column: TypeAlias = tuple[Store, Modality]

_ROWS = 256  # cells in memory at a time
_MAX_TRAIN = 20_000  # more rows hardly help a linear model and cost minutes
_MAX_TAGGED = 4_000  # the same where all labels are solved at once, from the products of all rows
_MAX_DENSE = 2_000  # dense features of one input; those that vary most are kept
_C = 20.0  # inverse strength of the logistic regression's L2 penalty, for rows of unit size
_ALPHA = 1.0  # strength of the ridge penalty, for rows of unit size


@dataclass(frozen=True)
class Guess:
    """What a baseline says of some rows.

    Attributes:
        rows: their numbers in the table.
        scores: as `function` takes them.
        target: as `function` takes it; all of it is known.
        function: the metrics of the task.
    """

    rows: Int[np.ndarray, " M"]
    scores: Num[np.ndarray, "M ..."]
    target: Num[np.ndarray, "M ..."]
    function: WeightedMetrics


Guesses: TypeAlias = dict[str, Guess | dict[str, Guess]]
"""`majority` (`mean` for regression, `prevalence` for tagging), `linear`, and `linear_by_input`: one for each input."""


def fit_baselines(
    task: Head,
    prepared: Prepared,
    *,
    inputs: Mapping[str, Mapping[str, Modality]],
    target: Num[np.ndarray, "R ..."],
    train: Int[np.ndarray, " N"],
    test: Int[np.ndarray, " M"],
    seed: int = 0,
) -> dict[str, Report | dict[str, Report]]:
    """Fits the baselines on the training rows and measures them on the test rows.

    An input is fitted on the rows that have it and says nothing about the others; a row with no input gets the prior.
    Of more than 20,000 training rows (4,000 for tagging) as many are drawn.

    Args:
        task: the model's head, whose metrics are used; of other heads than Polymodal's own there is no baseline.
        prepared: the table's cells.
        inputs: by input of the model, its columns with their fitted modalities.
        target: as the task encodes it, for every row of the table; rows where it is unknown are left out.
        train: row numbers.
        test: row numbers.
        seed: of the bootstrap and of the draw.

    Returns:
        `majority` (`mean` for regression, `prevalence` for tagging) and `linear`: a report each; `linear_by_input`: a
        report for each input.
        Empty without test rows of known target.
    """
    guesses = guess(task, prepared, inputs=inputs, target=target, train=train, test=test, seed=seed)

    def measured(found: Guess) -> Report:
        return report(found.scores, found.target, found.function, seed=seed)

    return {
        name: measured(found) if isinstance(found, Guess) else {key: measured(one) for key, one in found.items()}
        for name, found in guesses.items()
    }


def guess(
    task: Head,
    prepared: Prepared,
    *,
    inputs: Mapping[str, Mapping[str, Modality]],
    target: Num[np.ndarray, "R ..."],
    train: Int[np.ndarray, " N"],
    test: Int[np.ndarray, " M"],
    seed: int = 0,
) -> Guesses:
    """The same baselines, before they are measured; arguments as for `fit_baselines`."""
    train, test = train[known_rows(target[train])], test[known_rows(target[test])]
    if not isinstance(task, Classify | Ordinal | Regress | Tag) or not len(test):
        return {}
    most = _MAX_TAGGED if isinstance(task, Tag) else _MAX_TRAIN
    if len(train) > most:
        train = np.random.default_rng(seed).choice(train, most, replace=False)
    rows = np.concatenate([train, test])
    blocks = {
        name: _block([(prepared.stores[column], modality) for column, modality in columns.items()], rows, len(train))
        for name, columns in inputs.items()
    }
    measure: WeightedMetrics
    if isinstance(task, Tag | Regress):
        scores = _tag(blocks, target[train]) if isinstance(task, Tag) else _regress(blocks, target[train])
        truth, measure = target[test], task.weighted_metrics
    else:
        known = target.astype(float)[train].astype(int)
        scores = _classify(blocks, known, num_classes=len(task.labels))
        truth = target.astype(float)[test].astype(int)
        measure = classification.measure if isinstance(task, Classify) else ordinal.measure

    def of(found: np.ndarray) -> Guess:
        return Guess(test, found, truth, measure)

    return {
        name: of(found) if isinstance(found, np.ndarray) else {key: of(one) for key, one in found.items()}
        for name, found in scores.items()
    }


@dataclass(frozen=True)
class _Block:
    """Features of one input on training and test rows, and which rows have it.

    The mean square of a training row is one, whatever the number of features: inputs of many do not outweigh inputs of
    few, and one strength of penalty suits both.
    """

    train: Features
    test: Features
    in_train: Bool[np.ndarray, " N"]
    in_test: Bool[np.ndarray, " M"]


def _block(columns: Sequence[_Column], rows: Int[np.ndarray, " R"], num_train: int) -> _Block:
    """Features of an input's columns side by side, scaled by the rows that come first: the training rows."""
    parts = [_features(store, modality, rows) for store, modality in columns]
    present = np.any([has for _, has in parts], axis=0)
    joined = _side_by_side([_scale(values, has, num_train) for values, has in parts])
    train, test, in_train, in_test = joined[:num_train], joined[num_train:], present[:num_train], present[num_train:]
    size = np.linalg.norm(train.data if sparse.issparse(train) else train) / np.sqrt(max(in_train.sum(), 1))
    return _Block(train / (size or 1), test / (size or 1), in_train, in_test)


def _features(store: Store, modality: Modality, rows: Int[np.ndarray, " R"]) -> tuple[Features, Bool[np.ndarray, " R"]]:
    """Simple features of one column's cells, and which rows have a cell."""
    pieces, present = [], []
    for start in range(0, len(rows), _ROWS):
        arrays = store.arrays(rows[start : start + _ROWS])
        pieces.append(modality.simple_features(arrays))
        present += [array is not None for array in arrays]
    joined = sparse.vstack(pieces, format="csr") if sparse.issparse(pieces[0]) else np.vstack(pieces).astype(float)
    return joined, np.array(present)


def _scale(values: Features, present: Bool[np.ndarray, " N"], num_train: int) -> Features:
    """Dense features standardised by the training rows that have the cell; zero, the mean, where there is none.

    Sparse features (counts of words) are scaled by their modality and stay as they are.
    """
    if sparse.issparse(values):
        return values
    fitted = values[:num_train][present[:num_train]]
    if not len(fitted):
        return np.zeros_like(values)
    spread = fitted.std(axis=0)
    kept = np.sort(np.argsort(-spread, kind="stable")[:_MAX_DENSE])
    centre, spread = fitted.mean(axis=0)[kept], spread[kept]
    constant = spread <= 1e-12 * np.abs(centre)  # up to rounding
    standardised = (values[:, kept] - centre) / np.where(constant, 1, spread)
    return np.where(present[:, None], standardised, 0)


def _side_by_side(features: Sequence[Features]) -> Features:
    if any(map(sparse.issparse, features)):
        return sparse.hstack(features, format="csr")
    return np.hstack(features)


_Scores: TypeAlias = dict[str, np.ndarray | dict[str, np.ndarray]]
"""Of the test rows, by baseline."""


def _num_test(blocks: Mapping[str, _Block]) -> int:
    return len(next(iter(blocks.values())).in_test)


def _classify(blocks: Mapping[str, _Block], target: Int[np.ndarray, " N"], *, num_classes: int) -> _Scores:
    counts = np.bincount(target, minlength=num_classes)
    log_prior = np.log((counts + 1 / num_classes) / (len(target) + 1))  # one more row, spread over all classes

    num_test = _num_test(blocks)
    total, votes, alone = np.zeros((num_test, num_classes)), np.zeros(num_test), {}
    for name, block in blocks.items():
        if len(np.unique(target[block.in_train])) < 2:
            continue  # nothing to tell apart: the input says nothing
        log_probabilities = np.where(block.in_test[:, None], _logistic(block, target, np.exp(log_prior)), 0)
        total, votes = total + log_probabilities, votes + block.in_test
        alone[name] = np.where(block.in_test[:, None], log_probabilities, log_prior)
    mean = total / np.maximum(votes, 1)[:, None]
    mean -= np.logaddexp.reduce(mean, axis=1, keepdims=True)
    return {
        "majority": np.tile(log_prior, (num_test, 1)),
        "linear": np.where(votes[:, None] > 0, mean, log_prior),
        "linear_by_input": alone,
    }


def _logistic(block: _Block, target: Int[np.ndarray, " N"], prior: Float[np.ndarray, " K"]) -> Float[np.ndarray, "M K"]:
    """Log-probabilities of the test rows; the prior enters as one more training row, so that none is infinite."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    seen = target[block.in_train]
    model = LogisticRegression(C=_C, max_iter=200)
    with warnings.catch_warnings():
        # The iterations bound the time; a baseline that is not quite at its optimum is still a baseline.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(block.train[block.in_train], seen)
    probabilities = np.zeros((len(block.in_test), len(prior)))
    probabilities[:, model.classes_] = model.predict_proba(block.test)
    return np.asarray(np.log((len(seen) * probabilities + prior) / (len(seen) + 1)))


def _regress(blocks: Mapping[str, _Block], target: Float[np.ndarray, "N ..."]) -> _Scores:
    columns = target.reshape(len(target), -1)
    constant = np.nanmean(columns, axis=0)

    def fit(block: _Block | None) -> Float[np.ndarray, "M K"]:
        scores = np.tile(constant, (_num_test(blocks), 1))
        for k, known in enumerate(~np.isnan(columns.T)):  # each target from the rows that have it
            if block is not None and (known & block.in_train).any():
                of_known = replace(block, train=block.train[known], in_train=block.in_train[known])
                scores[:, k] = _ridge(of_known, columns[known, k], constant[k])
        return scores

    fitted = {name: block for name, block in blocks.items() if block.in_train.any()}
    return {
        "mean": fit(None),
        "linear": fit(_joined(list(fitted.values())) if fitted else None),
        "linear_by_input": {name: fit(block) for name, block in fitted.items()},
    }


def _tag(blocks: Mapping[str, _Block], target: Float[np.ndarray, "N K"]) -> _Scores:
    share = (target.sum(axis=0) + 0.5) / (len(target) + 1)
    fitted = {name: block for name, block in blocks.items() if block.in_train.any()}
    prior = np.log(share / (1 - share))
    constant = np.tile(prior, (_num_test(blocks), 1))
    return {
        "prevalence": constant,
        "linear": _ridge_tags(_joined(list(fitted.values())), target, prior) if fitted else constant,
        "linear_by_input": {name: _ridge_tags(block, target, prior) for name, block in fitted.items()},
    }


def _ridge_tags(
    block: _Block, target: Float[np.ndarray, "N K"], prior: Float[np.ndarray, " K"]
) -> Float[np.ndarray, "M K"]:
    """Log odds of every label for the test rows: the prior where they have nothing.

    Ridge regression in its dual form (Hastie et al. 2009, The Elements of Statistical Learning, section 12.3.7): the
    products of all rows are decomposed once for all labels. What it gives becomes log odds as the logistic function is
    near one half; that keeps the order, by which most metrics go.
    """
    train, has = block.train[block.in_train], target[block.in_train]
    products, mean = _dense(train @ train.T), has.mean(axis=0)
    of_test = _dense(block.test @ train.T)
    centred = products - products.mean(axis=0) - products.mean(axis=1)[:, None] + products.mean()
    of_test = of_test - of_test.mean(axis=1)[:, None] - products.mean(axis=0) + products.mean()
    weights = np.linalg.solve(centred + _ALPHA * np.eye(len(centred)), has - mean)
    return np.where(block.in_test[:, None], 4 * (mean + of_test @ weights - 0.5), prior)


def _dense(matrix: Features) -> np.ndarray:
    return np.asarray(matrix.toarray() if isinstance(matrix, sparse.csr_matrix) else matrix, dtype=np.float64)


def _joined(blocks: Sequence[_Block]) -> _Block:
    return _Block(
        train=_side_by_side([block.train for block in blocks]),
        test=_side_by_side([block.test for block in blocks]),
        in_train=np.any([block.in_train for block in blocks], axis=0),
        in_test=np.any([block.in_test for block in blocks], axis=0),
    )


def _ridge(block: _Block, target: Float[np.ndarray, " N"], constant: float) -> Float[np.ndarray, " M"]:
    """Predictions for the test rows: the constant where they have nothing."""
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=_ALPHA).fit(block.train[block.in_train], target[block.in_train])
    return np.where(block.in_test, model.predict(block.test), constant)
