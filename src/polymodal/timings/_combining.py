"""Learns how opinions are combined, from rows that none of the branches learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polymodal.errors import NonFiniteLossError
from polymodal.model import Model
from polymodal.types import Prediction, Tokens

_STEPS = 100
_CHECK = 10  # steps between two looks at the rows held out
_FOLDS = 3
_RATES = (0.05, 0.005)  # the second for fusions whose products of opinions are large
_DECAY = 0.05


def learn_combination(
    model: Model, opinions: Mapping[str, Tokens], target: Tensor, weight: Tensor, *, seed: int
) -> Float[np.ndarray, "N K"] | None:
    """Trains a model's fusion and head in place; its encoders stay as they are.

    AdamW on all rows at once, at that of two rates and for so many steps as do best on rows held out, in three folds.

    Args:
        model: its fusion and head, on the CPU.
        opinions: what its encoders say of the rows.
        target: of the rows, as the task encodes it.
        weight: of the rows.
        seed: of the folds.

    Returns:
        The scores of each row from a combination that did not learn from that row; None where there is nothing to
        learn: no parameter, or fewer than two rows.

    Raises:
        NonFiniteLossError: the loss is NaN or infinite.
    """
    parameters = [*model.fusion.parameters(), *model.head.parameters()]  # type: ignore[attr-defined]  # both are modules
    if not parameters or len(target) < 2:
        return None
    fresh = [parameter.detach().clone() for parameter in parameters]
    data = (opinions, target, weight)
    order = np.random.default_rng(seed).permutation(len(target))
    rows = torch.from_numpy(order)
    best, looked = np.inf, Look(_RATES[0], 0, torch.empty(0))
    for rate in _RATES:
        kept: list[list[Tensor]] = []
        for fold in np.array_split(order, min(_FOLDS, len(target))):
            others = torch.from_numpy(np.setdiff1d(order, fold))
            _restore(parameters, fresh)
            kept.append(_train(model, parameters, data, others, rate=rate, held_out=torch.from_numpy(fold)))
        for place, scores in enumerate(map(torch.cat, zip(*kept, strict=True))):
            loss = _loss(model, scores, target[rows], weight[rows])
            if loss < best:
                best, looked = loss, Look(rate, place * _CHECK, scores)
    _restore(parameters, fresh)
    _train(model, parameters, data, torch.arange(len(target)), rate=looked.rate, num_steps=looked.num_steps)
    _finish(parameters)
    result = np.empty_like(looked.scores.numpy())
    result[order] = looked.scores.numpy()
    return result


@dataclass(frozen=True)
class Look:
    """What a combination says of the rows that were held out, after so many steps at a rate."""

    rate: float
    num_steps: int
    scores: Tensor


def _train(
    model: Model,
    parameters: Sequence[torch.nn.Parameter],
    data: tuple[Mapping[str, Tokens], Tensor, Tensor],
    rows: Tensor,
    *,
    rate: float,
    held_out: Tensor | None = None,
    num_steps: int = _STEPS,
) -> list[Tensor]:
    """Scores of the rows held out, before the first step and after every tenth."""
    opinions, target, weight = data
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=_DECAY)
    learned, looks = _rows(opinions, rows), []
    model.eval()  # no dropout: rows are few, and opinions too
    for step in range(num_steps + 1):
        if held_out is not None and step % _CHECK == 0:
            with torch.no_grad():
                looks.append(model.combine(_rows(opinions, held_out)).scores)
        if step == num_steps:
            break
        prediction = model.combine(learned)
        losses = model.head.loss(prediction, target[rows]) * weight[rows]
        loss = losses.sum() / weight[rows].sum().clamp_min(torch.finfo(weight.dtype).tiny)
        if not torch.isfinite(loss):
            raise NonFiniteLossError("The loss of the combination is NaN or infinite; choose another fusion.")
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    return looks


def _loss(model: Model, scores: Tensor, target: Tensor, weight: Tensor) -> float:
    present = torch.ones(len(scores), dtype=torch.bool)
    with torch.no_grad():
        return float((model.head.loss(Prediction(scores, present), target) * weight).sum())


def _rows(opinions: Mapping[str, Tokens], rows: Tensor) -> dict[str, Tokens]:
    return {name: Tokens(tokens.values[rows], tokens.mask[rows]) for name, tokens in opinions.items()}


def _restore(parameters: Sequence[torch.nn.Parameter], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)


def _finish(parameters: Sequence[torch.nn.Parameter]) -> None:
    for parameter in parameters:
        parameter.grad = None
