"""How cells are written: numbers and labels that people spell in several ways."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace

from polymodal.codecs import numerals
from polymodal.codecs.notation import Numerals, are_measures, numerals_of
from polymodal.codecs.numerals import PLAIN, means_missing
from polymodal.config.run_config import ColumnConfig
from polymodal.data.audit.finding import Finding, number
from polymodal.data.audit.subject import AuditedTable
from polymodal.data.audit.target_cells import unused_targets
from polymodal.data.target.class_names import name_of, note_of_name
from polymodal.data.target.null_classes import null_classes
from polymodal.data.target.quantities import amounts
from polymodal.data.target.spellings import spellings

_OTHERWISE = "If that is wrong, set table.delimiter, table.quote or table.skip_lines."
_SHOWN_UNITS = 4
_LOOKED_AT = 4_000  # cells
_FEW_AMOUNTS = 10  # different cells; fewer may well be categories
_ONE_SPELLING = "They are learned apart; give them one spelling if they are one."
_READ_AS_WORDS = ("text", "category", "identifier")
_PRINTED = (
    (re.compile(r"<[\w.]+[^<>]* at 0x[0-9A-Fa-f]+>"), "printed Python objects: what they held is lost",
     "Save what they hold as files, and name these in the column."),
    (re.compile(r"\[\[+ *-?[0-9]"), "printed arrays, often with gaps",
     "Save them as files, and name these in the column."),
    (re.compile(r"<img\b[^>]*\bsrc\s*=\s*[\"']?data:"), "pictures inside of HTML, which is read as text",
     "Keep of each cell only what stands in `src`: `data:...`."),
)  # fmt: skip


def check(subject: AuditedTable) -> Iterator[Finding]:
    """Findings about the file, each column of numbers or near to one, and the targets."""
    yield from _of_file(subject)
    for note in subject.table.notes:
        what, _, advice = note.partition(". ")
        yield subject.finding("writing", "note", f"{what}.", f"{advice}." if advice else _OTHERWISE)
    for column in subject.columns:
        if column.kind == "number":
            yield from _numbers(subject, column.name)
        elif column.kind in _READ_AS_WORDS:
            yield from _nearly_numbers(subject, column.name)
            yield from _amounts(subject, column.name)
            yield from _lost(subject, column.name)
        if column.kind == "category":
            yield from _categories(subject, column.name)
    for target in subject.config.targets:
        yield from _target(subject, target)


def check_run(subject: AuditedTable) -> Iterator[Finding]:
    """What a run says, too: what seems to be wrong with the file, columns near to numbers that nobody said are none,
    and doubtful thousands.
    """
    yield from _of_file(subject)
    said = {name for name, column in subject.config.columns.items() if column.modality.name is not None}
    for column in subject.columns:
        if column.kind in _READ_AS_WORDS and column.name not in said:
            yield from _nearly_numbers(subject, column.name)
        elif column.kind == "number":
            yield from _doubtful_thousands(subject, column.name)
    for target in subject.config.targets:
        if not _of_classes(subject):
            yield from _doubtful_thousands(subject, target)


def _of_file(subject: AuditedTable) -> Iterator[Finding]:
    for warning in subject.table.warnings:
        what, _, advice = warning.partition(". ")
        yield subject.finding("writing", "warning", f"{what}.", f"{advice}.")


def _numbers(subject: AuditedTable, name: str) -> Iterator[Finding]:
    """That numbers are not written as programs write them."""
    found = _found(subject, name)
    if found is None or not found.mostly:
        return
    yield from (doubts := list(_doubtful_thousands(subject, name)))
    if doubts:
        return
    if not found.notation.plain:
        what = f"numbers are read with {numerals.described(found.notation, found.example)}{_converted(found)}."
        yield subject.finding("writing", "note", what, _other_notation(name, found), columns=(name,))
    elif name in subject.profiles:
        notes = subject.profiles[name].notes
        for note, count in ((note, count) for note, count in notes.items() if note.startswith(numerals.READ_WITH)):
            advice = f"If that is wrong, read it as words: --set columns.{name}.modality=text."
            yield subject.finding("writing", "note", f"{number(count, 'cell')} {note}.", advice, columns=(name,))


def _doubtful_thousands(subject: AuditedTable, name: str) -> Iterator[Finding]:
    """That a mark before three digits may stand between thousands in all cells, where nobody said that it does not."""
    found = _found(subject, name)
    if found is None or not found.mostly or found.other is None or not (found.against or found.whole):
        return
    target = name in subject.config.targets
    place, said = "task", dict(subject.config.task.settings)
    if not target:
        place, said = f"columns.{name}.modality", subject.config.columns.get(name, ColumnConfig()).modality.settings
    for key in ("decimal", "thousands"):
        if key in said and not (target and said[key] == getattr(found.notation, key)):
            return  # of a target, what was found out stands among the settings, too
    meant = numerals.described(replace(found.other, unit=None, parentheses=False))
    if found.against:
        read = numerals.described(replace(found.notation, unit=None, doubtful="none")) or "decimal point"
        what = (
            f"{found.against:,} of {number(found.cells, 'cell')} can only be read with {meant}, too few to decide; the "
            f"mark before three digits of the others may stand between thousands or not: they are read with {read}."
        )
    else:
        what = (
            "numbers with three digits behind the point, zeros at their end among them, stand beside whole numbers: "
            "they are read as decimals, but may be thousands."
        )
    differing = {
        key: value
        for key, value in asdict(found.other).items()
        if key != "doubtful" and value != getattr(found.notation, key)
    }
    settings = " ".join(f"--set {place}.{key}={value}" for key, value in differing.items())
    advice = f"To read {meant}: {settings}."
    if not target:
        advice += f" If they are read well: --set {place}.thousands={found.notation.thousands}."
    yield subject.finding("writing", "warning", what, advice, columns=(name,))


def _converted(found: Numerals) -> str:
    """Which units are told in that of most."""
    units = ", ".join(f"{unit} ({count:,})" for unit, count in found.converted.most_common())
    return f"; cells with another unit are converted to it: {units}" if units else ""


def _other_notation(name: str, found: Numerals) -> str:
    """The settings that read the same cells as other numbers; where none do, those that are about the notation."""
    place = f"columns.{name}.modality"
    settings = asdict(replace(found.notation, doubtful="none"))  # it follows the other settings
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
    advice = f"To read it as numbers, with the others as rejects: --set columns.{name}.modality=number."
    if (
        found.units is not None
        and not are_measures(found.units)
        and found.units.total() > found.cells - found.units.total()
    ):
        return  # words behind numbers, such as `12 Main St` or `7b`
    if found.units is not None and 2 * found.units.total() >= found.cells:
        units = ", ".join(f"{unit or 'none'} ({count:,})" for unit, count in found.units.most_common(_SHOWN_UNITS))
        what = f"{number(found.units.total(), 'cell')} are numbers with different units: {units}."
        advice = f"Write all in one unit, or each unit in a column of its own; {_as_they_are(name, found)}."
    elif found.otherwise and 2 * (found.numbers + found.otherwise) >= found.cells:
        count = number(found.numbers + found.otherwise, "cell")
        what = f"{count} are numbers, {found.otherwise:,} of them with another decimal mark than the others."
        advice = f"Write all with one mark; {_as_they_are(name, found)}."
    elif 2 * found.numbers >= found.cells:
        what = f"{found.numbers:,} of {number(found.cells, 'cell')} are numbers, too few for a column of numbers."
    else:
        return
    yield subject.finding("writing", "warning", what, advice, columns=(name,))


def _amounts(subject: AuditedTable, name: str) -> Iterator[Finding]:
    """That cells are amounts, though not in a form in which numbers are read."""
    cells = [cell for cell in subject.cells(name) if cell is not None]
    words = [
        cell for cell in cells[:: 1 + len(cells) // _LOOKED_AT] if isinstance(cell, str) and not means_missing(cell)
    ]
    if len(set(words)) > _FEW_AMOUNTS and (found := amounts(words)) is not None:
        what = f"the cells are {found[0]}, such as {numerals.short(words[0])}, and are read as words."
        yield subject.finding("writing", "note", what, f"{found[2]} to have them read as numbers.", columns=(name,))


def _lost(subject: AuditedTable, name: str) -> Iterator[Finding]:
    """That cells hold no media, but what a program printed of them."""
    words = [cell for cell in subject.cells(name) if isinstance(cell, str)]
    for pattern, what, advice in _PRINTED:
        found = [cell for cell in words[:_LOOKED_AT] if pattern.match(cell)]
        if found and 2 * len(found) > len(words[:_LOOKED_AT]):
            shown = f"the cells are {what}, such as {numerals.short(found[0])}."
            yield subject.finding("writing", "warning", shown, advice, columns=(name,))


def _as_they_are(name: str, found: Numerals) -> str:
    """How many cells could be read unchanged, and by which setting."""
    return f"with --set columns.{name}.modality=number only {found.numbers:,} would be read"


def _target(subject: AuditedTable, name: str) -> Iterator[Finding]:
    """Cells of a target that a training could not use, and classes that differ only in spelling."""
    found = _found(subject, name)
    if found is None and not _of_classes(subject) and (bad := unused_targets(subject, name).unreadable):
        what = f"{number(len(bad), 'cell')} of a target of numbers are infinite and cannot be learned."
        advice = "Their rows are left out of training and measuring; repair them."
        yield subject.finding("writing", "warning", what, advice, columns=(name,), rows=bad)
    if found is not None and found.mostly and not _of_classes(subject):
        if bad := unused_targets(subject, name).unreadable:
            shown = repr(subject.cells(name)[bad[0]])[:40]
            what = f"{number(len(bad), 'cell')} of a target of numbers cannot be read, such as {shown}."
            advice = "Their rows are left out of training and measuring; repair them."
            yield subject.finding("writing", "warning", what, advice, columns=(name,), rows=bad)
        yield from (doubts := list(_doubtful_thousands(subject, name)))
        if not found.notation.plain and not doubts:
            notation = numerals.described(found.notation, found.example)
            what = f"the target is read as numbers with {notation}{_converted(found)}."
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
    for one in spellings(Counter(map(name_of, filter(None, classes)))):
        what = f"classes that differ {one.differ}: {one.named}."
        yield subject.finding("writing", "warning", what, _ONE_SPELLING, columns=(name,))


def _of_classes(subject: AuditedTable) -> bool:
    """Whether any word of a target is a class."""
    task = subject.config.task
    return task.name == "classify" and not task.settings.get("numbers")


def _categories(subject: AuditedTable, name: str) -> Iterator[Finding]:
    """Categories of an input that differ only in spelling."""
    words = [word.lower() if numerals.is_boolean(word) else word for word in subject.classes(name) or []]
    for one in spellings(Counter(filter(None, words))):
        what = f"categories that differ {one.differ}: {one.named}."
        yield subject.finding("writing", "note", what, _ONE_SPELLING, columns=(name,))
    counts = Counter(filter(None, subject.classes(name) or []))
    if null := null_classes(counts):
        named = ", ".join(f"{word!r} ({counts[word]:,})" for word in null)
        what = f"{named}: read as a category, but probably missing."
        yield subject.finding("writing", "note", what, "If such cells are missing, empty them.", columns=(name,))


def _found(subject: AuditedTable, name: str) -> Numerals | None:
    """What some of the cells, evenly spread, are as numbers; None where none of them is text."""
    cells = [cell for cell in subject.cells(name) if cell is not None]
    cells = cells[:: 1 + len(cells) // _LOOKED_AT]
    return numerals_of(cells) if any(isinstance(cell, str) for cell in cells) else None
