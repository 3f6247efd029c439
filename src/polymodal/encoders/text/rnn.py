"""Recurrent text encoder: embeddings read by an RNN, LSTM or GRU; keeps every word piece as a token."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from torch import nn

from polymodal.encoders import _word_vectors
from polymodal.errors import ConfigError
from polymodal.layers.encoder import EncoderModule
from polymodal.layers.pooling import lengths_to_mask
from polymodal.layers.recurrent import Recurrent, RecurrentSettings
from polymodal.modalities.text import Text
from polymodal.types import Cells, Tokens


@dataclass(frozen=True)
class RnnConfig(RecurrentSettings, _word_vectors.VectorSettings):
    """Settings of `Rnn`: those of its layers and of word vectors.

    Attributes:
        width: of the tokens, and of an embedding that does not come from a file; even when bidirectional, as each
            direction gives half of it.
        dropout: probability, after the embedding and between layers.
    """


class Rnn(EncoderModule[RnnConfig]):
    """Text "N T" of ids -> a token for each word, or piece of one."""

    Config: ClassVar[type] = RnnConfig

    def __init__(self, config: RnnConfig, modality: Text) -> None:
        super().__init__(config)
        if config.bidirectional and config.width % 2:
            raise ConfigError(f"Text encoder 'rnn': width must be even when bidirectional; got {config.width}.")
        self.width = config.width
        self.notes: tuple[str, ...] = ()
        self.vectors_width: int | None = None
        if _word_vectors.wanted(config):
            words, self.notes = _word_vectors.embed(config, modality)
            self.vectors_width = words.width
            self.embedding: nn.Module = words
        else:
            self.embedding = nn.Embedding(modality.vocabulary_size, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.recurrent = Recurrent(self.vectors_width or config.width, config)

    @classmethod
    def needs(cls, config: RnnConfig) -> dict[str, Any]:
        """Works with any tokenizer; word vectors need whole words."""
        return _word_vectors.needs(config) if _word_vectors.wanted(config) else {}

    @property
    def portable(self) -> dict[str, Any]:
        return {**asdict(self.config), "vectors": None, "vectors_width": self.vectors_width}

    def forward(self, cells: Cells) -> Tokens:
        states = self.recurrent(self.dropout(self.embedding(cells.values)), cells.lengths)
        return Tokens(states, lengths_to_mask(cells.lengths, cells.values.shape[1]))
