"""How well a model does without some of its inputs: every subset of them, and inputs hidden at random.

Every encoder runs once. What is hidden is hidden by masking tokens, which is what a missing cell is to the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Num

from polymodal.bundle import Bundle
from polymodal.data.table import Table
from polymodal.device import pick_device
from polymodal.evaluation.evaluate import Report, report
from polymodal.metrics.bootstrap import WeightedMetrics, metrics_of
from polymodal.model import Model
from polymodal.predict import in_chunks
from polymodal.types import Batch, Head, Tokens

Subset = tuple[str, ...]
"""Names of the inputs that stay, in the order of the model."""

RATES = tuple(step / 10 for step in range(11))
_MOST_FOR_ALL = 6  # inputs, of which there are 63 subsets; of more only some are taken
_SAMPLES_OF_RATES = 200  # of the bootstrap: each holds several draws of every row


@dataclass(frozen=True)
class Hiding:
    """Which inputs are hidden.

    Attributes:
        subsets: of the inputs that stay.
        rates: with which each input of a row is hidden; () for none.
        draws: for each rate; what is hidden at a rate stays hidden at the higher ones of the same draw.
        seed: of what is hidden.
    """

    subsets: tuple[Subset, ...]
    rates: tuple[float, ...] = ()
    draws: int = 5
    seed: int = 0


@dataclass(frozen=True)
class Scores:
    """Of the same rows, with inputs hidden.

    Attributes:
        subsets: by the inputs that stayed.
        rates: by rate, R draws of each row.
    """

    subsets: dict[Subset, Float[np.ndarray, "N K"]]
    rates: dict[float, Float[np.ndarray, "N R K"]]


def subsets_of(inputs: Sequence[str], *, most: int = _MOST_FOR_ALL) -> tuple[Subset, ...]:
    """The subsets to look at, large ones first: all of up to `most` inputs; of more all, all but one, and each alone.

    >>> subsets_of(["image", "speech"])
    (('image', 'speech'), ('image',), ('speech',))
    """
    count = len(inputs)
    sizes = range(count, 0, -1) if count <= most else (count, count - 1, 1)
    return tuple(subset for size in sizes for subset in combinations(inputs, size))


def evaluate_subsets(
    bundle: Bundle,
    table: Table,
    target: Num[np.ndarray, "N ..."],
    *,
    device: str = "auto",
    hiding: Hiding | None = None,
) -> dict[str, Any]:
    """Measures a model on a table, with inputs hidden.

    Args:
        bundle: the trained model.
        table: holds the columns that it uses.
        target: of every row, as the task encodes it; NaN where it is unknown.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        hiding: None: the subsets of `subsets_of`, and the rates 0, 0.1 ... 1.

    Returns:
        JSON values, as `measure_subsets` gives them.

    Raises:
        ColumnError: a column that the model uses is absent.
        DataError: the table cannot be read.
    """
    model = cast(Model, bundle.model)
    hiding = hiding or Hiding(subsets_of(tuple(model.columns)), RATES, seed=bundle.config.seed)
    batches = chain.from_iterable(loader.epoch(0) for _, _, loader in in_chunks(bundle, table))
    scores = score_subsets(model, batches, pick_device(device), hiding)
    return measure_subsets(model.head, scores, target, seed=bundle.config.seed)


def score_subsets(model: Model, batches: Iterable[Batch], device: torch.device, hiding: Hiding) -> Scores:
    """What a model says of rows when inputs are hidden, in eval mode.

    Args:
        model: trained.
        batches: of the rows; no result depends on their size.
        device: to compute on.
        hiding: what is hidden.
    """
    model.to(device).eval()
    rng = np.random.default_rng(hiding.seed)
    shape = hiding.draws, len(model.columns)
    parts = [_score(model, batch.to(device), hiding, rng.random((len(batch), *shape))) for batch in batches]
    subsets = {subset: np.concatenate([part.subsets[subset] for part in parts]) for subset in hiding.subsets}
    return Scores(subsets, {rate: np.concatenate([part.rates[rate] for part in parts]) for rate in hiding.rates})


def measure_subsets(task: Head, scores: Scores, target: Num[np.ndarray, "N ..."], *, seed: int) -> dict[str, Any]:
    """Metrics of what was scored, with 95 % bootstrap intervals over the rows.

    Args:
        task: the model's head.
        scores: the first subset holds all inputs.
        target: as the task encodes it; NaN where it is unknown.
        seed: of the bootstrap.

    Returns:
        `metric`: the one to look at first. `subsets`: for each its `inputs`, its `metrics`, and `change`: of that one
        metric from what all inputs give, between the same rows. `hidden`: for each `rate` the `metrics` over all draws.
    """
    metrics = metrics_of(task)
    whole, *_ = scores.subsets.values()
    subsets = [
        {
            "inputs": list(subset),
            "metrics": report(found, target, metrics, seed=seed),
            "change": _change(task, whole, found, target, seed=seed) if found is not whole else None,
        }
        for subset, found in scores.subsets.items()
    ]
    hidden = [
        {"rate": rate, "metrics": report(found, target, _over_draws(metrics), seed=seed, most=_SAMPLES_OF_RATES)}
        for rate, found in scores.rates.items()
    ]
    return {"metric": task.metric, "subsets": subsets, "hidden": hidden}


def _change(
    task: Head, whole: Float[np.ndarray, "N K"], found: Float[np.ndarray, "N K"], target: np.ndarray, *, seed: int
) -> dict[str, float] | None:
    """Of the task's first metric, from the scores of all inputs to others; None where the metric is undefined.

    Both are measured on the same samples of the bootstrap: what makes a sample hard for both leaves their difference.
    """
    metrics, name = metrics_of(task), task.metric

    def difference(scores: np.ndarray, target: np.ndarray, weights: np.ndarray) -> Mapping[str, np.ndarray]:
        before, after = (metrics(scores[:, side], target, weights) for side in (0, 1))
        return {name: after[name] - before[name]} if name in before and name in after else {}

    changes: Report = report(np.stack([whole, found], axis=1), target, difference, seed=seed)
    return changes.get(name)


def _over_draws(metrics: WeightedMetrics) -> WeightedMetrics:
    """The metrics of rows of which each was drawn several times: scores [N, R, K]; a row's draws count together."""

    def measure(scores: np.ndarray, target: np.ndarray, weights: np.ndarray) -> Mapping[str, np.ndarray]:
        draws = scores.shape[1]
        flat = scores.reshape(-1, *scores.shape[2:])
        return metrics(flat, target.repeat(draws, axis=0), weights.repeat(draws, axis=1))

    return measure


@torch.inference_mode()
def _score(model: Model, batch: Batch, hiding: Hiding, chance: Float[np.ndarray, "B R M"]) -> Scores:
    """Scores of one batch; an input is hidden where its chance lies below the rate."""
    tokens = model.encode_all(batch)
    subsets = {}
    for subset in hiding.subsets:
        kept = np.array([name in subset for name in tokens])
        subsets[subset] = _combine(model, tokens, np.tile(kept, (len(batch), 1)))
    rates = {
        rate: np.stack([_combine(model, tokens, draw >= rate) for draw in chance.swapaxes(0, 1)], axis=1)
        for rate in hiding.rates
    }
    return Scores(subsets, rates)


def _combine(model: Model, tokens: Mapping[str, Tokens], stays: Bool[np.ndarray, "B M"]) -> Float[np.ndarray, "B K"]:
    """Scores where of every row only those inputs stay that it says."""
    kept = {
        name: of_input.where_present(torch.as_tensor(column.copy(), device=of_input.mask.device))
        for (name, of_input), column in zip(tokens.items(), stays.T, strict=True)
    }
    return np.asarray(model.combine(kept).scores.float().cpu().numpy())
