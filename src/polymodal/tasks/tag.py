"""Tagging (multi-label classification): which of many labels a row has, none, one or several."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Num
from pydantic import ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from polymodal.errors import ConfigError, DataError, did_you_mean
from polymodal.labels import is_missing, name_of
from polymodal.layers.opinions import pool_labels
from polymodal.layers.readout import Readout
from polymodal.metrics import tagging
from polymodal.metrics.bootstrap import point
from polymodal.types import Advice, Prediction, Recognition, Scores, Tokens

_SEPARATORS = ("|", ";", ",", "\n")  # the surest first
_LONGEST = 3.0  # words of a part on average; longer ones are clauses of a sentence
_REPEATS = 1.5  # parts for each different part, of labels in a sample


@dataclass(frozen=True)
class TagConfig:
    """Settings of tagging.

    Attributes:
        separator: what stands between the labels of a cell of text; None: the one of `|`, `;` and `,` that most cells
            hold. Cells may also be lists.
        min_count: labels of fewer training rows are left out: they are neither learned nor measured.
        threshold: probability from which a label is predicted. At 0.5 most single decisions are right, if the
            probabilities are; a lower one finds more of the rare labels.
        label_smoothing: share by which the truth moves towards how frequent the label is.
        class_weight: factor of the loss of a row that has the label; `balanced` is rows without it / rows with it.
            Labels that are not named weigh 1.
        hidden: width of a hidden layer; 0: none, a linear head.
        dropout: probability, before the last layer.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    separator: Annotated[str, Field(min_length=1)] | None = None
    min_count: Annotated[int, Field(ge=1)] = 5
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.2
    class_weight: Literal["balanced"] | dict[str, Annotated[float, Field(ge=0)]] | None = None
    hidden: Annotated[int, Field(ge=0)] = 0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Tag(nn.Module):
    """Mean of a row's tokens -> one logit a label, each label against its absence.

    A cell is a list of labels, or a text with a separator between them. An empty list, or a separator alone, says that
    the row has none of them; a missing cell says nothing. Labels are compared as words, without white space around
    them. Rows with nothing present get each label's share of the training rows.
    """

    Config: ClassVar[type] = TagConfig
    metric: ClassVar[str] = "macro_average_precision"  # the one to report first
    monitor: ClassVar[str] = "macro_average_precision"  # the one to stop early on: log loss knows the smoothed truth
    stratified: ClassVar[bool] = False
    scores: Scores = "labels"
    # Few rows have each label: what they share is learned late, and every input's own opinion helps against chance.
    advice: ClassVar[Advice] = Advice(epochs=1.5, lr=2.0, auxiliary_loss=4.0, auxiliary_vote=0.5)

    prior: Tensor
    positive: Tensor

    def __init__(self, config: TagConfig, *, width: int, statistics: Mapping[str, Any]) -> None:
        super().__init__()
        self.config = config
        names: list[str] = statistics["classes"]
        self.labels = np.array(names, dtype=object)
        self.columns = [f"p_{name}" for name in names]
        self.separator: str = statistics["separator"]
        share = torch.tensor(statistics["prior"], dtype=torch.float64)
        self.register_buffer("prior", torch.logit(share).float(), persistent=False)
        self.register_buffer("positive", _class_weight(config, statistics), persistent=False)
        self.readout: nn.Module = Readout(
            width, len(names), hidden=config.hidden, dropout=config.dropout, bias=self.prior
        )

    @classmethod
    def recognise(cls, values: Sequence[object]) -> Recognition | None:
        """Sure of lists of words; of texts whose parts come again in other rows, beside other parts."""
        present = [value for value in values if not is_missing(value)]
        if not present:
            return None
        if all(_is_list(value) for value in present):
            parts = [part for value in present for part in value]  # type: ignore[attr-defined]  # lists, as checked above
            words = all(isinstance(part, str) for part in parts)
            return Recognition(0.97, f"{len(present)} lists of words") if words else None
        if not all(isinstance(value, str) for value in present):
            return None
        return next((found for sign in _SEPARATORS[:3] if (found := _recognise(present, sign))), None)

    @classmethod
    def fit_target(cls, values: Sequence[object], *, column: str, config: TagConfig | None = None) -> dict[str, Any]:
        """Labels by name, their counts and shares, and the separator; missing cells do not count.

        Raises:
            DataError: a cell is neither text nor a list of labels; no label has enough rows.
        """
        config = config or TagConfig()
        present = [value for value in values if not is_missing(value)]
        separator = config.separator or _separator(present)
        counts = Counter(name for value in present for name in _names(value, separator, column))
        classes = sorted(name for name, count in counts.items() if count >= config.min_count)
        rare = len(counts) - len(classes)
        if not classes:
            held = f"{len(counts)} labels, none of them in {config.min_count} rows," if counts else "no label"
            raise DataError(
                f"The target column {column!r} holds {held} in the {len(values)} training rows; there is nothing to "
                "learn. Lower min_count (--set task.min_count=2), set another separator, or choose another target."
            )
        left_out = f"{rare} of {len(counts)} labels left out: fewer than {config.min_count} training rows have them"
        return {
            "column": column,
            "classes": classes,
            "counts": [counts[name] for name in classes],
            # Half a row with each label and half a row without: no share is 0 or 1.
            "prior": [(counts[name] + 0.5) / (len(present) + 1) for name in classes],
            "rows": len(present),
            "separator": separator,
            "remarks": [f"{column}: {left_out}"] if rare else [],
        }

    @classmethod
    def encode_target(cls, values: Sequence[object], statistics: Mapping[str, Any]) -> Float[np.ndarray, "N K"]:
        """1 where the row has the label, else 0; NaN where the cell is missing. Unknown labels do not count.

        Raises:
            DataError: a cell is neither text nor a list of labels.
        """
        positions = {name: k for k, name in enumerate(statistics["classes"])}
        target = np.zeros((len(values), len(positions)))
        for row, value in enumerate(values):
            if is_missing(value):
                target[row] = math.nan
                continue
            known = [
                positions[n] for n in _names(value, statistics["separator"], statistics["column"]) if n in positions
            ]
            target[row, known] = 1
        return target

    def forward(self, tokens: Tokens) -> Prediction:
        return Prediction.with_prior(self.readout(tokens), tokens.present, self.prior)

    def loss(self, prediction: Prediction, target: Num[Tensor, "B K"]) -> Float[Tensor, " B"]:
        """Sum over the labels of each row's binary cross-entropy; 0 where the target is NaN."""
        known = ~torch.isnan(target)
        truth = torch.where(known, target, 0).to(prediction.scores.dtype)
        smoothing = self.config.label_smoothing
        truth = truth * (1 - smoothing) + smoothing * torch.sigmoid(self.prior)
        loss = F.binary_cross_entropy_with_logits(prediction.scores, truth, reduction="none", pos_weight=self.positive)
        return torch.where(known, loss, 0).sum(dim=1)

    def pool(self, scores: Float[Tensor, "M B K"], weights: Float[Tensor, "M B"]) -> Float[Tensor, "B K"]:
        """The linear opinion pool, label by label."""
        return pool_labels(scores, weights)

    def probabilities(self, scores: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "N K"]:
        """The probability of each label, in float64."""
        return np.exp(-np.logaddexp(0, -scores.astype(np.float64)))

    def chosen(self, scores: Float[np.ndarray, "N K"]) -> list[list[str]]:
        """The labels of each row whose probability reaches the threshold."""
        return [self.labels[row].tolist() for row in self.probabilities(scores) >= self.config.threshold]

    def decode(self, scores: Float[np.ndarray, "N K"]) -> dict[str, np.ndarray]:
        """`prediction`: the chosen labels with the separator between them; `p_LABEL`: its probability, float64."""
        joined = np.array([self.separator.join(names) for names in self.chosen(scores)], dtype=object)
        return {"prediction": joined, **dict(zip(self.columns, self.probabilities(scores).T, strict=True))}

    def metrics(self, scores: Float[np.ndarray, "N K"], target: Num[np.ndarray, "N K"]) -> dict[str, float]:
        """Every metric over the rows whose labels are known; those that are undefined (no label) are left out."""
        return point(scores, target, self.weighted_metrics)

    def weighted_metrics(
        self, scores: Float[np.ndarray, "N K"], target: Num[np.ndarray, "N K"], weights: Float[np.ndarray, "S N"]
    ) -> dict[str, Float[np.ndarray, " S"]]:
        """Every metric for each of S weightings of the rows, all of known labels; NaN where undefined."""
        truth = target.astype(np.float64)
        return tagging.measure(scores.astype(np.float64), truth, weights, threshold=self.config.threshold)


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple | set | frozenset) or (isinstance(value, np.ndarray) and value.ndim == 1)


def _names(value: object, separator: str, column: str) -> set[str]:
    """The labels of a cell.

    Raises:
        DataError: it is neither text nor a list of labels.
    """
    if isinstance(value, str):
        parts: list[object] = list(value.split(separator))
    elif _is_list(value):
        parts = [part for part in value if not is_missing(part)]  # type: ignore[attr-defined]  # lists, as checked above
    else:
        raise DataError(
            f"The target column {column!r} holds {value!r}, which is neither a list of labels nor a text of labels. "
            "Empty the cell (its row is then left out), or choose another task with --set task=classify."
        )
    return {name for part in parts if (name := name_of(part).strip())}


def _separator(present: Sequence[object]) -> str:
    """Of texts the separator that most cells hold; of lists the first that no label holds: it joins predictions."""
    texts = [value for value in present if isinstance(value, str)]
    held = {sign: sum(sign in text for text in texts) for sign in _SEPARATORS[:3]}
    if any(held.values()):
        return max(held, key=held.__getitem__)
    parts = [name_of(part) for value in present if _is_list(value) for part in value]  # type: ignore[attr-defined]  # lists, as checked above
    return next((sign for sign in _SEPARATORS if not any(sign in part for part in parts)), _SEPARATORS[0])


def _recognise(texts: Sequence[object], sign: str) -> Recognition | None:
    """How sure it is that texts hold labels with this separator between them."""
    lists = [[part.strip() for part in str(text).split(sign)] for text in texts]
    joined = sum(len(parts) > 1 for parts in lists)
    if joined < max(2, 0.1 * len(texts)):
        return None
    parts = [part for of_cell in lists for part in of_cell if part]
    different, cells = len(set(parts)), len(set(map(str, texts)))
    words = sum(len(part.split()) for part in parts) / max(len(parts), 1)
    if words > _LONGEST or len(parts) < _REPEATS * different:
        return None
    # "Paris, France" is a class like any other: its parts are no fewer than the cells that they make.
    varied = 2 * cells > len(texts) or different < cells
    if not varied or (sign == "," and different >= cells):
        return None
    found = f"{different} different labels in {len(texts)} rows, {sign!r} between them"
    return Recognition({"|": 0.96, ";": 0.95, ",": 0.93}[sign], found)


def _class_weight(config: TagConfig, statistics: Mapping[str, Any]) -> Float[Tensor, " K"]:
    """Factor of each label's loss where a row has it.

    Raises:
        ConfigError: a weight for a label that the training rows do not hold, or hold too rarely.
    """
    classes, counts = statistics["classes"], torch.tensor(statistics["counts"], dtype=torch.float64)
    if config.class_weight == "balanced":
        return ((int(statistics["rows"]) - counts) / counts).float()
    named = config.class_weight or {}
    for name in named:
        if name not in classes:
            raise ConfigError(
                f"class_weight names {name!r}, which is no label of the training rows.{did_you_mean(name, classes)} "
                f"Labels: {', '.join(classes[:20])}."
            )
    return torch.tensor([named.get(name, 1.0) for name in classes])
