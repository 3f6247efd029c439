"""Columns of a result that hold texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int
from torch import Tensor

from polymodal.types import Sequences


def numbered(
    prediction: Sequences, texts: Callable[[Int[Tensor, "B L"], Int[Tensor, " B"]], Sequence[str]]
) -> dict[str, np.ndarray]:
    """`prediction` and `log_probability` (nats) of the best sequences; `prediction_2`, ... of the next ones."""
    columns: dict[str, np.ndarray] = {}
    for place in range(prediction.ids.shape[1]):
        suffix = "" if place == 0 else f"_{place + 1}"
        written = texts(prediction.ids[:, place], prediction.lengths[:, place])
        columns[f"prediction{suffix}"] = np.array(written, dtype=object)
        columns[f"log_probability{suffix}"] = prediction.log_probability[:, place].double().numpy()
    return columns
