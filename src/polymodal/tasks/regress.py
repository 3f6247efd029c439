"""Regression: which number a row has."""

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
from polymodal.layers.mlp import MultiLayerPerceptron
from polymodal.layers.pooling import masked_mean
from polymodal.metrics import regression
from polymodal.metrics.bootstrap import point
from polymodal.types import Prediction, Recognition, Tokens

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
    """Mean of a row's tokens -> one number.

    The network works on the standardised scale, (value - mean) / standard deviation of the training rows; `decode` and
    `metrics` give the target's own unit. Rows with nothing present get the mean.
    """

    Config: ClassVar[type] = RegressConfig
    metric: ClassVar[str] = "r2"  # the one to report first
    monitor: ClassVar[str] = "rmse"  # the one to stop early on
    stratified: ClassVar[bool] = False

    prior: Tensor

    def __init__(self, config: RegressConfig, *, width: int, statistics: Mapping[str, Any]) -> None:
        super().__init__()
        self.config = config
        self.mean: float = statistics["mean"]
        self.spread: float = statistics["std"]
        self.register_buffer("prior", torch.zeros(1), persistent=False)  # the mean, on the standardised scale
        self.body = MultiLayerPerceptron(
            width, [config.hidden] if config.hidden else [], activation_name="gelu", dropout=0.0
        )
        self.dropout = nn.Dropout(config.dropout)
        self.value = nn.Linear(self.body.width, 1)
        nn.init.zeros_(self.value.bias)

    @classmethod
    def recognise(cls, values: Sequence[object]) -> Recognition | None:
        """Sure of numbers with a fraction, half sure of whole ones."""
        present = [value for value in values if not _missing(value)]
        numbers = [_number(value) for value in present]
        if not present or None in numbers or all(isinstance(value, bool | np.bool_) for value in present):
            return None
        whole = all(number is not None and number.is_integer() for number in numbers)
        found = f"{len(set(numbers))} distinct {'whole ' if whole else ''}numbers in {len(present)} rows"
        return Recognition(0.5 if whole else 0.95, found)

    @classmethod
    def fit_target(cls, values: Sequence[object], *, column: str) -> dict[str, Any]:
        """Mean and standard deviation, and the column's name for messages; missing values do not count.

        Raises:
            DataError: a value that is no finite number, or fewer than two distinct numbers.
        """
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
    def encode_target(cls, values: Sequence[object], statistics: Mapping[str, Any]) -> Float[np.ndarray, " N"]:
        """Standardised numbers; NaN where the value is missing.

        Raises:
            DataError: a value that is no finite number.
        """
        numbers = _numbers(values, statistics["column"])
        return np.asarray((numbers - statistics["mean"]) / statistics["std"])

    def forward(self, tokens: Tokens) -> Prediction:
        pooled = masked_mean(tokens.values, tokens.mask)
        value = self.value(self.dropout(self.body(pooled))).float()
        present = tokens.present
        # The unused values of absent rows keep every parameter in the graph, with zero gradient.
        return Prediction(torch.where(present.unsqueeze(1), value, self.prior), present)

    def loss(self, prediction: Prediction, target: Num[Tensor, " B"]) -> Float[Tensor, " B"]:
        """Loss of each row on the standardised scale; 0 where the target is NaN."""
        scores = prediction.scores.squeeze(1)
        known = ~torch.isnan(target)
        truth = torch.where(known, target, 0).to(scores.dtype)
        if self.config.loss == "mae":
            loss = F.l1_loss(scores, truth, reduction="none")
        elif self.config.loss == "huber":
            loss = F.huber_loss(scores, truth, reduction="none", delta=self.config.delta)
        else:
            loss = F.mse_loss(scores, truth, reduction="none")
        return torch.where(known, loss, 0)

    def decode(self, scores: Float[np.ndarray, "N 1"]) -> dict[str, np.ndarray]:
        """`prediction`: float64, in the target's unit."""
        return {"prediction": self._unit(scores[:, 0])}

    def metrics(self, scores: Float[np.ndarray, "N 1"], target: Num[np.ndarray, " N"]) -> dict[str, float]:
        """Every metric over the rows whose target is known; those that are undefined (one value only) are left out."""
        return point(scores, target, self.weighted_metrics)

    def weighted_metrics(
        self, scores: Float[np.ndarray, "N 1"], target: Num[np.ndarray, " N"], weights: Float[np.ndarray, "S N"]
    ) -> dict[str, Float[np.ndarray, " S"]]:
        """Every metric for each of S weightings of the rows, all of known target; NaN where undefined."""
        return regression.measure(self._unit(scores[:, 0]), self._unit(target), weights)

    def _unit(self, standardised: Num[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        return np.asarray(standardised.astype(np.float64) * self.spread + self.mean)


def _missing(value: object) -> bool:
    if isinstance(value, float | np.floating):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and not value)


def _number(value: object) -> float | None:
    """A number, or a word that spells one, as float; None where it is neither, or not of usable size."""
    try:
        number = float(value)  # type: ignore[arg-type]
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
        if _missing(value):
            continue
        number = _number(value)
        if number is None:
            raise DataError(
                f"The target column {column!r} holds {value!r}, which is not a finite number below {_LIMIT:g}. "
                "Empty the cell (its row is then left out), or treat the target as classes with --set task=classify."
            )
        numbers[position] = number
    return numbers
