"""Concatenation of the inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from polymodal.layers.projection import StackConfig, StackFusion
from polymodal.types import Tokens


@dataclass(frozen=True)
class ConcatConfig(StackConfig):
    """Settings of `Concat`, besides those of `StackConfig`.

    Attributes:
        width: of each input's part; the result is as wide as all parts together.
    """


class Concat(StackFusion):
    """z = [v_1, v_2, ...] in the order of the inputs' names; v_i: pooled and projected, "B D"; z: "B (M * D)".

    An absent input's part is a learned vector of its own.
    """

    Config: ClassVar[type] = ConcatConfig
    keeps_time: ClassVar[bool] = False
    when_absent: ClassVar[str] = "has a learned vector in its place"

    def __init__(self, config: ConcatConfig, *, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths=widths)
        self.absent = nn.Parameter(torch.zeros(len(self.stack.names), self.stack.width))
        self.width = self.absent.numel()

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        vectors, present = self.stack(tokens)
        parts = torch.where(present.unsqueeze(-1), vectors, self.absent)
        return Tokens.vector(parts.flatten(1), present.any(dim=1))
