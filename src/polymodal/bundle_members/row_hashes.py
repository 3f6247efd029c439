"""Keyed hashes of the rows that a model learned from, by which it knows them again."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Int

from polymodal.data.cells.dataset import Dataset
from polymodal.files import tensorfile
from polymodal.files.streams import Content

NAME = "row_hashes"
_FILE = f"{NAME}/rows.safetensors"
_KEY, _HASH = 16, 8  # bytes


class RowHashes:
    """Which rows a model learned from: of each 64 bits of SHA-256 over a random key, its cells and its target.

    The cells are hashed as the model reads them, so that a row is the same in CSV and in Parquet, and wherever its
    media lie. Without the key, which is in the bundle, nothing can be said of a hash.

    Args:
        key: 16 random bytes.
        hashes: of rows.
    """

    files: ClassVar[tuple[str, ...]] = (_FILE,)
    limit: ClassVar[int] = 2**28

    def __init__(self, key: bytes, hashes: Int[np.ndarray, " H"]) -> None:
        self.key, self.hashes = key, np.unique(hashes)

    @classmethod
    def none(cls) -> RowHashes:
        """With a new key, and no rows."""
        return cls(secrets.token_bytes(_KEY), np.empty(0, dtype=np.int64))

    def with_rows(self, hashes: Int[np.ndarray, " N"]) -> RowHashes:
        """The same and more rows."""
        return RowHashes(self.key, np.concatenate([self.hashes, hashes]))

    def hash(
        self,
        dataset: Dataset,
        columns: Sequence[str],
        rows: Int[np.ndarray, " N"],
        targets: Sequence[np.ndarray | None] | None,
    ) -> Int[np.ndarray, " N"]:
        """The hashes of some rows of a table.

        Args:
            dataset: its cells.
            columns: that enter the model, in the order of its schema.
            rows: their numbers.
            targets: of these rows, encoded; None of a task without a target.
        """
        stores = [dataset.prepared.stores[name] for name in columns]
        found = np.empty(len(rows), dtype=np.int64)
        for place, row in enumerate(rows.tolist()):
            state = hashlib.sha256(self.key)
            for store in stores:
                store.add_to(state, (row,))
            target = None if targets is None else targets[place]
            if target is not None:
                state.update(f"target {target.dtype.str} {target.shape} ".encode() + target.tobytes())
            found[place] = int.from_bytes(state.digest()[:_HASH], "little", signed=True)
        return found

    def seen(self, hashes: Int[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
        """Which of the hashes are of rows that were learned from."""
        return np.isin(hashes, self.hashes)

    @classmethod
    def read(cls, files: Mapping[str, bytes]) -> RowHashes:
        """As `BundleMember.read`."""
        if set(files) != {_FILE}:
            raise ValueError(f"{_FILE} is missing")
        tensors = tensorfile.decode(files[_FILE])
        if set(tensors) != {"key", "hashes"}:
            raise ValueError("it holds other tensors than a key and hashes")
        key, hashes = tensors["key"], tensors["hashes"]
        if key.dtype != torch.uint8 or key.shape != (_KEY,) or hashes.dtype != torch.int64 or hashes.ndim != 1:
            raise ValueError("the key is 16 bytes, the hashes are 64 bits each")
        return cls(bytes(key.tolist()), hashes.numpy())

    def write(self) -> Mapping[str, Content]:
        """As `BundleMember.write`."""
        key = torch.tensor(list(self.key), dtype=torch.uint8)
        return {_FILE: tensorfile.TensorFile({"key": key, "hashes": torch.from_numpy(self.hashes)})}
