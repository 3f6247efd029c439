"""Draws which rows of a batch are mixed, and how much of each."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from polymodal.errors import ConfigError
from polymodal.layers.mixup import Mixing
from polymodal.model import Model
from polymodal.settings.train import MixupConfig
from polymodal.types import Batch


def draw_mixing(
    batch: Batch, weights: Float[Tensor, " B"], *, model: Model, config: MixupConfig
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


def _inputs(batch: Batch, model: Model) -> Bool[Tensor, "B I"]:
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
