"""Temperature scaling: one number by which all scores are divided, found on rows that nothing else learned from."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from polymodal.abilities import Probabilistic
from polymodal.types import Cells, Scores

_SPREAD = 0.5  # of its logarithm before any row was seen: few rows, all of them right, make nobody certain
_FARTHEST = math.log(20)


class Temperature(nn.Module):
    """Scores divided by one number, 1 until it is set; absent rows keep their prior.

    Temperature scaling (Guo et al. 2017, arXiv 1706.04599, section 4.2). The most probable class stays what it is.
    """

    value: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("value", torch.tensor(1.0))

    def forward(self, scores: Scores) -> Scores:
        values = torch.where(scores.present.unsqueeze(1), scores.values / self.value, scores.values)
        return Scores(values, scores.present)

    def fit(self, task: object, scores: Scores, target: Cells) -> None:
        """Sets the temperature with the smallest log loss, held near 1 by a normal prior on its logarithm.

        It stays 1 for a task whose scores are no probabilities. The model did not learn from these rows, whose targets
        are all known; their scores are those at temperature 1.
        """
        from scipy.optimize import minimize_scalar

        if not isinstance(task, Probabilistic):
            return

        def objective(logarithm: float) -> float:
            divided = Scores(scores.values / math.exp(logarithm), scores.present)
            return len(scores.values) * task.log_loss(divided, target) + 0.5 * (logarithm / _SPREAD) ** 2

        found = minimize_scalar(objective, bounds=(-_FARTHEST, _FARTHEST), method="bounded")
        self.value.fill_(math.exp(found.x))
