"""Several losses as one, with weights that are learned."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class UncertaintyWeights(nn.Module):
    """L = mean over i of exp(-s_i) * L_i + s_i / 2, with a learned s_i for each loss.

    Kendall, Gal & Cipolla 2018 (arXiv 1705.07115, equation 10, with s = log of the squared deviation, and the factor of
    their classification likelihood for every task): at rest exp(-s_i) = 1 / (2 L_i), so that what cannot be learned
    better pulls less. In the beginning all weights are 1, and L is the mean.

    A row that does not have an input keeps the plain loss there: it tells nothing of how hard the input is.
    """

    def __init__(self, num_losses: int) -> None:
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(num_losses))

    def forward(self, losses: Float[Tensor, "I B"], present: Bool[Tensor, "I B"]) -> Float[Tensor, " B"]:
        """Losses of each input and row, and which of them come from a cell -> one loss a row."""
        log_variance = self.log_variance.unsqueeze(1)
        weighted = torch.exp(-log_variance) * losses + log_variance / 2
        return torch.where(present, weighted, losses).mean(dim=0)
