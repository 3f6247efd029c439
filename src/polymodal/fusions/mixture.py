"""Mixture of experts: one expert for each input, and a gate that weights the experts in every row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import nn

from polymodal.layers.mlp import MultiLayerPerceptron
from polymodal.layers.pooling import masked_softmax
from polymodal.layers.projection import EachInput, StackConfig, equal_width
from polymodal.types import Tokens


@dataclass(frozen=True)
class MixtureConfig(StackConfig):
    """Settings of `Mixture`, besides those of `StackConfig`.

    Attributes:
        project: an expert for every input (LayerNorm, Linear); False mixes the inputs as they are.
        hidden: width of a hidden layer of every expert; 0: none, which suits small tables: encoders bend enough.
        dropout: probability, after the hidden layer.
    """

    hidden: Annotated[int, Field(ge=0)] = 0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Mixture(nn.Module):
    """y = sum of g_i E_i(x_i), g = softmax of (V [x_1, x_2, ...] + c) over the inputs i that are present.

    Adaptive mixtures of local experts (Jacobs et al. 1991, equation 1) with an expert for each input, all of them
    asked: they are few, and the sparse gate of Shazeer et al. 2017 would save nothing. x_i: pooled, after LayerNorm,
    "B D_i"; E_i: Linear, or Linear, LayerNorm, GELU, Linear where `hidden` is set; g: one number for each row and
    input; y: "B width".

    An absent input is zero in the concatenation, its expert is not asked, and the others share its part of the gate.
    """

    Config: ClassVar[type] = MixtureConfig
    keeps_time: ClassVar[bool] = False
    when_absent: ClassVar[str] = "has the weight 0; the other weights are rescaled"

    def __init__(self, config: MixtureConfig, *, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.inputs = EachInput(widths, width=None, norm=config.project)
        self.width = config.width if config.project else equal_width(widths)
        self.experts = nn.ModuleList(
            _expert(width, config) if config.project else nn.Identity() for width in self.inputs.widths
        )
        self.gate = nn.Linear(sum(self.inputs.widths), len(self.experts))

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        vectors, present = self.inputs(tokens)
        said = torch.stack([expert(vector) for expert, vector in zip(self.experts, vectors, strict=True)], dim=1)
        scores = self.gate(torch.cat(vectors, dim=1))
        shares = masked_softmax(scores, present)
        return Tokens.vector((shares.unsqueeze(-1) * said).sum(dim=1), present.any(dim=1))


def _expert(width_in: int, config: MixtureConfig) -> nn.Module:
    widths = [config.hidden] if config.hidden else []
    hidden = MultiLayerPerceptron(width_in, widths, activation_name="gelu", dropout=config.dropout)
    return nn.Sequential(hidden, nn.Linear(hidden.width, config.width))
