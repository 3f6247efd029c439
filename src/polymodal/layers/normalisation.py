"""Normalisation that never mixes rows of a batch, so that a row's result does not depend on its neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn
from torch.nn import functional


class PixelNorm(nn.Module):
    """Bytes of pictures -> floats, less the mean and divided by the deviation of each channel (given in [0, 1])."""

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, mean: Sequence[float] = (0.5, 0.5, 0.5), deviation: Sequence[float] = (0.25, 0.25, 0.25)
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(1, -1, 1, 1), persistent=False)

    def forward(self, pixels: UInt8[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        return (pixels.to(self.mean.dtype) / 255 - self.mean) / self.deviation


EPSILON = 1e-5  # as in nn.GroupNorm


def num_groups(channels: int) -> int:
    """Groups for GroupNorm: at most 32 (Wu & He 2018, table 3), each of at least 4 channels where that divides.

    >>> num_groups(32), num_groups(512), num_groups(6)
    (8, 32, 1)
    """
    return max(groups for groups in range(1, min(32, max(channels // 4, 1)) + 1) if channels % groups == 0)


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm with a group count that suits the number of channels."""
    return nn.GroupNorm(num_groups(channels), channels)


def standardise_rows(
    values: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"], *, per_feature: bool = False
) -> Float[Tensor, "B T F"]:
    """Each row less its mean and divided by its deviation over real steps; zeros at masked steps.

    Args:
        values: such as a log-mel spectrogram.
        mask: real steps.
        per_feature: mean and deviation of each feature over time; else one pair over time and features, which keeps
            the shape of a spectrum and takes away only its loudness.
    """
    axes = (1,) if per_feature else (1, 2)
    real = mask.unsqueeze(-1)
    steps = real.sum(dim=1, keepdim=True).clamp(min=1)
    count = steps if per_feature else steps * values.shape[2]
    mean = torch.where(real, values, values.new_zeros(())).sum(dim=axes, keepdim=True) / count
    centred = torch.where(real, values - mean, values.new_zeros(()))
    variance = centred.square().sum(dim=axes, keepdim=True) / count
    return centred * torch.rsqrt(variance + EPSILON)


class MaskedGroupNorm(nn.Module):
    """GroupNorm over feature maps whose time axis is padded: statistics over real steps only.

    Equal to `nn.GroupNorm` on each row cut to its length. Masked steps may hold anything finite, and come out so.
    Without a mask nothing is padded, and the fused kernel is twice as fast.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.groups = num_groups(channels)
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, maps: Float[Tensor, "N C T F"], mask: Bool[Tensor, "N T"] | None) -> Float[Tensor, "N C T F"]:
        if mask is None:
            return functional.group_norm(maps, self.groups, self.weight, self.bias, eps=EPSILON)
        maps = maps * mask[:, None, :, None]
        count = mask.sum(dim=1, keepdim=True).clamp(min=1) * maps.shape[3]
        mean = self._over_groups(maps.sum(dim=(2, 3)) / count)
        # E[x^2] - E[x]^2 instead of a second pass: memory traffic is what this layer costs.
        variance = self._over_groups(torch.linalg.vecdot(maps, maps).sum(dim=2) / count) - mean.square()
        slope = self.weight * torch.rsqrt(variance.clamp(min=0) + EPSILON)
        offset = self.bias - mean * slope
        return torch.addcmul(offset[:, :, None, None], maps, slope[:, :, None, None])

    def _over_groups(self, values: Float[Tensor, "N C"]) -> Float[Tensor, "N C"]:
        """Each channel's value replaced by the mean of its group."""
        per_group = len(self.weight) // self.groups
        means = values.view(values.shape[0], self.groups, per_group).mean(dim=2)
        return means.repeat_interleave(per_group, dim=1)
