"""Which tokens may come next: the others get the log-probability minus infinity."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from polymodal.layers.search import Bounds


def allowed(scores: Float[Tensor, "R V"], said: Int[Tensor, "R L"], bounds: Bounds) -> Float[Tensor, "R V"]:
    """The log-probabilities, minus infinity where a token may not follow what was said.

    Nothing is normalised again: the others keep the log-probability that the model gave them.

    Args:
        scores: of the next token.
        said: the tokens of each sequence so far, all of one length.
        bounds: what the sequences must keep.
    """
    length = said.shape[1]
    if length < len(bounds.prefix):
        only = torch.full_like(scores, -math.inf)
        place = bounds.prefix[length]
        only[:, place] = scores[:, place]
        return only
    refused = torch.zeros_like(scores, dtype=torch.bool)
    if bounds.never:
        refused[:, list(bounds.never)] = True
    if length < bounds.min_length:
        refused[:, bounds.end] = True
    if bounds.no_repeat_ngram and length >= bounds.no_repeat_ngram:
        refused |= _repeating(said, scores.shape[1], bounds.no_repeat_ngram)
    return scores.masked_fill(refused, -math.inf)


def _repeating(said: Int[Tensor, "R L"], size: int, ngram: int) -> Bool[Tensor, "R V"]:
    """Tokens that would end a group of `ngram` tokens that was said before."""
    groups = said.unfold(1, ngram, 1)  # R, L - ngram + 1, ngram
    last = said[:, said.shape[1] - ngram + 1 :].unsqueeze(1)
    again = (groups[:, :, :-1] == last).all(dim=2)
    refused = torch.zeros(len(said), size + 1, dtype=torch.bool, device=said.device)
    refused.scatter_(1, torch.where(again, groups[:, :, -1], size), True)
    return refused[:, :size]
