"""What a run says at the top: why its figures may not hold for new rows, or what would make them better."""

from __future__ import annotations

from typing import Literal, TypeAlias

from polymodal.schema import Record

AlertKind: TypeAlias = Literal[
    "target_leakage",
    "duplicates",
    "split_column",
    "validation_gap",
    "masked_inputs",
    "unread_media",
    "writing",
    "summary_rows",
]
"""`target_leakage`: one column tells the target by itself; `duplicates`: test rows are equal to rows learned from;
`split_column`: a column says train and test, or numbers folds, and nobody named it; `validation_gap`: validation is far
better than test; `masked_inputs`: the model does better with some inputs masked; `unread_media`: a column of media is
left out, as none of its files can be read; `writing`: cells of an input or of the target are written in a way that
hinders learning; `summary_rows`: rows sum others up, or stand below the table as notes.
"""


class Alert(Record):
    """One warning that stands before all others: in the terminal, in the report and in Python.

    Attributes:
        columns: that it is about.
        text: for people: what it is, and what to do.
    """

    kind: AlertKind
    columns: tuple[str, ...] = ()
    text: str


def lone_column(column: str, what: str) -> Alert:
    """The alert on a column that tells the target by itself; `what` is a sentence that follows the column's name."""
    return Alert(kind="target_leakage", columns=(column,), text=f"{column} {what} {leave_out(column)}")


def predicts_alone(target: str, told: str, how: str) -> str:
    """That a column predicts a target: how well, and by what rule.

    >>> predicts_alone("label", "in 99.4 % of rows", "its first word")
    'alone predicts label in 99.4 % of rows, by its first word.'
    """
    return f"alone predicts {target} {told}, by {how}."


def leave_out(column: str) -> str:
    """What to do about a column that may tell the target by itself."""
    return f"Will you know it before the answer? If not, leave it out: --drop {column}."


def share_of_rows(share: float) -> str:
    """How well classes are told: `in 99.4 % of rows`."""
    return f"in {100 * share:.1f} % of rows"
