"""Stochastic depth: while training, a residual branch is left out for some rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class StochasticDepth(nn.Module):
    """The branch of a residual connection, or zeros: for each row by itself.

    y = b / (1 - p) * branch(x), b = 1 with probability 1 - p, else 0, so that the mean is that of the branch. Huang et
    al. 2016 (arXiv 1603.09382, equation 2) scale at test time instead; nothing happens here in eval mode.

    Args:
        probability: with which a row goes without the branch, from 0 below 1.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, branch: Tensor) -> Tensor:
        """Rows are axis 0."""
        if not self.training or not self.probability:
            return branch
        stays = 1.0 - self.probability
        kept = torch.rand(branch.shape[0], *(1,) * (branch.ndim - 1), device=branch.device) < stays
        # `where`, because infinity times zero is NaN
        return torch.where(kept, branch / stays, branch.new_zeros(()))


def rising(drop_path: float, num_blocks: int) -> list[float]:
    """The probability of each block: in equal steps up to that of the last (Huang et al. 2016, equation 4).

    Early blocks make what all later ones need, and are left out less often.

    >>> rising(0.5, 4)
    [0.125, 0.25, 0.375, 0.5]
    """
    return [drop_path * ((block + 1) / num_blocks) for block in range(num_blocks)]
