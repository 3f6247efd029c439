"""Classification: which of two or more classes a row belongs to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from numbers import Real
from typing import Annotated, Any, ClassVar, Literal, SupportsFloat

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import BeforeValidator, Field
from torch import Tensor, nn
from torch.nn import functional as F

from polymodal.abilities import InputFeatures
from polymodal.baselines.linear import class_baselines
from polymodal.codecs.notation import most, numerals_of
from polymodal.codecs.numerals import Notation, is_plain, is_total, means_missing, read_numeral
from polymodal.config.node import settings
from polymodal.data.target.class_names import (
    TYPES,
    ClassNames,
    factors_of,
    is_missing,
    kind_of,
    name_of,
    names_of,
    note_of_name,
)
from polymodal.errors import DataError
from polymodal.layers.scores_head import ScoringTask
from polymodal.metrics import classification
from polymodal.metrics.class_scores import ClassScores
from polymodal.metrics.weighted import Values, Weights
from polymodal.protocols import Recognition
from polymodal.types import Cells, Meaning, Scores

_FEW = 20  # more distinct whole numbers than these are quantities rather than names


@settings
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
        numbers: all classes are numbers: cells such as `?` or `Total` are none, and their rows are left out. Set where
            most cells are numbers and the others such words.
    """

    classes: Annotated[tuple[str, ...], BeforeValidator(names_of)] | None = None
    loss: Literal["cross_entropy", "bce"] = "cross_entropy"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    class_weight: Annotated[
        Literal["balanced"] | dict[str, Annotated[float, Field(ge=0)]] | None, BeforeValidator(names_of)
    ] = None
    hidden: Annotated[int, Field(ge=0)] = 0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    numbers: bool = False


class Classify(ClassScores, ScoringTask):
    """One of several classes a row: a logit for each class, from the mean of a row's tokens.

    Classes are compared as words, so that 1, 1.0 and "1" are one class; `decode` gives them back with the type that the
    training rows had (a mixture becomes words). Rows with nothing present get the classes' shares of the training rows.
    """

    Config: ClassVar[type] = ClassifyConfig
    kind: ClassVar[str] = "classification"
    metric: ClassVar[str] = "accuracy"  # the one to report first
    monitor: ClassVar[str] = "log_loss"  # the one to stop early on: steadier than accuracy over few rows
    stratified: ClassVar[bool] = True
    greater_is_better: ClassVar[Mapping[str, bool]] = classification.GREATER_IS_BETTER
    metric_words: ClassVar[Mapping[str, str]] = classification.WORDS
    meaning: Meaning = "classes"

    def __init__(self, config: ClassifyConfig, statistics: Mapping[str, Any] | None = None) -> None:
        self.config, self.prior = config, torch.zeros(0)
        if statistics is None:
            return
        self.classes = ClassNames(statistics["classes"], statistics["kind"])
        self.labels = self.classes.values
        self.one_vs_rest = config.loss == "bce" and len(self.classes) > 2
        self.meaning: Meaning = "labels" if self.one_vs_rest else "classes"
        self.prior = self._scores(torch.tensor(statistics["prior"], dtype=torch.float64).log()).float()
        counts = torch.tensor(statistics["counts"], dtype=torch.float64)
        if config.class_weight == "balanced":
            self.class_weight = (counts.sum() / (len(counts) * counts.clamp_min(1))).float()
        else:
            named = config.class_weight or {}
            factors = factors_of(named, statistics["classes"], no_class="not a class", known="Classes")
            self.class_weight = torch.tensor(factors)

    @classmethod
    def recognise(cls, values: Sequence[object]) -> Recognition | None:
        """Sure of booleans and of words that repeat, less of few whole numbers, unsure of words that hardly repeat."""
        present = [value for value in values if not is_missing(value)]
        distinct = len({name_of(value) for value in present})
        found = f"{distinct} distinct %s in {len(present)} rows"
        if present and all(isinstance(value, bool | np.bool_) for value in present):
            return Recognition(0.99, found % "truth values")
        if not present or not all(isinstance(value, str | bool | np.bool_ | Real) for value in present):
            return None
        repeats = distinct <= max(2, len(present) / 2)
        numerals = numerals_of(present)
        if any(isinstance(value, str) for value in present) and not numerals.mostly:
            return Recognition(0.9 if repeats else 0.3, found % "words")
        if not numerals.notation.plain and not _is_count(numerals.notation):
            return Recognition(0.3, found % "quantities")
        few = distinct <= 2 or (distinct <= _FEW and repeats)
        whole = all(map(_is_whole, present))
        if not whole and not any(isinstance(value, str) for value in present):
            return None
        return Recognition(0.8 if few and whole else 0.3, found % "whole numbers" if whole else found % "numerals")

    @classmethod
    def suggest(cls, values: Sequence[object]) -> dict[str, Any]:
        """Whether all classes are numbers: most cells are, the others words that hold no class."""
        present = [value for value in values if not is_missing(value)]
        if not all(isinstance(value, str | Real) and not isinstance(value, bool) for value in present):
            return {}
        words = [value for value in present if isinstance(value, str) and not is_plain(value)]
        no_class = all(means_missing(word) or is_total(word) for word in words)
        numbers = bool(words) and no_class and most(len(present) - len(words), len(present))
        return {"numbers": True} if numbers and not numerals_of(present).codes else {}

    def read(self, value: object) -> object:
        """A class as one word for all of its spellings, or as a number.

        Raises:
            UnreadableCellError: no number, where all classes are.
        """
        if not isinstance(value, str):
            return value
        if not self.config.numbers:
            return name_of(value)
        number = read_numeral(value)
        return int(number) if number.is_integer() else number

    def note(self, value: object) -> str | None:
        """That blanks, or another Unicode form, were taken off the name of a class."""
        return note_of_name(value)

    def fit(self, values: Sequence[object], *, column: str) -> dict[str, Any]:
        """Classes in order, their type, their counts and shares; missing values do not count.

        Raises:
            DataError: fewer than two classes, or one that `classes` lacks.
        """
        present = [value for value in values if not is_missing(value)]
        counts = Counter(map(name_of, present))
        said = self.config.classes
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

    def encode(self, value: object) -> Int[np.ndarray, " 1"] | None:
        """Position of the value's class; None where the value is missing or its class was not in the training rows."""
        return None if is_missing(value) else self.classes.encode(name_of(value))

    def criterion(self) -> ClassLoss:
        """Cross-entropy, or that of each class against the rest."""
        return ClassLoss(self.class_weight, smoothing=self.config.label_smoothing, one_vs_rest=self.one_vs_rest)

    def metrics(self, rows: Mapping[str, np.ndarray], weights: Weights) -> dict[str, Values]:
        return classification.measure(rows["log_probabilities"], rows["target"], weights)

    def decode(self, prediction: Scores) -> dict[str, np.ndarray]:
        """`prediction`: the most probable class as the training rows spelt it; `p_CLASS`: its probability, float64."""
        return self.classes.decode(prediction.values.numpy().argmax(axis=1), self.probabilities(prediction))

    def log_probabilities(self, prediction: Scores) -> Float[np.ndarray, "N K"]:
        """Logits -> log-probabilities that add up to one, in float64, without overflow.

        One against the rest, the K probabilities are divided by their sum.
        """
        logits = prediction.values.numpy().astype(np.float64)
        return classification.normalised(-np.logaddexp(0, -logits) if self.one_vs_rest else logits)

    def baselines(
        self, features: Mapping[str, InputFeatures], target: Cells | None, num_rows: int
    ) -> dict[str, Scores | dict[str, Scores]]:
        """`majority`: the classes' shares; `linear` and `linear_by_input`: logistic regression on each input;
        `gradient_boosting`: of trees on all inputs.
        """
        assert target is not None, "a classifier has a target"
        return class_baselines(features, target, num_rows, num_classes=len(self.labels), as_scores=self._scores)

    def _scores(self, log_probabilities: Float[Tensor, "... K"]) -> Float[Tensor, "... K"]:
        """One against the rest, a logit is log odds; else a log-probability."""
        if not self.one_vs_rest:
            return log_probabilities
        return log_probabilities - torch.log(-torch.expm1(log_probabilities))


class ClassLoss(nn.Module):
    """Scores and true classes -> loss of each row, times the weight of its class; 0 where the class is unknown.

    Args:
        class_weight: "K".
        smoothing: share of the true class that is spread evenly over all.
        one_vs_rest: binary cross-entropy of each class against the rest, in place of the cross-entropy over all.
    """

    class_weight: Tensor

    def __init__(self, class_weight: Float[Tensor, " K"], *, smoothing: float, one_vs_rest: bool) -> None:
        super().__init__()
        self.smoothing, self.one_vs_rest = smoothing, one_vs_rest
        self.register_buffer("class_weight", class_weight.clone(), persistent=False)

    def forward(self, scores: Scores, target: Cells) -> Float[Tensor, " B"]:
        values, index = scores.values, target.values[:, 0]
        if self.one_vs_rest:
            truth = F.one_hot(index, values.shape[1]) * (1 - self.smoothing) + self.smoothing / 2
            loss = F.binary_cross_entropy_with_logits(values, truth.to(values.dtype), reduction="none").sum(dim=1)
        else:
            loss = F.cross_entropy(values, index, reduction="none", label_smoothing=self.smoothing)
        return torch.where(target.present, loss * self.class_weight[index], 0)

    def confidence(self, scores: Scores, target: Cells) -> Float[Tensor, " B"]:
        """Probability of the true class, without label smoothing and weights; NaN where the class is unknown."""
        logits = F.logsigmoid(scores.values) if self.one_vs_rest else scores.values
        probability = logits.softmax(dim=1).gather(1, target.values).squeeze(1)
        return probability.where(target.present, torch.nan)


def _is_count(notation: Notation) -> bool:
    """Whether numbers have a word behind them, such as `2 doors`: they may name classes, as money does not."""
    return notation.thousands == "none" and notation.decimal == "point" and (notation.unit or "").isalpha()


def _is_whole(value: object) -> bool:
    """Whether a value is a whole number; also a word without digits, which says nothing about the others."""
    if isinstance(value, str):
        return "." not in value if any(map(str.isdigit, value)) else True
    return isinstance(value, SupportsFloat) and float(value).is_integer()


def _kind(present: Sequence[object], names: Collection[str]) -> str:
    """The type of the values; words, where a class that no row has is not of it."""
    kind = kind_of(present)
    try:
        return kind if {name_of(TYPES[kind](name)) for name in names} == set(names) else "str"
    except ValueError:
        return "str"
