"""Dropout and a multi-layer perceptron on a vector."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, PositiveInt
from torch import nn

from polymodal.config.node import settings
from polymodal.layers.activation import ActivationName
from polymodal.layers.encoder import EncoderModule
from polymodal.layers.mlp import MultiLayerPerceptron
from polymodal.modalities.vector import Vector
from polymodal.types import Cells, Tokens


@settings
class MlpConfig:
    """Settings of `Mlp`.

    Attributes:
        width: of the hidden layers and of the result.
        layers: Linear, LayerNorm, activation, dropout. One is enough for embeddings, and all that few rows of many
            elements can fill.
        activation: `relu`, `gelu`, `tanh` or `sigmoid`.
        input_dropout: probability with which an element is hidden in training, so that none is relied on alone.
        dropout: probability, after every layer.
    """

    width: PositiveInt = 128
    layers: PositiveInt = 1
    activation: ActivationName = "relu"
    input_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Mlp(EncoderModule[MlpConfig]):
    """Vectors Float "N D", standardised by their modality -> one token."""

    Config: ClassVar[type] = MlpConfig

    def __init__(self, config: MlpConfig, modality: Vector) -> None:
        super().__init__(config)
        self.hide = nn.Dropout(config.input_dropout)
        self.mlp = MultiLayerPerceptron(
            modality.length, [config.width] * config.layers, activation_name=config.activation, dropout=config.dropout
        )
        self.width = self.mlp.width

    def forward(self, cells: Cells) -> Tokens:
        return Tokens.vector(self.mlp(self.hide(cells.values)), cells.present)
