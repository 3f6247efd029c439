"""Sampling: tokens are drawn, by a seed of each row, from all or from the most probable ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from polymodal.config.node import settings
from polymodal.decoding._one_by_one import collected, one_by_one
from polymodal.layers.search import Bounds, Found, SearchSettings, Step

_SPREAD = 100.0  # so that rows whose probabilities differ by hundredths get other draws


@settings
class SamplingConfig(SearchSettings):
    """Settings of `Sampling`.

    Attributes:
        n_best: sequences that are drawn for each row; the most probable comes first.
        temperature: log-probabilities are divided by it: below 1 the probable ones are drawn more often.
        top_k: only so many of the most probable tokens are drawn from; 0: all.
        top_p: only the fewest of the most probable tokens whose probabilities reach this sum (Holtzman et al. 2020).
        seed: of the draws. Equal rows get equal texts, whatever their batch.
    """

    n_best: Annotated[int, Field(ge=1)] = 1
    temperature: Annotated[float, Field(gt=0)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: Annotated[int, Field(ge=0)] = 0


class Sampling:
    """Tokens drawn from the model's probabilities (ancestral sampling)."""

    Config: ClassVar[type] = SamplingConfig

    def __init__(self, config: SamplingConfig) -> None:
        self.config = config

    def __call__(self, step: Step, state: Any, bounds: Bounds, *, begins: Int[Tensor, " B"]) -> Found:
        """`n_best` sequences a row."""
        found = collected(self.stream(step, state, bounds, begins=begins), len(begins), self.config.n_best, bounds)
        order = found.log_probability.argsort(dim=1, descending=True, stable=True)
        return Found(
            found.ids.gather(1, order.unsqueeze(2).expand_as(found.ids)),
            found.lengths.gather(1, order),
            found.log_probability.gather(1, order),
        )

    def stream(
        self, step: Step, state: Any, bounds: Bounds, *, begins: Int[Tensor, " B"]
    ) -> Iterator[tuple[Int[Tensor, " B"], Float[Tensor, " B"]]]:
        """The next token of every sequence and its log-probability; the sequences of a row follow one another."""
        number = self.config.n_best
        every = torch.arange(len(begins), device=begins.device).repeat_interleave(number)
        draws = _Draws(self.config.seed, number, len(begins), bounds.max_length)

        def drawn(scores: Float[Tensor, "B V"]) -> Int[Tensor, " B"]:
            return _drawn(self._kept(scores), draws.next(scores))

        return one_by_one(step, state.rows(every), bounds, begins[every], choose=drawn)

    def _kept(self, scores: Float[Tensor, "B V"]) -> Float[Tensor, "B V"]:
        """The log-probabilities that are drawn from, up to a constant."""
        config = self.config
        scores = scores / config.temperature
        if 0 < config.top_k < scores.shape[1]:
            least = scores.topk(config.top_k, dim=1).values[:, -1:]
            scores = scores.masked_fill(scores < least, -math.inf)
        if config.top_p < 1:
            ordered, order = scores.softmax(dim=1).sort(dim=1, descending=True, stable=True)
            before = ordered.cumsum(dim=1) - ordered
            dropped = torch.zeros_like(order, dtype=torch.bool).scatter(1, order, before >= config.top_p)
            scores = scores.masked_fill(dropped, -math.inf)
        return scores


def _drawn(scores: Float[Tensor, "B V"], draw: Float[Tensor, " B"]) -> Int[Tensor, " B"]:
    """The token at which the sum of probabilities passes the draw, which is between 0 and 1."""
    cumulative = scores.double().softmax(dim=1).cumsum(dim=1)
    passed = cumulative > (draw * cumulative[:, -1]).unsqueeze(1)
    return passed.byte().argmax(dim=1)


class _Draws:
    """Numbers from 0 to 1 for each sequence and step: those of the seed, turned round by what the row is.

    What a row is, the first log-probabilities say. So rows differ, a row gets the same draws whatever its batch, and
    an error of rounding moves a draw no further than it moves a probability.
    """

    def __init__(self, seed: int, number: int, num_rows: int, max_length: int) -> None:
        drawn = np.random.default_rng(seed).random((max_length, number))
        self._drawn = iter(torch.from_numpy(np.tile(drawn, (1, num_rows))))
        self._turns: Tensor | None = None

    def next(self, scores: Float[Tensor, "B V"]) -> Float[Tensor, " B"]:
        """Draws of one step."""
        if self._turns is None:
            weights = np.random.default_rng(0).normal(size=scores.shape[1])
            probabilities = scores.double().softmax(dim=1)
            self._turns = _SPREAD * (probabilities * torch.from_numpy(weights).to(scores.device)).sum(dim=1)
        draw = next(self._drawn).to(scores.device)
        turned: Tensor = (draw + self._turns).remainder(1)
        return turned
