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
]
"""`target_leakage`: one column tells the target by itself; `duplicates`: test rows are equal to rows learned from;
`split_column`: a column says train and test, or numbers folds, and nobody named it; `validation_gap`: validation is far
better than test; `masked_inputs`: the model does better with some inputs masked; `unread_media`: a column of media is
left out, as none of its files can be read; `writing`: cells of an input or of the target are written in a way that
hinders learning, or the last row sums the others up.
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


def lone_column(column: str, target: str, told: str) -> Alert:
    """The alert on a column that tells the target by itself; `told` says how well."""
    text = (
        f"{column} alone predicts {target} {told}: will you know it before the answer? If not, leave it out: "
        f"--drop {column}."
    )
    return Alert(kind="target_leakage", columns=(column,), text=text)


def share_of_rows(share: float) -> str:
    """How well classes are told: `in 99.4 % of rows`."""
    return f"in {100 * share:.1f} % of rows"
