"""The model: one tower for each side, one head. This file reads as the architecture diagram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from polymodal.layers.by_name import ByName
from polymodal.layers.datastore import pooled_inputs
from polymodal.layers.sequence_head import Remembering
from polymodal.protocols import Encoder, Fusion, Head, Module, Prediction
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

    @property
    def takes_features(self) -> bool:
        """It reads handcrafted features of the cells, too, which batches then have to bring."""

    def encode(self, batch: Batch) -> dict[str, Tokens]:
        """Tokens of every input, before fusion."""

    def encode_input(self, name: str, batch: Batch) -> Tokens:
        """Tokens of one input for all rows of the batch; rows without a cell are masked."""

    def combine(self, tokens: Mapping[str, Tokens]) -> Prediction:
        """Prediction from the tokens of every input."""

    def __call__(self, batch: Batch) -> Prediction: ...


class Model(nn.Module):
    """Batch -> towers (encoders -> fusion) -> head -> Prediction.

    Towers are by side, each with inputs of its own. Most tasks have a single one, of the name ""; a task that matches
    two sides has one for each.
    """

    def __init__(self, towers: Mapping[str, Tower], head: Head) -> None:
        super().__init__()
        self.towers = ByName(towers)
        self.head = head

    @property
    def encoders(self) -> dict[str, Encoder]:
        return {name: encoder for tower in self.towers.values() for name, encoder in tower.encoders.items()}

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        return {name: columns for tower in self.towers.values() for name, columns in tower.columns.items()}

    @property
    def takes_features(self) -> bool:
        """Its head looks for similar training rows."""
        return isinstance(self.head, Remembering) and self.head.datastore is not None

    def forward(self, batch: Batch) -> Prediction:
        return self.combine(self.encode(batch))

    def encode(self, batch: Batch) -> dict[str, Tokens]:
        return {
            name: self._with_features(name, tokens, batch)
            for tower in self.towers.values()
            for name, tokens in tower.encode(batch).items()
        }

    def encode_input(self, name: str, batch: Batch) -> Tokens:
        tower = next(tower for tower in self.towers.values() if name in tower.columns)
        return self._with_features(name, tower.encode_input(name, batch), batch)

    def fuse(self, tokens: Mapping[str, Tokens]) -> dict[str, Tokens]:
        """Tokens of every input -> fused tokens by side.

        A head that looks for similar training rows finds what the inputs look like beside them, as their features.
        """
        fused = {
            side: tower.fuse({name: tokens[name] for name in tower.encoders}) for side, tower in self.towers.items()
        }
        if not self.takes_features:
            return fused
        pooled = pooled_inputs({name: tokens[name] for name in self.columns})
        return {side: replace(of_side, features=pooled) for side, of_side in fused.items()}

    def combine(self, tokens: Mapping[str, Tokens]) -> Prediction:
        return self.head.predict(self.fuse(tokens))

    def _with_features(self, name: str, tokens: Tokens, batch: Batch) -> Tokens:
        """With the handcrafted features of its cells, where the batch brings them: in training it does not."""
        found = [batch.features[column] for column in self.columns[name] if column in batch.features]
        return replace(tokens, features=torch.cat(found, dim=1)) if found and self.takes_features else tokens


class Encoders(nn.Module):
    """An encoder for each input: Batch -> Tokens by input.

    A missing cell never enters an encoder: encoders run on the rows that have one, and their tokens are scattered
    back among rows of masked tokens.

    Args:
        encoders: by input.
        columns: by input, the columns that its encoder receives, in order.
    """

    takes_features: ClassVar[bool] = False

    def __init__(self, encoders: Mapping[str, Encoder], columns: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.encoders = ByName(encoders)
        self.columns = {name: tuple(in_order) for name, in_order in columns.items()}

    def encode(self, batch: Batch) -> dict[str, Tokens]:
        """Tokens of every input, before fusion."""
        return {name: self.encode_input(name, batch) for name in self.encoders}

    def encode_input(self, name: str, batch: Batch) -> Tokens:
        """Tokens of one input for all rows of the batch, or those that were computed before."""
        if name in batch.encoded:
            return batch.encoded[name]
        encoder, cells = self.encoders[name], [batch.cells[column] for column in self.columns[name]]
        present = torch.stack([column.present for column in cells]).any(dim=0)
        if bool(present.all()):
            return encoder(*cells)
        if not bool(present.any()):
            return _absent(len(batch), encoder)
        rows = present.nonzero().squeeze(1)
        return _scatter(encoder(*[column.rows(rows) for column in cells]), rows, len(batch))


class Tower(Encoders):
    """Batch -> encoders -> fusion, which combines the tokens of all inputs -> Tokens: one side of a model.

    Args:
        encoders: by input.
        columns: by input, the columns that its encoder receives, in order.
        fusion: of their tokens.
        along: the input whose time the result lies along; a row without it has no tokens, whatever else it has.
    """

    def __init__(
        self,
        encoders: Mapping[str, Encoder],
        columns: Mapping[str, Sequence[str]],
        fusion: Fusion,
        *,
        along: str | None = None,
    ) -> None:
        super().__init__(encoders, columns)
        self.fusion, self.along = fusion, along

    def forward(self, batch: Batch) -> Tokens:
        return self.fuse(self.encode(batch))

    def fuse(self, tokens: Mapping[str, Tokens]) -> Tokens:
        """The tokens of this side's inputs as one."""
        fused = self.fusion(tokens)
        return fused if self.along is None else fused.where_present(tokens[self.along].present)


def only(name: str, tokens: Mapping[str, Tokens]) -> dict[str, Tokens]:
    """The tokens with every other input made absent."""
    nobody = torch.zeros_like(tokens[name].present)
    return {n: model_input if n == name else model_input.where_present(nobody) for n, model_input in tokens.items()}


def _absent(num_rows: int, encoder: Encoder) -> Tokens:
    """Masked tokens where nobody has the input; a gradient reaches every parameter, or DDP would wait for ever."""
    parameters = list(encoder.parameters())
    values = torch.zeros(num_rows, 1, encoder.width, device=parameters[0].device if parameters else None)
    for parameter in parameters if torch.is_grad_enabled() else ():
        values = values + parameter.sum() * 0.0
    return Tokens(values, values.new_zeros(num_rows, 1, dtype=torch.bool))


def _scatter(tokens: Tokens, rows: Tensor, num_rows: int) -> Tokens:
    values = tokens.values.new_zeros(num_rows, *tokens.values.shape[1:]).index_copy(0, rows, tokens.values)
    mask = tokens.mask.new_zeros(num_rows, tokens.mask.shape[1]).index_copy(0, rows, tokens.mask)
    return Tokens(values, mask)
