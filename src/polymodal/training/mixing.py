"""Two rows become one (mixup): mixtures of cells or tokens, and of the losses that go with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from polymodal.config.train import MixupConfig
from polymodal.errors import ConfigError
from polymodal.layers.pooling import zero_masked
from polymodal.models.model import Network
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
        return {name: self._tokens(model_input) for name, model_input in tokens.items()}

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


def of_rows(
    measure: Callable[[Cells | None], Float[Tensor, " B"]], target: Cells | None, mixing: Mixing | None
) -> Float[Tensor, " B"]:
    """A measure of each row against its target; of a mixture, against the targets of both rows."""
    if mixing is None or target is None:
        return measure(target)
    return mixing.share * measure(target) + (1 - mixing.share) * measure(target.rows(mixing.partner))


def draw_mixing(
    batch: Batch, weights: Float[Tensor, " B"], *, model: Network, config: MixupConfig
) -> tuple[Mixing, Float[Tensor, " B"]]:
    """A mixing of the batch, and the sample weights of its rows then.

    Partners are drawn among the rows that hold the same inputs, or the same cells where these are mixed. Weights are
    mixed as the rows are, so that each row of the batch counts as much as it did, and one of weight 0 not at all.

    Raises:
        ConfigError: cells are to be mixed, and some of them cannot be.
    """
    if config.where == "inputs":
        _refuse_words(batch)
        present = torch.stack([cells.present for cells in batch.cells.values()], dim=1)
    else:
        present = _inputs(batch, model)
    kept = float(torch.distributions.Beta(config.alpha, config.alpha).sample())
    partner = draw_partners(present)
    own, others = kept * weights, (1 - kept) * weights[partner]
    mixed = own + others
    share = torch.where(mixed > 0, own / mixed, kept)
    return Mixing(partner=partner, kept=kept, share=share, where=config.where), mixed


def draw_partners(present: Bool[Tensor, "B I"]) -> Int[Tensor, " B"]:
    """A random order of the rows in which every row keeps to the places of rows that hold the same as it."""
    partner = torch.arange(len(present), device=present.device)
    _, kind = torch.unique(present, dim=0, return_inverse=True)
    for alike in (kind == one for one in kind.unique()):
        places = alike.nonzero().squeeze(1)
        partner[places] = places[torch.randperm(len(places)).to(places.device)]
    return partner


def _inputs(batch: Batch, model: Network) -> Bool[Tensor, "B I"]:
    """Which inputs each row holds."""
    present = []
    for name, columns in model.columns.items():
        if name in batch.encoded:
            present.append(batch.encoded[name].present)
        else:
            present.append(torch.stack([batch.cells[column].present for column in columns]).any(dim=0))
    return torch.stack(present, dim=1)


def _refuse_words(batch: Batch) -> None:
    """Pictures (bytes) and sounds and numbers (floating point) have a mean that is one of them; indices have not."""
    for column, cells in batch.cells.items():
        if not (cells.values.is_floating_point() or cells.values.dtype == torch.uint8):
            raise ConfigError(
                f"train.mixup.where: inputs: column {column!r} holds words or categories, and there is nothing between"
                " two of them. Set train.mixup.where=tokens, which mixes what the encoders make of them."
            )
    for name in batch.encoded:
        raise ConfigError(
            f"train.mixup.where: inputs: the encoder of {name!r} is frozen, so that it reads its cells only once and"
            " never sees mixtures. Set train.mixup.where=tokens."
        )
