"""Cells that enter the model as handcrafted features: the numbers that a linear model would get, instead of media."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy import sparse

from polymodal.data.cells.store import Store
from polymodal.protocols import Modality
from polymodal.types import Cells

_ROWS = 256  # cells in memory at a time
_MOST = 20_000  # cells that mean and spread are taken from
_PASSED_ON = (
    "Config", "cardinality", "config", "fill", "fingerprints", "fit", "group", "handcrafted_features", "measures",
    "media", "near", "note", "picture", "preview", "read", "recognise", "repair", "several", "suggest",
)  # fmt: skip


class Featured:
    """A modality that gives its handcrafted features in the place of what its encoders read; all else is as it was.

    Dense features are standardised by those of the training rows; sparse ones (counts of words) are scaled by their
    modality. A row of the training rows has the mean square one, whatever the number of features, so that one strength
    of penalty suits every input.

    Args:
        modality: fitted.
        statistics: what `fit_features` gave; empty: not yet fitted, and features stay as they are.
    """

    def __init__(self, modality: Modality, statistics: Mapping[str, Any] | None = None) -> None:
        self.inner: Any = modality
        statistics = statistics or {}
        self.centre = np.asarray(statistics.get("centre", 0.0), dtype=np.float64)
        self.spread = np.asarray(statistics.get("spread", 1.0), dtype=np.float64)
        for name in _PASSED_ON:  # attributes of its own: a Protocol does not find what is only passed on when asked
            if hasattr(modality, name):
                setattr(self, name, getattr(modality, name))

    @property
    def num_features(self) -> int:
        """Floats a cell."""
        return int(self.inner.handcrafted_features([None]).shape[1])

    def augment(self, array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Nothing: features are computed once."""
        return array

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        """Features Float "B F", zeros where the cell is missing."""
        filled = getattr(self, "fill", None) is not None
        present = np.array([filled or (array is not None and array.size > 0) for array in arrays], dtype=np.int64)
        features = self.inner.handcrafted_features(arrays)
        dense = np.asarray(features.toarray() if sparse.issparse(features) else features, dtype=np.float64)
        features = (dense - self.centre) / self.spread
        features = np.where(present[:, None] > 0, np.nan_to_num(features, nan=0.0), 0.0)
        return Cells(torch.from_numpy(features.astype(np.float32)), torch.from_numpy(present))


def fit_features(modality: Modality, store: Store, rows: np.ndarray) -> dict[str, Any]:
    """Mean and spread of the features of some rows, JSON values; empty for sparse features."""
    rows = rows[store.present[rows]]
    if len(rows) > _MOST:
        rows = rows[np.linspace(0, len(rows) - 1, _MOST).astype(int)]
    parts = []
    for start in range(0, len(rows), _ROWS):
        features = modality.handcrafted_features(store.arrays(rows[start : start + _ROWS]))
        if sparse.issparse(features):
            return {}
        parts.append(np.asarray(features, dtype=np.float32))
    if not parts:
        return {}
    values = np.concatenate(parts).astype(np.float64)
    centre, spread = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    constant = spread <= 1e-6 * np.maximum(1.0, np.abs(centre))  # up to rounding
    scale = np.where(constant, 1.0, spread) * np.sqrt(max(int((~constant).sum()), 1))
    return {"centre": centre.tolist(), "spread": scale.tolist()}
