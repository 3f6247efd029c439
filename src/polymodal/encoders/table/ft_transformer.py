"""FT-Transformer for a table: every number, category and part of a date is a token, and they attend to each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor, nn

from polymodal.layers.activation import ActivationName
from polymodal.layers.categories import CategorySettings, CategoryVectors, TableColumn
from polymodal.layers.encoder import EncoderModule
from polymodal.layers.transformer import BlockSettings, require_heads
from polymodal.layers.transformer import TransformerStack as Blocks
from polymodal.types import Cells, Tokens


@dataclass(frozen=True)
class FtTransformerConfig(BlockSettings, CategorySettings):
    """Settings of `FtTransformer`, besides those of its blocks and of categories.

    Attributes:
        activation: inside of the feed-forward networks: `relu`, `gelu`, `tanh` or `sigmoid`.
    """

    width: PositiveInt = 64
    layers: PositiveInt = 3
    heads: PositiveInt = 8
    hidden: PositiveInt = 128
    activation: ActivationName = "gelu"


class FtTransformer(EncoderModule[FtTransformerConfig]):
    """Cells of every column, one `Cells` a column -> one token.

    As in Gorishniy et al. 2021 (arXiv 2106.11959, section 3.3): feature j becomes the token b_j + x_j w_j, where x_j is
    a number, or b_j + e_j[x_j], where it is a category; a token of its own gathers from them what matters, in
    transformer blocks with the norm first. A missing cell is a token to which nobody attends: nothing stands in for it.

    Raises:
        ConfigError: a width that the heads cannot divide.
    """

    Config: ClassVar[type] = FtTransformerConfig

    def __init__(self, config: FtTransformerConfig, *modalities: TableColumn) -> None:
        super().__init__(config)
        require_heads("Table encoder 'ft_transformer'", width=config.width, heads=config.heads)
        self.width = config.width
        self.columns = nn.ModuleList(
            _Numbers(modality.num_features, config.width)
            if modality.cardinality is None
            else _Category(modality.cardinality, config)
            for modality in modalities
        )
        self.gather = nn.Parameter(_first_values(1, config.width))
        self.blocks = Blocks(config, activation_name=config.activation)

    def forward(self, *cells: Cells) -> Tokens:
        gather = self.gather.expand(len(cells[0].lengths), 1, -1)
        present = torch.stack([cell.present for cell in cells], dim=1)
        tokens, mask = [gather], [torch.ones_like(present[:, :1])]
        for column, cell in zip(self.columns, cells, strict=True):
            of_column = column(cell)
            tokens.append(of_column)
            mask.append(cell.present.unsqueeze(1).expand(-1, of_column.shape[1]))
        states = self.blocks(torch.cat(tokens, dim=1), torch.cat(mask, dim=1))
        return Tokens.vector(states[:, 0], present.any(dim=1))


class _Numbers(nn.Module):
    """A token for each float of a cell: b + x w."""

    def __init__(self, num_features: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(_first_values(num_features, width))
        self.bias = nn.Parameter(_first_values(num_features, width))

    def forward(self, cells: Cells) -> Float[Tensor, "N F D"]:
        tokens: Tensor = cells.values.unsqueeze(-1) * self.weight + self.bias
        return tokens


class _Category(nn.Module):
    """One token: the vector of the category, and what all of the column have alike."""

    def __init__(self, cardinality: int, config: FtTransformerConfig) -> None:
        super().__init__()
        self.vectors = CategoryVectors(cardinality, config, width=config.width)
        self.bias = nn.Parameter(_first_values(1, config.width))

    def forward(self, cells: Cells) -> Float[Tensor, "N 1 D"]:
        vectors: Tensor = self.vectors(cells.values, cells.present)
        return vectors.unsqueeze(1) + self.bias


def _first_values(num_features: int, width: int) -> Float[Tensor, "F D"]:
    """Uniform between +-1 / sqrt(width), as in the paper's appendix E.1."""
    return (2 * torch.rand(num_features, width) - 1) / math.sqrt(width)
