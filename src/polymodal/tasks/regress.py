"""Regression: which number a row has, or which numbers, one for each of several targets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Num
from pydantic import ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from polymodal.errors import DataError
from polymodal.labels import is_missing
from polymodal.layers.readout import Readout
from polymodal.metrics import regression
from polymodal.metrics.bootstrap import point
from polymodal.types import Prediction, Recognition, Scores, Tokens

_LIMIT = 1e150  # beyond it the square of a number, and so the spread of the target, is infinite


@dataclass(frozen=True)
class RegressConfig:
    """Settings of regression.

    Attributes:
        loss: `mse`, `mae`, or `huber`: half the square up to `delta`, beyond it linear (Huber 1964).
        delta: standard deviations at which `huber` becomes linear.
        hidden: width of a hidden layer; 0: none, a linear head.
        dropout: probability, before the last layer.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    loss: Literal["mse", "mae", "huber"] = "mse"
    delta: Annotated[float, Field(gt=0)] = 1.0
    hidden: Annotated[int, Field(ge=0)] = 0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Regress(nn.Module):
    """Mean of a row's tokens -> one number, or one number for each of several targets.

    The network works on the standardised scale, (value - mean) / standard deviation of the training rows, of each
    target by itself; `decode` and `metrics` give the target's own unit. Rows with nothing present get the mean. Where
    several columns are predicted, a row's value is a mapping from their names to numbers.
    """

    Config: ClassVar[type] = RegressConfig
    metric: ClassVar[str] = "r2"  # the one to report first
    monitor: ClassVar[str] = "rmse"  # the one to stop early on
    stratified: ClassVar[bool] = False
    scores: Scores = "numbers"

    prior: Tensor

    def __init__(self, config: RegressConfig, *, width: int, statistics: Mapping[str, Any]) -> None:
        super().__init__()
        self.config = config
        self.names: list[str] | None = None if isinstance(statistics["column"], str) else statistics["column"]
        self.mean = np.atleast_1d(np.asarray(statistics["mean"], dtype=np.float64))
        self.spread = np.atleast_1d(np.asarray(statistics["std"], dtype=np.float64))
        prior = torch.zeros(len(self.mean))  # the mean, on the standardised scale
        self.register_buffer("prior", prior, persistent=False)
        self.readout: nn.Module = Readout(
            width, len(self.mean), hidden=config.hidden, dropout=config.dropout, bias=prior
        )

    @classmethod
    def recognise(cls, values: Sequence[object]) -> Recognition | None:
        """Sure of numbers with a fraction, half sure of whole ones; sure of several where each is of numbers."""
        present = [value for value in values if not is_missing(value)]
        if names := _names(present):
            every = all(cls.recognise(_of(present, name)) for name in names)
            return Recognition(0.95, f"{len(names)} columns of numbers") if every else None
        numbers = [_number(value) for value in present]
        if not present or None in numbers or all(isinstance(value, bool | np.bool_) for value in present):
            return None
        whole = all(number is not None and number.is_integer() for number in numbers)
        found = f"{len(set(numbers))} distinct {'whole ' if whole else ''}numbers in {len(present)} rows"
        return Recognition(0.5 if whole else 0.95, found)

    @classmethod
    def fit_target(
        cls, values: Sequence[object], *, column: str, config: RegressConfig | None = None
    ) -> dict[str, Any]:
        """Mean and standard deviation, and the column's name for messages; missing values do not count.

        Of several targets, lists of these.

        Raises:
            DataError: a value that is no finite number, or fewer than two distinct numbers.
        """
        if names := _names(values):
            fitted = [cls.fit_target(_of(values, name), column=name, config=config) for name in names]
            return {key: [of_target[key] for of_target in fitted] for key in fitted[0]}
        numbers = _numbers(values, column)
        numbers = numbers[~np.isnan(numbers)]
        spread = float(numbers.std()) if len(np.unique(numbers)) > 1 else 0.0
        if spread == 0:
            held = f"one value only, {numbers[0]:g}," if numbers.size else "no value"
            raise DataError(
                f"The target column {column!r} holds {held} in the {len(values)} training rows; there is nothing "
                "to learn. Choose another target, or a split that leaves different values to train on."
            )
        return {"column": column, "count": len(numbers), "mean": float(numbers.mean()), "std": spread}

    @classmethod
    def encode_target(cls, values: Sequence[object], statistics: Mapping[str, Any]) -> Float[np.ndarray, "N ..."]:
        """Standardised numbers [rows], of several targets [rows, K]; NaN where the value is missing.

        Raises:
            DataError: a value that is no finite number.
        """
        column = statistics["column"]
        if isinstance(column, str):
            numbers = _numbers(values, column)
        else:
            numbers = np.stack([_numbers(_of(values, name), name) for name in column], axis=1)
        return np.asarray((numbers - np.asarray(statistics["mean"])) / np.asarray(statistics["std"]))

    def forward(self, tokens: Tokens) -> Prediction:
        return Prediction.with_prior(self.readout(tokens), tokens.present, self.prior)

    def loss(self, prediction: Prediction, target: Num[Tensor, "B ..."]) -> Float[Tensor, " B"]:
        """Loss of each row on the standardised scale, the mean over the targets; 0 where a target is NaN."""
        scores, target = prediction.scores, target.reshape(prediction.scores.shape)
        known = ~torch.isnan(target)
        truth = torch.where(known, target, 0).to(scores.dtype)
        if self.config.loss == "mae":
            loss = F.l1_loss(scores, truth, reduction="none")
        elif self.config.loss == "huber":
            loss = F.huber_loss(scores, truth, reduction="none", delta=self.config.delta)
        else:
            loss = F.mse_loss(scores, truth, reduction="none")
        return torch.where(known, loss, 0).mean(dim=1)

    def decode(self, scores: Float[np.ndarray, "N K"]) -> dict[str, np.ndarray]:
        """`prediction`, of several targets `prediction_TARGET`: float64, in the target's unit."""
        names = ["prediction"] if self.names is None else [f"prediction_{name}" for name in self.names]
        return dict(zip(names, self._unit(scores).T, strict=True))

    def metrics(self, scores: Float[np.ndarray, "N K"], target: Num[np.ndarray, "N ..."]) -> dict[str, float]:
        """Every metric over the rows whose target is known; those that are undefined (one value only) are left out."""
        return point(scores, target, self.weighted_metrics)

    def weighted_metrics(
        self, scores: Float[np.ndarray, "N K"], target: Num[np.ndarray, "N ..."], weights: Float[np.ndarray, "S N"]
    ) -> dict[str, Float[np.ndarray, " S"]]:
        """Every metric for each of S weightings of the rows, all of known target; NaN where undefined.

        Of several targets: `metrics.regression.measure_targets`.
        """
        predicted, truth = self._unit(scores), self._unit(target.reshape(scores.shape))
        if self.names is None:
            return regression.measure(predicted[:, 0], truth[:, 0], weights)
        return regression.measure_targets(predicted, truth, weights, names=self.names, units=self.spread)

    def _unit(self, standardised: Num[np.ndarray, "N K"]) -> Float[np.ndarray, "N K"]:
        return np.asarray(standardised.astype(np.float64) * self.spread + self.mean)


def _names(values: Sequence[object]) -> list[str] | None:
    """Names of the targets where there are several: the first value that is there is a mapping by name."""
    first = next((value for value in values if value is not None), None)
    return list(first) if isinstance(first, Mapping) else None


def _of(values: Sequence[object], name: str) -> list[object]:
    """The values of one of several targets."""
    return [value[name] if isinstance(value, Mapping) else None for value in values]


def _number(value: object) -> float | None:
    """A number, or a word that spells one, as float; None where it is neither, or not of usable size."""
    try:
        number = float(value)  # type: ignore[arg-type]  # what float refuses is caught
    except (TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) < _LIMIT else None


def _numbers(values: Sequence[object], column: str) -> Float[np.ndarray, " N"]:
    """All values as float64, NaN where missing.

    Raises:
        DataError: the first value that is no number, with its column.
    """
    numbers = np.full(len(values), math.nan)
    for position, value in enumerate(values):
        if is_missing(value):
            continue
        number = _number(value)
        if number is None:
            raise DataError(
                f"The target column {column!r} holds {value!r}, which is not a finite number below {_LIMIT:g}. "
                "Empty the cell (its row is then left out), or treat the target as classes with --set task=classify."
            )
        numbers[position] = number
    return numbers
