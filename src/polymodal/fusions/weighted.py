"""Weighted mean of the inputs, the weights learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import ConfigDict, PositiveInt
from torch import nn

from polymodal.layers.projection import StackInputs
from polymodal.types import Tokens


@dataclass(frozen=True)
class WeightedConfig:
    """Settings of `Weighted`.

    Attributes:
        width: of the result.
        project: bring every input to `width` first (LayerNorm, Linear); False combines the inputs as they are.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    width: PositiveInt = 128
    project: bool = True


class Weighted(nn.Module):
    """z = sum of w_i v_i, w = softmax of a_i over the inputs i that are present; v_i: pooled and projected, "B D".

    One learned number a_i for each input, the same for every row: scalar mixing as in ELMo (Peters et al. 2018,
    equation 1). An absent input has weight zero and the others share it.
    """

    Config: ClassVar[type] = WeightedConfig
    keeps_time: ClassVar[bool] = False
    when_absent: ClassVar[str] = "is left out; the others share its weight"

    def __init__(self, config: WeightedConfig, *, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.stack = StackInputs(widths, width=config.width if config.project else None)
        self.width = self.stack.width
        self.scores = nn.Parameter(torch.zeros(len(self.stack.names)))

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        vectors, present = self.stack(tokens)
        lowest = torch.finfo(self.scores.dtype).min  # not -inf: a row with nothing present stays finite
        weights = torch.where(present, self.scores, lowest).softmax(dim=1)
        return Tokens.vector((weights.unsqueeze(-1) * vectors).sum(dim=1), present.any(dim=1))

    @property
    def weights(self) -> dict[str, float]:
        """What was learned: the weight of each input in a row where all are present."""
        return dict(zip(self.stack.names, self.scores.detach().softmax(dim=0).tolist(), strict=True))
