"""Two small modalities, so that the tests of `data` do not depend on the real ones."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import ConfigDict

from polymodal.config.run_config import LimitsConfig
from polymodal.errors import UnreadableCellError
from polymodal.protocols import Recognition, Sample
from polymodal.types import Cells


@dataclass(frozen=True)
class FakeConfig:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    step: int = 1


class Blob:
    """Media: `BLOB` and bytes, read as int16; `reads` counts the cells decoded."""

    Config = FakeConfig
    group: ClassVar[str | None] = None
    media: ClassVar[bool] = True
    reads: ClassVar[list[bytes | np.ndarray]] = []
    threads: ClassVar[set[str]] = set()

    def __init__(self, config: FakeConfig, statistics: Mapping[str, Any] | None = None) -> None:
        self.config, self.statistics = config, statistics

    @classmethod
    def recognise(cls, sample: Sample) -> Recognition | None:
        count = sum(bool(head) and head.startswith(b"BLOB") for head in sample.heads)
        return Recognition(0.9, f"{count} blobs") if count and 2 * count >= len(sample.values) else None

    @classmethod
    def suggest(cls, cells: Sequence[object], limits: LimitsConfig) -> dict[str, Any]:
        return {}

    def read(self, cell: object) -> np.ndarray:
        self.reads.append(cell)
        if isinstance(cell, np.ndarray):
            return cell.astype(np.int16)
        if not cell.startswith(b"BLOB"):
            raise UnreadableCellError("not a blob")
        return np.frombuffer(cell[4:], np.uint8).astype(np.int16) * self.config.step

    def note(self, cell: object) -> str | None:
        return f"{len(cell)} bytes long" if isinstance(cell, bytes) and len(cell) > 5 else None

    def fit(self, arrays: Iterable[np.ndarray]) -> dict[str, Any]:
        return {"total": int(sum(array.sum() for array in arrays)), "fitted_before": self.statistics is not None}

    def augment(self, array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        self.threads.add(threading.current_thread().name)
        return array + rng.integers(1, 1000, array.shape).astype(np.int16)

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        lengths = [0 if array is None else len(array) for array in arrays]
        values = torch.zeros(len(arrays), max([1, *lengths]))
        for row, array in enumerate(arrays):
            if array is not None:
                values[row, : len(array)] = torch.tensor(array)
        return Cells(values, torch.tensor(lengths))

    def handcrafted_features(self, arrays: Sequence[np.ndarray | None]) -> np.ndarray:
        return np.zeros((len(arrays), 1))

    def preview(self, cell: object) -> str:
        return "<span>cell</span>"


class Figure(Blob):
    """Numbers."""

    group = "table"
    media = False

    @classmethod
    def recognise(cls, sample: Sample) -> Recognition | None:
        found = all(isinstance(value, int | float) for value in sample.values)
        return Recognition(0.5, "numbers") if found else None

    def read(self, cell: object) -> np.ndarray:
        if not isinstance(cell, int | float):
            raise UnreadableCellError(f"not a number: {cell!r}")
        return np.array([float(cell)])


class Word(Blob):
    """Strings, as sure of itself as `Figure`."""

    group = None
    media = False

    @classmethod
    def recognise(cls, sample: Sample) -> Recognition | None:
        return Recognition(0.5, "strings") if all(isinstance(value, str) for value in sample.values) else None

    def read(self, cell: object) -> np.ndarray:
        return np.frombuffer(str(cell).encode("utf-8", "surrogatepass"), np.uint8)


FAKES = {"blob": Blob, "category": Word, "number": Figure, "word": Word}
