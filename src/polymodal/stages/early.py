"""One joint encoder reads all inputs, which enter nearly raw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import ConfigDict, Field, PositiveInt
from torch import nn

from polymodal import registry
from polymodal.config.run_config import RunConfig
from polymodal.layers.mlp import MultiLayerPerceptron
from polymodal.models.network import Network
from polymodal.models.stage import FitResult, Fitter, Parts, reads_tokens
from polymodal.protocols import Fusion, Task
from polymodal.stages._joint import joint, learn_jointly
from polymodal.types import Tokens

_SHALLOW = "shallow"


@dataclass(frozen=True)
class EarlyConfig:
    """Settings of `Early`, for fusions that take vectors; others are a joint encoder by themselves.

    Attributes:
        layers: of the perceptron behind the fusion.
        width: of these layers.
        dropout: probability, after each of them.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    layers: PositiveInt = 2
    width: PositiveInt = 128
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Early:
    """Cells -> tokens of pieces, squares, stretches, columns -> joint encoder -> head: fusion of features.

    Every input goes through the encoder `shallow` of its modality: one linear layer, and where in the input a token
    stands. The joint encoder is the fusion, where it reads tokens (`attention`, `cross_attention`, `bottleneck`: it
    also says which input a token is of); of other fusions the mean of each input's tokens enters, and a perceptron
    follows. An encoder that the user names stays: deep features, then, instead of nearly raw ones; with one that learns
    this becomes fusion of representations, as `intermediate` is.
    """

    Config: ClassVar[type] = EarlyConfig
    joint: ClassVar[bool] = True
    shares_encoders: ClassVar[bool] = True

    def __init__(self, config: EarlyConfig) -> None:
        self.config = config

    def settings_of_fusion(self) -> dict[str, Any]:
        """The fusion's own defaults."""
        return {}

    def encoder(self, name: str, modality: str) -> str | None:
        """A shallow one, where the modality has it."""
        return _SHALLOW if _SHALLOW in registry.names(f"encoders/{modality}") else None

    def check(self, config: RunConfig, task: Task, inputs: Sequence[str]) -> None:
        """Every fusion, and every task, makes sense."""

    def assemble(self, parts: Parts) -> Network:
        return joint(parts, lambda widths: self._fusion(parts, widths))

    def _fusion(self, parts: Parts, widths: Mapping[str, int]) -> Fusion:
        fusion = parts.fusion(widths)
        if reads_tokens(parts.config.fusion.name):
            return fusion
        layers = MultiLayerPerceptron(
            fusion.width, [self.config.width] * self.config.layers, dropout=self.config.dropout
        )
        return WithMlp(fusion, layers)

    def learn(
        self, fitter: Fitter, rows: np.ndarray, validation: np.ndarray, *, before: FitResult | None = None
    ) -> FitResult:
        return learn_jointly(fitter, rows, validation, before)


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
