"""How well a model does without some of its inputs: every subset of them, and inputs masked at random.

Every encoder runs once. What is masked is masked by masking tokens, which is what a missing cell is to the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np
import torch
from jaxtyping import Bool, Float

from polymodal.bundles.bundle import Bundle
from polymodal.data.tables.table import Table
from polymodal.evaluation.evaluate import measure
from polymodal.inference.forward import joined, loader_for
from polymodal.inference.predictor import Predictor
from polymodal.metrics.bootstrap import Interval
from polymodal.metrics.results import MaskedResult, Report, SubsetResult, SubsetResults
from polymodal.metrics.rows import RowStatistics
from polymodal.models.model import Network
from polymodal.protocols import Prediction, Task
from polymodal.types import Batch, Cells, Tokens

Subset = tuple[str, ...]
"""Names of the inputs that stay, in the order of the model."""

RATES = tuple(step / 10 for step in range(11))
_MOST_FOR_ALL = 6  # inputs, of which there are 63 subsets; of more only some are taken
_BATCH_ROWS = 64  # no result depends on it
_SAMPLES_OF_RATES = 200  # of the bootstrap: each holds several draws of every row


@dataclass(frozen=True)
class InputMasking:
    """Which inputs are masked.

    Attributes:
        subsets: of the inputs that stay.
        rates: with which each input of a row is masked; () for none.
        draws: for each rate; what is masked at a rate stays masked at the higher ones of the same draw.
        seed: of what is masked.
    """

    subsets: tuple[Subset, ...]
    rates: tuple[float, ...] = ()
    draws: int = 5
    seed: int = 0


@dataclass(frozen=True)
class SubsetPredictions:
    """Predictions for the same rows, with inputs masked.

    Attributes:
        subsets: by the inputs that stayed.
        rates: by rate, one for each draw.
    """

    subsets: dict[Subset, Prediction]
    rates: dict[float, list[Prediction]]


def subsets_of(inputs: Sequence[str], *, most: int = _MOST_FOR_ALL) -> tuple[Subset, ...]:
    """The subsets to look at, large ones first: all of up to `most` inputs; of more all, all but one, and each alone.

    >>> subsets_of(["image", "speech"])
    (('image', 'speech'), ('image',), ('speech',))
    """
    count = len(inputs)
    sizes = range(count, 0, -1) if count <= most else (count, count - 1, 1)
    return tuple(subset for size in sizes for subset in combinations(inputs, size))


def evaluate_subsets(bundle: Bundle, table: Table, target: Cells | None, *, device: str = "auto") -> SubsetResults:
    """Measures a model on a table with the subsets of its inputs, and with inputs masked at the rates 0, 0.1 ... 1.

    The target is of every row, as the task collates it; None of a task without a target. The device is `auto`, `cpu`,
    `cuda`, `cuda:N` or `mps`.

    Raises:
        ColumnError: a column that the model uses is absent.
        DataError: the table cannot be read.
    """
    predictor = Predictor(bundle, device)
    network = predictor.network
    masking = InputMasking(subsets_of(tuple(network.columns)), RATES, seed=bundle.config.seed)
    batches = chain.from_iterable(
        loader_for(network, dataset, batch_size=_BATCH_ROWS).epoch(0) for _, dataset in predictor.in_chunks(table)
    )
    found = predict_subsets(network, batches, predictor.device, masking)
    return measure_subsets(bundle.task, found, target, seed=bundle.config.seed)


def predict_subsets(
    network: Network, batches: Iterable[Batch], device: torch.device, masking: InputMasking
) -> SubsetPredictions:
    """What a model predicts when inputs are masked, in eval mode; no result depends on the size of the batches."""
    network.to(device).eval()
    rng = np.random.default_rng(masking.seed)
    shape = masking.draws, len(network.columns)
    parts = [_predict(network, batch.to(device), masking, rng.random((len(batch), *shape))) for batch in batches]
    draws = range(masking.draws)
    return SubsetPredictions(
        {subset: joined([part.subsets[subset] for part in parts]) for subset in masking.subsets},
        {rate: [joined([part.rates[rate][draw] for part in parts]) for draw in draws] for rate in masking.rates},
    )


def measure_subsets(task: Task, found: SubsetPredictions, target: Cells | None, *, seed: int) -> SubsetResults:
    """Metrics of predictions with inputs masked, with 95 % bootstrap intervals over the rows.

    The first subset must hold all inputs.
    """
    statistics = [RowStatistics.of(task, one, target) for one in found.subsets.values()]
    subsets = tuple(
        SubsetResult(inputs=inputs, metrics=metrics, change=change)
        for inputs, (metrics, change) in zip(
            found.subsets, _beside_the_first(statistics, task.metric, seed=seed), strict=True
        )
    )
    masked = tuple(
        MaskedResult(rate=rate, metrics=_over_draws([RowStatistics.of(task, one, target) for one in draws], seed=seed))
        for rate, draws in found.rates.items()
    )
    return SubsetResults(metric=task.metric, subsets=subsets, masked=masked)


def _beside_the_first(
    statistics: Sequence[RowStatistics], name: str, *, seed: int
) -> Iterator[tuple[Report, Interval | None]]:
    """Every metric of each, and the change of one metric from the first to it; None where that is undefined.

    All are measured on the same samples of the bootstrap: what makes a sample hard for both leaves their difference.
    """

    def metrics(weights: np.ndarray) -> Mapping[str, np.ndarray]:
        found = [one.metrics(weights) for one in statistics]
        change = {
            f"{place} ": one[name] - found[0][name]
            for place, one in enumerate(found)
            if name in one.keys() & found[0].keys()
        }
        return change | {f"{place} {key}": values for place, one in enumerate(found) for key, values in one.items()}

    whole = statistics[0]
    measured = measure(metrics, len(whole), size=whole.size, seed=seed)
    for place in range(len(statistics)):
        start = f"{place} "
        own = {key.removeprefix(start): value for key, value in measured.items() if key.startswith(start)}
        change = own.pop("", None)
        yield own, change if place else None


def _over_draws(draws: Sequence[RowStatistics], *, seed: int) -> Report:
    """The metrics of rows of which each was drawn several times; a row's draws count together."""
    first = draws[0]
    arrays = {
        name: np.stack([draw.arrays[name] for draw in draws], axis=1).reshape(-1, *array.shape[1:])
        for name, array in first.arrays.items()
    }

    def metrics(weights: np.ndarray) -> Mapping[str, np.ndarray]:
        return first.task.metrics(arrays, weights.repeat(len(draws), axis=1))

    return measure(metrics, len(first), size=len(draws) * first.size, seed=seed, most=_SAMPLES_OF_RATES)


@torch.inference_mode()
def _predict(
    network: Network, batch: Batch, masking: InputMasking, chance: Float[np.ndarray, "B R M"]
) -> SubsetPredictions:
    """Predictions for one batch; an input is masked where its chance lies below the rate."""
    tokens = network.encode(batch)
    subsets = {}
    for subset in masking.subsets:
        kept = np.array([name in subset for name in tokens])
        subsets[subset] = _combine(network, tokens, np.tile(kept, (len(batch), 1)))
    rates = {
        rate: [_combine(network, tokens, draw >= rate) for draw in chance.swapaxes(0, 1)] for rate in masking.rates
    }
    return SubsetPredictions(subsets, rates)


def _combine(network: Network, tokens: Mapping[str, Tokens], stays: Bool[np.ndarray, "B M"]) -> Prediction:
    """Predictions where of every row only those inputs stay that it says."""
    kept = {
        name: model_input.where_present(torch.as_tensor(column.copy(), device=model_input.mask.device))
        for (name, model_input), column in zip(tokens.items(), stays.T, strict=True)
    }
    return network.combine(kept).cpu()
