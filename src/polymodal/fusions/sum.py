"""Sum of the inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import nn

from polymodal.layers.projection import StackConfig, StackInputs
from polymodal.types import Tokens


class Sum(nn.Module):
    """z = sum of v_i over the inputs i that are present; v_i: pooled and projected, "B D".

    An absent input adds nothing, so a row with fewer inputs gives a smaller z; `average` keeps its size.
    """

    Config: ClassVar[type] = StackConfig
    keeps_time: ClassVar[bool] = False
    when_absent: ClassVar[str] = "adds nothing"

    def __init__(self, config: StackConfig, *, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.stack = StackInputs(widths, width=config.width if config.project else None)
        self.width = self.stack.width

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        vectors, present = self.stack(tokens)  # zeros where absent: the neutral element
        return Tokens.vector(vectors.sum(dim=1), present.any(dim=1))
