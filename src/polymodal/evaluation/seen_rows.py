"""Which rows of a table a trained model has learned from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from polymodal.bundle_members.row_hashes import NAME, RowHashes
from polymodal.bundles.bundle import Bundle
from polymodal.data.cells.dataset import Dataset


class SeenRows:
    """Looks at a table in parts, as a `Predictor` reads it, for rows that the model learned from.

    Args:
        bundle: the trained model; without row hashes no row is known.
        targets: of each row of the table, as `Truth.encoded` gives them; None of a task without a target.
    """

    def __init__(self, bundle: Bundle, targets: Sequence[np.ndarray | None] | None) -> None:
        member = bundle.members.get(NAME)
        self.hashes = member if isinstance(member, RowHashes) else None
        self.columns = [column.name for column in bundle.schema.features()]
        self.targets = targets
        self._parts: list[np.ndarray] = []

    def __call__(self, start: int, dataset: Dataset) -> None:
        """Looks at the part of the table that begins with row `start`."""
        if self.hashes is None:
            self._parts.append(np.zeros(len(dataset), dtype=bool))
            return
        rows = np.arange(len(dataset))
        targets = None if self.targets is None else self.targets[start : start + len(rows)]
        self._parts.append(self.hashes.seen(self.hashes.hash(dataset, self.columns, rows, targets)))

    @property
    def mask(self) -> Bool[np.ndarray, " N"]:
        """By row of the table, whether the model learned from it."""
        return np.concatenate(self._parts)
