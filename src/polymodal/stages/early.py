"""Early fusion: one joint encoder over nearly raw tokens of all inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, PositiveInt
from torch import nn

from polymodal import registry
from polymodal.config.node import settings
from polymodal.layers.mlp import MultiLayerPerceptron
from polymodal.models.stage import Parts, reads_tokens
from polymodal.protocols import Fusion
from polymodal.stages._joint import JointStage
from polymodal.types import Tokens

_EMBEDDING = "embedding"


@settings
class EarlyConfig:
    """Settings of `Early`, for fusions that take vectors; others are a joint encoder by themselves.

    Attributes:
        layers: of the perceptron behind the fusion.
        width: of these layers.
        dropout: probability, after each of them.
    """

    layers: PositiveInt = 2
    width: PositiveInt = 128
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Early(JointStage):
    """Cells -> tokens of pieces, squares, stretches, columns -> joint encoder -> head: fusion of features.

    Every input goes through the encoder `embedding` of its modality: one linear layer, and where in the input a token
    stands. The joint encoder is the fusion, where it reads tokens (`attention`, `cross_attention`, `bottleneck`: it
    also says which input a token is of); of other fusions the mean of each input's tokens enters, and a perceptron
    follows. An encoder that the user names stays: deep features, then, instead of nearly raw ones; with one that learns
    this becomes fusion of representations, as `intermediate` is.
    """

    Config: ClassVar[type] = EarlyConfig
    config: EarlyConfig

    def encoder(self, name: str, modality: str) -> str | None:
        """An embedding alone, where the modality has it."""
        return _EMBEDDING if _EMBEDDING in registry.names(f"encoders/{modality}") else None

    def fusion(self, parts: Parts, widths: Mapping[str, int]) -> Fusion:
        """The joint encoder: a fusion that reads tokens, or one of vectors with layers behind it."""
        fusion = parts.fusion(widths)
        if reads_tokens(parts.config.fusion.name):
            return fusion
        layers = MultiLayerPerceptron(
            fusion.width, [self.config.width] * self.config.layers, dropout=self.config.dropout
        )
        return WithMlp(fusion, layers)


class WithMlp(nn.Module):
    """A fusion with layers behind it."""

    Config: ClassVar[type] = type(None)  # assembled, not built from settings
    keeps_time = False

    def __init__(self, fusion: Fusion, layers: MultiLayerPerceptron) -> None:
        super().__init__()
        self.fusion, self.layers = fusion, layers
        self.width = layers.width

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        fused = self.fusion(tokens)
        return Tokens.vector(self.layers(fused.values[:, 0]), fused.present)
