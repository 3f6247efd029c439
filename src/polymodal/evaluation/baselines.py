"""What a model has to beat: the simple predictions that its task names, on handcrafted features of each input.

`baselines/` has those of classes, numbers and labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Int
from scipy import sparse

from polymodal.abilities import Baselined, Features, InputFeatures
from polymodal.baselines.linear import side_by_side
from polymodal.data.cells.dataset import Dataset
from polymodal.data.cells.store import Store
from polymodal.evaluation.evaluate import report
from polymodal.metrics.results import Baselines, Report
from polymodal.metrics.rows import RowStatistics
from polymodal.protocols import Modality, Prediction, Task

_ROWS = 256  # cells in memory at a time
_MAX_DENSE = 2_000  # dense features of one input; those that vary most are kept

Statistics: TypeAlias = dict[str, RowStatistics | dict[str, RowStatistics]]
"""`majority` (`mean` of numbers, `prevalence` of labels), `linear`, `gradient_boosting` (unless classes or labels are
too many), and `linear_by_input`: one for each input.
"""


def predict_baselines(
    task: Task,
    dataset: Dataset,
    *,
    inputs: Mapping[str, Sequence[str]],
    train: Int[np.ndarray, " N"],
    test: Int[np.ndarray, " M"],
    seed: int = 0,
) -> Statistics:
    """Fits the baselines on the training rows and predicts the test rows by them.

    An input is fitted on the rows that have it and says nothing about the others; a row with no input gets the prior.
    Of more training rows than the task says (`baseline_rows`) as many are drawn. Rows whose target is unknown are left
    out; without test rows, or where the task names none, there are none. `inputs` are those of the model, by their
    columns.
    """
    train, test = dataset.known(train), dataset.known(test)
    if not isinstance(task, Baselined) or not len(test):
        return {}
    if len(train) > task.baseline_rows:
        train = np.random.default_rng(seed).choice(train, task.baseline_rows, replace=False)
    rows = np.concatenate([train, test])
    features = {name: input_features(dataset, columns, rows, len(train)) for name, columns in inputs.items()}
    truth = dataset.target(test)

    def measured(prediction: Prediction) -> RowStatistics:
        return RowStatistics.of(task, prediction, truth, test)

    return {
        name: {key: measured(one) for key, one in found.items()} if isinstance(found, Mapping) else measured(found)
        for name, found in task.baselines(features, dataset.target(train), len(test)).items()
    }


def measure_baselines(found: Statistics, *, seed: int) -> Baselines:
    """Every metric of each baseline that was predicted, with 95 % bootstrap intervals."""
    reports: dict[str, Report] = {}
    by_input: dict[str, Report] = {}
    for name, one in found.items():
        if isinstance(one, RowStatistics):
            reports[name] = report(one, seed=seed)
        else:
            by_input = {model_input: report(alone, seed=seed) for model_input, alone in one.items()}
    return Baselines(reports=reports, linear_by_input=by_input)


def input_features(
    dataset: Dataset, columns: Sequence[str], rows: Int[np.ndarray, " R"], num_train: int
) -> InputFeatures:
    """Features of an input's columns side by side, scaled by the rows that come first: the training rows."""
    parts = [_features(dataset.prepared.stores[name], dataset.modalities[name], rows) for name in columns]
    present = np.any([has for _, has in parts], axis=0)
    joined = side_by_side([_scale(values, has, num_train) for values, has in parts])
    train, test, in_train, in_test = joined[:num_train], joined[num_train:], present[:num_train], present[num_train:]
    size = np.linalg.norm(train.data if sparse.issparse(train) else train) / np.sqrt(max(in_train.sum(), 1))
    return InputFeatures(train / (size or 1), test / (size or 1), in_train, in_test)


def _features(store: Store, modality: Modality, rows: Int[np.ndarray, " R"]) -> tuple[Features, Bool[np.ndarray, " R"]]:
    """Handcrafted features of one column's cells, and which rows have a cell."""
    pieces, present = [], []
    for start in range(0, len(rows), _ROWS):
        arrays = store.arrays(rows[start : start + _ROWS])
        pieces.append(modality.handcrafted_features(arrays))
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
