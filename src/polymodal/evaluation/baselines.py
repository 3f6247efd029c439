"""What a model has to beat: the simple predictions that its task names, on handcrafted features of each input.

`baselines/` has those of classes, numbers and labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Int

from polymodal.abilities import Baselined, InputFeatures
from polymodal.baselines.scaling import Scaling
from polymodal.data.cells.dataset import Dataset
from polymodal.evaluation.evaluate import report
from polymodal.metrics.results import Baselines, Report
from polymodal.metrics.rows import RowStatistics
from polymodal.protocols import Prediction, Task

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
    blocks = [dataset.features(name, rows) for name in columns]
    first, rest = (
        [(values[some], present[some]) for values, present in blocks]
        for some in (slice(num_train), slice(num_train, None))
    )
    scaling = Scaling.of(first)
    in_train, in_test = (np.any([present for _, present in part], axis=0) for part in (first, rest))
    return InputFeatures(scaling(first), scaling(rest), in_train, in_test)
