"""One side of a model: an encoder for each input, then their fusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from polymodal.layers.by_name import ByName
from polymodal.protocols import Encoder, Fusion
from polymodal.types import Batch, Tokens


class Tower(nn.Module):
    """Batch -> encoders -> fusion -> Tokens.

    A missing cell never enters an encoder: encoders run on the rows that have one, and their tokens are scattered
    back among rows of masked tokens.

    Args:
        encoders: by input.
        columns: by input, the columns that its encoder receives, in order.
        fusion: combines the tokens of all inputs.
    """

    def __init__(self, encoders: Mapping[str, Encoder], columns: Mapping[str, Sequence[str]], fusion: Fusion) -> None:
        super().__init__()
        self.encoders = ByName(encoders)
        self.columns = {name: tuple(model_input) for name, model_input in columns.items()}
        self.fusion = fusion

    def forward(self, batch: Batch) -> Tokens:
        return self.fuse(self.encode(batch))

    def encode(self, batch: Batch) -> dict[str, Tokens]:
        """Tokens of every input, before fusion."""
        return {name: self.encode_input(name, batch) for name in self.encoders}

    def encode_input(self, name: str, batch: Batch) -> Tokens:
        """Tokens of one input for all rows of the batch; rows without a cell are masked."""
        return encode_input(self.encoders[name], self.columns[name], batch, name)

    def fuse(self, tokens: Mapping[str, Tokens]) -> Tokens:
        """The tokens of this side's inputs as one."""
        return self.fusion(tokens)


def encode_input(encoder: Encoder, columns: Sequence[str], batch: Batch, name: str) -> Tokens:
    """Tokens of one input for all rows of the batch, or those that were computed before.

    Args:
        encoder: of the input.
        columns: that it receives.
        batch: holds them.
        name: of the input.
    """
    if name in batch.encoded:
        return batch.encoded[name]
    cells = [batch.cells[column] for column in columns]
    present = torch.stack([column.present for column in cells]).any(dim=0)
    if bool(present.all()):
        return encoder(*cells)
    if not bool(present.any()):
        return _absent(len(batch), encoder)
    rows = present.nonzero().squeeze(1)
    return _scatter(encoder(*[column.rows(rows) for column in cells]), rows, len(batch))


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
