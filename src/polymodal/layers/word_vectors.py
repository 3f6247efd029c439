"""A vector for each word, some of which somebody else has learned."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class WordEmbedding(nn.Module):
    """Ids -> vectors of words.

    Words without a given vector share a learned one where the others stay as they are; where all learn, each begins at
    random, as large as the given ones (Kim 2014, arXiv 1408.5882, section 3.1).

    Args:
        vocabulary_size: one more than the largest id.
        width: D of a vector.
        learns: whether the given vectors change in training.
    """

    decay = 0.0  # as of every embedding

    vectors: Tensor
    known: Tensor

    def __init__(self, vocabulary_size: int, width: int, *, learns: bool) -> None:
        super().__init__()
        self.width, self.learns = width, learns
        zeros = torch.zeros(vocabulary_size, width)
        if learns:
            self.vectors = nn.Parameter(zeros)
        else:
            self.register_buffer("vectors", zeros)
            self.register_buffer("known", torch.zeros(vocabulary_size, dtype=torch.bool))
            self.shared = nn.Parameter(torch.zeros(width))

    @torch.no_grad()
    def fill(self, ids: Sequence[int], vectors: Float[Tensor, "N D"]) -> None:
        """Takes the vectors of some words; the first values of the others are drawn anew."""
        if self.learns:
            deviation = vectors.std().item() if vectors.numel() > 1 else 0.1
            nn.init.normal_(self.vectors, std=deviation)
        else:
            self.vectors.zero_()
            self.known.zero_()
            self.known[list(ids)] = True
        self.vectors[list(ids)] = vectors

    def forward(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        found: Tensor = nn.functional.embedding(ids, self.vectors)
        return found if self.learns else torch.where(self.known[ids].unsqueeze(-1), found, self.shared)
