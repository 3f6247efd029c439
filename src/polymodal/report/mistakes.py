"""The rows on which the model is most wrong, with their cells."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from polymodal.abilities import Classes, Labels, Numbers
from polymodal.codecs.previews import escaped, words
from polymodal.report import markup
from polymodal.report.subject import ReportedRun

_SHOWN = 12

Mistake = tuple[int, str]
"""Row of the table, and what was said of it, as HTML."""


def mistakes(subject: ReportedRun) -> str:
    """The worst first; a sentence where there is none."""
    if not subject.outcomes:
        return ""
    each = max(2, _SHOWN // len(subject.outcomes))
    found = [mistake for outcome in subject.outcomes for mistake in worst(outcome)[:each]]
    if not found:
        return markup.paragraph(f"None: every one of the {subject.side} rows is right.")
    shown = found[: 2 * _SHOWN]
    bodies = subject.previewer.rows([row for row, _ in shown])
    return markup.cards(
        (where(subject, row), f'<p class="said">{said}</p>{body}')
        for (row, said), body in zip(shown, bodies, strict=True)
    )


def where(subject: ReportedRun, row: int) -> str:
    """A row as its source counts: `row 3 (line 5)`."""
    table = subject.run.table
    return escaped(table.where(row).removeprefix(f"{table.source}, "))


@singledispatch
def worst(outcome: object) -> list[Mistake]:  # noqa: ARG001 - of an unknown kind
    """The worst mistakes of one target."""
    return []


@worst.register
def _(outcome: Classes) -> list[Mistake]:
    """Wrong rows, by how much more probable the wrong class was."""
    every = np.arange(len(outcome.rows))
    said, true = outcome.probabilities[every, outcome.predicted], outcome.probabilities[every, outcome.target]
    wrong = np.flatnonzero(outcome.predicted != outcome.target)
    order = wrong[np.argsort(true[wrong] - said[wrong], kind="stable")][:_SHOWN]
    return [
        (
            int(outcome.rows[n]),
            f"<b>{words(outcome.labels[outcome.predicted[n]])}</b> <small>p {said[n]:.2f}</small>, "
            f"but is <b>{words(outcome.labels[outcome.target[n]])}</b> <small>p {true[n]:.2f}</small>",
        )
        for n in order
    ]


@worst.register
def _(outcome: Labels) -> list[Mistake]:
    """Rows by the mean surprise at their labels."""
    certain = np.clip(outcome.probabilities, 1e-7, 1 - 1e-7)
    surprise = -np.where(outcome.target, np.log(certain), np.log(1 - certain)).mean(axis=1)
    wrong = (outcome.predicted != outcome.target).any(axis=1)
    order = [n for n in np.argsort(-surprise, kind="stable") if wrong[n]][:_SHOWN]

    def listed(n: int, held: np.ndarray) -> str:
        sure = outcome.probabilities[n]
        names = [f"{words(outcome.labels[k])} <small>p {sure[k]:.2f}</small>" for k in np.flatnonzero(held)[:10]]
        return ", ".join(names) or "none"

    return [
        (
            int(outcome.rows[n]),
            f"said: {listed(int(n), outcome.predicted[n])}<br>is: {listed(int(n), outcome.target[n])}",
        )
        for n in order
    ]


@worst.register
def _(outcome: Numbers) -> list[Mistake]:
    """Rows by the size of the error."""
    error = outcome.predicted - outcome.target
    return [
        (
            int(outcome.rows[n]),
            f"{escaped(outcome.name)}: <b>{markup.amount(outcome.predicted[n])}</b>, but is "
            f"<b>{markup.amount(outcome.target[n])}</b> <small>{error[n]:+.3g}</small>",
        )
        for n in np.argsort(-np.abs(error), kind="stable")[:_SHOWN]
    ]
