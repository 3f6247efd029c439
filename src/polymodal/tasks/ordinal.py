"""Ordinal regression: which of several classes in an order, such as grades, a row belongs to. Chosen only by name."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Num
from pydantic import BeforeValidator, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from polymodal.errors import DataError
from polymodal.labels import TYPES, is_missing, kind_of, name_of
from polymodal.layers.opinions import pool_classes
from polymodal.layers.readout import Readout
from polymodal.metrics import ordinal
from polymodal.metrics.bootstrap import point
from polymodal.types import Prediction, Recognition, Scores, Tokens

_NARROWEST = 1e-3  # logits between two thresholds: a class between them keeps a probability above zero


def _by_word(order: object) -> object:
    """Classes as words: YAML and Python say 1 or true where the table does."""
    return [name_of(label) for label in order] if isinstance(order, list | tuple) else order


@dataclass(frozen=True)
class OrdinalConfig:
    """Settings of ordinal regression.

    Attributes:
        order: every class, from the lowest to the highest: `[poor, fair, good]`; None: numbers in their order.
        hidden: width of a hidden layer; 0: none, a linear head.
        dropout: probability, before the last layer.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    order: Annotated[tuple[str, ...] | None, BeforeValidator(_by_word)] = None
    hidden: Annotated[int, Field(ge=0)] = 0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Ordinal(nn.Module):
    """Mean of a row's tokens -> one position on a line, on which thresholds part the classes.

    The proportional odds model: the log odds of "at most class k" are threshold k minus the position (McCullagh 1980,
    Regression models for ordinal data, equation 2.1). The thresholds are a first one and positive steps, so that the
    probabilities of "at most" never fall with k. Scores are the classes' log-probabilities. Rows with nothing present
    get the classes' shares of the training rows.
    """

    Config: ClassVar[type] = OrdinalConfig
    metric: ClassVar[str] = "quadratic_weighted_kappa"  # the one to report first
    monitor: ClassVar[str] = "log_loss"  # the one to stop early on
    stratified: ClassVar[bool] = True
    scores: Scores = "classes"

    prior: Tensor

    def __init__(self, config: OrdinalConfig, *, width: int, statistics: Mapping[str, Any]) -> None:
        super().__init__()
        self.config = config
        names: list[str] = statistics["classes"]
        self.labels = np.array([TYPES[statistics["kind"]](name) for name in names], dtype=object)
        self.columns = [f"p_{name}" for name in names]
        shares = torch.tensor(statistics["prior"], dtype=torch.float64)
        self.register_buffer("prior", shares.log().float(), persistent=False)
        self.readout: nn.Module = Thresholds(
            Readout(width, 1, hidden=config.hidden, dropout=config.dropout, bias=None), shares
        )

    @classmethod
    def recognise(cls, values: Sequence[object]) -> Recognition | None:
        """Never: whether an order is meant, values do not tell."""
        return None

    @classmethod
    def fit_target(
        cls, values: Sequence[object], *, column: str, config: OrdinalConfig | None = None
    ) -> dict[str, Any]:
        """Classes in order, their type, counts and shares; missing values do not count.

        Raises:
            DataError: fewer than two classes; words without an order; a class that the order lacks.
        """
        order = (config or OrdinalConfig()).order
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
            "kind": "int" if kind == "float" and all(_whole(name) for name in order) else kind,
            "counts": [counts[name] for name in order],
            # One more row, spread over all classes: one that no row has keeps a probability.
            "prior": [(counts[name] + 1 / len(order)) / (len(present) + 1) for name in order],
        }

    @classmethod
    def encode_target(cls, values: Sequence[object], statistics: Mapping[str, Any]) -> Float[np.ndarray, " N"]:
        """Place of each value's class in the order; NaN where the value is missing or its class unknown."""
        places = {name: float(k) for k, name in enumerate(statistics["classes"])}

        def place(value: object) -> float:
            if is_missing(value):
                return math.nan
            name = name_of(value)
            return places.get(
                name, places.get(name_of(_number(name)), math.nan)
            )  # "1.0" is 1 where classes are numbers

        return np.array([place(value) for value in values], dtype=float)

    def forward(self, tokens: Tokens) -> Prediction:
        return Prediction.with_prior(self.readout(tokens), tokens.present, self.prior)

    def loss(self, prediction: Prediction, target: Num[Tensor, " B"]) -> Float[Tensor, " B"]:
        """Minus the log-probability of the true class; 0 where the target is NaN."""
        known = ~torch.isnan(target)
        index = torch.where(known, target, 0).long()
        return torch.where(known, F.nll_loss(prediction.scores, index, reduction="none"), 0)

    def pool(self, scores: Float[Tensor, "M B K"], weights: Float[Tensor, "M B"]) -> Float[Tensor, "B K"]:
        """The linear opinion pool."""
        return pool_classes(scores, weights)

    def log_probabilities(self, scores: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "N K"]:
        """Scores in float64, adding up to one as probabilities."""
        exact = scores.astype(np.float64)
        return np.asarray(exact - np.logaddexp.reduce(exact, axis=1, keepdims=True))

    def decode(self, scores: Float[np.ndarray, "N K"]) -> dict[str, np.ndarray]:
        """`prediction`: the most probable class as the training rows spelt it; `p_CLASS`: its probability, float64."""
        probabilities = np.exp(self.log_probabilities(scores))
        prediction = self.labels[scores.argmax(axis=1)]
        return {"prediction": prediction, **dict(zip(self.columns, probabilities.T, strict=True))}

    def metrics(self, scores: Float[np.ndarray, "N K"], target: Num[np.ndarray, " N"]) -> dict[str, float]:
        """Every metric over the rows whose target is known; those that are undefined (one class only) are left out."""
        return point(scores, target, self.weighted_metrics)

    def weighted_metrics(
        self, scores: Float[np.ndarray, "N K"], target: Num[np.ndarray, " N"], weights: Float[np.ndarray, "S N"]
    ) -> dict[str, Float[np.ndarray, " S"]]:
        """Every metric for each of S weightings of the rows, all of known target; NaN where undefined."""
        return ordinal.measure(self.log_probabilities(scores), target.astype(np.int64), weights)


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
        self.steps = nn.Parameter(_inverse_softplus(thresholds.diff() - _NARROWEST).float())

    def forward(self, tokens: Tokens) -> Float[Tensor, "B K"]:
        """Of sigmoids of a > b the difference is sigmoid(a) sigmoid(-b) (1 - exp(b - a)): no digits cancel."""
        gaps = F.softplus(self.steps) + _NARROWEST
        at_most = torch.cat([self.first, self.first + gaps.cumsum(0)]) - self.position(tokens)
        inner = F.logsigmoid(at_most[:, 1:]) + F.logsigmoid(-at_most[:, :-1]) + torch.log(-torch.expm1(-gaps))
        return torch.cat([F.logsigmoid(at_most[:, :1]), inner, F.logsigmoid(-at_most[:, -1:])], dim=1)


def _inverse_softplus(values: Tensor) -> Tensor:
    positive = values.clamp_min(_NARROWEST)
    return positive + torch.log(-torch.expm1(-positive))


def _number(name: str) -> float:
    try:
        return float(name)
    except ValueError:
        return math.nan


def _whole(name: str) -> bool:
    return float(name).is_integer()


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
