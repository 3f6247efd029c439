"""A gate for every input and feature, computed from all inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from polymodal.layers.pooling import masked_softmax
from polymodal.layers.projection import EachInput, StackConfig, equal_width
from polymodal.types import Tokens


@dataclass(frozen=True)
class GatedConfig(StackConfig):
    """Settings of `Gated`, besides those of `StackConfig`.

    Attributes:
        project: bring every input to `width` first (LayerNorm, Linear, tanh); False gates the inputs as they are.
    """


class Gated(nn.Module):
    """y = sum of z_i * h_i; h_i = tanh(W_i x_i + b_i), z_i = sigmoid(V_i [x_1, x_2, ...] + c_i).

    The gated multimodal unit (Arevalo et al. 2017, arXiv 1702.01992, section 3), with biases. x_i: pooled, after
    LayerNorm, "B D_i"; h_i, z_i and y: "B D". Two inputs share one gate: z_2 = 1 - z_1. More of them have one each, and
    their sum is free.

    An absent input is zero in the concatenation, its own gate is shut, and the others share in proportion what all
    gates would have let through: z_i (sum of all z) / (sum of z over those that are present), feature by feature. Of
    two inputs the one that is there counts fully: y = h_i.
    """

    Config: ClassVar[type] = GatedConfig
    keeps_time: ClassVar[bool] = False
    when_absent: ClassVar[str] = "has a gate of 0; the other gates are rescaled"

    def __init__(self, config: GatedConfig, *, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.inputs = EachInput(widths, width=None, norm=config.project)
        self.width = config.width if config.project else equal_width(widths)
        self.candidates = nn.ModuleList(
            nn.Sequential(nn.Linear(width, self.width), nn.Tanh()) if config.project else nn.Identity()
            for width in self.inputs.widths
        )
        num_inputs = len(self.inputs.widths)
        num_gates = 1 if num_inputs == 2 else num_inputs
        self.gates = nn.Linear(sum(self.inputs.widths), num_gates * self.width)

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        vectors, present = self.inputs(tokens)
        values = torch.stack([h(x) for h, x in zip(self.candidates, vectors, strict=True)], dim=1)
        scores = self._scores(torch.cat(vectors, dim=1))
        log_gates = F.logsigmoid(scores)
        # Shares by a softmax of logarithms: of gates that are all but shut, the sum would be zero.
        shares = masked_softmax(log_gates, present.unsqueeze(-1))
        gates = shares * log_gates.exp().sum(dim=1, keepdim=True)
        return Tokens.vector((gates * values).sum(dim=1), present.any(dim=1))

    def _scores(self, joined: Float[Tensor, "B _"]) -> Float[Tensor, "B M D"]:
        """What the sigmoid turns into gates; 1 - sigmoid(a) is sigmoid(-a)."""
        scores: Tensor = self.gates(joined).unflatten(1, (-1, self.width))
        return torch.cat([scores, -scores], dim=1) if len(self.candidates) == 2 else scores
