"""Classification: which of two or more classes a row belongs to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Num
from pydantic import BeforeValidator, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from polymodal.errors import ConfigError, DataError, did_you_mean
from polymodal.labels import TYPES, is_missing, kind_of, name_of
from polymodal.layers.opinions import pool_classes, pool_labels
from polymodal.layers.readout import Readout
from polymodal.metrics import classification
from polymodal.metrics.bootstrap import point
from polymodal.types import Prediction, Recognition, Scores, Tokens

_FEW = 20  # more distinct whole numbers than these are quantities rather than names


def _by_word(weights: object) -> object:
    """Classes as words: YAML and Python say 1 or true where the table does."""
    return {name_of(label): factor for label, factor in weights.items()} if isinstance(weights, Mapping) else weights


def _words(classes: object) -> object:
    return tuple(map(name_of, classes)) if isinstance(classes, list | tuple) else classes


@dataclass(frozen=True)
class ClassifyConfig:
    """Settings of classification.

    Attributes:
        classes: all that there are, where the training rows may lack some; None: those of the training rows.
        loss: `cross_entropy` over the classes, or `bce`: each class against the rest (with two classes the two
            losses are the same function).
        label_smoothing: share of the true label that is spread evenly over the classes (Szegedy et al. 2016,
            section 7).
        class_weight: factor of a row's loss by its class; `balanced` is rows / (classes x rows of the class).
            Classes that are not named weigh 1.
        hidden: width of a hidden layer; 0: none, a linear head.
        dropout: probability, before the last layer.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    classes: Annotated[tuple[str, ...], BeforeValidator(_words)] | None = None
    loss: Literal["cross_entropy", "bce"] = "cross_entropy"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    class_weight: Annotated[
        Literal["balanced"] | dict[str, Annotated[float, Field(ge=0)]] | None, BeforeValidator(_by_word)
    ] = None
    hidden: Annotated[int, Field(ge=0)] = 0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Classify(nn.Module):
    """Mean of a row's tokens -> one logit a class.

    Classes are compared as words, so that 1, 1.0 and "1" are one class; `decode` gives them back with the type that the
    training rows had (a mixture becomes words). Rows with nothing present get the classes' shares of the training rows.
    """

    Config: ClassVar[type] = ClassifyConfig
    metric: ClassVar[str] = "accuracy"  # the one to report first
    monitor: ClassVar[str] = "log_loss"  # the one to stop early on: steadier than accuracy over few rows
    stratified: ClassVar[bool] = True
    scores: Scores = "classes"

    prior: Tensor
    class_weight: Tensor

    def __init__(self, config: ClassifyConfig, *, width: int, statistics: Mapping[str, Any]) -> None:
        super().__init__()
        self.config = config
        names: list[str] = statistics["classes"]
        self.labels = np.array([TYPES[statistics["kind"]](name) for name in names], dtype=object)
        self.columns = [f"p_{name}" for name in names]
        self.one_vs_rest = config.loss == "bce" and len(names) > 2
        self.scores: Scores = "labels" if self.one_vs_rest else "classes"
        log_prior = torch.tensor(statistics["prior"], dtype=torch.float64).log()
        # One against the rest, a logit is log odds; else a log-probability.
        prior = log_prior - torch.log(-torch.expm1(log_prior)) if self.one_vs_rest else log_prior
        self.register_buffer("prior", prior.float(), persistent=False)
        self.register_buffer("class_weight", _class_weight(config, statistics), persistent=False)
        self.readout: nn.Module = Readout(
            width, len(names), hidden=config.hidden, dropout=config.dropout, bias=self.prior
        )

    @classmethod
    def recognise(cls, values: Sequence[object]) -> Recognition | None:
        """Sure of booleans and of words that repeat, less of few whole numbers, unsure of words that hardly repeat."""
        present = [value for value in values if not is_missing(value)]
        distinct = len({name_of(value) for value in present})
        found = f"{distinct} distinct %s in {len(present)} rows"
        if not present:
            return None
        if all(isinstance(value, bool | np.bool_) for value in present):
            return Recognition(0.99, found % "truth values")
        if all(isinstance(value, str | bool | np.bool_ | Real) for value in present):
            repeats = distinct <= max(2, len(present) / 2)
            if any(isinstance(value, str) for value in present):
                return Recognition(0.9 if repeats else 0.3, found % "words")
            if all(float(value).is_integer() for value in present):  # type: ignore[arg-type]  # numbers, as checked above
                few = distinct <= 2 or (distinct <= _FEW and repeats)
                return Recognition(0.8 if few else 0.3, found % "whole numbers")
        return None

    @classmethod
    def fit_target(
        cls, values: Sequence[object], *, column: str, config: ClassifyConfig | None = None
    ) -> dict[str, Any]:
        """Classes in order, their type, their counts and shares; missing values do not count.

        Raises:
            DataError: fewer than two classes, or one that `classes` lacks.
        """
        present = [value for value in values if not is_missing(value)]
        counts = Counter(map(name_of, present))
        said = config.classes if config is not None else None
        if said is not None and (strange := sorted(counts.keys() - set(said))):
            raise DataError(
                f"The target column {column!r} holds {strange[0]!r}, which task.classes lacks: {', '.join(said)}. "
                "Add it there, or empty such cells (their rows are then left out)."
            )
        names = set(counts if said is None else said)
        if len(names) < 2 or not counts:
            held = f"one class only, {next(iter(counts))!r}," if counts else "no value"
            raise DataError(
                f"The target column {column!r} holds {held} in the {len(values)} training rows; a classifier needs at "
                "least two classes. Choose another target, or a split that leaves more than one class to train on."
            )
        kind = _kind(present, names)
        classes = sorted(names, key=TYPES[kind])
        # Where a class has no row, one more row is spread over all classes: each keeps a probability.
        more = 0 if all(counts[name] for name in classes) else 1
        return {
            "classes": classes,
            "kind": kind,
            "counts": [counts[name] for name in classes],
            "prior": [(counts[name] + more / len(classes)) / (len(present) + more) for name in classes],
        }

    @classmethod
    def encode_target(cls, values: Sequence[object], statistics: Mapping[str, Any]) -> Float[np.ndarray, " N"]:
        """Position of each value's class; NaN where the value is missing or its class was not in the training rows."""
        positions = {name: float(k) for k, name in enumerate(statistics["classes"])}
        return np.array(
            [math.nan if is_missing(v) else positions.get(name_of(v), math.nan) for v in values], dtype=float
        )

    def forward(self, tokens: Tokens) -> Prediction:
        return Prediction.with_prior(self.readout(tokens), tokens.present, self.prior)

    def loss(self, prediction: Prediction, target: Num[Tensor, " B"]) -> Float[Tensor, " B"]:
        """Loss of each row times the weight of its class; 0 where the target is NaN."""
        known = ~torch.isnan(target)
        index = torch.where(known, target, 0).long()
        scores, smoothing = prediction.scores, self.config.label_smoothing
        if self.one_vs_rest:
            truth = F.one_hot(index, scores.shape[1]) * (1 - smoothing) + smoothing / 2
            loss = F.binary_cross_entropy_with_logits(scores, truth.to(scores.dtype), reduction="none").sum(dim=1)
        else:
            loss = F.cross_entropy(scores, index, reduction="none", label_smoothing=smoothing)
        return torch.where(known, loss * self.class_weight[index], 0)

    def confidence(self, prediction: Prediction, target: Num[Tensor, " B"]) -> Float[Tensor, " B"]:
        """Probability of the true class, without label smoothing and weights; NaN where the target is NaN."""
        logits = F.logsigmoid(prediction.scores) if self.one_vs_rest else prediction.scores
        index = target.nan_to_num().long().unsqueeze(1)
        return logits.softmax(dim=1).gather(1, index).squeeze(1).where(~torch.isnan(target), torch.nan)

    def log_probabilities(self, scores: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "N K"]:
        """Logits -> log-probabilities that add up to one, in float64, without overflow.

        One against the rest, the K probabilities are divided by their sum.
        """
        logits = scores.astype(np.float64)
        if self.one_vs_rest:
            logits = -np.logaddexp(0, -logits)
        return np.asarray(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))

    def pool(self, scores: Float[Tensor, "M B K"], weights: Float[Tensor, "M B"]) -> Float[Tensor, "B K"]:
        """The linear opinion pool."""
        return (pool_labels if self.one_vs_rest else pool_classes)(scores, weights)

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
        return classification.measure(self.log_probabilities(scores), target.astype(np.int64), weights)


def _kind(present: Sequence[object], names: Collection[str]) -> str:
    """The type of the values; words, where a class that no row has is not of it."""
    kind = kind_of(present)
    try:
        return kind if {name_of(TYPES[kind](name)) for name in names} == set(names) else "str"
    except ValueError:
        return "str"


def _class_weight(config: ClassifyConfig, statistics: Mapping[str, Any]) -> Float[Tensor, " K"]:
    """Factor of each class.

    Raises:
        ConfigError: a weight for a class that the training rows do not hold.
    """
    classes, counts = statistics["classes"], torch.tensor(statistics["counts"], dtype=torch.float64)
    if config.class_weight == "balanced":
        return (counts.sum() / (len(classes) * counts.clamp_min(1))).float()
    named = config.class_weight or {}
    for name in named:
        if name not in classes:
            raise ConfigError(
                f"class_weight names {name!r}, which is not a class of the training rows."
                f"{did_you_mean(name, classes)} Classes: {', '.join(classes[:20])}."
            )
    return torch.tensor([named.get(name, 1.0) for name in classes])
