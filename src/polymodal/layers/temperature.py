"""How sure a model is of what it says: one number for all scores, from rows that the weights did not learn from."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from polymodal.types import Prediction


class Temperature(nn.Module):
    """Scores divided by one number, 1 until it is set; absent rows keep their prior.

    Temperature scaling (Guo et al. 2017, arXiv 1706.04599, section 4.2). The most probable class stays what it is.
    """

    value: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("value", torch.tensor(1.0))

    def forward(self, prediction: Prediction) -> Prediction:
        scores = torch.where(prediction.present.unsqueeze(1), prediction.scores / self.value, prediction.scores)
        return replace(prediction, scores=scores)
