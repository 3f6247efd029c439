"""The rows on which the model is most wrong, with their cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from polymodal.report.attention import attention_tables
from polymodal.report.drawing import evenly
from polymodal.report.formatting import figure, number
from polymodal.report.subject import ReportedRun, Section
from polymodal.types import Classes, Labels, Numbers, Outcome, Texts

_SHOWN = 12
_SHOWN_TEXTS = 6
_MOST_LABELS = 10  # of a row


@dataclass(frozen=True)
class Mistake:
    """A row that is predicted wrongly.

    Attributes:
        row: of the table.
        predicted: classes, labels or a number, each with a note such as its probability.
        true: likewise.
        target: its name, where there may be several.
    """

    row: int
    predicted: Sequence[tuple[str, str]]
    true: Sequence[tuple[str, str]]
    target: str = ""


def mistakes(subject: ReportedRun) -> Section | None:
    """The worst first; a sentence where there is none."""
    if not subject.outcomes:
        return None
    each = max(2, _SHOWN // len(subject.outcomes))
    found = [mistake for outcome in subject.outcomes for mistake in worst(outcome)[:each]][: 2 * _SHOWN]
    previews = subject.previewer.rows([mistake.row for mistake in found])
    cards = [
        (subject.where(mistake.row), mistake, preview, None) for mistake, preview in zip(found, previews, strict=True)
    ]
    context = {"side": subject.results.side, "cards": cards, "left_out": subject.previewer.left_out}
    return Section("mistakes", "Worst mistakes", context)


def texts(subject: ReportedRun) -> Section | None:
    """Texts beside the true ones, evenly spread from the nearest to the farthest, with what their words attended to;
    nothing for other targets.
    """
    outcome = next((one for one in subject.outcomes if isinstance(one, Texts)), None)
    if outcome is None:
        return None
    order = np.argsort(-outcome.scores, kind="stable")
    chosen = [_of_text(outcome, int(n)) for n in order[evenly(len(order), _SHOWN_TEXTS)]]
    previews = subject.previewer.rows([one.row for one in chosen])
    shown = attention_tables(subject, [one.row for one in chosen])
    cards = [
        (subject.where(one.row), one, preview, attention)
        for one, preview, attention in zip(chosen, previews, shown, strict=True)
    ]
    context = {"side": subject.results.side, "cards": cards, "left_out": subject.previewer.left_out}
    return Section("texts", "Texts, from the nearest to the farthest", context)


def worst(outcome: Outcome) -> list[Mistake]:
    """The worst mistakes of one target, at most 12: by probability, mean surprise, or size of the error."""
    if isinstance(outcome, Classes):
        return _of_classes(outcome)
    if isinstance(outcome, Texts):
        wrong = [n for n in np.argsort(outcome.scores, kind="stable").tolist() if not _right(outcome, n)]
        return [_of_text(outcome, n) for n in wrong[:_SHOWN]]
    return _of_labels(outcome) if isinstance(outcome, Labels) else _of_numbers(outcome)


def _right(outcome: Texts, place: int) -> bool:
    return outcome.predicted[place] == outcome.target[place]


def _of_text(outcome: Texts, place: int) -> Mistake:
    said = outcome.predicted[place].strip() or "(empty)"
    return Mistake(int(outcome.rows[place]), [(said, outcome.notes[place])], [(outcome.target[place], "")])


def _of_classes(outcome: Classes) -> list[Mistake]:
    """Wrong rows, by how much more probable the wrong class was."""
    every = np.arange(len(outcome.rows))
    said, true = outcome.probabilities[every, outcome.predicted], outcome.probabilities[every, outcome.target]
    wrong = np.flatnonzero(outcome.predicted != outcome.target)
    order = wrong[np.argsort(true[wrong] - said[wrong], kind="stable")][:_SHOWN]
    return [
        Mistake(
            int(outcome.rows[n]),
            [(outcome.labels[outcome.predicted[n]], f"p {figure(float(said[n]))}")],
            [(outcome.labels[outcome.target[n]], f"p {figure(float(true[n]))}")],
        )
        for n in order
    ]


def _of_labels(outcome: Labels) -> list[Mistake]:
    """Rows by the mean surprise at their labels."""
    certain = np.clip(outcome.probabilities, 1e-7, 1 - 1e-7)
    surprise = -np.where(outcome.target, np.log(certain), np.log(1 - certain)).mean(axis=1)
    wrong = (outcome.predicted != outcome.target).any(axis=1)
    order = [n for n in np.argsort(-surprise, kind="stable").tolist() if wrong[n]][:_SHOWN]

    def listed(n: int, held: np.ndarray) -> list[tuple[str, str]]:
        places = np.flatnonzero(held[n])[:_MOST_LABELS]
        return [(outcome.labels[k], f"p {figure(float(outcome.probabilities[n, k]))}") for k in places]

    return [Mistake(int(outcome.rows[n]), listed(n, outcome.predicted), listed(n, outcome.target)) for n in order]


def _of_numbers(outcome: Numbers) -> list[Mistake]:
    """Rows by the size of the error."""
    error = outcome.predicted - outcome.target
    return [_of_number(outcome, int(n), float(error[n])) for n in np.argsort(-np.abs(error), kind="stable")[:_SHOWN]]


def _of_number(outcome: Numbers, place: int, error: float) -> Mistake:
    """One row; its numbers are rounded alike."""
    predicted, true = float(outcome.predicted[place]), float(outcome.target[place])
    like = predicted, true, error
    return Mistake(
        int(outcome.rows[place]),
        [(number(predicted, like=like), number(error, like=like, signed=True))],
        [(number(true, like=like), "")],
        outcome.name,
    )
