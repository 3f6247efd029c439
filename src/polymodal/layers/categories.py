"""What encoders of a table ask of its columns, and a learned vector for each category."""

from __future__ import annotations

from typing import Annotated, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from polymodal.config.node import settings

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


@settings
class CategorySettings:
    """What encoders of a table let the user choose of the vectors of categories.

    Attributes:
        category_dropout: in columns of more than 100 categories, the probability with which one is taken for an unseen
            one while training, so that the model learns what to say of those that come later: new users, new shops.
        category_decay: weight decay of category embeddings, in multiples of that of other weights: few rows of
            a category are easily overfitted.
    """

    category_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.25
    category_decay: Annotated[float, Field(ge=0)] = 60.0


class CategoryVectors(nn.Module):
    """An embedding for every code, and one more for a missing cell.

    Code 0 (unseen) and a missing cell may never come while training: their vectors start near the mean of the others,
    so that they say little then.

    Args:
        cardinality: number of codes, with the reserved code 0.
        settings: dropout puts code 0 in the place of another; the decay is told to the optimizer.
        width: of a vector; None: min(50, 1.6 * n ** 0.56), the rule of thumb of the library fastai.
    """

    def __init__(self, cardinality: int, settings: CategorySettings, *, width: int | None = None) -> None:
        super().__init__()
        self.dropout = settings.category_dropout if cardinality > _MANY else 0.0
        self.decay = settings.category_decay
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
