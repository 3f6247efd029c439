"""What a stage assembles: a model, or an ensemble around one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch

from polymodal.layers.by_name import ByName
from polymodal.protocols import Encoder, Head, Module, Prediction
from polymodal.types import Batch, Tokens


@runtime_checkable
class Network(Module, Protocol):
    """Batch -> Prediction, in two halves: `encode`, which is costly, and `combine`. An `nn.Module`."""

    @property
    def encoders(self) -> Mapping[str, Encoder] | ByName[Encoder]:
        """The encoder of each input."""

    @property
    def columns(self) -> Mapping[str, tuple[str, ...]]:
        """By input, the columns that its encoder receives."""

    @property
    def head(self) -> Head:
        """What predicts from fused tokens."""

    def encode(self, batch: Batch) -> dict[str, Tokens]:
        """Tokens of every input, before fusion."""

    def encode_input(self, name: str, batch: Batch) -> Tokens:
        """Tokens of one input for all rows of the batch; rows without a cell are masked."""

    def combine(self, tokens: Mapping[str, Tokens]) -> Prediction:
        """Prediction from the tokens of every input."""

    def __call__(self, batch: Batch) -> Prediction: ...


def only(name: str, tokens: Mapping[str, Tokens]) -> dict[str, Tokens]:
    """The tokens with every other input made absent."""
    nobody = torch.zeros_like(tokens[name].present)
    return {n: model_input if n == name else model_input.where_present(nobody) for n, model_input in tokens.items()}
