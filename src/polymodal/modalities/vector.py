"""Vectors: embeddings, measurements or genes, with the same length in every cell."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Annotated, Any, ClassVar

import numpy as np
from jaxtyping import Float, Float32
from pydantic import Field

from polymodal.codecs import previews
from polymodal.codecs.recognition import count_sounds
from polymodal.config.node import settings
from polymodal.config.run_config import LimitsConfig
from polymodal.errors import UnreadableCellError
from polymodal.protocols import Modality, Recognition, Sample
from polymodal.types import Cells

LARGEST = 1e30  # beyond it, what a layer makes of a few elements leaves float32
SCALED_LIMIT = 1e3  # deviations: an element further out says no more
_CONSTANT = 1e-6  # a deviation smaller than this share of the mean is the rounding of float32
_LONGEST_TEXT = 4_000_000  # characters
_SHOWN = 6  # elements of a preview
_WIDEST = 2_000  # handcrafted features: of more elements those that vary most


@settings
class VectorConfig:
    """Settings of a vector column.

    Attributes:
        length: elements of every cell; null: those of the first training cell. Cells of another length are unreadable.
        standardise: each element less its mean and divided by its deviation in training rows.
    """

    length: Annotated[int, Field(ge=1)] | None = None
    standardise: bool = True


class Vector(Modality):
    """Reads arrays [D], lists of numbers and JSON text such as "[0.1, 2]" as float32 [D].

    Unreadable are cells of another length than the column's, which is that of most cells; elements that are NaN,
    infinite, missing, beyond 1e30 or no numbers; and arrays of more axes. A standardised element is limited to +-1,000
    deviations; one that is constant in training rows keeps its spread at 1. Statistics are gathered row by row, so that
    memory grows with the length alone.
    """

    Config: ClassVar[type] = VectorConfig

    def __init__(self, config: VectorConfig, statistics: Mapping[str, Any] | None = None) -> None:
        self.config = config
        statistics = statistics or {}
        self._centre = np.array(statistics.get("centre", []), dtype=np.float32)
        spread = np.array(statistics.get("spread", []), dtype=np.float32)
        self._spread = np.where(spread > 0, spread, np.float32(1))
        self._widest = np.sort(np.argsort(-spread, kind="stable")[:_WIDEST])
        self.length: int = config.length or int(statistics.get("length", 1))

    @classmethod
    def examples(cls) -> list[object]:
        return [[1.0, 2.0, 3.0], [0, -1, 5], "[1, 2.5, 3]", np.arange(3.0), np.array([7, 8, 9]), (0.5, 0.25, 4)]

    @classmethod
    def recognise(cls, sample: Sample) -> Recognition | None:
        """Lists or arrays of numbers with one axis, or JSON text of them, mostly of one length of at least 2.

        Long arrays that look like sound are left to audio: `count_sounds` says which.
        """
        if sample.only_numbers:
            return None
        num_cells = len(sample.values)
        found = [vector for value in sample.values if (vector := _numbers(value)) is not None]
        if 2 * len(found) < max(num_cells, 1) or 2 * count_sounds(sample.values) >= num_cells:
            return None
        [(length, count)] = Counter(map(len, found)).most_common(1)
        if length < 2 or 2 * count < num_cells:
            return None
        reason = f"{count} of {num_cells} sampled cells are {length} numbers"
        return Recognition(0.98 if count >= 0.95 * num_cells else 0.75, reason)

    @classmethod
    def suggest(cls, cells: Sequence[object], limits: LimitsConfig) -> dict[str, Any]:
        """The most frequent length; of equally frequent ones the first."""
        lengths = Counter(len(vector) for cell in cells if (vector := _numbers(cell)) is not None and len(vector))
        return {"length": lengths.most_common(1)[0][0]} if lengths else {}

    def read(self, cell: object) -> Float32[np.ndarray, " D"]:
        values = _numbers(cell)
        if values is None:
            raise UnreadableCellError(f"not a vector of numbers: {_kind(cell)}")
        if not len(values):
            raise UnreadableCellError("a vector without elements")
        if self.config.length is not None and len(values) != self.config.length:
            raise UnreadableCellError(
                f"{len(values)} elements, but the vectors of this column have {self.config.length}"
            )
        wrong = ~(np.abs(values) <= LARGEST)  # so written, it is true of NaN
        if wrong.any():
            place = int(wrong.argmax())
            raise UnreadableCellError(
                f"element {place} is {values[place]:g}; elements are finite and at most {LARGEST:g}"
            )
        return values.astype(np.float32)

    def fit(self, arrays: Iterable[np.ndarray]) -> dict[str, Any]:
        """`length`; `centre` and `spread` of each element, unless nothing is standardised; a spread of 0: constant.

        By the recurrence of Welford (1962), in one pass.
        """
        count, length = 0, self.config.length or 0
        mean = square = np.zeros(0)
        for array in arrays:
            if not count:
                length = len(array)
                mean, square = np.zeros(length), np.zeros(length)
            count += 1
            step = array - mean
            mean = mean + step / count
            square = square + step * (array - mean)
        if not self.config.standardise or not count:
            return {"length": length or 1}
        spread = np.sqrt(square / count)
        spread[spread <= _CONSTANT * np.abs(mean)] = 0.0
        return {"length": length, "centre": _short(mean), "spread": _short(spread)}

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        """Float32 "B D", standardised; zeros where the cell is missing."""
        scaled = [None if array is None else self._standardised(array) for array in arrays]
        return Cells.stacked(scaled, shape=(self.length,), dtype=np.float32)

    def handcrafted_features(self, arrays: Sequence[np.ndarray | None]) -> Float32[np.ndarray, "B D"]:
        """The same; NaN where the cell is missing. Of more than 2,000 elements, those that vary most before scaling."""
        kept = self._widest if self._widest.size else np.arange(min(self.length, _WIDEST))
        values = np.full((len(arrays), len(kept)), np.nan, dtype=np.float32)
        for row, array in enumerate(arrays):
            if array is not None:
                values[row] = self._standardised(array)[kept]
        return values

    def measures(self, array: np.ndarray) -> dict[str, float]:
        """The Euclidean length."""
        return {"norm": float(np.linalg.norm(array.astype(np.float64)))}

    def preview(self, cell: object) -> str:
        """The first elements and how many there are."""
        values = self.read(cell)
        shown = ", ".join(f"{value:.3g}" for value in values[:_SHOWN])
        return previews.words(f"[{shown}]" if len(values) <= _SHOWN else f"[{shown}, …] ({len(values):,} numbers)")

    def _standardised(self, array: Float32[np.ndarray, " D"]) -> Float32[np.ndarray, " D"]:
        if not self._spread.size:
            return array
        with np.errstate(over="ignore"):
            return np.asarray(np.clip((array - self._centre) / self._spread, -SCALED_LIMIT, SCALED_LIMIT))


def _numbers(cell: object) -> Float[np.ndarray, " D"] | None:
    """Elements as float64, NaN for those that are missing; None where the cell is no list of numbers."""
    if isinstance(cell, str):
        cell = _from_json(cell)
    if isinstance(cell, list | tuple):
        if not all(value is None or (isinstance(value, Real) and not isinstance(value, bool)) for value in cell):
            return None
        return np.array([_float(value) for value in cell], dtype=np.float64)
    if isinstance(cell, np.ndarray) and cell.ndim == 1 and cell.dtype.kind in "iuf":
        return cell.astype(np.float64)
    return None


def _float(value: Any) -> float:
    try:
        return math.nan if value is None else float(value)
    except OverflowError:  # an int beyond float64
        return math.inf


def _from_json(text: str) -> object:
    """A list of JSON; else what is no vector."""
    stripped = text.strip()
    if not (stripped.startswith("[") and stripped.endswith("]")) or len(stripped) > _LONGEST_TEXT:
        return None
    try:
        return json.loads(stripped)
    except (ValueError, RecursionError):
        return None


def _kind(cell: object) -> str:
    if isinstance(cell, np.ndarray):
        return f"an array of {cell.dtype} and shape {cell.shape}"
    if isinstance(cell, str):
        return "a text that is no JSON list of numbers"
    return f"a cell of type {type(cell).__name__}"


def _short(values: Float[np.ndarray, " D"]) -> list[float]:
    """As JSON with the digits that float32 has."""
    return [float(f"{value:.8g}") if math.isfinite(value) else 0.0 for value in values.tolist()]
