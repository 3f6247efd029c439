"""The model: one tower for each side, one head. This file reads as the architecture diagram."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from polymodal.layers.by_name import ByName
from polymodal.models.tower import Tower
from polymodal.protocols import Encoder, Head, Prediction
from polymodal.types import Batch, Tokens


class Model(nn.Module):
    """Batch -> towers (encoders -> fusion) -> head -> Prediction.

    Most tasks have a single tower, of the name ""; a task that matches two sides has one for each.

    Args:
        towers: by side; each has inputs of its own.
        head: turns the fused tokens of all sides into a prediction.
    """

    def __init__(self, towers: Mapping[str, Tower], head: Head) -> None:
        super().__init__()
        self.towers = ByName(towers)
        self.head = head

    @property
    def encoders(self) -> dict[str, Encoder]:
        """The encoder of each input, of all towers."""
        return {name: encoder for tower in self.towers.values() for name, encoder in tower.encoders.items()}

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """By input, the columns that its encoder receives."""
        return {name: columns for tower in self.towers.values() for name, columns in tower.columns.items()}

    def forward(self, batch: Batch) -> Prediction:
        return self.combine(self.encode(batch))

    def encode(self, batch: Batch) -> dict[str, Tokens]:
        """Tokens of every input, before fusion."""
        return {name: tokens for tower in self.towers.values() for name, tokens in tower.encode(batch).items()}

    def encode_input(self, name: str, batch: Batch) -> Tokens:
        """Tokens of one input for all rows of the batch; rows without a cell are masked."""
        return next(tower for tower in self.towers.values() if name in tower.columns).encode_input(name, batch)

    def fuse(self, tokens: Mapping[str, Tokens]) -> dict[str, Tokens]:
        """Tokens of every input -> fused tokens by side."""
        return {
            side: tower.fuse({name: tokens[name] for name in tower.encoders}) for side, tower in self.towers.items()
        }

    def combine(self, tokens: Mapping[str, Tokens]) -> Prediction:
        """Prediction from the tokens of every input."""
        return self.head.predict(self.fuse(tokens))
