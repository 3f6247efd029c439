"""Handcrafted features of a cell as one token, without learned weights; the input of linear models."""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

import torch

from polymodal.config.node import settings
from polymodal.layers.encoder import EncoderModule
from polymodal.types import Cells, Tokens


@settings
class HandcraftedConfig:
    """Settings of `Handcrafted`: none."""


@runtime_checkable
class HasFeatures(Protocol):
    """A modality that gives its handcrafted features: how many."""

    @property
    def num_features(self) -> int: ...


class Handcrafted(EncoderModule[HandcraftedConfig]):
    """Features Float "N F", one `Cells` a column -> one token with all of them.

    `takes_features` asks for the handcrafted features of the modality in place of its cells: mean colours on a grid,
    counts of words and character n-grams, means and deviations of cepstral coefficients, numbers.
    """

    Config: ClassVar[type] = HandcraftedConfig
    takes_features: ClassVar[bool] = True
    frozen = True

    def __init__(self, config: HandcraftedConfig, *modalities: HasFeatures) -> None:
        super().__init__(config)
        self.width = sum(modality.num_features for modality in modalities)

    def forward(self, *cells: Cells) -> Tokens:
        present = torch.stack([of_column.present for of_column in cells]).any(dim=0)
        return Tokens.vector(torch.cat([of_column.values for of_column in cells], dim=1), present)
