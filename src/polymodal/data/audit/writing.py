"""How cells are written: numbers and labels that people spell in several ways, and rows that sum others up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from polymodal.codecs import numerals
from polymodal.codecs.notation import Numerals, numerals_of
from polymodal.codecs.numerals import PLAIN
from polymodal.data.audit.finding import Finding, number
from polymodal.data.audit.subject import AuditedTable
from polymodal.data.target.class_names import note_of_name
from polymodal.data.target.reading import case_variants
from polymodal.errors import MissingCellError, UnreadableCellError

_OTHERWISE = "If that is wrong, set table.delimiter, table.quote or table.skip_lines."
_SHOWN_UNITS = 4
_LOOKED_AT = 4_000  # cells
_READ_AS_WORDS = ("text", "category", "identifier")


def check(subject: AuditedTable) -> Iterator[Finding]:
    """Findings about the file, each column of numbers or near to one, the targets, and the last row."""
    for note in subject.table.notes:
        what, _, advice = note.partition(". ")
        yield subject.finding("writing", "note", f"{what}.", f"{advice}." if advice else _OTHERWISE)
    for column in subject.columns:
        if column.kind == "number":
            yield from _numbers(subject, column.name)
        elif column.kind in _READ_AS_WORDS:
            yield from _nearly_numbers(subject, column.name)
    for target in subject.config.targets:
        yield from _target(subject, target)
    yield from _last_row(subject)


def check_inputs(subject: AuditedTable) -> Iterator[Finding]:
    """What a run says of them, too: columns near to numbers that nobody said are none, and a last row of sums."""
    said = {name for name, column in subject.config.columns.items() if column.modality.name is not None}
    for column in subject.columns:
        if column.kind in _READ_AS_WORDS and column.name not in said:
            yield from _nearly_numbers(subject, column.name)
    yield from _last_row(subject)


def _numbers(subject: AuditedTable, name: str) -> Iterator[Finding]:
    """That numbers are not written as programs write them."""
    found = _found(subject, name)
    if found is not None and found.mostly and not found.notation.plain:
        what = f"numbers are read with {numerals.described(found.notation, found.example)}."
        advice = _other_notation(name, found)
        yield subject.finding("writing", "note", what, advice, columns=(name,))


def _other_notation(name: str, found: Numerals) -> str:
    """The settings that read the same cells as other numbers; where none do, those that are about the notation."""
    place = f"columns.{name}.modality"
    settings = asdict(found.notation)
    if found.other is not None:
        differing = {key: value for key, value in asdict(found.other).items() if value != settings[key]}
        return f"If that is wrong: {' '.join(f'--set {place}.{key}={value}' for key, value in differing.items())}."
    about = [f"{place}.{key}" for key, value in settings.items() if value != getattr(PLAIN, key)]
    return f"If that is wrong, set {' and '.join(about)}, or read it as words: --set {place}=text."


def _nearly_numbers(subject: AuditedTable, name: str) -> Iterator[Finding]:
    """That many of the cells are numbers, though too few for a column of numbers."""
    found = _found(subject, name)
    if found is None or found.codes or found.mostly:
        return
    if found.units is not None and 2 * found.units.total() >= found.cells:
        units = ", ".join(f"{unit or 'none'} ({count:,})" for unit, count in found.units.most_common(_SHOWN_UNITS))
        what = f"{number(found.units.total(), 'cell')} are numbers with different units: {units}."
    elif 2 * found.numbers >= found.cells:
        what = f"{found.numbers:,} of {number(found.cells, 'cell')} are numbers, too few for a column of numbers."
    else:
        return
    advice = f"To read it as numbers, with the others as rejects: --set columns.{name}.modality=number."
    yield subject.finding("writing", "warning", what, advice, columns=(name,))


def _target(subject: AuditedTable, name: str) -> Iterator[Finding]:
    """Cells of a target that a training could not use, and classes that differ only in spelling."""
    found = _found(subject, name)
    task = subject.config.task
    named = task.name == "classify" and not task.settings.get("numbers")  # any word is a class
    if found is not None and found.mostly and not named:
        bad = [row for row, cell in enumerate(subject.cells(name)) if _is_unreadable(cell, found.notation)]
        if bad:
            shown = repr(subject.cells(name)[bad[0]])[:40]
            what = f"{number(len(bad), 'cell')} of a target of numbers cannot be read, such as {shown}."
            advice = "Their rows are left out of training and measuring; repair them."
            yield subject.finding("writing", "warning", what, advice, columns=(name,), rows=bad)
        if not found.notation.plain:
            what = f"the target is read as numbers with {numerals.described(found.notation, found.example)}."
            advice = "If that is wrong, set task.decimal, task.thousands or task.unit, or task=classify."
            yield subject.finding("writing", "note", what, advice, columns=(name,))
        return
    cells = subject.cells(name)
    changed = [row for row, cell in enumerate(cells) if note_of_name(cell) is not None]
    if changed:
        what = f"{number(len(changed), 'cell')} with blanks around the class, or in another Unicode form than NFC."
        advice = "They count as the class without."
        yield subject.finding("writing", "note", what, advice, columns=(name,), rows=changed)
    classes = subject.classes(name) or []
    for group in case_variants([word for word in classes if word]):
        what = f"classes that differ only by upper and lower case: {', '.join(map(repr, group))}."
        advice = "They are learned apart; give them one spelling if they are one."
        yield subject.finding("writing", "warning", what, advice, columns=(name,))


def _last_row(subject: AuditedTable) -> Iterator[Finding]:
    """That the last row sums the others up."""
    last = subject.table.num_rows - 1
    for name in subject.table.names if last > 0 else ():
        cell = subject.cells(name)[last]
        if isinstance(cell, str) and numerals.is_total(cell) and subject.words(name).count(cell.strip()) == 1:
            what = f"the last row holds {cell.strip()!r}: it looks like a sum of the others, not like a row of its own."
            yield subject.finding("writing", "warning", what, "Delete it.", columns=(name,), rows=[last])
            return


def _found(subject: AuditedTable, name: str) -> Numerals | None:
    """What some of the cells, evenly spread, are as numbers; None where none of them is text."""
    cells = [cell for cell in subject.cells(name) if cell is not None]
    cells = cells[:: 1 + len(cells) // _LOOKED_AT]
    return numerals_of(cells) if any(isinstance(cell, str) for cell in cells) else None


def _is_unreadable(cell: object, notation: numerals.Notation) -> bool:
    if not isinstance(cell, str):
        return False
    try:
        numerals.read_numeral(cell, notation)
    except MissingCellError:
        return False
    except UnreadableCellError:
        return True
    return False
