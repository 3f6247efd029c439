"""Weighted average of the inputs, with weights set by the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from polymodal.layers.projection import StackConfig, StackFusion, require_input
from polymodal.types import Tokens


@dataclass(frozen=True)
class AverageConfig(StackConfig):
    """Settings of `Average`, besides those of `StackConfig`.

    Attributes:
        weights: by input, above zero; an input that is not named has weight 1. They need not sum to one.
    """

    weights: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] | None = None


class Average(StackFusion):
    """z = sum of w_i v_i / sum of w_i over the inputs i that are present; v_i: pooled and projected, "B D".

    Raises:
        ConfigError: a weight for an input that there is not.
    """

    weights: Tensor

    Config: ClassVar[type] = AverageConfig
    keeps_time: ClassVar[bool] = False
    when_absent: ClassVar[str] = "is left out; the other weights are rescaled"

    def __init__(self, config: AverageConfig, *, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths=widths)
        given = config.weights or {}
        for name in given:
            require_input("Fusion 'average': weights", name, self.stack.names)
        weights = torch.tensor([given.get(name, 1.0) for name in self.stack.names])
        self.register_buffer("weights", weights, persistent=False)  # follows from the settings

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        vectors, present = self.stack(tokens)  # zeros where absent
        anything = present.any(dim=1)
        total = torch.where(anything, (self.weights * present).sum(dim=1), 1.0)
        return Tokens.vector((self.weights.unsqueeze(-1) * vectors).sum(dim=1) / total.unsqueeze(-1), anything)
