"""SpecAugment: bands and stretches of a spectrogram hidden in training (Park et al. 2019, arXiv 1904.08779)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class SpecAugment(nn.Module):
    """Sets random frequency bands and random stretches of time to zero, each row for itself; only in training.

    Expects standardised spectrograms, in which zero is the mean. Draws from torch's global generator.

    Args:
        band_masks: how many bands are hidden, each of up to `band_share` of all frequencies.
        time_masks: how many stretches are hidden, each of up to `time_share` of the row's own length.
        band_share: see `band_masks`.
        time_share: see `time_masks`.
    """

    def __init__(
        self, *, band_masks: int = 2, time_masks: int = 2, band_share: float = 0.15, time_share: float = 0.1
    ) -> None:
        super().__init__()
        self.band_masks = band_masks
        self.time_masks = time_masks
        self.band_share = band_share
        self.time_share = time_share

    def forward(self, values: Float[Tensor, "B T F"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B T F"]:
        if not self.training:
            return values
        num_rows, num_steps, num_bands = values.shape
        hidden = torch.zeros_like(values, dtype=torch.bool)
        for _ in range(self.band_masks):
            bands = _stretch(torch.full((num_rows,), num_bands, device=values.device), num_bands, self.band_share)
            hidden |= bands.unsqueeze(1)
        for _ in range(self.time_masks):
            hidden |= _stretch(lengths, num_steps, self.time_share).unsqueeze(2)
        return values.masked_fill(hidden, 0.0)


def _stretch(lengths: Int[Tensor, " B"], num_steps: int, share: float) -> Bool[Tensor, "B T"]:
    """One stretch within each row's length, of up to that share of it, anywhere with equal chance."""
    width = torch.rand(len(lengths), device=lengths.device) * share * lengths
    start = torch.rand(len(lengths), device=lengths.device) * (lengths - width)
    steps = torch.arange(num_steps, device=lengths.device)
    return (steps >= start.round().unsqueeze(1)) & (steps < (start + width).round().unsqueeze(1))
