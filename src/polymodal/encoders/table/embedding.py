"""Embedding table encoder: a token for each column that has a cell, for early fusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import ConfigDict, Field, PositiveInt
from torch import nn

from polymodal.layers.categories import CategoryVectors, TableColumn
from polymodal.layers.encoder import EncoderModule
from polymodal.layers.token_inputs import left_aligned
from polymodal.types import Cells, Tokens

_DEVIATION = 0.1  # of what says which column a token is of, at first


@dataclass(frozen=True)
class EmbeddingConfig:
    """Settings of `Embedding`.

    Attributes:
        width: of the tokens.
        category_dropout: in columns of more than 100 categories, the probability with which one is taken for an unseen
            one while training.
        category_decay: the vectors of categories decay so many times as fast as other weights.
        dropout: probability, on the tokens.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    width: PositiveInt = 128
    category_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.25
    category_decay: Annotated[float, Field(ge=0)] = 60.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Embedding(EncoderModule[EmbeddingConfig]):
    """Cells of every column, one `Cells` a column -> a token for each column; a missing cell has none.

    A column of numbers or dates is W x + b, one of categories a learned vector each and b.
    """

    Config: ClassVar[type] = EmbeddingConfig

    def __init__(self, config: EmbeddingConfig, *modalities: TableColumn) -> None:
        super().__init__(config)
        self.width = config.width
        self.columns = nn.ModuleList(
            nn.Linear(modality.num_features, config.width, bias=False)
            if modality.cardinality is None
            else CategoryVectors(
                modality.cardinality,
                dropout=config.category_dropout,
                decay=config.category_decay,
                width=config.width,
            )
            for modality in modalities
        )
        self.names = nn.Parameter(nn.init.normal_(torch.empty(len(modalities), config.width), std=_DEVIATION))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, *cells: Cells) -> Tokens:
        vectors = [
            column(cell.values, cell.present) if isinstance(column, CategoryVectors) else column(cell.values)
            for column, cell in zip(self.columns, cells, strict=True)
        ]
        mask = torch.stack([cell.present for cell in cells], dim=1)
        return left_aligned(Tokens(self.dropout(torch.stack(vectors, dim=1) + self.names), mask))
