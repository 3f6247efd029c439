"""What the audit says: how bad it is, what it is, where, and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "note"]
"""`error`: what is measured will not hold for new rows; `warning`: look before training; `note`: good to know."""

SHOWN = 5  # rows that a finding names
ORDER: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One thing that the audit found.

    Attributes:
        check: what found it: the name of a file in `data/audit`, or `near_duplicates`, `input_tests`,
            `split_column`, `audit`.
        what: a sentence.
        advice: what to do, in a sentence.
        columns: that it concerns.
        count: of the rows that it concerns; None where it is not about rows.
        rows: the first of these rows, by their numbers in the table.
    """

    check: str
    severity: Severity
    what: str
    advice: str
    columns: tuple[str, ...] = ()
    count: int | None = None
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        where = f"{', '.join(self.columns)}: " if self.columns else ""
        noun = "Row" if self.count == 1 else "Rows"
        others = " and others" if self.count is not None and self.count > len(self.rows) else ""
        rows = f" {noun} {', '.join(map(str, self.rows))}{others}." if self.rows else ""
        return f"{where}{self.what}{rows} {self.advice}"

    def to_dict(self) -> dict[str, object]:
        """The same as plain values that JSON can hold."""
        return {**asdict(self), "columns": list(self.columns), "rows": list(self.rows)}


def number(count: int, thing: str) -> str:
    """A count with its noun.

    >>> number(1, "row"), number(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{count:,} {thing}" + ("" if count == 1 else "s")
