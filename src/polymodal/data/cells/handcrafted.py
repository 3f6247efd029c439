"""Handcrafted features of a table's cells: each cell's are computed once, whoever asks for them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int
from scipy import sparse

from polymodal.abilities import Features
from polymodal.data.cells.store import Store
from polymodal.protocols import Modality

_ROWS = 256  # cells in memory at a time


class HandcraftedFeatures:
    """Handcrafted features of one column's cells.

    Args:
        store: the cells.
        modality: fitted.
    """

    def __init__(self, store: Store, modality: Modality) -> None:
        self._store, self._modality = store, modality
        self._place = np.full(len(store), -1)  # of each row in the matrix; -1: not computed yet
        self._matrix: Features | None = None

    def of(self, rows: Int[np.ndarray, " R"]) -> tuple[Features, Bool[np.ndarray, " R"]]:
        """[R, F] features of some rows, and which of them have a cell; those of missing ones have no meaning."""
        new = np.unique(rows[self._place[rows] < 0])
        if len(new) or self._matrix is None:
            pieces = [] if self._matrix is None else [self._matrix]
            pieces += [self._computed(part) for part in np.split(new, np.arange(_ROWS, len(new), _ROWS))]
            self._place[new] = (self._place >= 0).sum() + np.arange(len(new))
            self._matrix = sparse.vstack(pieces, format="csr") if sparse.issparse(pieces[0]) else np.vstack(pieces)
        filled = getattr(self._modality, "fill", None) is not None  # missing cells, too, have features then
        return self._matrix[self._place[rows]], self._store.present[rows] | filled

    def _computed(self, rows: np.ndarray) -> Features:
        features: Features = self._modality.handcrafted_features(self._store.arrays(rows))
        return features if sparse.issparse(features) else np.asarray(features, dtype=np.float64)


def as_dense(features: Features) -> np.ndarray:
    """The same features without gaps in memory."""
    return np.asarray(features.toarray() if isinstance(features, sparse.csr_matrix) else features)
