"""Learns how unimodal predictions are combined, from rows that none of the branches learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from polymodal.errors import NonFiniteLossError
from polymodal.models.decisions import Decisions
from polymodal.types import Cells, Scores, Tokens

_STEPS = 100
_CHECK = 10  # steps between two looks at the rows held out
_FOLDS = 3
_RATES = (0.05, 0.005)  # the second for fusions whose products of predictions are large
_DECAY = 0.05


def learn_combination(
    network: Decisions, predictions: Mapping[str, Tokens], target: Cells, weight: Tensor, *, seed: int
) -> Scores | None:
    """Trains a network's combination and last head in place, on the CPU; its encoders and their heads stay as they are.

    AdamW on all rows at once, at that of two rates and for so many steps as do best on rows held out, in three folds.

    Returns:
        The prediction for each row from a combination that did not learn from that row; None where there is nothing to
        learn: no parameter, or fewer than two rows.

    Raises:
        NonFiniteLossError: the loss is NaN or infinite.
    """
    parameters = [*network.combination.parameters(), *network.head.parameters()]
    if not parameters or len(weight) < 2:
        return None
    fresh = [parameter.detach().clone() for parameter in parameters]
    data = (predictions, target, weight)
    order = np.random.default_rng(seed).permutation(len(weight))
    rows = torch.from_numpy(order)
    best, best_rate, num_steps, best_scores = np.inf, _RATES[0], 0, torch.empty(0)
    for rate in _RATES:
        kept: list[list[Tensor]] = []
        for fold in np.array_split(order, min(_FOLDS, len(weight))):
            others = torch.from_numpy(np.setdiff1d(order, fold))
            _restore(parameters, fresh)
            kept.append(_train(network, parameters, data, others, rate=rate, held_out=torch.from_numpy(fold)))
        for place, scores in enumerate(map(torch.cat, zip(*kept, strict=True))):
            loss = _loss(network, scores, target.rows(rows), weight[rows])
            if loss < best:
                best, best_rate, num_steps, best_scores = loss, rate, place * _CHECK, scores
    _restore(parameters, fresh)
    _train(network, parameters, data, torch.arange(len(weight)), rate=best_rate, num_steps=num_steps)
    for parameter in parameters:
        parameter.grad = None
    result = torch.empty_like(best_scores)
    result[rows] = best_scores
    return Scores(result, torch.ones(len(result), dtype=torch.bool))


def _train(
    network: Decisions,
    parameters: Sequence[torch.nn.Parameter],
    data: tuple[Mapping[str, Tokens], Cells, Tensor],
    rows: Tensor,
    *,
    rate: float,
    held_out: Tensor | None = None,
    num_steps: int = _STEPS,
) -> list[Tensor]:
    """Scores of the rows held out, before the first step and after every tenth."""
    predictions, target, weight = data
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=_DECAY)
    learned, looks = _rows(predictions, rows), []
    network.eval()  # no dropout: rows are few, and predictions too
    for step in range(num_steps + 1):
        if held_out is not None and step % _CHECK == 0:
            with torch.no_grad():
                looks.append(network.fuse(_rows(predictions, held_out)).values)
        if step == num_steps:
            break
        losses = network.head.loss(network.fuse(learned), target.rows(rows)) * weight[rows]
        loss = losses.sum() / weight[rows].sum().clamp_min(torch.finfo(weight.dtype).tiny)
        if not torch.isfinite(loss):
            raise NonFiniteLossError("The loss of the combination is NaN or infinite; choose another fusion.")
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    return looks


def _loss(network: Decisions, scores: Tensor, target: Cells, weight: Tensor) -> float:
    present = torch.ones(len(scores), dtype=torch.bool)
    with torch.no_grad():
        return float((network.head.loss(Scores(scores, present), target) * weight).sum())


def _rows(predictions: Mapping[str, Tokens], rows: Tensor) -> dict[str, Tokens]:
    return {name: Tokens(tokens.values[rows], tokens.mask[rows]) for name, tokens in predictions.items()}


def _restore(parameters: Sequence[torch.nn.Parameter], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)
