"""Multi-layer perceptron on all numbers, categories and dates of a row together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from jaxtyping import Bool, Float
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from polymodal.layers.activation import ActivationName
from polymodal.layers.categories import CategorySettings, CategoryVectors, TableColumn
from polymodal.layers.encoder import EncoderModule
from polymodal.layers.mlp import MultiLayerPerceptron
from polymodal.types import Cells, Tokens


@dataclass(frozen=True)
class MlpConfig(CategorySettings):
    """Settings of `Mlp`, besides those of categories.

    Attributes:
        width: of the hidden layers and of the result.
        layers: Linear, LayerNorm, activation, dropout.
        activation: `relu`, `gelu`, `tanh` or `sigmoid`.
        dropout: probability, after every layer.
    """

    width: PositiveInt = 128
    layers: PositiveInt = 2
    activation: ActivationName = "relu"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Mlp(EncoderModule[MlpConfig]):
    """Cells of every column, one `Cells` a column -> one token.

    A category is a learned vector; numbers, and what a date gives, enter as they are, beside a flag that says whether
    there are any. A missing cell has a learned vector of its own in both.
    """

    Config: ClassVar[type] = MlpConfig

    def __init__(self, config: MlpConfig, *modalities: TableColumn) -> None:
        super().__init__(config)
        columns = [
            _Numbers(modality.num_features)
            if modality.cardinality is None
            else CategoryVectors(modality.cardinality, config)
            for modality in modalities
        ]
        self.columns = nn.ModuleList(columns)
        self.mlp = MultiLayerPerceptron(
            sum(column.width for column in columns),
            [config.width] * config.layers,
            activation_name=config.activation,
            dropout=config.dropout,
        )
        self.width = self.mlp.width

    def forward(self, *cells: Cells) -> Tokens:
        vectors = [column(cell.values, cell.present) for column, cell in zip(self.columns, cells, strict=True)]
        present = torch.stack([cell.present for cell in cells]).any(dim=0)
        return Tokens.vector(self.mlp(torch.cat(vectors, dim=1)), present)


class _Numbers(nn.Module):
    """Floats, and a flag for a missing cell, whose floats are learned."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.width = num_features + 1
        self.missing = nn.Parameter(torch.zeros(num_features))

    def forward(self, values: Float[Tensor, "N F"], present: Bool[Tensor, " N"]) -> Float[Tensor, "N E"]:
        known = present.unsqueeze(1)
        return torch.cat([torch.where(known, values, self.missing), (~known).to(values.dtype)], dim=1)
