"""Greedy search: the most probable token, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polymodal.config.node import settings
from polymodal.decoding._one_by_one import collected, one_by_one
from polymodal.layers.search import Bounds, Found, SearchSettings, Step


@settings
class GreedyConfig(SearchSettings):
    """Settings of `Greedy`."""


class Greedy:
    """The most probable token of each step, until the end mark."""

    Config: ClassVar[type] = GreedyConfig

    def __init__(self, config: GreedyConfig) -> None:
        self.config = config

    def __call__(self, step: Step, state: Any, bounds: Bounds, *, begins: Int[Tensor, " B"]) -> Found:
        """One sequence a row."""
        return collected(self.stream(step, state, bounds, begins=begins), len(begins), 1, bounds)

    def stream(
        self, step: Step, state: Any, bounds: Bounds, *, begins: Int[Tensor, " B"]
    ) -> Iterator[tuple[Int[Tensor, " B"], Float[Tensor, " B"]]]:
        """The next token of every row and its log-probability, step by step; behind the end mark it means nothing."""
        return one_by_one(step, state, bounds, begins, choose=_best)


def _best(scores: Float[Tensor, "B V"]) -> Int[Tensor, " B"]:
    return torch.argmax(scores, dim=1)
