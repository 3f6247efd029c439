"""Learns how opinions are combined, from rows that none of the branches learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
_LR = 0.05
_DECAY = 0.05


def learn_combination(
    model: Model, opinions: Mapping[str, Tokens], target: Tensor, weight: Tensor, *, seed: int
) -> Float[np.ndarray, "N K"] | None:
    """Trains a model's fusion and head in place; its encoders stay as they are.

    AdamW on all rows at once, for so many steps as do best on rows held out, in three folds.

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
    order = np.random.default_rng(seed).permutation(len(target))
    kept: list[list[Tensor]] = []
    for fold in np.array_split(order, min(_FOLDS, len(target))):
        others = torch.from_numpy(np.setdiff1d(order, fold))
        _restore(parameters, fresh)
        kept.append(_train(model, parameters, (opinions, target, weight), others, held_out=torch.from_numpy(fold)))
    rows = torch.from_numpy(order)
    checks = [torch.cat(scores) for scores in zip(*kept, strict=True)]
    losses = [_loss(model, scores, target[rows], weight[rows]) for scores in checks]
    best = int(np.argmin(losses))
    _restore(parameters, fresh)
    _train(model, parameters, (opinions, target, weight), torch.arange(len(target)), num_steps=best * _CHECK)
    _finish(parameters)
    result = np.empty_like(checks[best].numpy())
    result[order] = checks[best].numpy()
    return result


def _train(
    model: Model,
    parameters: Sequence[torch.nn.Parameter],
    data: tuple[Mapping[str, Tokens], Tensor, Tensor],
    rows: Tensor,
    *,
    held_out: Tensor | None = None,
    num_steps: int = _STEPS,
) -> list[Tensor]:
    """Scores of the rows held out, before the first step and after every tenth."""
    opinions, target, weight = data
    optimizer = torch.optim.AdamW(parameters, lr=_LR, weight_decay=_DECAY)
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
