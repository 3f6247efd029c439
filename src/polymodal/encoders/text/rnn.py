"""Recurrent text encoder: embeddings read by an RNN, LSTM or GRU; keeps every word piece as a token."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, PositiveInt
from torch import nn

from polymodal.errors import ConfigError
from polymodal.layers.pooling import lengths_to_mask
from polymodal.layers.recurrent import CellName, Recurrent
from polymodal.modalities.text import Text
from polymodal.types import Cells, Tokens


@dataclass(frozen=True)
class RnnConfig:
    """Settings of `Rnn`.

    Attributes:
        cell: `rnn`, `lstm` or `gru`.
        width: of an embedding and of the tokens; even when bidirectional, as each direction gives half of it.
        layers: recurrent layers on top of each other.
        bidirectional: read each text in both directions.
        dropout: probability, after the embedding and between layers.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    cell: CellName = "gru"
    width: PositiveInt = 128
    layers: PositiveInt = 1
    bidirectional: bool = True
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2


class Rnn(nn.Module):
    """Text "N T" of ids -> a token for each word piece."""

    Config: ClassVar[type] = RnnConfig
    token_span: float | None = None
    frozen = False

    def __init__(self, config: RnnConfig, modality: Text) -> None:
        super().__init__()
        if config.bidirectional and config.width % 2:
            raise ConfigError(f"Text encoder 'rnn': width must be even when bidirectional; got {config.width}.")
        self.config = config
        self.width = config.width
        self.embedding = nn.Embedding(modality.vocabulary_size, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.recurrent = Recurrent(
            config.width,
            config.width,
            cell=config.cell,
            num_layers=config.layers,
            bidirectional=config.bidirectional,
            dropout=config.dropout,
        )

    @classmethod
    def needs(cls, config: RnnConfig) -> dict[str, Any]:  # noqa: ARG003
        """Works with any tokenizer."""
        return {}

    @property
    def portable(self) -> dict[str, Any]:
        return asdict(self.config)

    def forward(self, cells: Cells) -> Tokens:
        states = self.recurrent(self.dropout(self.embedding(cells.values)), cells.lengths)
        return Tokens(states, lengths_to_mask(cells.lengths, cells.values.shape[1]))
