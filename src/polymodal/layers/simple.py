"""Handcrafted features of a cell as one token, without learned weights; the input of linear models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from pydantic import ConfigDict

from polymodal.layers.encoder import EncoderModule
from polymodal.types import Cells, Tokens


@dataclass(frozen=True)
class SimpleConfig:
    """Settings of `Simple`: none."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@runtime_checkable
class HasFeatures(Protocol):
    """A modality that gives its simple features: how many."""

    @property
    def num_features(self) -> int: ...


class Simple(EncoderModule[SimpleConfig]):
    """Features Float "N F", one `Cells` a column -> one token with all of them.

    `takes_features` says to whoever prepares the cells that these are to be the simple features of their modality: mean
    colours on a grid, counts of words and groups of letters, means and spreads of cepstral coefficients, numbers.
    """

    Config: ClassVar[type] = SimpleConfig
    takes_features: ClassVar[bool] = True
    frozen = True

    def __init__(self, config: SimpleConfig, *modalities: HasFeatures) -> None:
        super().__init__(config)
        self.width = sum(modality.num_features for modality in modalities)

    def forward(self, *cells: Cells) -> Tokens:
        present = torch.stack([of_column.present for of_column in cells]).any(dim=0)
        return Tokens.vector(torch.cat([of_column.values for of_column in cells], dim=1), present)
