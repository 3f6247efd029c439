"""Ordinal regression: which of several ordered classes, such as grades, a row belongs to. Chosen only by name."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import BeforeValidator, Field
from torch import Tensor, nn
from torch.nn import functional as F

from polymodal.abilities import InputFeatures
from polymodal.baselines.linear import class_baselines
from polymodal.config.node import settings
from polymodal.data.target.class_names import (
    TYPES,
    ClassNames,
    is_missing,
    kind_of,
    name_of,
    names_of,
    note_of_name,
)
from polymodal.errors import DataError
from polymodal.layers.scores_head import Readout, ScoringTask
from polymodal.metrics import classification, ordinal
from polymodal.metrics.class_scores import ClassScores
from polymodal.metrics.weighted import Values, Weights
from polymodal.types import Cells, Meaning, Scores, Tokens

_NARROWEST = 1e-3  # logits between two thresholds: a class between them keeps a probability above zero


@settings
class OrdinalConfig:
    """Settings of ordinal regression.

    Attributes:
        order: every class, from the lowest to the highest: `[poor, fair, good]`; None: numbers in their order.
        hidden: width of a hidden layer; 0: none, a linear head.
        dropout: probability, before the last layer.
    """

    order: Annotated[tuple[str, ...] | None, BeforeValidator(names_of)] = None
    hidden: Annotated[int, Field(ge=0)] = 0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Ordinal(ClassScores, ScoringTask):
    """One of several classes in an order: the mean of a row's tokens -> one position on a line.

    The proportional odds model: the log odds of "at most class k" are threshold k minus the position (McCullagh 1980,
    Regression models for ordinal data, equation 2.1). The thresholds are a first one and positive steps, so that the
    probabilities of "at most" never fall with k. Scores are the classes' log-probabilities. Rows with nothing present
    get the classes' shares of the training rows.
    """

    Config: ClassVar[type] = OrdinalConfig
    kind: ClassVar[str] = "ordinal regression"
    metric: ClassVar[str] = "quadratic_weighted_kappa"  # the one to report first
    monitor: ClassVar[str] = "log_loss"  # the one to stop early on
    stratified: ClassVar[bool] = True
    greater_is_better: ClassVar[Mapping[str, bool]] = ordinal.GREATER_IS_BETTER
    metric_words: ClassVar[Mapping[str, str]] = ordinal.WORDS
    meaning: Meaning = "classes"

    def __init__(self, config: OrdinalConfig, statistics: Mapping[str, Any] | None = None) -> None:
        self.config, self.prior = config, torch.zeros(0)
        if statistics is None:
            return
        self.classes = ClassNames(statistics["classes"], statistics["kind"])
        self.labels = self.classes.values
        self.shares = torch.tensor(statistics["prior"], dtype=torch.float64)
        self.prior = self.shares.log().float()

    def fit(self, values: Sequence[object], *, column: str) -> dict[str, Any]:
        """Classes in order, their type, counts and shares; missing values do not count.

        Raises:
            DataError: fewer than two classes; words without an order; a class that the order lacks.
        """
        order = self.config.order
        present = [value for value in values if not is_missing(value)]
        counts = Counter(map(name_of, present))
        kind = kind_of(present)
        if order is None:
            if kind == "str":
                present, kind = _as_numbers(present, column), "float"
                counts = Counter(map(name_of, present))
            order = tuple(sorted(counts, key=TYPES[kind]))
        if absent := [name for name in counts if name not in order]:
            raise DataError(
                f"The target column {column!r} holds {absent[0]!r}, which the order lacks: {', '.join(order)}. "
                f"Add it to task.order, or empty such cells (their rows are then left out)."
            )
        if len(counts) < 2 or len(set(order)) < len(order):
            held = f"{len(counts)} of the classes" if len(counts) < 2 else "classes whose order names one twice"
            raise DataError(
                f"The target column {column!r} holds {held} in the {len(values)} training rows; at least two classes, "
                "each named once, are needed. Choose another target, order or split."
            )
        return {
            "column": column,
            "classes": list(order),
            "kind": "int" if kind == "float" and all(float(name).is_integer() for name in order) else kind,
            "counts": [counts[name] for name in order],
            # One more row, spread over all classes: one that no row has keeps a probability.
            "prior": [(counts[name] + 1 / len(order)) / (len(present) + 1) for name in order],
        }

    def encode(self, value: object) -> Int[np.ndarray, " 1"] | None:
        """Place of the value's class in the order; None where the value is missing or its class unknown."""
        if is_missing(value):
            return None
        name = name_of(value)  # "1.0" is 1 where classes are numbers
        found = self.classes.encode(name)
        return self.classes.encode(name_of(_number(name))) if found is None else found

    @classmethod
    def suggest(cls, values: Sequence[object]) -> dict[str, Any]:
        """Nothing: the order is the user's."""
        return {}

    def read(self, value: object) -> object:
        """A class as one word for all of its spellings."""
        return name_of(value) if isinstance(value, str) else value

    def note(self, value: object) -> str | None:
        """That blanks, or another Unicode form, were taken off the name of a class."""
        return note_of_name(value)

    def readout(self, width: int) -> Thresholds:
        """Tokens -> the classes' log-probabilities."""
        position = Readout(width, 1, hidden=self.config.hidden, dropout=self.config.dropout, bias=None)
        return Thresholds(position, self.shares)

    def criterion(self) -> LogLoss:
        """Minus the log-probability of the true class."""
        return LogLoss()

    def metrics(self, rows: Mapping[str, np.ndarray], weights: Weights) -> dict[str, Values]:
        return ordinal.measure(rows["log_probabilities"], rows["target"], weights)

    def decode(self, prediction: Scores) -> dict[str, np.ndarray]:
        """`prediction`: the most probable class as the training rows spelt it; `p_CLASS`: its probability, float64."""
        return self.classes.decode(prediction.values.numpy().argmax(axis=1), self.probabilities(prediction))

    def log_probabilities(self, prediction: Scores) -> Float[np.ndarray, "N K"]:
        """Scores in float64, adding up to one as probabilities."""
        return classification.normalised(prediction.values.numpy())

    def baselines(
        self, features: Mapping[str, InputFeatures], target: Cells | None, num_rows: int
    ) -> dict[str, Scores | dict[str, Scores]]:
        """`majority`: the classes' shares; `linear` and `linear_by_input`: logistic regression on each input;
        `gradient_boosting`: of trees on all inputs.
        """
        assert target is not None, "ordinal regression has a target"
        return class_baselines(features, target, num_rows, num_classes=len(self.labels))


class LogLoss(nn.Module):
    """Log-probabilities and true classes -> minus the log-probability of the true one; 0 where it is unknown."""

    def forward(self, scores: Scores, target: Cells) -> Float[Tensor, " B"]:
        loss = F.nll_loss(scores.values, target.values[:, 0], reduction="none")
        return torch.where(target.present, loss, 0)


class Thresholds(nn.Module):
    """Position on the line -> log-probabilities of the classes that thresholds part there: tokens -> scores "B K".

    Args:
        position: tokens "B T D" -> "B 1", without a bias: the thresholds already have a common term.
        shares: "K", of the classes; at the position 0 training starts from them instead of learning them.
    """

    def __init__(self, position: nn.Module, shares: Float[Tensor, " K"]) -> None:
        super().__init__()
        self.position = position
        thresholds = torch.logit(shares.cumsum(0)[:-1])
        self.first = nn.Parameter(thresholds[:1].float())
        gaps = (thresholds.diff() - _NARROWEST).clamp_min(_NARROWEST)
        self.steps = nn.Parameter((gaps + torch.log(-torch.expm1(-gaps))).float())  # the inverse of softplus

    def forward(self, tokens: Tokens) -> Float[Tensor, "B K"]:
        """Of sigmoids of a > b the difference is sigmoid(a) sigmoid(-b) (1 - exp(b - a)): no digits cancel."""
        gaps = F.softplus(self.steps) + _NARROWEST
        at_most = torch.cat([self.first, self.first + gaps.cumsum(0)]) - self.position(tokens)
        inner = F.logsigmoid(at_most[:, 1:]) + F.logsigmoid(-at_most[:, :-1]) + torch.log(-torch.expm1(-gaps))
        return torch.cat([F.logsigmoid(at_most[:, :1]), inner, F.logsigmoid(-at_most[:, -1:])], dim=1)


def _number(name: str) -> float:
    try:
        return float(name)
    except ValueError:
        return math.nan


def _as_numbers(values: Sequence[object], column: str) -> list[object]:
    """Words that spell numbers, as numbers.

    Raises:
        DataError: one of them does not.
    """
    numbers: list[object] = []
    for value in values:
        number = _number(name_of(value))
        if not math.isfinite(number):
            raise DataError(
                f"The target column {column!r} holds {value!r}, which is no number: say the order of the classes, for "
                "example with --set 'task={name: ordinal, order: [poor, fair, good]}'."
            )
        numbers.append(number)
    return numbers
