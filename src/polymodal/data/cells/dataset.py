"""A prepared table, and its batches: in a deterministic order, augmented per sample, one batch ahead."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Num
from torch import Tensor

from polymodal.abilities import Features
from polymodal.data.cells.handcrafted import HandcraftedFeatures, as_dense
from polymodal.data.cells.prepare import Prepared
from polymodal.data.cells.store import Store
from polymodal.protocols import Modality, Task
from polymodal.types import Batch, Cells, Tokens

_STRETCH = 16  # batches of random rows that are sorted by size together


@dataclass(frozen=True)
class Dataset:
    """A table's cells with the modalities that collate them, and the target: what batches are made from.

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
    _features: dict[str, HandcraftedFeatures] = field(default_factory=dict, repr=False)

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
            shuffle: a new order each epoch; else that of `rows`.
            augment: varies the cells; for training rows only.
            seed: of order and augmentation.
            columns: by input of a model, the columns that it reads. An input whose tokens are known comes as these, and
                columns that nothing else reads are not collated. None: all columns, and no tokens.
            shard: (index, count): of `count` loaders that share each batch, the part of the one with that index. It
                takes every `count`-th row of a batch, from its `index`-th on, so that all parts together are the batch
                of one loader alone; where a batch has fewer rows than there are loaders, some parts are empty.
        """
        known = {name: tokens for name, tokens in self.encoded.items() if name in (columns or {})}
        unknown = [group for name, group in (columns or {}).items() if name not in known]
        read = set(self.modalities) if columns is None else {column for group in unknown for column in group}
        return Loader(
            dataset=self,
            rows=np.arange(len(self)) if rows is None else np.asarray(rows, dtype=np.int64),
            columns=tuple(name for name in self.modalities if name in read),
            encoded=known,
            batch_size=batch_size,
            shuffle=shuffle,
            augment=augment,
            seed=seed,
            shard=shard,
        )

    def features(self, column: str, rows: np.ndarray) -> tuple[Features, Bool[np.ndarray, " R"]]:
        """Handcrafted features of some rows' cells of a column, [R, F], and which rows have a cell."""
        if column not in self._features:
            self._features[column] = HandcraftedFeatures(self.prepared.stores[column], self.modalities[column])
        return self._features[column].of(rows)

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


@dataclass(eq=False)
class Loader:
    """Batches of some rows of a prepared table, as `Dataset.loader` makes it.

    An epoch is a function of the seed and its number: the variation of a cell depends on (seed, epoch, row, column)
    alone, not on the batch it falls into. Every row comes exactly once an epoch. Shuffled rows of like size share a
    batch, so that a short recording is not padded to a long one: a random order is sorted by size within stretches of
    up to 16 batches, and the batches come in random order again.

    Attributes:
        columns: are collated, others are not.
        encoded: by input, tokens of every row of the table; these inputs come as their tokens.
        featured: columns whose handcrafted features come, too.
    """

    dataset: Dataset
    rows: np.ndarray
    columns: Sequence[str]
    encoded: Mapping[str, Tokens]
    batch_size: int
    shuffle: bool
    augment: bool
    seed: int
    shard: tuple[int, int]
    featured: Sequence[str] = ()

    def __len__(self) -> int:
        """Batches of an epoch, the same number for every shard."""
        return len(self._cuts()) + 1 if len(self.rows) else 0

    def digest(self, columns: Sequence[str]) -> str:
        """SHA-256 of what the batches of an unshuffled epoch hold of some columns; nothing is collated for it.

        It covers the rows, how many make a batch, and their cells as they lie in the store. How the modalities collate
        them is for the caller to add.
        """
        state = hashlib.sha256(f"{self.batch_size} {self.rows.tolist()}".encode())
        for name in columns:
            self.dataset.prepared.stores[name].add_to(state, self.rows)
        return state.hexdigest()

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of one epoch; while one is used, a thread makes the next."""
        index, count = self.shard
        batches = [rows[index::count] for rows in self._batches(number)]
        if len(batches) < 2:  # nothing to make ahead
            yield from (self._batch(rows, number) for rows in batches)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="polymodal-loader") as pool:
            ahead = pool.submit(self._batch, batches[0], number)
            for rows in batches[1:]:
                ready, ahead = ahead, pool.submit(self._batch, rows, number)
                yield ready.result()
            yield ahead.result()

    def _batches(self, number: int) -> list[np.ndarray]:
        """The rows of each batch: the same for all shards."""
        if not len(self.rows):
            return []
        if not self.shuffle:
            return np.split(self.rows, self._cuts())
        rng = np.random.default_rng((self.seed, number))
        order = rng.permutation(len(self.rows))
        # In few batches, or by size alone, the same rows would meet in every epoch.
        stored = (self.dataset.prepared.stores[name].sizes[self.rows] for name in self.columns)
        sizes = rng.uniform(0.9, 1.1, len(order)) * sum(stored)
        stretch = max(1, min(_STRETCH, len(self) // 4)) * self.batch_size
        for start in range(0, len(order), stretch):
            part = order[start : start + stretch]
            order[start : start + stretch] = part[np.argsort(sizes[part])]
        batches = np.split(self.rows[order], self._cuts())
        return [batches[place] for place in rng.permutation(len(batches))]

    def _cuts(self) -> list[int]:
        """Where one batch ends and the next begins."""
        size, count = self.batch_size, len(self.rows)
        cuts = list(range(size, count, size))
        if self.shuffle and cuts and size > 1 and count - cuts[-1] == 1:
            cuts.pop()  # a last batch of one row would make a step of noise: it joins the one before
        return cuts

    def _batch(self, rows: np.ndarray, epoch: int) -> Batch:
        cells, index = {}, torch.from_numpy(rows)
        for name in self.columns:
            modality = self.dataset.modalities[name]
            arrays = self.dataset.prepared.stores[name].arrays(rows)
            if self.augment:
                column = zlib.crc32(name.encode("utf-8", "surrogatepass"))
                for place, (row, array) in enumerate(zip(rows.tolist(), arrays, strict=True)):
                    if array is not None:
                        rng = np.random.default_rng((self.seed, epoch, row, column))
                        arrays[place] = modality.augment(array, rng)
            cells[name] = modality.collate(arrays) if arrays else modality.collate([None]).rows(index)
        weight = self.dataset.weight
        return Batch(
            cells=cells,
            rows=index,
            encoded={name: tokens.rows(index) for name, tokens in self.encoded.items()},
            target=self.dataset.target(rows),
            weight=None if weight is None else torch.as_tensor(weight[rows], dtype=torch.float32),
            features={name: self._features(name, rows) for name in self.featured},
        )

    def _features(self, column: str, rows: np.ndarray) -> Tensor:
        features, present = self.dataset.features(column, rows)
        values = torch.from_numpy(as_dense(features.astype(np.float32)))
        values[torch.from_numpy(~present)] = torch.nan
        return values
