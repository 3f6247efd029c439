"""Two rows become one: mixtures of cells or tokens, and of the losses that go with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polymodal.layers.pooling import zero_masked
from polymodal.types import Batch, Cells, Tokens


@dataclass(frozen=True)
class Mixing:
    """Which row of a batch is mixed into which, and how much of it.

        x = kept * x_b + (1 - kept) * x_partner         Zhang et al. 2018, arXiv 1710.09412, section 2, on cells;
                                                        Verma et al. 2019, arXiv 1806.05236, section 2, on tokens
        loss = share * loss(x, y_b) + (1 - share) * loss(x, y_partner)

    The losses are mixed, not the targets: that is the same for cross entropy, and has a meaning for every other loss.
    Partners hold the same inputs (or cells), so that nothing is mixed with what is missing. A row that is shorter than
    its partner is followed by zeros: silence, or tokens that say nothing.

    Attributes:
        partner: the row that is mixed into each row.
        kept: how much of each row stays, 0 to 1.
        share: the same for the losses; differs from `kept` where the two rows have different sample weights.
        where: `inputs` mixes cells, `tokens` what encoders make of them.
    """

    partner: Int[Tensor, " B"]
    kept: float
    share: Float[Tensor, " B"]
    where: Literal["inputs", "tokens"]

    def of_batch(self, batch: Batch) -> Batch:
        """The batch with mixed cells; as it is where tokens are mixed."""
        if self.where == "tokens":
            return batch
        return replace(batch, cells={name: self._cells(cells) for name, cells in batch.cells.items()})

    def of_tokens(self, tokens: dict[str, Tokens]) -> dict[str, Tokens]:
        """Mixed tokens; as they are where cells are mixed."""
        if self.where == "inputs":
            return tokens
        return {name: self._tokens(of_input) for name, of_input in tokens.items()}

    def _cells(self, cells: Cells) -> Cells:
        values = self._mix(cells.values.float())
        if not cells.values.is_floating_point():  # the bytes of pictures
            values = values.round()
        lengths = torch.maximum(cells.lengths, cells.lengths[self.partner])
        return Cells(values.to(cells.values.dtype), lengths)

    def _tokens(self, tokens: Tokens) -> Tokens:
        values = self._mix(zero_masked(tokens.values, tokens.mask))
        return Tokens(values, tokens.mask | tokens.mask[self.partner])

    def _mix(self, values: Tensor) -> Tensor:
        return self.kept * values + (1 - self.kept) * values[self.partner]


def of_rows(measure: Callable[[Tensor], Float[Tensor, " B"]], target: Tensor, mixing: Mixing | None) -> Tensor:
    """A measure of each row against its target; of a mixture, against the targets of both rows."""
    if mixing is None:
        return measure(target)
    return mixing.share * measure(target) + (1 - mixing.share) * measure(target[mixing.partner])
