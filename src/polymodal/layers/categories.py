"""What encoders of a table ask of its columns, and a learned vector for each category."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

_MANY = 100  # codes; columns with more hold people, films, shops, of which new ones come


@runtime_checkable
class TableColumn(Protocol):
    """What an encoder asks of a fitted modality of the group `table`.

    Attributes:
        cardinality: number of codes, with the reserved code 0; None where cells are floats.
        num_features: floats a cell.
    """

    @property
    def cardinality(self) -> int | None: ...

    @property
    def num_features(self) -> int: ...


class CategoryVectors(nn.Module):
    """An embedding for every code, and one more for a missing cell.

    Code 0 (unseen) and a missing cell may never come while training: their vectors start near the mean of the others,
    so that they say little then.

    Args:
        cardinality: number of codes, with the reserved code 0.
        width: of a vector; None: min(50, 1.6 * n ** 0.56), the rule of thumb of the library fastai.
        dropout: probability with which code 0 comes in the place of another while training, where codes are many.
        decay: told to the optimizer: so many times the weight decay of other weights.
    """

    def __init__(self, cardinality: int, *, dropout: float, decay: float, width: int | None = None) -> None:
        super().__init__()
        self.dropout = dropout if cardinality > _MANY else 0.0
        self.decay = decay
        self.width = min(50, round(1.6 * cardinality**0.56)) if width is None else width
        self.missing = cardinality
        self.embedding = nn.Embedding(cardinality + 1, self.width)
        # Small at first: a category that comes a few times only then says little, instead of something random.
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[[0, cardinality]] *= 0.1

    def forward(self, codes: Int[Tensor, "N 1"], present: Bool[Tensor, " N"]) -> Float[Tensor, "N E"]:
        codes = codes.squeeze(1)
        if self.training and self.dropout:
            codes = codes.masked_fill(torch.rand(codes.shape, device=codes.device) < self.dropout, 0)
        vectors: Tensor = self.embedding(torch.where(present, codes, self.missing))
        return vectors
