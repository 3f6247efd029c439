"""Learns the weights of an ensemble from rows that its members did not learn from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional as F

from polymodal.layers.opinion_pool import normalised, pool
from polymodal.types import Cells, Meaning

_STRENGTH = 30.0  # of the prior, in rows
_SPREAD = 0.5  # of the logarithm of the temperature before any row was seen
_FARTHEST = math.log(20)
_STEPS = 200


@dataclass(frozen=True)
class Evidence:
    """Predictions for rows that the predicting members did not learn from.

    Attributes:
        values: scores of each member, before its temperature.
        present: which of the members predict the row.
        target: of the rows.
        weight: of the rows, 1 where all count alike.
    """

    values: Float[Tensor, "M N K"]
    present: Bool[Tensor, "M N"]
    target: Cells
    weight: Float[Tensor, " N"]


def understands(target: Cells, meaning: Meaning) -> bool:
    """It is known how far scores are from the target: numbers of some tasks are compared in ways of their own."""
    return meaning != "numbers" or target.values.ndim == 3


@dataclass(frozen=True)
class Weights:
    """What rows say of the members of an ensemble.

    Attributes:
        members: of each, adding up to one.
        temperatures: of the scores of each; 1 of numbers.
        temperature: of the pooled scores.
    """

    members: Float[Tensor, " M"]
    temperatures: Float[Tensor, " M"]
    temperature: float


def learn_weights(evidence: Sequence[Evidence], prior: Float[Tensor, " M"], meaning: Meaning) -> Weights:
    """Temperatures of the members, each by itself; then the weights with the largest posterior probability.

    The likelihood is that of the pooled prediction (of numbers: normal, with the mean square error of the best member).
    The prior is a Dirichlet distribution around the given weights, as strong as 30 rows, so that few rows do not carry
    wild weights. Stacking (Wolpert 1992; Van der Laan et al. 2007,
    "Super learner") with a prior.
    """
    each = [_temperature_of(place, evidence, meaning) for place in range(len(prior))]
    temperatures = torch.tensor(each, dtype=torch.float64)
    calibrated = [
        replace(one, values=normalised(one.values.double() / temperatures.view(-1, 1, 1), meaning)) for one in evidence
    ]
    logits = prior.double().log().requires_grad_()
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    variance = min((_best(one) for one in evidence), default=1.0) if meaning == "numbers" else 1.0
    optimizer = torch.optim.LBFGS([logits, log_temperature], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        weights, temperature = logits.softmax(dim=0), log_temperature.exp()
        loss = -_STRENGTH * (prior.double() * logits.log_softmax(dim=0)).sum() + 0.5 * (log_temperature / _SPREAD) ** 2
        for one in calibrated:
            rows = _losses(pool(one.values, one.present, weights), one.target, meaning, temperature)
            loss = loss + (one.weight * rows).sum() / variance
        torch.autograd.backward(loss)
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        pooled = float(log_temperature.exp()) if meaning != "numbers" else 1.0
        return Weights(logits.softmax(dim=0).float(), temperatures.float(), pooled)


def _temperature_of(place: int, evidence: Sequence[Evidence], meaning: Meaning) -> float:
    """The most probable temperature of one member by itself, at least 1; 1 of numbers.

    Members that are too sure would outweigh the others. To make others surer is left to the temperature of all: where
    new rows are unlike these, members that were not sure err less.
    """
    if meaning == "numbers":
        return 1.0

    def objective(logarithm: float) -> float:
        loss, temperature = 0.5 * (logarithm / _SPREAD) ** 2, torch.tensor(math.exp(logarithm))
        for one in evidence:
            rows = _losses(one.values[place].double(), one.target, meaning, temperature)
            loss += float((one.weight * rows)[one.present[place]].sum())
        return loss

    return math.exp(minimize_scalar(objective, bounds=(0.0, _FARTHEST), method="bounded").x)


def _losses(pooled: Float[Tensor, "N K"], target: Cells, meaning: Meaning, temperature: Tensor) -> Float[Tensor, " N"]:
    """Negative log-likelihood of each row, 0 where the target is unknown; of several numbers or labels the mean."""
    if meaning == "numbers":
        truth, known = target.values.double().unbind(dim=1)
        loss = (0.5 * (pooled - truth) ** 2 * known).mean(dim=1)
    elif not target.values.is_floating_point():
        truth = target.values[:, 0]
        if meaning == "classes":
            loss = F.cross_entropy(pooled / temperature, truth, reduction="none")
        else:
            one_hot = F.one_hot(truth, pooled.shape[1]).double()
            loss = F.binary_cross_entropy_with_logits(pooled / temperature, one_hot, reduction="none").sum(dim=1)
    else:
        truth = target.values.double()
        loss = F.binary_cross_entropy_with_logits(pooled / temperature, truth, reduction="none").mean(dim=1)
    return torch.where(target.present, loss, 0.0)


def _best(evidence: Evidence) -> float:
    """Mean square error of the best member."""
    truth, known = evidence.target.values.double().unbind(dim=1)
    counted = known * evidence.present.unsqueeze(-1)
    errors = ((evidence.values.double() - truth) ** 2 * counted).sum(dim=(1, 2)) / counted.sum(dim=(1, 2)).clamp_min(1)
    return float(errors[evidence.present.any(dim=1)].min().clamp_min(1e-6)) if bool(evidence.present.any()) else 1.0
