"""Recurrent layers over right-padded rows: the one place where they live.

No packed sequences: torch.export fails on them, and ONNX's RNN, GRU and LSTM take `sequence_lens`, which are the
`lengths` here. The backward direction reads each row reversed within its own length, so padding comes last in both.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from polymodal.config.node import settings
from polymodal.layers.pooling import lengths_to_mask, zero_masked

CellName = Literal["rnn", "lstm", "gru"]

_CELLS: dict[CellName, type[nn.RNN] | type[nn.LSTM] | type[nn.GRU]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


@settings
class RecurrentSettings:
    """What encoders let the user choose of their recurrent layers.

    Attributes:
        cell: `rnn`, `lstm` or `gru`.
        width: of the tokens; even when bidirectional, as each direction gives half of it.
        layers: recurrent layers on top of each other; each one reads both directions of the one below.
        bidirectional: read each row in both directions.
        dropout: probability, before the first layer and between layers.
    """

    cell: CellName = "gru"
    width: PositiveInt = 128
    layers: PositiveInt = 1
    bidirectional: bool = True
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2


def reverse_by_lengths(values: Float[Tensor, "B T D"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B T D"]:
    """Each row's first `lengths` steps in reverse order, the padding left where it is; its own inverse."""
    steps = torch.arange(values.shape[1], device=values.device).expand(values.shape[0], -1)
    ends = lengths.unsqueeze(1)
    index = torch.where(steps < ends, ends - 1 - steps, steps)
    return values.gather(1, index.unsqueeze(-1).expand_as(values))


class Recurrent(nn.Module):
    """A stack of RNN (tanh), LSTM or GRU layers, in one direction or both.

    Args:
        width_in: D of the tokens that enter.
        settings: of the layers; dropout is between them only.

    Raises:
        ValueError: bidirectional and an odd width.
    """

    def __init__(self, width_in: int, settings: RecurrentSettings) -> None:
        super().__init__()
        width, bidirectional = settings.width, settings.bidirectional
        if bidirectional and width % 2:
            raise ValueError(f"width must be even when bidirectional; got {width}")
        half = width // 2 if bidirectional else width
        widths_in = [width_in] + [width] * (settings.layers - 1)
        cell = _CELLS[settings.cell]
        self.forwards = nn.ModuleList(cell(before, half, batch_first=True) for before in widths_in)
        self.backwards = nn.ModuleList(cell(before, half, batch_first=True) for before in widths_in if bidirectional)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, values: Float[Tensor, "B T D"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B T E"]:
        """Hidden states of the top layer; zeros after each row's length."""
        mask = lengths_to_mask(lengths, values.shape[1])
        values = zero_masked(values, mask)
        for depth, forwards in enumerate(self.forwards):
            inputs = self.dropout(values) if depth else values
            states, _ = forwards(inputs)
            if self.backwards:
                reversed_states, _ = self.backwards[depth](reverse_by_lengths(inputs, lengths))
                states = torch.cat([states, reverse_by_lengths(reversed_states, lengths)], dim=-1)
            values = zero_masked(states, mask)
        return values
