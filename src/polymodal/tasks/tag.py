"""Tagging (multi-label classification): which of many labels a row has, none, one or several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeGuard

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from polymodal.abilities import InputFeatures
from polymodal.baselines.linear import label_baselines
from polymodal.config.node import settings
from polymodal.data.target.class_names import factors_of, is_missing, name_of
from polymodal.errors import DataError
from polymodal.layers.scores_head import ScoringTask
from polymodal.metrics import tagging
from polymodal.metrics.weighted import Values, Weights
from polymodal.protocols import Advice, Recognition
from polymodal.types import Cells, Labels, Meaning, Scores

_SEPARATORS = ("|", ";", ",", "\n")  # the surest first
_LONGEST = 3.0  # words of a part on average; longer ones are clauses of a sentence
_REPEATS = 1.5  # parts for each different part, of labels in a sample


@settings
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

    separator: Annotated[str, Field(min_length=1)] | None = None
    min_count: Annotated[int, Field(ge=1)] = 5
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.2
    class_weight: Literal["balanced"] | dict[str, Annotated[float, Field(ge=0)]] | None = None
    hidden: Annotated[int, Field(ge=0)] = 0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Tag(ScoringTask):
    """Any of many labels a row: one logit a label, each label against its absence, from the mean of a row's tokens.

    A cell is a list of labels, or a text with a separator between them. An empty list, or a separator alone, says that
    the row has none of them; a missing cell says nothing. Labels are compared as words, without white space around
    them. Rows with nothing present get each label's share of the training rows.
    """

    Config: ClassVar[type] = TagConfig
    kind: ClassVar[str] = "tagging"
    metric: ClassVar[str] = "macro_average_precision"  # the one to report first
    monitor: ClassVar[str] = "macro_average_precision"  # the one to stop early on: log loss knows the smoothed truth
    greater_is_better: ClassVar[Mapping[str, bool]] = tagging.GREATER_IS_BETTER
    metric_words: ClassVar[Mapping[str, str]] = tagging.WORDS
    baseline_rows: ClassVar[int] = 4_000  # all labels are solved at once, from the products of all rows
    meaning: Meaning = "labels"
    # Few rows have each label: what they share is learned late, and every input's own prediction helps against chance.
    advice: ClassVar[Advice] = Advice(epochs=1.5, lr=2.0, auxiliary_loss=4.0)

    def __init__(self, config: TagConfig, statistics: Mapping[str, Any] | None = None) -> None:
        self.config, self.prior = config, torch.zeros(0)
        if statistics is None:
            return
        names: list[str] = statistics["classes"]
        self.labels = np.array(names, dtype=object)
        self.positions = {name_of(name): k for k, name in enumerate(names)}
        self.columns = [f"p_{name}" for name in names]
        self.separator: str = statistics["separator"]
        self.column: str = statistics["column"]
        self.prior = torch.logit(torch.tensor(statistics["prior"], dtype=torch.float64)).float()
        if config.class_weight == "balanced":
            counts = torch.tensor(statistics["counts"], dtype=torch.float64)
            self.positive = ((int(statistics["rows"]) - counts) / counts).float()
        else:
            factors = factors_of(config.class_weight or {}, names, no_class="no label", known="Labels")
            self.positive = torch.tensor(factors)

    @classmethod
    def recognise(cls, values: Sequence[object]) -> Recognition | None:
        """Sure of lists of words; of texts whose parts come again in other rows, beside other parts."""
        present = [value for value in values if not is_missing(value)]
        if not present:
            return None
        lists = [value for value in present if _is_list(value)]
        if len(lists) == len(present):
            words = all(isinstance(part, str) for of_cell in lists for part in of_cell)
            return Recognition(0.97, f"{len(present)} lists of words") if words else None
        if not all(isinstance(value, str) for value in present):
            return None
        return next((found for sign in _SEPARATORS[:3] if (found := _recognise(present, sign))), None)

    def fit(self, values: Sequence[object], *, column: str) -> dict[str, Any]:
        """Labels by name, their counts and shares, and the separator; missing cells do not count.

        Raises:
            DataError: a cell is neither text nor a list of labels; no label has enough rows.
        """
        config = self.config
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
            "notes": [f"{column}: {left_out}"] if rare else [],
        }

    def encode(self, value: object) -> Float[np.ndarray, " K"] | None:
        """1 where the row has the label, else 0; None where the cell is missing. Unknown labels do not count.

        Raises:
            DataError: the cell is neither text nor a list of labels.
        """
        if is_missing(value):
            return None
        known = [self.positions[n] for n in _names(value, self.separator, self.column) if n in self.positions]
        target = np.zeros(len(self.positions))
        target[known] = 1
        return target

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        """Float "B K"."""
        return Cells.stacked(arrays, shape=(len(self.labels),), dtype=np.float64)

    def criterion(self) -> LabelLoss:
        """Binary cross-entropy of each label."""
        return LabelLoss(self.positive, self.prior, smoothing=self.config.label_smoothing)

    def rows(self, prediction: Scores, target: Cells | None) -> dict[str, np.ndarray]:
        """Log odds [N, K] and true labels [N, K]."""
        assert target is not None, "labels are a target"
        return {"logits": prediction.values.numpy().astype(np.float64), "target": target.values.numpy()}

    def metrics(self, rows: Mapping[str, np.ndarray], weights: Weights) -> dict[str, Values]:
        return tagging.measure(rows["logits"], rows["target"], weights, threshold=self.config.threshold)

    def log_loss(self, scores: Scores, target: Cells) -> float:
        """Mean over rows and labels of minus the log-probability of what is true."""
        rows = self.rows(scores, target)
        return float(tagging.label_log_loss(rows["logits"], rows["target"], np.ones((1, len(rows["target"]))))[0])

    def probabilities(self, prediction: Scores) -> Float[np.ndarray, "N K"]:
        """The probability of each label, in float64."""
        return np.exp(-np.logaddexp(0, -prediction.values.numpy().astype(np.float64)))

    def chosen(self, prediction: Scores) -> list[list[str]]:
        """The labels of each row whose probability reaches the threshold."""
        return [self.labels[row].tolist() for row in self.probabilities(prediction) >= self.config.threshold]

    def decode(self, prediction: Scores) -> dict[str, np.ndarray]:
        """`prediction`: the chosen labels with the separator between them; `p_LABEL`: its probability, float64."""
        joined = np.array([self.separator.join(names) for names in self.chosen(prediction)], dtype=object)
        return {"prediction": joined, **dict(zip(self.columns, self.probabilities(prediction).T, strict=True))}

    def baselines(
        self, features: Mapping[str, InputFeatures], target: Cells | None, num_rows: int
    ) -> dict[str, Scores | dict[str, Scores]]:
        """`prevalence`: each label's share; `linear` and `linear_by_input`: one ridge regression a label;
        `gradient_boosting`: of trees on all inputs.
        """
        assert target is not None, "a tagger has a target"
        return label_baselines(features, target, num_rows)

    def outcomes(self, prediction: Scores, target: Cells, rows: np.ndarray, *, name: str) -> list[Labels]:
        """Any number of labels a row, beside the true ones."""
        probabilities = self.probabilities(prediction)
        chosen = probabilities >= self.config.threshold
        return [Labels(list(map(str, self.labels)), probabilities, chosen, target.values.numpy() > 0, rows)]


class LabelLoss(nn.Module):
    """Scores and true labels -> sum over the labels of each row's binary cross-entropy; 0 where they are unknown.

    Args:
        positive: "K", factor of the loss of rows that have the label.
        prior: "K", log odds of each label, towards which the truth is smoothed.
        smoothing: by this share.
    """

    positive: Tensor
    frequency: Tensor

    def __init__(self, positive: Float[Tensor, " K"], prior: Float[Tensor, " K"], *, smoothing: float) -> None:
        super().__init__()
        self.smoothing = smoothing
        self.register_buffer("positive", positive.clone(), persistent=False)
        self.register_buffer("frequency", torch.sigmoid(prior), persistent=False)

    def forward(self, scores: Scores, target: Cells) -> Float[Tensor, " B"]:
        truth = target.values.to(scores.values.dtype)
        truth = truth * (1 - self.smoothing) + self.smoothing * self.frequency
        loss = F.binary_cross_entropy_with_logits(scores.values, truth, reduction="none", pos_weight=self.positive)
        return torch.where(target.present.unsqueeze(1), loss, 0).sum(dim=1)


def _is_list(value: object) -> TypeGuard[Collection[object]]:
    return isinstance(value, list | tuple | set | frozenset) or (isinstance(value, np.ndarray) and value.ndim == 1)


def _names(value: object, separator: str, column: str) -> set[str]:
    """The labels of a cell.

    Raises:
        DataError: it is neither text nor a list of labels.
    """
    if isinstance(value, str):
        parts: list[object] = list(value.split(separator))
    elif _is_list(value):
        parts = [part for part in value if not is_missing(part)]
    else:
        raise DataError(
            f"The target column {column!r} holds {value!r}, which is neither a list of labels nor a text of labels. "
            "Empty the cell (its row is then left out), or choose another task with --set task=classify."
        )
    return {name for part in parts if (name := name_of(part))}


def _separator(present: Sequence[object]) -> str:
    """Of texts the separator that most cells hold; of lists the first that no label holds: it joins predictions."""
    texts = [value for value in present if isinstance(value, str)]
    held = {sign: (sum(_joins(text, sign) for text in texts), sum(sign in text for text in texts))
            for sign in _SEPARATORS[:3]}  # fmt: skip
    if any(map(any, held.values())):
        return max(held, key=held.__getitem__)
    parts = [name_of(part) for value in present if _is_list(value) for part in value]
    return next((sign for sign in _SEPARATORS if not any(sign in part for part in parts)), _SEPARATORS[0])


def _joins(text: str, sign: str) -> bool:
    """Whether a separator stands between labels, not behind the only one."""
    return sum(bool(part.strip()) for part in text.split(sign)) > 1


def _recognise(texts: Sequence[object], sign: str) -> Recognition | None:
    """How sure it is that texts hold labels with this separator between them."""
    lists = [[part.strip() for part in str(text).split(sign)] for text in texts]
    joined = sum(_joins(str(text), sign) for text in texts)
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
