"""Numbers: one float per cell, scaled with statistics of the training rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field

from polymodal.codecs import previews
from polymodal.codecs.outlier_bounds import tukey_bounds
from polymodal.config.node import settings
from polymodal.errors import UnreadableCellError
from polymodal.protocols import Modality, Recognition, Sample
from polymodal.types import Cells

LARGEST = 1e300  # beyond it, means and differences leave float64
UNSCALED_LIMIT = 1e15  # squares, and what a few layers make of them, still fit float32
SCALED_LIMIT = 1e6  # a scaled value beyond it says no more, and its square must fit float32

_NUMERAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


@settings
class NumberConfig:
    """Settings of a number column.

    Attributes:
        scaling: `z_score` (x - mean) / standard deviation; `min_max` (x - min) / (max - min); `robust` (x - median) /
            interquartile range (the standard deviation where that range is zero); `none` leaves values as they are.
        missing: what a missing cell becomes: `leave` keeps it missing, for which the model has a learned value; else
            the mean, median or commonest number (of equals the smallest) of the training rows, or `value`.
        value: what `constant` fills in.
        outliers: `clip` moves numbers beyond 3 interquartile ranges from the quartiles of the training rows to there.
    """

    scaling: Literal["z_score", "min_max", "robust", "none"] = "z_score"
    missing: Literal["leave", "mean", "median", "mode", "constant"] = "leave"
    value: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    outliers: Literal["leave", "clip"] = "leave"


class Number(Modality):
    """Reads int, float, bool, Decimal, NumPy scalars and numerals such as "1", "1.0", " 2 ", "1e3" as float64 [1].

    Words ("one", "inf", "nan"), infinite values and magnitudes above 1e300 are unreadable. Scaled values are limited to
    +-1e6 (+-1e15 where nothing is scaled), so that one absurd cell cannot overflow float32. A column that is constant,
    or has no value at all, keeps its spread at 1.
    """

    Config: ClassVar[type] = NumberConfig
    group: ClassVar[str | None] = "table"
    cardinality: ClassVar[int | None] = None
    num_features: ClassVar[int] = 1

    def __init__(self, config: NumberConfig, statistics: Mapping[str, Any] | None = None) -> None:
        self.config = config
        statistics = statistics or {}
        self.centre = float(statistics.get("centre", 0.0))
        self.spread = float(statistics.get("spread", 1.0))
        self.low, self.high = float(statistics.get("low", -np.inf)), float(statistics.get("high", np.inf))
        self.fill = None if statistics.get("fill") is None else float(statistics["fill"])

    @classmethod
    def recognise(cls, sample: Sample) -> Recognition | None:
        """Sure from 95 % numerals on; unsure where they look like codes; a last resort where half are numerals."""
        num_cells = len(sample.values)
        values = [value for value in sample.values if not isinstance(value, bool | np.bool_) and _looks_numeric(value)]
        if 2 * len(values) < max(num_cells, 1):
            return None
        reason = f"{len(values)} of {num_cells} sampled cells are numbers, {sample.distinct} different in all"
        if len(values) < 0.95 * num_cells:
            return Recognition(0.4, f"{reason}; the others will be unreadable")
        few = sample.distinct <= 10 and sample.distinct <= 0.05 * sample.present
        if few and all(map(_is_whole, values)):
            return Recognition(0.5, f"{reason}, few and whole: perhaps codes")
        return Recognition(0.9, reason)

    def read(self, cell: object) -> Float[np.ndarray, " F"]:
        if isinstance(cell, str):
            numeral = cell.strip()
            if not _NUMERAL.fullmatch(numeral):
                raise UnreadableCellError(f"not a number: {_short(cell)}")
            value = float(numeral)
        elif isinstance(cell, int | float | Decimal | np.bool_ | np.integer | np.floating):
            try:
                value = float(cell)
            except (OverflowError, ValueError):  # an int beyond float64; a signalling Decimal
                raise UnreadableCellError(f"not a number that can be used: {_short(cell)}") from None
        else:
            raise UnreadableCellError(f"not a number: a cell of type {type(cell).__name__}")
        if not abs(value) <= LARGEST:
            raise UnreadableCellError(f"not finite, or larger than {LARGEST:g}: {_short(cell)}")
        return np.array([value])

    def fit(self, arrays: Iterable[np.ndarray]) -> dict[str, Any]:
        """`centre` and `spread` of the training rows, by the scaling of the settings; `low`, `high` and `fill` too.

        These three only where the settings ask for them; the others are then of the clipped numbers.
        """
        values = np.array([float(array[0]) for array in arrays])
        repairs: dict[str, Any] = {}
        if self.config.outliers == "clip" and values.size:
            low, high = tukey_bounds(values)
            if np.isfinite(low) and np.isfinite(high):
                repairs = {"low": low, "high": high}
                values = np.clip(values, low, high)
        if (fill := _fill(values, self.config)) is not None:
            repairs["fill"] = fill
        return {**_centre_and_spread(values, self.config.scaling), **repairs}

    def repair(self, array: np.ndarray | None) -> tuple[str, float | None, float] | None:
        """The number that stands in for a missing one, or for one beyond the bounds."""
        if array is None:
            return None if self.fill is None else ("fill", None, self.fill)
        value = float(array[0])
        bounded = min(max(value, self.low), self.high)
        return None if bounded == value else ("clip", value, bounded)

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        """Float32 "B 1", scaled; zero where the cell is missing and nothing fills it."""
        present = np.array([array is not None or self.fill is not None for array in arrays], dtype=np.int64)
        values = np.nan_to_num(self.handcrafted_features(arrays), nan=0.0).astype(np.float32)
        return Cells(torch.from_numpy(values), torch.from_numpy(present))

    def handcrafted_features(self, arrays: Sequence[np.ndarray | None]) -> np.ndarray:
        """Float64 [rows, 1], scaled; NaN where the cell is missing and nothing fills it."""
        absent = np.nan if self.fill is None else self.fill
        values = np.array([[absent if array is None else float(array[0])] for array in arrays]).reshape(-1, 1)
        limit = UNSCALED_LIMIT if self.config.scaling == "none" else SCALED_LIMIT
        with np.errstate(over="ignore"):
            scaled = (np.clip(values, self.low, self.high) - self.centre) / self.spread
            limited: np.ndarray = np.clip(scaled, -limit, limit)
        return limited

    def measures(self, array: np.ndarray) -> dict[str, float]:
        return {"value": float(array[0])}

    def preview(self, cell: object) -> str:
        return previews.figure(float(self.read(cell)[0]))


def _fill(values: np.ndarray, config: NumberConfig) -> float | None:
    """What stands in for a missing cell; None where it stays missing, as where there is nothing to learn it from."""
    if config.missing == "leave":
        return None
    if config.missing == "constant":
        return config.value
    if not values.size:
        return None
    if config.missing == "mode":
        different, counts = np.unique(values, return_counts=True)
        return float(different[counts.argmax()])
    unit = float(np.abs(values).max()) or 1.0  # so that no sum leaves float64
    scaled = values / unit
    return float(scaled.mean() if config.missing == "mean" else np.median(scaled)) * unit


def _centre_and_spread(values: np.ndarray, scaling: str) -> dict[str, float]:
    if scaling == "none" or values.size == 0:
        return {"centre": 0.0, "spread": 1.0}
    if values.min() == values.max():
        return {"centre": float(values[0]), "spread": 1.0}
    unit = np.abs(values).max()  # so that no square leaves float64
    scaled = values / unit
    if scaling == "min_max":
        centre, spread = scaled.min(), scaled.max() - scaled.min()
    elif scaling == "robust":
        low, centre, high = np.percentile(scaled, [25, 50, 75])
        spread = (high - low) or scaled.std()
    else:
        centre, spread = scaled.mean(), scaled.std()
    return {"centre": float(centre * unit), "spread": float(spread * unit) or 1.0}


def _looks_numeric(value: object) -> bool:
    """Stricter than `read`: "007" is a code, and a column of codes is not a number."""
    if isinstance(value, str):
        numeral = value.strip()
        return bool(_NUMERAL.fullmatch(numeral)) and not re.match(r"[+-]?0[0-9]", numeral)
    return isinstance(value, int | float | Decimal | np.integer | np.floating)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) or float(value).is_integer()


def _short(cell: object) -> str:
    """A cell as a message shows it."""
    text = repr(cell) if isinstance(cell, str) else type(cell).__name__ if isinstance(cell, int) else str(cell)
    return text if len(text) <= 40 else f"{text[:40]}..."
