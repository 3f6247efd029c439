"""Tensor fusion whose weights are a sum of few products, so that the outer product is never built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import PositiveInt
from torch import nn

from polymodal.layers.projection import EachInput, StackConfig, prepend_one
from polymodal.types import Tokens


@dataclass(frozen=True)
class LowRankConfig(StackConfig):
    """Settings of `LowRank`, besides those of `StackConfig`.

    Attributes:
        project: bring every input to `input_width` first (LayerNorm, Linear); False combines the inputs as they are.
        input_width: of every input, once projected.
        rank: number of products that are added up.
    """

    input_width: PositiveInt = 32
    rank: PositiveInt = 8


class LowRank(nn.Module):
    """y = sum over r of w_r * (product over i of F_i^(r) [1; v_i]) + b, products feature by feature.

    Low-rank multimodal fusion (Liu et al. 2018, arXiv 1806.00064, section 3), with the weights w_r and the bias of its
    published code. v_i: pooled and projected, "B D_i"; F_i: "rank (D_i + 1) width"; y: "B width". It equals `tensor`
    with the weights W = sum over r of w_r F_1^(r) x F_2^(r) x ... . Without projection it has
    rank * width * (sum of D_i + 1) + rank + width parameters.

    An absent input is [1; 0]: its factor is the row of F_i that belongs to the one.

    That row begins at one, so that products of many factors begin near one, whatever their number, and absent inputs
    change nothing at first.
    """

    Config: ClassVar[type] = LowRankConfig
    keeps_time: ClassVar[bool] = False
    when_absent: ClassVar[str] = "is [1; 0]: it contributes a learned constant factor"

    def __init__(self, config: LowRankConfig, *, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.inputs = EachInput(widths, width=config.input_width if config.project else None)
        self.width = config.width
        self.factors = nn.ParameterList(
            torch.empty(config.rank, width + 1, config.width) for width in self.inputs.widths
        )
        for factor, width in zip(self.factors, self.inputs.widths, strict=True):
            nn.init.uniform_(factor, -(width**-0.5), width**-0.5)
            nn.init.ones_(factor[:, 0])
        self.weights = nn.Parameter(torch.randn(config.rank) * config.rank**-0.5)
        self.bias = nn.Parameter(torch.zeros(config.width))

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        vectors, present = self.inputs(tokens)
        mapped = [
            torch.einsum("bd,rdo->bro", prepend_one(vector), factor)
            for vector, factor in zip(vectors, self.factors, strict=True)
        ]
        products = torch.stack(mapped).prod(dim=0)
        return Tokens.vector(torch.einsum("r,bro->bo", self.weights, products) + self.bias, present.any(dim=1))
