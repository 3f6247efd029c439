"""Arrays of different lengths as one batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from polymodal.types import Cells


def pad(
    arrays: Sequence[np.ndarray | list[int] | None], dtype: torch.dtype, *, element: tuple[int, ...] = (), fill: int = 0
) -> Cells:
    """Values "B T ...", T the longest of the batch and at least 1; lengths, 0 where the cell is missing.

    An array is [T, *element]; `fill` stands behind its end.
    """
    lengths = [0 if array is None else len(array) for array in arrays]
    values = torch.full((len(arrays), max(1, *lengths, 0), *element), fill, dtype=dtype)
    for row, array in enumerate(arrays):
        if array is not None:
            values[row, : len(array)] = torch.tensor(array)
    return Cells(values, torch.tensor(lengths))
