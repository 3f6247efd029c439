"""Masked pooling: all real tokens of a row -> one vector.

Masked positions may hold anything, NaN included; a row without a real token gives zeros. Nothing here depends on
the values of a mask at tracing time, so every function exports.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def zero_masked(values: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
    """Zeros at masked positions; no gradient, not even a NaN, flows back into them."""
    return torch.where(mask.unsqueeze(-1), values, values.new_zeros(()))


def lengths_to_mask(lengths: Int[Tensor, " B"], num_steps: int | torch.SymInt) -> Bool[Tensor, "B T"]:
    """Left-aligned mask: the first `lengths` of `num_steps` positions are real."""
    return torch.arange(num_steps, device=lengths.device) < lengths.unsqueeze(1)


def masked_mean(values: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B D"]:
    """Mean over the real tokens."""
    if values.shape[1] == 1:
        return zero_masked(values, mask)[:, 0]
    count = mask.sum(dim=1, keepdim=True).clamp(min=1)
    return zero_masked(values, mask).sum(dim=1) / count


def masked_max(values: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B D"]:
    """Largest value of each feature over the real tokens."""
    lowest = torch.finfo(values.dtype).min
    largest = torch.where(mask.unsqueeze(-1), values, lowest).amax(dim=1)
    return torch.where(mask.any(dim=1, keepdim=True), largest, values.new_zeros(()))


def masked_softmax(scores: Float[Tensor, ...], mask: Bool[Tensor, ...]) -> Float[Tensor, ...]:
    """Softmax along axis 1 over the real entries, finite where there is none; scores and mask are broadcast."""
    lowest = torch.finfo(scores.dtype).min  # not -inf: a softmax over nothing would be NaN
    return torch.where(mask, scores, lowest).softmax(dim=1)
