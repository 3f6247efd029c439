"""Regression: one number for each row, or one for each of several targets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, SupportsFloat, SupportsIndex

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from polymodal.abilities import InputFeatures
from polymodal.baselines.linear import number_baselines
from polymodal.codecs import numerals
from polymodal.codecs.notation import numerals_of
from polymodal.codecs.numerals import Notation
from polymodal.codecs.units import is_known
from polymodal.config.node import settings
from polymodal.data.tables.column_data import shown
from polymodal.data.target.class_names import is_missing
from polymodal.errors import DataError, UnreadableCellError
from polymodal.layers.scores_head import ScoringTask
from polymodal.metrics import regression
from polymodal.metrics.weighted import Values, Weights
from polymodal.protocols import Recognition
from polymodal.types import Cells, Meaning, Numbers, Scores

_LIMIT = 1e150  # beyond it the square of a number, and so the spread of the target, is infinite


@settings
class RegressConfig:
    """Settings of regression.

    Attributes:
        loss: `mse`, `mae`, or `huber`: half the square up to `delta`, beyond it linear (Huber 1964).
        delta: standard deviations at which `huber` becomes linear.
        hidden: width of a hidden layer; 0: none, a linear head.
        dropout: probability, before the last layer.
        decimal: the decimal mark of a target that is text: `point`, or `comma` as in `0,50`; most cells say it.
        thousands: the mark between its groups of digits: `comma` as in `1,234`, `point`, `blank`, `apostrophe`.
        unit: what stands at every number, such as `%`, `$` or `kg`; predictions are in it. Numbers with another unit
            of the same dimension are converted.
        parentheses: `(5)` is -5, as accountants write it.
        doubtful: the decimal mark that makes a cell unreadable where it may stand between thousands: with `point` this
            is `5.000` among `1,234`, 5 or 5000; `none`: it is read as decimals.
    """

    loss: Literal["mse", "mae", "huber"] = "mse"
    delta: Annotated[float, Field(gt=0)] = 1.0
    hidden: Annotated[int, Field(ge=0)] = 0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    decimal: numerals.Decimal = "point"
    thousands: numerals.Thousands = "none"
    unit: str | None = None
    parentheses: bool = False
    doubtful: numerals.Doubtful = "none"


class Regress(ScoringTask):
    """One number a row, or one for each of several targets, from the mean of a row's tokens.

    The network works on the standardised scale, (value - mean) / standard deviation of the training rows, of each
    target by itself; `decode` and `metrics` give the target's own unit. Rows with nothing present get the mean. Where
    several columns are predicted, a row's value is a mapping from their names to numbers.
    """

    Config: ClassVar[type] = RegressConfig
    kind: ClassVar[str] = "regression"
    metric: ClassVar[str] = "r2"  # the one to report first
    monitor: ClassVar[str] = "rmse"  # the one to stop early on
    greater_is_better: ClassVar[Mapping[str, bool]] = regression.GREATER_IS_BETTER
    metric_words: ClassVar[Mapping[str, str]] = regression.WORDS
    meaning: Meaning = "numbers"

    def __init__(self, config: RegressConfig, statistics: Mapping[str, Any] | None = None) -> None:
        self.config, self.prior = config, torch.zeros(0)
        self.notation = Notation(config.decimal, config.thousands, config.unit, config.parentheses, config.doubtful)
        if statistics is None:
            return
        column = statistics["column"]
        self.names: list[str] | None = None if isinstance(column, str) else column
        self.targets: list[str] = [column] if isinstance(column, str) else column
        self.mean = np.atleast_1d(np.asarray(statistics["mean"], dtype=np.float64))
        self.spread = np.atleast_1d(np.asarray(statistics["std"], dtype=np.float64))
        self.prior = torch.zeros(len(self.mean))  # the mean, on the standardised scale

    @classmethod
    def recognise(cls, values: Sequence[object]) -> Recognition | None:
        """Sure of numbers with a fraction or a unit, half sure of whole ones; sure of several columns of numbers."""
        present = [value for value in values if not is_missing(value)]
        if names := _names(present):
            every = all(cls.recognise(_of(present, name)) for name in names)
            return Recognition(0.95, f"{len(names)} columns of numbers") if every else None
        if not present or all(isinstance(value, bool | np.bool_) for value in present):
            return None
        found = numerals_of([float(value) if isinstance(value, bool | np.bool_) else value for value in present])
        if not found.mostly:
            return None
        reader = cls(RegressConfig(**cls.suggest(present)))
        numbers = [number for value in present if (number := reader._number(value)) is not None]
        if not numbers:
            return None
        unit = found.notation.unit
        counts = replace(found.notation, unit=None).plain and (
            unit is None or not all(map(is_known, unit.split()))
        )  # `3 doors`, `4G`
        whole = counts and all(map(float.is_integer, numbers))
        words = f"{len(set(numbers))} distinct {'whole ' if whole else ''}numbers in {len(present)} rows"
        return Recognition(0.5 if whole else 0.95, words)

    @classmethod
    def suggest(cls, values: Sequence[object]) -> dict[str, Any]:
        """How most cells are written, where programs would write them otherwise; nothing of several targets."""
        found = numerals_of([value for value in values if not isinstance(value, Mapping)])
        if 2 * found.numbers < found.cells or found.notation.plain:
            return {}
        plain = asdict(numerals.PLAIN)
        return {name: value for name, value in asdict(found.notation).items() if value != plain[name]}

    @property
    def verbatim(self) -> bool:
        """Whether a text file must give the cells as they are written."""
        return not self.notation.plain

    def read(self, value: object) -> object:
        """A number, in seconds of a duration.

        Raises:
            MissingCellError: words such as `NA`.
            UnreadableCellError: no finite number, or not one with the unit of the target.
        """
        if isinstance(value, str):
            number = numerals.read_numeral(value, self.notation)
        elif isinstance(value, timedelta):
            number = value.total_seconds()
        else:
            plain = _number(value)
            if plain is None:
                raise UnreadableCellError(f"not a finite number below {_LIMIT:g}: {shown(value)}")
            if self.config.unit is not None and plain != 0:
                raise UnreadableCellError(f"not a number with the unit of the target ({self.config.unit}): {value!r}")
            return value
        if not abs(number) < _LIMIT:
            raise UnreadableCellError(f"not a finite number below {_LIMIT:g}: {shown(value)}")
        return number

    def note(self, value: object) -> str | None:
        """That a number is a duration, or not written as programs write it."""
        if isinstance(value, timedelta):
            return "of a duration, read in seconds"
        return numerals.note_of(value, self.notation) if isinstance(value, str) else None

    def fit(self, values: Sequence[object], *, column: str) -> dict[str, Any]:
        """Mean and standard deviation, and the column's name for messages; missing values do not count.

        Of several targets, lists of these.

        Raises:
            DataError: a value that is no finite number, or fewer than two distinct numbers.
        """
        if names := _names(values):
            fitted = [self.fit(_of(values, name), column=name) for name in names]
            return {key: [of_target[key] for of_target in fitted] for key in fitted[0]}
        numbers = np.array([_checked(value, column) for value in values])
        numbers = numbers[~np.isnan(numbers)]
        spread = float(numbers.std()) if len(np.unique(numbers)) > 1 else 0.0
        if spread == 0:
            held = f"one value only, {numbers[0]:g}," if numbers.size else "no value"
            raise DataError(
                f"The target column {column!r} holds {held} in the {len(values)} training rows; there is nothing "
                "to learn. Choose another target, or a split that leaves different values to train on."
            )
        return {"column": column, "count": len(numbers), "mean": float(numbers.mean()), "std": spread}

    def encode(self, value: object) -> Float[np.ndarray, "2 K"] | None:
        """Standardised numbers, and 1 where each is known, else 0; None where none of them is.

        Raises:
            DataError: a value that is no finite number.
        """
        cells = [value] if self.names is None else [_of([value], name)[0] for name in self.names]
        numbers = np.array([_checked(cell, name) for cell, name in zip(cells, self.targets, strict=True)])
        known = ~np.isnan(numbers)
        if not known.any():
            return None
        return np.stack([np.where(known, (numbers - self.mean) / self.spread, 0), known])

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        """Float "B 2 K"."""
        return Cells.stacked(arrays, shape=(2, len(self.mean)), dtype=np.float64)

    def criterion(self) -> NumberLoss:
        """Squared, absolute or Huber loss."""
        return NumberLoss(self.config.loss, delta=self.config.delta)

    def rows(self, prediction: Scores, target: Cells | None) -> dict[str, np.ndarray]:
        """Predicted and true numbers [N, K] in the target's own unit; NaN where one of several is unknown."""
        assert target is not None, "a number is a target"
        return {"predicted": self._unit(prediction.values.numpy()), "target": self._true(target)}

    def metrics(self, rows: Mapping[str, np.ndarray], weights: Weights) -> dict[str, Values]:
        predicted, truth = rows["predicted"], rows["target"]
        if self.names is None:
            return regression.measure(predicted[:, 0], truth[:, 0], weights)
        return regression.measure_targets(predicted, truth, weights, names=self.names, units=self.spread)

    def decode(self, prediction: Scores) -> dict[str, np.ndarray]:
        """`prediction`, of several targets `prediction_TARGET`: float64, in the target's unit."""
        names = ["prediction"] if self.names is None else [f"prediction_{name}" for name in self.names]
        return dict(zip(names, self._unit(prediction.values.numpy()).T, strict=True))

    def baselines(
        self, features: Mapping[str, InputFeatures], target: Cells | None, num_rows: int
    ) -> dict[str, Scores | dict[str, Scores]]:
        """`mean`; `linear` and `linear_by_input`: ridge regression; `gradient_boosting`: of trees on all inputs."""
        assert target is not None, "regression has a target"
        return number_baselines(features, target, num_rows)

    def outcomes(self, prediction: Scores, target: Cells, rows: np.ndarray, *, name: str) -> list[Numbers]:
        """One number a row, beside the true one, for each target."""
        predicted, true = self._unit(prediction.values.numpy()), self._true(target)
        found = []
        for k, title in enumerate(self.names or [name]):
            known = np.isfinite(true[:, k])
            if known.any():
                found.append(Numbers(title, predicted[known, k], true[known, k], rows[known]))
        return found

    def _number(self, value: object) -> float | None:
        try:
            number = self.read(value)
        except UnreadableCellError:
            return None
        return float(number) if isinstance(number, SupportsFloat) else None

    def _true(self, target: Cells) -> Float[np.ndarray, "N K"]:
        numbers, known = target.values.numpy().swapaxes(0, 1)
        return np.where(known > 0, self._unit(numbers), np.nan)

    def _unit(self, standardised: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "N K"]:
        return np.asarray(standardised.astype(np.float64) * self.spread + self.mean)


class NumberLoss(nn.Module):
    """Scores and true numbers -> loss of each row on the standardised scale: the mean over all targets, an unknown one
    counting as 0. Delta is that of `huber`.
    """

    def __init__(self, name: Literal["mse", "mae", "huber"], *, delta: float) -> None:
        super().__init__()
        self.name, self.delta = name, delta

    def forward(self, scores: Scores, target: Cells) -> Float[Tensor, " B"]:
        truth, known = target.values.to(scores.values.dtype).unbind(dim=1)
        if self.name == "mae":
            loss = F.l1_loss(scores.values, truth, reduction="none")
        elif self.name == "huber":
            loss = F.huber_loss(scores.values, truth, reduction="none", delta=self.delta)
        else:
            loss = F.mse_loss(scores.values, truth, reduction="none")
        return torch.where((known > 0) & target.present.unsqueeze(1), loss, 0).mean(dim=1)


def _names(values: Sequence[object]) -> list[str] | None:
    """Names of the targets where there are several: the first value that is there is a mapping by name."""
    first = next((value for value in values if value is not None), None)
    return list(first) if isinstance(first, Mapping) else None


def _of(values: Sequence[object], name: str) -> list[object]:
    """The values of one of several targets."""
    return [value[name] if isinstance(value, Mapping) else None for value in values]


def _number(value: object) -> float | None:
    """A number, or a word that spells one, as float; None where it is neither, or not of usable size."""
    if not isinstance(value, str | bytes | bytearray | SupportsFloat | SupportsIndex):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) < _LIMIT else None


def _checked(value: object, column: str) -> float:
    """A target's value as a number; NaN where it is missing.

    Raises:
        DataError: it is no number.
    """
    if is_missing(value):
        return math.nan
    number = _number(value)
    if number is None:
        raise DataError(
            f"The target column {column!r} holds {value!r}, which is not a finite number below {_LIMIT:g}. "
            "Empty the cell (its row is then left out), or treat the target as classes with --set task=classify."
        )
    return number
