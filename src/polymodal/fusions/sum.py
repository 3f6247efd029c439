"""Sum of the inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from polymodal.layers.projection import StackFusion
from polymodal.types import Tokens


class Sum(StackFusion):
    """z = sum of v_i over the inputs i that are present; v_i: pooled and projected, "B D".

    An absent input adds nothing, so a row with fewer inputs gives a smaller z; `average` keeps its size.
    """

    keeps_time: ClassVar[bool] = False
    when_absent: ClassVar[str] = "adds nothing"

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        vectors, present = self.stack(tokens)  # zeros where absent: the neutral element
        return Tokens.vector(vectors.sum(dim=1), present.any(dim=1))
