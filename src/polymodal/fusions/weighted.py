"""Weighted average of the inputs, with learned weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import nn

from polymodal.layers.pooling import masked_softmax
from polymodal.layers.projection import StackConfig, StackFusion
from polymodal.types import Tokens


class Weighted(StackFusion):
    """z = sum of w_i v_i, w = softmax of a_i over the inputs i that are present; v_i: pooled and projected, "B D".

    One learned number a_i for each input, the same for every row: scalar mixing as in ELMo (Peters et al. 2018,
    equation 1). An absent input has weight zero and the others share it.
    """

    keeps_time: ClassVar[bool] = False
    when_absent: ClassVar[str] = "is left out; the other weights are rescaled"

    def __init__(self, config: StackConfig, *, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths=widths)
        self.scores = nn.Parameter(torch.zeros(len(self.stack.names)))

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        vectors, present = self.stack(tokens)
        weights = masked_softmax(self.scores, present)
        return Tokens.vector((weights.unsqueeze(-1) * vectors).sum(dim=1), present.any(dim=1))

    @property
    def weights(self) -> dict[str, float]:
        """What was learned: the weight of each input in a row where all are present."""
        return dict(zip(self.stack.names, self.scores.detach().softmax(dim=0).tolist(), strict=True))
