"""A table's cells with the modalities that collate them, and the target: what batches are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Num

from polymodal.data.cells.loader import Loader, LoaderSettings
from polymodal.data.cells.prepare import Prepared
from polymodal.data.cells.store import Store
from polymodal.protocols import Modality, Task
from polymodal.types import Cells, Tokens


@dataclass(frozen=True)
class Dataset:
    """A prepared table, ready to be loaded in batches.

    Attributes:
        prepared: the cells, as arrays.
        modalities: by column, fitted.
        task: fitted; collates the target. None: nobody asks for a target.
        targets: encoded targets, one a row of the table; None of a task without a target.
        weight: of each row of the table; None: all count alike.
        encoded: by input, tokens of each row of the table, from encoders that learn nothing.
    """

    prepared: Prepared
    modalities: Mapping[str, Modality]
    task: Task | None = None
    targets: Store | None = None
    weight: Num[np.ndarray, " R"] | None = None
    encoded: Mapping[str, Tokens] = field(default_factory=dict)

    def __len__(self) -> int:
        """Rows of the table."""
        return max((len(store) for store in self.prepared.stores.values()), default=0)

    def loader(
        self,
        rows: np.ndarray | None = None,
        *,
        batch_size: int,
        shuffle: bool = False,
        augment: bool = False,
        seed: int = 0,
        columns: Mapping[str, Sequence[str]] | None = None,
        shard: tuple[int, int] = (0, 1),
    ) -> Loader:
        """Batches of some rows.

        Args:
            rows: their numbers, in order; None: all.
            batch_size: rows of a batch.
            shuffle: a new order each epoch.
            augment: varies the cells; for training rows only.
            seed: of order and augmentation.
            columns: by input of a model, the columns that it reads. An input whose tokens are known comes as these, and
                columns that nothing else reads are not collated. None: all columns, and no tokens.
            shard: (index, count), as `LoaderSettings` says.
        """
        known = {name: tokens for name, tokens in self.encoded.items() if name in (columns or {})}
        read = set(self.modalities) if columns is None else _read(columns, known)
        return Loader(
            self.prepared,
            {name: modality for name, modality in self.modalities.items() if name in read},
            rows=np.arange(len(self)) if rows is None else rows,
            settings=LoaderSettings(batch_size, shuffle=shuffle, augment=augment, seed=seed, shard=shard),
            target=self.target if self.targets is not None else None,
            weight=self.weight,
            encoded=known,
        )

    def target(self, rows: np.ndarray) -> Cells | None:
        """The target of some rows, in their order, of length 0 where it is unknown; None of a task without a target."""
        if self.task is None or self.targets is None:
            return None
        return self.task.collate(self.targets.arrays(rows))

    def known(self, rows: np.ndarray) -> np.ndarray:
        """Those of the rows whose target is known; all, of a task without a target."""
        return rows if self.targets is None else rows[self.targets.present[rows]]

    def present(self, columns: Sequence[str], rows: np.ndarray) -> Bool[np.ndarray, " N"]:
        """Which of the rows have a cell in one of the columns; all, where a column's gaps are filled."""
        if any(getattr(self.modalities[column], "fill", None) is not None for column in columns):
            return np.ones(len(rows), dtype=bool)
        return np.asarray(np.any([self.prepared.stores[column].present[rows] for column in columns], axis=0))


def _read(columns: Mapping[str, Sequence[str]], known: Mapping[str, Tokens]) -> set[str]:
    """The columns of the inputs whose tokens are not known."""
    return {column for name, model_input in columns.items() if name not in known for column in model_input}
