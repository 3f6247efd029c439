"""Concatenation of the inputs."""

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
class ConcatConfig:
    """Settings of `Concat`.

    Attributes:
        width: of each input's part; the result is as wide as all parts together.
        project: bring every input to `width` first (LayerNorm, Linear); False combines the inputs as they are.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    width: PositiveInt = 128
    project: bool = True


class Concat(nn.Module):
    """z = [v_1, v_2, ...] in the order of the inputs' names; v_i: pooled and projected, "B D"; z: "B (M * D)".

    An absent input's part is a learned vector of its own.
    """

    Config: ClassVar[type] = ConcatConfig
    keeps_time: ClassVar[bool] = False
    when_absent: ClassVar[str] = "has a learned vector in its place"

    def __init__(self, config: ConcatConfig, *, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.stack = StackInputs(widths, width=config.width if config.project else None)
        self.absent = nn.Parameter(torch.zeros(len(self.stack.names), self.stack.width))
        self.width = self.absent.numel()

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        vectors, present = self.stack(tokens)
        parts = torch.where(present.unsqueeze(-1), vectors, self.absent)
        return Tokens.vector(parts.flatten(1), present.any(dim=1))
