"""Encoders that do not learn give the same tokens in every epoch: compute them once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from polymodal.data.loader import Loader
from polymodal.model import Model
from polymodal.types import Tokens


def encode_frozen(model: Model, loader: Loader, device: torch.device) -> dict[str, Tokens]:
    """The tokens of every input whose encoder is frozen, for `Batch.encoded`, on the CPU.

    Row r of a result is row r of the table; rows that the loader does not give are absent. T is that of the longest.
    """
    names = [name for name, encoder in model.encoders.items() if encoder.frozen]
    parts: dict[str, list[Tokens]] = {name: [] for name in names}
    rows: list[Tensor] = []
    model.to(device).eval()
    for batch in loader.epoch(0) if names else ():
        rows.append(batch.rows)
        moved = batch.to(device)
        with torch.inference_mode():
            for name in names:
                tokens = model.encode(name, moved)
                parts[name].append(Tokens(tokens.values.cpu(), tokens.mask.cpu()))
    return {name: _place(tokens, rows) for name, tokens in parts.items()}


def _place(parts: Sequence[Tokens], rows: Sequence[Int[Tensor, " B"]]) -> Tokens:
    """Tokens of batches -> tokens of the table, padded to the longest."""
    num_rows = 1 + max(int(part.max()) for part in rows)
    longest = max(part.mask.shape[1] for part in parts)
    values = torch.zeros(num_rows, longest, parts[0].width, dtype=parts[0].values.dtype)
    mask = torch.zeros(num_rows, longest, dtype=torch.bool)
    for part, where in zip(parts, rows, strict=True):
        values[where, : part.mask.shape[1]] = part.values
        mask[where, : part.mask.shape[1]] = part.mask
    return Tokens(values, mask)
