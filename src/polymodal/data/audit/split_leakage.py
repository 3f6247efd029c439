"""Which of some like rows stand on both sides of a split, or in two groups that a split would keep apart."""

from __future__ import annotations

from collections.abc import Sequence

from polymodal.data.audit.subject import AuditedTable

LOOK = "Look at them: they may be copies."
LOOK_ACROSS = "Look at them: if the rows are of one thing, they belong on one side (split.method=group)."


class SplitLeakage:
    """Asks whether like rows cross the border that measuring relies on.

    Attributes:
        noun: what the rows that `of` gives are called, `test` or `group`.
        other: what they are like.
    """

    def __init__(self, subject: AuditedTable) -> None:
        self._sides, self._groups = subject.sides, subject.groups
        self.noun = "test" if self._sides is not None else "grouped"
        self.other = "a row that is learned from" if self._sides is not None else "a row of another group"

    def of(self, rows: Sequence[int]) -> list[int]:
        """Test rows that have a like row in train or validation; without a split, rows in more than one group."""
        if self._sides is not None:
            test = [row for row in rows if self._sides[row] == "test"]
            return test if any(self._sides[row] in ("train", "validation") for row in rows) else []
        if self._groups is not None:
            return list(rows) if len({str(self._groups[row]) for row in rows}) > 1 else []
        return []
