"""Largest value of each feature over the inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from polymodal.layers.pooling import masked_max
from polymodal.layers.projection import StackFusion
from polymodal.types import Tokens


class Max(StackFusion):
    """z_d = max of v_id over the inputs i that are present; v_i: pooled and projected, "B D".

    Max pooling over views, as in multi-view CNNs (Su et al. 2015).
    """

    keeps_time: ClassVar[bool] = False
    when_absent: ClassVar[str] = "is left out"

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        vectors, present = self.stack(tokens)
        return Tokens.vector(masked_max(vectors, present), present.any(dim=1))
