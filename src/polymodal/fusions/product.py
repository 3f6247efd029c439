"""Product of the inputs, feature by feature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch

from polymodal.layers.projection import StackFusion
from polymodal.types import Tokens


class Product(StackFusion):
    """z_d = product of v_id over the inputs i that are present; v_i: pooled and projected, "B D".

    The Hadamard product of bilinear pooling (Kim et al. 2017, arXiv 1610.04325, equation 4). An absent input counts
    as one, the neutral element.
    """

    keeps_time: ClassVar[bool] = False
    when_absent: ClassVar[str] = "is a factor of 1"

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        vectors, present = self.stack(tokens)
        factors = torch.where(present.unsqueeze(-1), vectors, vectors.new_ones(()))
        anything = present.any(dim=1)
        return Tokens.vector(factors.prod(dim=1) * anything.unsqueeze(-1), anything)
