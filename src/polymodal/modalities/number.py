"""Numbers: one float per cell, scaled with statistics of the training rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field

from polymodal.codecs import numerals, previews
from polymodal.codecs.notation import Numerals, numerals_of
from polymodal.codecs.numerals import Notation, Thousands
from polymodal.codecs.outlier_bounds import tukey_bounds
from polymodal.codecs.units import is_known, is_letter
from polymodal.config.node import settings
from polymodal.config.run_config import LimitsConfig
from polymodal.errors import UnreadableCellError
from polymodal.protocols import Modality, Recognition, Sample
from polymodal.types import Cells

LARGEST = 1e300  # beyond it, means and differences leave float64
UNSCALED_LIMIT = 1e15  # squares, and what a few layers make of them, still fit float32
SCALED_LIMIT = 1e6  # a scaled value beyond it says no more, and its square must fit float32
_FEWEST = 3  # different numbers that tell of another scale


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
        decimal: the decimal mark of cells of text: `point`, or `comma` as in `0,50`.
        thousands: the mark between their groups of digits: `comma` as in `1,234`, `point`, `blank`, `apostrophe`.
        unit: what stands at every number, such as `%`, `$` or `kg`; numbers are told in it, those with another unit of
            the same dimension (`500 g`, `11 lb`) converted. `lb oz`, `ft in`, `h min s`, `year month week day`,
            `kg g`, `m cm mm km`, `l ml` and `K M B`: any of these, told in the first.
        parentheses: `(5)` is -5, as accountants write it.
        doubtful: the decimal mark that makes a cell unreadable where it may stand between thousands: with `point` this
            is `5.000` among `1,234`, 5 or 5000; `none`: it is read as decimals.
    """

    scaling: Literal["z_score", "min_max", "robust", "none"] = "z_score"
    missing: Literal["leave", "mean", "median", "mode", "constant"] = "leave"
    value: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    outliers: Literal["leave", "clip"] = "leave"
    decimal: numerals.Decimal = "point"
    thousands: Thousands = "none"
    unit: str | None = None
    parentheses: bool = False
    doubtful: numerals.Doubtful = "none"


class Number(Modality):
    """Reads int, float, bool, Decimal, NumPy scalars and numerals such as "1", "1.0", " 2 ", "1e3" as float64 [1].

    Durations are read in seconds. How text is written (decimal mark, thousands, unit, parentheses) is suggested by most
    cells of the column and is then the same for all: "1,234.5", "1.234,5", "45 %", "$3.50", "(12)", "1 lb. 5 oz.".
    A minus behind (7.5-), powers of ten (1.1 x 10^3) and fractions (1 1/2, 1½) are read everywhere. A number without
    the unit of its column, or with one that cannot be converted, is unreadable. Blank text, "NA", "nan", "null" and the
    like are missing cells. Words ("one", "inf"), infinite values and magnitudes above 1e300 are unreadable. Scaled
    values are limited to +-1e6 (+-1e15 where nothing is scaled), so that one absurd cell cannot overflow float32. A
    column that is constant, or has no value at all, keeps its spread at 1.
    """

    Config: ClassVar[type] = NumberConfig
    group: ClassVar[str | None] = "table"
    cardinality: ClassVar[int | None] = None
    num_features: ClassVar[int] = 1

    def __init__(self, config: NumberConfig, statistics: Mapping[str, Any] | None = None) -> None:
        self.config = config
        self.notation = Notation(config.decimal, config.thousands, config.unit, config.parentheses, config.doubtful)
        statistics = statistics or {}
        self.centre = float(statistics.get("centre", 0.0))
        self.spread = float(statistics.get("spread", 1.0))
        self.low, self.high = float(statistics.get("low", -np.inf)), float(statistics.get("high", np.inf))
        self.least, self.greatest = statistics.get("least"), statistics.get("greatest")
        self.fill = None if statistics.get("fill") is None else float(statistics["fill"])

    @property
    def verbatim(self) -> bool:
        """Whether a text file must give the cells as they are written: only its notation tells what 1.234 is."""
        return not self.notation.plain

    @classmethod
    def recognise(cls, sample: Sample) -> Recognition | None:
        """Sure where most cells are numbers; unsure where they look like codes; a last resort where half are."""
        # A cell that names a file is none, whatever its name.
        found = numerals_of(
            [value if head is None else b"" for value, head in zip(sample.values, sample.heads, strict=True)]
        )
        if found.codes or 2 * found.numbers < max(found.cells, 1) or not found.numbers:
            return None
        reason = (
            f"{found.numbers} of {len(sample.values)} sampled cells are numbers, {sample.distinct} different in all"
        )
        reason += _of_notation(found)
        if not found.mostly:
            return Recognition(0.25, f"{reason}; the others will be unreadable")
        if found.numbers < found.cells:
            reason += f"; {found.cells - found.numbers} cannot be read"
        unit = found.notation.unit or ""
        named = is_letter(unit) and not is_known(unit)  # such as `3G`, `4G`
        few = sample.distinct <= 10 and (named or sample.distinct <= 0.05 * sample.present)
        reader = cls(NumberConfig(**_settings(found.notation)))
        if few and all(map(reader._is_whole, sample.values)):
            return Recognition(0.5, f"{reason}, few and whole: perhaps codes")
        return Recognition(0.9, reason)

    @classmethod
    def suggest(cls, cells: Sequence[object], limits: LimitsConfig) -> dict[str, Any]:
        """How most cells are written, where programs would write them otherwise."""
        found = numerals_of(cells)
        return _settings(found.notation) if 2 * found.numbers >= max(found.cells, 1) else {}

    def read(self, cell: object) -> Float[np.ndarray, " F"]:
        if type(cell) is float and self.config.unit is None:  # by far the most frequent
            value = cell
        elif isinstance(cell, str):
            value = numerals.read_numeral(cell, self.notation)
        elif isinstance(cell, timedelta):
            value = cell.total_seconds()
        elif isinstance(cell, int | float | Decimal | np.bool_ | np.integer | np.floating):
            if self.config.unit is not None and cell != 0:
                raise UnreadableCellError(
                    f"not a number with the unit of this column ({self.config.unit}): {_short(cell)}"
                )
            try:
                value = float(cell)
            except (OverflowError, ValueError):  # an int beyond float64; a signalling Decimal
                raise UnreadableCellError(f"not a number that can be used: {_short(cell)}") from None
        else:
            raise UnreadableCellError(f"not a number: a cell of type {type(cell).__name__}")
        if not abs(value) <= LARGEST:
            raise UnreadableCellError(f"not finite, or larger than {LARGEST:g}: {_short(cell)}")
        return np.array([value])

    def read_numbers(self, numbers: Float[np.ndarray, " N"]) -> Float[np.ndarray, "N F"] | None:
        usable = self.config.unit is None and not (np.abs(numbers) > LARGEST).any()
        return numbers[:, None] if usable else None

    def note(self, cell: object) -> str | None:
        """That a number is a duration, or not written as programs write it."""
        if isinstance(cell, timedelta):
            return "of a duration, read in seconds"
        return numerals.note_of(cell, self.notation) if isinstance(cell, str) else None

    def fit(self, arrays: Iterable[np.ndarray]) -> dict[str, Any]:
        """`centre` and `spread` of the training rows, by the scaling of the settings; `low`, `high` and `fill` too.

        These three only where the settings ask for them; the others are then of the clipped numbers. `least` and
        `greatest` tell later whether new numbers are in the same unit.
        """
        values = np.array([float(array[0]) for array in arrays])
        repairs: dict[str, Any] = {"least": float(values.min()), "greatest": float(values.max())} if values.size else {}
        if self.config.outliers == "clip" and values.size:
            low, high = tukey_bounds(values)
            if np.isfinite(low) and np.isfinite(high):
                repairs |= {"low": low, "high": high}
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

    def unlike_training(self, arrays: Sequence[np.ndarray]) -> str | None:
        """That all numbers are beyond those of the training rows, and a thousand times as large or small among them."""
        values = np.array([float(array[0]) for array in arrays])
        if self.least is None or self.greatest is None or not self.least > 0 or len(np.unique(values)) < _FEWEST:
            return None
        for factor, beyond in ((1000, values < self.least), (0.001, values > self.greatest)):
            inside = (values * factor >= self.least) & (values * factor <= self.greatest)
            if (beyond & inside).all():
                where, how = ("below", "multiplied") if factor > 1 else ("above", "divided")
                return (
                    f"{where} all numbers of training ({self.least:g} to {self.greatest:g}), among them if {how} by "
                    "1000: a mark before three digits may stand between thousands, or the unit may be another"
                )
        return None

    def preview(self, cell: object) -> str:
        return previews.figure(float(self.read(cell)[0]))

    def _is_whole(self, cell: object) -> bool:
        """Whether a cell is a whole number; also one that cannot be read, which says nothing about the others."""
        try:
            return float(self.read(cell)[0]).is_integer()
        except UnreadableCellError:
            return True


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


def _settings(notation: Notation) -> dict[str, Any]:
    """What of a notation is not as programs write numbers."""
    if notation == numerals.PLAIN:
        return {}
    plain = asdict(numerals.PLAIN)
    return {name: value for name, value in asdict(notation).items() if value != plain[name]}


def _of_notation(found: Numerals) -> str:
    """What a reason says of how numbers are written."""
    if found.notation.plain:
        return ""
    words = f", with {numerals.described(found.notation, found.example)}"
    if found.other is not None:
        others = ", ".join(f"{name}={value}" for name, value in _settings(found.other).items())
        words += f"; if that is wrong, set {others or 'thousands=none'}"
    return words


def _short(cell: object) -> str:
    """A cell as a message shows it."""
    text = repr(cell) if isinstance(cell, str) else type(cell).__name__ if isinstance(cell, int) else str(cell)
    return text if len(text) <= 40 else f"{text[:40]}..."
