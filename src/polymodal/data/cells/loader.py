"""Makes batches of prepared cells: in a deterministic order, augmented per sample, one batch ahead."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from polymodal.data.cells.prepare import Prepared
from polymodal.protocols import Modality
from polymodal.types import Batch, Cells, Tokens

_STRETCH = 16  # batches of random rows that are sorted by size together


@dataclass(frozen=True)
class LoaderSettings:
    """How rows become batches.

    Attributes:
        shuffle: a new order each epoch; else the order of the rows given.
        augment: varies the cells; for training rows only.
        seed: of order and augmentation.
        shard: (index, count): of `count` loaders that share each batch, the part of the one with that index. It takes
            every `count`-th row of a batch, from its `index`-th on, so that all parts together are the batch of one
            loader alone; where a batch has fewer rows than there are loaders, some parts are empty.
    """

    batch_size: int
    shuffle: bool = False
    augment: bool = False
    seed: int = 0
    shard: tuple[int, int] = (0, 1)


class Loader:
    """Batches of some rows of a prepared table.

    An epoch is a function of the seed and its number: the variation of a cell depends on (seed, epoch, row, column)
    alone, not on the batch it falls into. Every row comes exactly once an epoch. Shuffled rows of like size share a
    batch, so that a short recording is not padded to a long one: a random order is sorted by size within stretches of
    up to 16 batches, and the batches come in random order again.

    Args:
        prepared: the table.
        modalities: fitted, by column: these columns are collated, others are not.
        rows: numbers of the table's rows.
        target: row numbers -> their targets.
        weight: [rows of the table].
        encoded: by input, tokens of every row of the table, from encoders that learn nothing.
    """

    def __init__(
        self,
        prepared: Prepared,
        modalities: Mapping[str, Modality],
        *,
        rows: np.ndarray,
        settings: LoaderSettings,
        target: Callable[[np.ndarray], Cells | None] | None = None,
        weight: np.ndarray | None = None,
        encoded: Mapping[str, Tokens] | None = None,
    ) -> None:
        self._stores = {name: prepared.stores[name] for name in modalities}
        self._modalities = modalities
        self.rows = np.asarray(rows, dtype=np.int64)
        self.settings = settings
        self._target = target
        self._weight = weight
        self._encoded = encoded or {}
        self._sizes = np.zeros(len(self.rows), dtype=np.int64)
        for store in self._stores.values():
            self._sizes += store.sizes[self.rows]

    def __len__(self) -> int:
        """Batches of an epoch, the same number for every shard."""
        return len(self._cuts()) + 1 if len(self.rows) else 0

    def digest(self, columns: Sequence[str]) -> str:
        """SHA-256 of what the batches of an unshuffled epoch hold of some columns; nothing is collated for it.

        It covers the rows, how many make a batch, and their cells as they lie in the store. How the modalities collate
        them is for the caller to add.
        """
        state = hashlib.sha256(f"{self.settings.batch_size} {self.rows.tolist()}".encode())
        for name in columns:
            self._stores[name].add_to(state, self.rows)
        return state.hexdigest()

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of one epoch; while one is used, a thread makes the next."""
        batches = self._batches(number)
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
        """The rows of each batch that fall to this shard."""
        index, count = self.settings.shard
        return [rows[index::count] for rows in self._whole_batches(number)]

    def _whole_batches(self, number: int) -> list[np.ndarray]:
        """The rows of each batch: the same for all shards."""
        if not len(self.rows):
            return []
        if not self.settings.shuffle:
            return np.split(self.rows, self._cuts())
        rng = np.random.default_rng((self.settings.seed, number))
        order = rng.permutation(len(self.rows))
        # In few batches, or by size alone, the same rows would meet in every epoch.
        sizes = self._sizes * rng.uniform(0.9, 1.1, len(order))
        stretch = max(1, min(_STRETCH, len(self) // 4)) * self.settings.batch_size
        for start in range(0, len(order), stretch):
            part = order[start : start + stretch]
            order[start : start + stretch] = part[np.argsort(sizes[part])]
        batches = np.split(self.rows[order], self._cuts())
        return [batches[place] for place in rng.permutation(len(batches))]

    def _cuts(self) -> list[int]:
        """Where one batch ends and the next begins."""
        size, count = self.settings.batch_size, len(self.rows)
        cuts = list(range(size, count, size))
        if self.settings.shuffle and cuts and size > 1 and count - cuts[-1] == 1:
            cuts.pop()  # a last batch of one row would make a step of noise: it joins the one before
        return cuts

    def _batch(self, rows: np.ndarray, epoch: int) -> Batch:
        cells, index = {}, torch.from_numpy(rows)
        for name, modality in self._modalities.items():
            arrays = self._stores[name].arrays(rows)
            if self.settings.augment:
                column = zlib.crc32(name.encode("utf-8", "surrogatepass"))
                for place, (row, array) in enumerate(zip(rows.tolist(), arrays, strict=True)):
                    if array is not None:
                        rng = np.random.default_rng((self.settings.seed, epoch, row, column))
                        arrays[place] = modality.augment(array, rng)
            cells[name] = modality.collate(arrays) if arrays else modality.collate([None]).rows(index)
        return Batch(
            cells=cells,
            rows=index,
            encoded={name: Tokens(tokens.values[index], tokens.mask[index]) for name, tokens in self._encoded.items()},
            target=None if self._target is None else self._target(rows),
            weight=None if self._weight is None else torch.as_tensor(self._weight[rows], dtype=torch.float32),
        )
