"""A datastore of training rows: what their inputs look like to the encoders, and their texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from polymodal.layers.pooling import masked_mean
from polymodal.types import Cells, Tokens

_SHARPNESS = 0.05  # similarities are divided by it: a neighbour whose cosine is smaller by as much counts 1 / e
_DIGITS = 6  # of similarities: equal keys are equally near whatever the batch
_WIDEST = 2_048  # handcrafted features, those of texts are more, would make a key of a thousand numbers and more
_BUFFERS = ("keys", "mean", "spread", "blocks", "ids", "lengths")


@dataclass(frozen=True)
class Neighbours:
    """The training texts of the rows whose inputs are nearest, the nearest first.

    Attributes:
        ids: "B K L"; what stands behind the length means nothing.
        lengths: "B K".
        shares: "B K", how much each counts among them, 1 together.
        weight: of them all, 0 to 1, beside what the model itself says.
    """

    ids: Int[Tensor, "B K L"]
    lengths: Int[Tensor, "B K"]
    shares: Float[Tensor, "B K"]
    weight: float


class Datastore(nn.Module):
    """Keys and texts of training rows, as in kNN-LM (Khandelwal et al. 2020, arXiv 1911.00172), one a row.

    The key of a row has two blocks for each input: its mean token, less that of the training rows; and the handcrafted
    features of its cells, standardised, which are good before an encoder is. A block has length 1, or 0 where the input
    is absent. Similarity is the mean cosine over the blocks of the row that is asked for. Empty until `remember`.

    Args:
        vocabulary_size: ids are below it.
    """

    keys: Tensor
    mean: Tensor
    spread: Tensor
    blocks: Tensor
    ids: Tensor
    lengths: Tensor
    weight: Tensor

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size
        self.register_buffer("weight", torch.tensor(0.5))
        for name, empty in _nothing().items():
            self.register_buffer(name, empty)

    def __len__(self) -> int:
        return len(self.keys)

    def forget(self) -> None:
        """Empties it; the weight stays."""
        for name, empty in _nothing().items():
            setattr(self, name, empty.to(self.weight.device))

    def remember(self, pooled: Float[Tensor, "N F"], blocks: Sequence[Block], target: Cells) -> None:
        """Holds these rows in place of any others; of rows whose text is unknown nothing.

        Args:
            pooled: of `pooled_inputs`.
            blocks: of `blocks_of`.
            target: ids of the texts.
        """
        known = target.present.nonzero().squeeze(1)
        pooled, device = pooled[known].double(), self.weight.device
        mean = pooled.nanmean(dim=0).nan_to_num()
        deviation = (pooled - mean).square().nanmean(dim=0).nan_to_num().sqrt()
        standardised = torch.tensor([block.standardised for block in blocks for _ in range(block.width)])
        self.mean, self.blocks = mean.float(), torch.tensor([block.width for block in blocks])
        self.spread = torch.where(standardised & (deviation > 0), deviation, 1.0).float()
        self.keys = self._units(pooled).half()
        self.ids, self.lengths = target.values[known, : int(target.lengths.max())].int(), target.lengths[known].long()
        for name in _BUFFERS:
            setattr(self, name, getattr(self, name).to(device))

    def nearest(self, pooled: Float[Tensor, "B F"], number: int) -> Neighbours:
        """The texts of the nearest rows, as many as there are."""
        units = self._units(_wide(pooled))
        there = torch.stack([part.any(dim=1) for part in torch.split(units, self.blocks.tolist(), dim=1)]).sum(dim=0)
        similarity = (units @ _wide(self.keys).T / there.clamp_min(1).unsqueeze(1)).round(decimals=_DIGITS)
        found, order = similarity.sort(dim=1, descending=True, stable=True)
        found, order = found[:, :number], order[:, :number]
        shares = (found / _SHARPNESS).softmax(dim=1)
        return Neighbours(self.ids[order].long(), self.lengths[order], shares, float(self.weight))

    def _units(self, pooled: Float[Tensor, "B F"]) -> Float[Tensor, "B F"]:
        scaled = ((pooled - self.mean) / self.spread).nan_to_num(0.0, 0.0, 0.0)
        parts = torch.split(scaled, self.blocks.tolist(), dim=1)
        return torch.cat([nn.functional.normalize(part, dim=1) for part in parts], dim=1)

    def _load_from_state_dict(  # noqa: PLR0917 as in torch
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """As many rows as are loaded; only what `remember` may have written."""
        for name in _BUFFERS:
            if (loaded := state_dict.get(f"{prefix}{name}")) is not None:
                setattr(self, name, getattr(self, name).new_empty(loaded.shape))
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        if not missing_keys and not error_msgs and not self._sound():
            error_msgs.append(f"{prefix.rstrip('.')}: keys and texts of the datastore do not fit each other")

    def _sound(self) -> bool:
        rows, dims = len(self.keys), [getattr(self, name).ndim for name in _BUFFERS]
        if dims != [2, 1, 1, 1, 2, 1] or not len(self.ids) == len(self.lengths) == rows:
            return False
        width = int(self.blocks.sum())
        widths = bool((self.blocks > 0).all()) and width == self.keys.shape[1] == len(self.mean) == len(self.spread)
        finite = all(bool(part.isfinite().all()) for part in (self.keys, self.mean, self.spread))
        finite = finite and bool((self.spread > 0).all()) and 0 <= float(self.weight) <= 1
        ids = bool(((self.ids >= 0) & (self.ids < self.vocabulary_size)).all())
        return widths and finite and ids and bool(((self.lengths > 0) & (self.lengths <= self.ids.shape[1])).all())


@dataclass(frozen=True)
class Block:
    """Some features side by side: how many, and whether they are scaled one by one."""

    width: int
    standardised: bool


def blocks_of(tokens: Mapping[str, Tokens]) -> list[Block]:
    """What `pooled_inputs` gives of such tokens."""
    return [Block(values.shape[1], standardised) for _, values, standardised in _blocks(tokens)]


def pooled_inputs(tokens: Mapping[str, Tokens]) -> Float[Tensor, "B F"]:
    """Mean token and handcrafted features of every input side by side, NaN where an input is absent."""
    parts = [torch.where(there.unsqueeze(1), values, torch.nan) for there, values, _ in _blocks(tokens)]
    return torch.cat(parts, dim=1)


def _blocks(tokens: Mapping[str, Tokens]) -> Iterator[tuple[Tensor, Tensor, bool]]:
    for one in tokens.values():
        yield one.present, masked_mean(one.values.float(), one.mask).detach(), False
        if one.features is not None and 0 < one.features.shape[1] <= _WIDEST:
            yield one.present, one.features.float(), True


def _wide(values: Tensor) -> Tensor:
    """In float64, where the device has it: equal rows are then equally near in any batch."""
    return values.float() if values.device.type == "mps" else values.double()


def _nothing() -> dict[str, Tensor]:
    whole = torch.zeros(0, dtype=torch.long)
    return {
        "keys": torch.zeros(0, 0, dtype=torch.half),
        "mean": torch.zeros(0),
        "spread": torch.zeros(0),
        "blocks": whole,
        "ids": torch.zeros(0, 0, dtype=torch.int),
        "lengths": whole.clone(),
    }
