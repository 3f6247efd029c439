"""Whether an input predicts the target: permutation tests on handcrafted features of the training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from polymodal.abilities import HasTargetFeatures, Scoring
from polymodal.baselines.scaling import components
from polymodal.data.cells.dataset import Dataset
from polymodal.evaluation.baselines import input_features
from polymodal.metrics.independence import (
    discoveries,
    gaussian_kernel,
    p_of_interaction,
    p_of_prediction,
    residual_of,
)
from polymodal.metrics.results import InputTest
from polymodal.types import Cells

FEWEST_ROWS = 50  # fewer tell too little: a useful input would look like a dead one
MOST_ROWS = 1_000  # of more some are drawn
_MOST_ROWS_TOGETHER = 600
_MOST_OTHERS = 20  # with which an input is tested: those of the smallest p-values
_RATE, _RATE_TOGETHER = 0.01, 0.01  # of false discoveries: by itself, and together with others


def test_inputs(
    dataset: Dataset,
    inputs: Mapping[str, Sequence[str]],
    rows: Int[np.ndarray, " N"],
    *,
    seed: int,
) -> dict[str, InputTest]:
    """Tests every input, first by itself, then those that failed together with the others.

    Args:
        dataset: the table's cells and its target, of a task that gives scores or has features of its target.
        inputs: by input, its columns.
        rows: numbers of training rows of known target; of many some are drawn.
        seed: of the draw and the permutations.
    """
    rng = np.random.default_rng(seed)
    rows = rng.permutation(rows)[:MOST_ROWS]
    target = _as_numbers(dataset, rows)
    kernels, alone = {}, {}
    few = slice(0, _MOST_ROWS_TOGETHER)
    for name, columns in inputs.items():
        features = input_features(dataset, columns, rows, len(rows))
        kernel = gaussian_kernel(features.train, features.in_train)
        alone[name] = p_of_prediction(kernel, target, rng)
        kernels[name] = kernel[few, few].copy()  # of many inputs the whole ones would not fit into memory
    useful = dict(zip(alone, discoveries(np.array([*alone.values()]), _RATE), strict=True))
    doubtful = [name for name in alone if not useful[name]]
    residual = target[few] - target[few].mean(axis=0)
    if any(useful.values()):
        residual = residual_of(np.mean([kernels[name] for name in alone if useful[name]], axis=0), target[few])
    likely = sorted(alone, key=lambda name: alone[name])[: _MOST_OTHERS + 1]
    together: dict[str, float] = {}
    for name in doubtful:
        others = [kernels[other] for other in likely if other != name]
        together[name] = p_of_interaction(kernels[name], others, residual, rng)
    found = dict(zip(doubtful, discoveries(np.array([*together.values()]), _RATE_TOGETHER), strict=True))
    return {
        name: InputTest(
            p_value=p_value, p_together=together.get(name), useful=bool(useful[name] or found.get(name, False))
        )
        for name, p_value in alone.items()
    }


def _as_numbers(dataset: Dataset, rows: Int[np.ndarray, " N"]) -> Float[np.ndarray, "N K"]:
    """What is to be predicted of these rows: of a text the principal components of its features, else the scores."""
    task, target = dataset.task, dataset.target(rows)
    assert target is not None, "what is tested is whether inputs predict it"
    if not isinstance(task, HasTargetFeatures):
        assert isinstance(task, Scoring), "others have nothing to be predicted"
        return _scores(target, len(task.prior))
    features = task.target_features(target)
    directions = components(features)
    return np.asarray(features if directions is None else features @ directions, dtype=np.float64)


def _scores(target: Cells, num_scores: int) -> Float[np.ndarray, "N K"]:
    """Classes as indicators, labels as they are, numbers as normal scores of their ranks, whatever their outliers."""
    if not target.values.is_floating_point():
        classes: np.ndarray = np.eye(num_scores)[target.values[:, 0].numpy()]
        return classes
    values: np.ndarray = target.values.double().numpy()
    if values.ndim < 3:
        return values
    from scipy.stats import norm, rankdata  # it takes half a second to import

    numbers, known = values.swapaxes(0, 1)
    scores: np.ndarray = np.zeros_like(numbers)
    for k, there in enumerate(known.T > 0):
        scores[there, k] = norm.ppf((rankdata(numbers[there, k]) - 0.5) / max(there.sum(), 1))
    return scores
