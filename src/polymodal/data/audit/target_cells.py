"""The cells of a target that a training could not use: those that are missing, and those that are unreadable."""

from __future__ import annotations

import math
from dataclasses import dataclass

from polymodal.codecs.notation import numerals_of
from polymodal.codecs.numerals import Notation, read_numeral
from polymodal.data.audit.subject import AuditedTable
from polymodal.data.target.class_names import is_missing
from polymodal.errors import MissingCellError, UnreadableCellError

_LOOKED_AT = 4_000  # cells


@dataclass(frozen=True)
class UnusedTargets:
    """Rows of a table under audit whose target cannot be learned from.

    Attributes:
        missing: an empty cell, or one that says, such as `NA` beside numbers, that there is none.
        unreadable: no number in a target of numbers.
    """

    missing: list[int]
    unreadable: list[int]


def unused_targets(subject: AuditedTable, name: str) -> UnusedTargets:
    """Looks at every cell of a target as a training would."""
    notation = _notation(subject, name)
    missing, unreadable = [], []
    for row, cell in enumerate(subject.cells(name)):
        if is_missing(cell):
            missing.append(row)
        elif notation is not None and isinstance(cell, str):
            try:
                read_numeral(cell, notation)
            except MissingCellError:
                missing.append(row)
            except UnreadableCellError:
                unreadable.append(row)
        elif notation is not None and isinstance(cell, float) and math.isinf(cell):
            unreadable.append(row)
    return UnusedTargets(missing, unreadable)


def _notation(subject: AuditedTable, name: str) -> Notation | None:
    """How the numbers of a target are written; None where any word is a class."""
    task = subject.config.task
    if task.name == "classify" and not task.settings.get("numbers"):
        return None
    cells = [cell for cell in subject.cells(name) if not is_missing(cell)]
    found = numerals_of(cells[:: 1 + len(cells) // _LOOKED_AT])
    return found.notation if found.mostly else None
