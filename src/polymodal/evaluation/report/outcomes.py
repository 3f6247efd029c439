"""What was predicted and what is true, in the words and units of the target: all that the sections ask of a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from polymodal.evaluation.evaluate import Measured
from polymodal.types import Head


@dataclass(frozen=True)
class Classes:
    """One of K classes a row.

    Attributes:
        rows: their numbers in the table.
    """

    labels: list[str]
    probabilities: Float[np.ndarray, "N K"]
    target: Int[np.ndarray, " N"]
    rows: Int[np.ndarray, " N"]

    @property
    def predicted(self) -> Int[np.ndarray, " N"]:
        found: np.ndarray = self.probabilities.argmax(axis=1)
        return found


@dataclass(frozen=True)
class Labels:
    """Any number of K labels a row.

    Attributes:
        predicted: whether the model gives the row the label.
        target: whether the row has it.
        rows: their numbers in the table.
    """

    labels: list[str]
    probabilities: Float[np.ndarray, "N K"]
    predicted: Bool[np.ndarray, "N K"]
    target: Bool[np.ndarray, "N K"]
    rows: Int[np.ndarray, " N"]


@dataclass(frozen=True)
class Numbers:
    """A number a row, in the target's own unit.

    Attributes:
        name: of the target.
        rows: their numbers in the table.
    """

    name: str
    predicted: Float[np.ndarray, " N"]
    target: Float[np.ndarray, " N"]
    rows: Int[np.ndarray, " N"]


Outcome: TypeAlias = Classes | Labels | Numbers


@runtime_checkable
class ClassHead(Protocol):
    """A head whose target is the number of a class."""

    labels: np.ndarray

    def log_probabilities(self, scores: np.ndarray) -> np.ndarray: ...


@runtime_checkable
class LabelHead(Protocol):
    """A head whose target is a row of zeros and ones."""

    labels: np.ndarray

    def probabilities(self, scores: np.ndarray) -> np.ndarray: ...

    def chosen(self, scores: np.ndarray) -> list[list[str]]: ...


def outcomes(head: Head, measured: Measured, *, name: str) -> list[Outcome]:
    """One for a target of classes, or of labels; one for each target of numbers; none for what is none of these.

    A head of numbers predicts on the scale on which it encodes its target, so `decode` gives both back.

    Args:
        head: of the model.
        measured: rows whose target is unknown are left out.
        name: of the target column.
    """
    target = measured.target
    known = np.isfinite(target) if target.ndim == 1 else np.isfinite(target).any(axis=1)
    scores, target, rows = measured.scores[known], target[known], measured.rows[known]
    if not len(rows):
        return []
    if isinstance(head, ClassHead) and target.ndim == 1:
        probabilities = np.exp(head.log_probabilities(scores))
        return [Classes(list(map(str, head.labels)), probabilities, target.astype(int), rows)]
    if isinstance(head, LabelHead) and target.ndim == 2:
        names = list(map(str, head.labels))
        chosen = np.array([np.isin(head.labels, given) for given in head.chosen(scores)])
        return [Labels(names, head.probabilities(scores), chosen, np.nan_to_num(target) > 0, rows)]
    unit = target.reshape(len(target), -1)
    if unit.shape != scores.shape:
        return []
    predicted, true = head.decode(scores), head.decode(unit.astype(scores.dtype))
    numbers = [key for key, values in predicted.items() if values.dtype.kind == "f" and values.ndim == 1]
    found: list[Outcome] = []
    for key in numbers:
        there = np.isfinite(true[key])
        if there.any():
            title = name if key == "prediction" else key.removeprefix("prediction_")
            found.append(
                Numbers(title, predicted[key][there].astype(float), true[key][there].astype(float), rows[there])
            )
    return found
