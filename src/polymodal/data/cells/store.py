"""Holds the arrays of one column flat, in memory or memory-mapped, each distinct one once."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, NamedTuple, TypeAlias

import numpy as np

FORMAT = 4  # part of the key of a cache entry: one more when the files, or what a modality reads, change


_STEP = 1024  # arrays at a time


class ReadContent(NamedTuple):
    """What came of one content: the number of its array, or why it cannot be read; and the modality's note on it.

    Of a list of media, `member` says which cannot be read, from 0.
    """

    outcome: int | str
    note: str | None = None
    member: int | None = None


Found: TypeAlias = dict[str, ReadContent]  # by the hash of a cell


@dataclass(frozen=True)
class Contents:
    """Arrays of one dtype and one number of axes, end to end; those of a file are memory-mapped.

    Attributes:
        values: [elements] of all arrays; not to be written to.
        offsets: [arrays + 1], where each begins.
        shapes: [arrays, axes].
    """

    values: np.ndarray
    offsets: np.ndarray
    shapes: np.ndarray

    def __getitem__(self, number: int) -> np.ndarray:
        flat = self.values[self.offsets[number] : self.offsets[number + 1]]
        return flat.reshape(self.shapes[number])


class Store:
    """The prepared cells of one column: `store[row]` is an array that cannot be written to, or None where missing."""

    def __init__(self, contents: Contents, index: np.ndarray) -> None:
        self._contents = contents
        self._index = index  # [rows]: number of the array; -1: missing

    @classmethod
    def of(cls, arrays: Iterable[np.ndarray | None]) -> Store:
        """A store in memory of one array a row, None where it is missing; all of one dtype and number of axes."""
        writer = ContentsWriter()
        index = [-1 if array is None else writer.add(array) for array in arrays]
        return cls(writer.contents(), np.array(index, dtype=np.int64))

    @classmethod
    def of_matrix(cls, values: np.ndarray, present: np.ndarray) -> Store:
        """A store in memory of the rows of a matrix, less those that are not present."""
        kept = np.ascontiguousarray(values[present])
        kept.setflags(write=False)
        count, width = kept.shape
        contents = Contents(kept.ravel(), np.arange(count + 1) * width, np.full((count, 1), width))
        return cls(contents, np.where(present, np.cumsum(present) - 1, -1))

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, row: int) -> np.ndarray | None:
        number = int(self._index[row])
        return None if number < 0 else self._contents[number]

    @property
    def present(self) -> np.ndarray:
        """Bool [rows]: where there is an array."""
        return self._index >= 0

    @property
    def sizes(self) -> np.ndarray:
        """Int64 [rows]: bytes of each array; 0 where missing."""
        sizes = np.append(np.diff(self._contents.offsets), 0) * self._contents.values.itemsize
        found: np.ndarray = sizes[self._index]  # -1, missing, is the appended 0
        return found

    def add_to(self, state: hashlib._Hash, rows: np.ndarray | Sequence[int]) -> None:
        """Takes the arrays of some rows, in the order given, into a hash: equal for equal cells, however they lie."""
        for array in self.arrays(rows):
            state.update(b"-" if array is None else f"{array.dtype.str} {array.shape} ".encode() + array.tobytes())

    @property
    def numbers(self) -> np.ndarray:
        """Int64 [rows]: which array a row has, the same for equal contents of media; -1: missing."""
        return self._index

    def equals(self, other: Store, rows: np.ndarray | Sequence[int]) -> bool:
        """Whether another store has the same arrays in some rows; looks no further than the first that differs."""
        return all(_same(self[int(row)], other[int(row)]) for row in rows)

    def arrays(self, rows: np.ndarray | Sequence[int]) -> list[np.ndarray | None]:
        """The arrays of some rows, in the order given."""
        numbers = self._index[np.asarray(rows, dtype=np.int64)]
        offsets, shapes, values = self._contents.offsets, self._contents.shapes, self._contents.values
        if not len(shapes):
            return [None] * len(numbers)
        starts, ends = offsets[numbers].tolist(), offsets[numbers + 1].tolist()
        flat = [None if n < 0 else values[a:b] for n, a, b in zip(numbers.tolist(), starts, ends, strict=True)]
        if shapes.shape[1] == 1:
            return flat
        found = zip(flat, shapes[numbers].tolist(), strict=True)
        return [None if array is None else array.reshape(shape) for array, shape in found]

    def present_arrays(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Those of some rows that there are, in the order given, few at a time."""
        for start in range(0, len(rows), _STEP):
            yield from (array for array in self.arrays(rows[start : start + _STEP]) if array is not None)


def _same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


class ContentsWriter:
    """Takes arrays one by one, so that they are never all in memory where they go to a file."""

    def __init__(self, file: BinaryIO | None = None) -> None:
        self._file = BytesIO() if file is None else file
        self._dtype: np.dtype | None = None
        self._offsets = [0]
        self._shapes: list[tuple[int, ...]] = []

    def add(self, array: np.ndarray) -> int:
        """Appends an array; gives its number."""
        if self._dtype is None:
            self._dtype = array.dtype
        if array.dtype != self._dtype or (self._shapes and len(self._shapes[0]) != array.ndim):
            raise ValueError(f"A modality gave {array.dtype} {array.shape} after {self._dtype}; it must keep to one.")
        self._file.write(array.tobytes())
        self._shapes.append(array.shape)
        self._offsets.append(self._offsets[-1] + array.size)
        return len(self._shapes) - 1

    def contents(self) -> Contents:
        """What was added, where it was added in memory."""
        assert isinstance(self._file, BytesIO)
        dtype, offsets, shapes = self.layout()
        return Contents(np.frombuffer(self._file.getbuffer().toreadonly(), dtype=dtype), offsets, shapes)

    def layout(self) -> tuple[np.dtype, np.ndarray, np.ndarray]:
        """Dtype, offsets and shapes of what was added, as `Contents` has them."""
        dtype = np.dtype(np.uint8) if self._dtype is None else self._dtype
        axes = len(self._shapes[0]) if self._shapes else 1
        shapes = np.array(self._shapes, dtype=np.int64).reshape(len(self._shapes), axes)
        return dtype, np.array(self._offsets, dtype=np.int64), shapes


class CacheEntry:
    """A folder of decoded cells that is there whole or not at all: filled beside its place, then renamed.

    `cells.bin` holds the values, `offsets.npy` and `shapes.npy` their layout, and `contents.json` the dtype and, by the
    hash of a cell, what was found: its array's number, or the reason why it cannot be read, and the note on it.
    """

    def __init__(self, cache: Path, key: str) -> None:
        self._folder = cache / key

    def read(self) -> tuple[Contents, Found] | None:
        """The arrays, memory-mapped, and what was found; None where the entry is absent or not whole."""
        try:
            header = json.loads((self._folder / "contents.json").read_text(encoding="utf-8"))
            offsets = np.load(self._folder / "offsets.npy", allow_pickle=False)
            shapes = np.load(self._folder / "shapes.npy", allow_pickle=False)
            dtype = np.dtype(header["dtype"])
            found = {sha256: ReadContent(*finding) for sha256, finding in dict(header["found"]).items()}
            size = (self._folder / "cells.bin").stat().st_size
        except (OSError, ValueError, EOFError, TypeError, KeyError):  # whatever a half-written file can cause
            return None
        if dtype.kind not in "biuf" or size != offsets[-1] * dtype.itemsize or len(shapes) != len(offsets) - 1:
            return None
        # a file without a byte cannot be mapped; asarray: slices of the class memmap are slow
        mapped = np.memmap(self._folder / "cells.bin", dtype=dtype, mode="r") if size else np.empty(0, dtype)
        return Contents(np.asarray(mapped), offsets, shapes), found

    def write(self, fill: Callable[[ContentsWriter], Found]) -> tuple[Contents, Found]:
        """Makes the entry of what `fill` adds to the writer, and of what it says that it found."""
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".filling-", dir=self._folder.parent, ignore_cleanup_errors=True) as name:
            whole = Path(name) / "whole"
            whole.mkdir()
            with (whole / "cells.bin").open("wb") as file:
                writer = ContentsWriter(file)
                found = fill(writer)
            dtype, offsets, shapes = writer.layout()
            np.save(whole / "offsets.npy", offsets, allow_pickle=False)
            np.save(whole / "shapes.npy", shapes, allow_pickle=False)
            header = {"dtype": dtype.str, "found": found}
            (whole / "contents.json").write_text(json.dumps(header), encoding="utf-8")
            if self.read() is None:  # else another process was faster
                shutil.rmtree(self._folder, ignore_errors=True)
                whole.rename(self._folder)
        ready = self.read()
        assert ready is not None
        return ready
