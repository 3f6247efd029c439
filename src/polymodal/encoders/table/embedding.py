"""Embedding table encoder: a token for each column that has a cell, for early fusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from polymodal.layers.categories import CategorySettings, CategoryVectors, TableColumn
from polymodal.layers.encoder import EmbeddingSettings, EncoderModule
from polymodal.layers.token_inputs import left_aligned
from polymodal.types import Cells, Tokens

_DEVIATION = 0.1  # of what says which column a token is of, at first


@dataclass(frozen=True)
class EmbeddingConfig(EmbeddingSettings, CategorySettings):
    """Settings of `Embedding`: those of any embedding and of categories."""


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
            else CategoryVectors(modality.cardinality, config, width=config.width)
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
