"""Reads the cells of a target as its task understands them: few that are of no use are named, and left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from polymodal.abilities import ReadsTarget
from polymodal.data.target.class_names import is_missing, name_of
from polymodal.data.target.null_classes import ADVICE, null_classes
from polymodal.data.target.spellings import spellings
from polymodal.errors import DataError, MissingCellError, UnreadableCellError
from polymodal.protocols import Task


@dataclass(frozen=True)
class UnreadableTarget:
    """A cell of a target that the task cannot use.

    Attributes:
        row: in the table, from 0.
        column: None where the target is one column.
        reason: in words.
    """

    row: int
    column: str | None
    cell: object
    reason: str


@dataclass(frozen=True)
class TargetValues:
    """A target by row.

    Attributes:
        values: None where it is missing or cannot be read; None of a task without a target.
        unreadable: the cells that cannot be read.
        notes: what was read, but not as it stands, as sentences without the column's name.
    """

    values: list[object] | None
    unreadable: tuple[UnreadableTarget, ...] = ()
    notes: tuple[str, ...] = ()


def read_values(task: Task, values: Sequence[object] | None, *, column: str) -> TargetValues:
    """The cells of a target as the task understands them.

    Args:
        task: fitted or not.
        values: as `target_cells` gives them.
        column: its name, for messages.

    Raises:
        DataError: most of the cells cannot be read.
    """
    if values is None or not isinstance(task, ReadsTarget):
        return TargetValues(None if values is None else list(values))
    reader = _Reader(task)
    found = [reader.read(row, value) for row, value in enumerate(values)]
    if 2 * len(reader.unreadable) > reader.present:
        first = reader.unreadable[0]
        raise DataError(
            f"The target column {first.column or column!r}, row {first.row}: {first.reason}; "
            f"{len(reader.unreadable)} of {reader.present} cells cannot be read. Repair the cells, say how they are "
            "written (task.decimal, task.thousands, task.unit), or treat them as classes with --set task=classify."
        )
    said = [f"{count} {'cell' if count == 1 else 'cells'} {note}" for note, count in reader.notes.items()]
    return TargetValues(found, tuple(reader.unreadable), (*said, *_variants(found)))


class _Reader:
    """Reads one cell after the other, and keeps what is to be said of them."""

    def __init__(self, task: ReadsTarget) -> None:
        self.task = task
        self.unreadable: list[UnreadableTarget] = []
        self.notes: Counter[str] = Counter()
        self.present = 0

    def read(self, row: int, value: object, column: str | None = None) -> object:
        """The value; None where it is missing or cannot be read. Of several targets a mapping from their names."""
        if isinstance(value, Mapping):
            read = {name: self.read(row, cell, str(name)) for name, cell in value.items()}
            return None if all(cell is None for cell in read.values()) else read
        if is_missing(value):
            return None
        self.present += 1
        try:
            found = self.task.read(value)
        except MissingCellError as error:
            self.notes[str(error)] += 1
        except UnreadableCellError as error:
            self.unreadable.append(UnreadableTarget(row, column, value, str(error)))
        else:
            self.notes.update(filter(None, [self.task.note(value)]))
            return found
        return None


def _variants(values: Sequence[object]) -> list[str]:
    if not any(isinstance(value, str) for value in values):
        return []
    named = Counter(name_of(value) for value in values if isinstance(value, str | bool | int | float))
    groups: dict[str, list[str]] = {}
    for one in spellings(named):
        groups.setdefault(one.differ, []).append(one.named)
    null = [f"{word!r} ({named[word]:,})" for word in null_classes(named)]
    return [
        f"classes that differ {differ} are different classes: {'; '.join(those[:3])}{'; ...' if those[3:] else ''}"
        for differ, those in groups.items()
    ] + ([f"{', '.join(null)} count as classes like any other. {ADVICE}"] if null else [])
