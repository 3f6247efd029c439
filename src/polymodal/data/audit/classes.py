"""The classes of the target: too few, no values, too rare, out of balance, or on one side of the split only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from polymodal.data.audit.finding import Finding, number
from polymodal.data.audit.subject import AuditedTable
from polymodal.data.audit.target_cells import unused_targets
from polymodal.data.target.null_classes import ADVICE, null_classes

_OUT_OF_BALANCE = 10  # times as many rows of the commonest class as of the rarest
_NAMED = 5
_WITHOUT_CLASSES = ("regress", "generate", "transcribe")  # tasks
_SIDES = ("train", "validation", "test")


def check(subject: AuditedTable) -> Iterator[Finding]:
    """Findings about each target; but for missing ones, nothing where its values are not classes."""
    for target in subject.config.targets:
        if missing := unused_targets(subject, target).missing:
            what = f"{number(len(missing), 'row')} without a target."
            advice = "They are left out of training and measuring."
            yield subject.finding("classes", "note", what, advice, columns=(target,), rows=missing)
        classes = _classes(subject, target)
        if classes is None:
            continue
        counts = Counter(name for name in classes if name)
        if len(counts) < 2:
            advice = "There is nothing to tell apart."
            yield subject.finding("classes", "error", "all rows have one class.", advice, columns=(target,))
            continue
        yield from _null(subject, target, classes, counts)
        yield from _rare(subject, target, classes, counts)
        yield from _one_sided(subject, target, classes)
    yield from without_test(subject)


def _classes(subject: AuditedTable, target: str) -> list[str] | None:
    """By row; None where the task is known to learn numbers or texts."""
    return None if subject.config.task.name in _WITHOUT_CLASSES else subject.classes(target)


def _null(subject: AuditedTable, target: str, classes: Sequence[str], counts: Counter[str]) -> Iterator[Finding]:
    """Classes that are probably missing cells."""
    if null := null_classes(counts):
        rows = [row for row, name in enumerate(classes) if name in set(null)]
        named = ", ".join(f"{name!r} ({counts[name]:,})" for name in null)
        what = f"{named}: learned as {'a class' if len(null) == 1 else 'classes'}, but probably missing."
        yield subject.finding("classes", "warning", what, ADVICE, columns=(target,), rows=rows)


def _rare(subject: AuditedTable, target: str, classes: Sequence[str], counts: Counter[str]) -> Iterator[Finding]:
    single = [name for name, count in counts.items() if count == 1]
    if single:
        rows = [row for row, name in enumerate(classes) if name in set(single)]
        what = f"{len(single)} of the classes have a single row: {_names(single)}."
        advice = "They cannot be learned and measured; join or drop them."
        yield subject.finding("classes", "warning", what, advice, columns=(target,), rows=rows)
    (most, many), (least, few) = counts.most_common()[0], counts.most_common()[-1]
    if many >= _OUT_OF_BALANCE * few and few > 1:
        what = f"classes are out of balance: {many:,} rows of {most!r}, {few:,} of {least!r}."
        advice = "Look at the balanced accuracy and at the single classes, not at the accuracy alone."
        yield subject.finding("classes", "note", what, advice, columns=(target,))


def _one_sided(subject: AuditedTable, target: str, classes: Sequence[str]) -> Iterator[Finding]:
    if subject.sides is None:
        return
    learned = {name for name, side in zip(classes, subject.sides, strict=True) if side == "train"}
    measured = {name for name, side in zip(classes, subject.sides, strict=True) if side in ("validation", "test")}
    strange = sorted(measured - learned - {""})
    if strange:
        rows = [row for row, name in enumerate(classes) if name in set(strange)]
        what = f"{len(strange)} of the classes in validation and test have no training row: {_names(strange)}."
        advice = "Such rows cannot be measured; divide the rows anew."
        yield subject.finding("classes", "warning", what, advice, columns=(target,), rows=rows)


def without_test(subject: AuditedTable) -> Iterator[Finding]:
    """One finding for each target with classes that are learned and not measured; nothing without test rows."""
    sides = subject.sides
    if sides is None or not (sides == "test").any():
        return
    for target in subject.config.targets:
        classes = _classes(subject, target)
        if classes is None:
            continue
        of_side = {name: {c for c, side in zip(classes, sides, strict=True) if side == name} for name in _SIDES}
        missing = sorted((of_side["train"] | of_side["validation"]) - of_side["test"] - {""})
        if missing:
            verb = "class has" if len(missing) == 1 else "classes have"
            what = f"{len(missing)} {verb} no test row: {_names(missing)}."
            advice = "No figure tells how well the model knows them; add test rows."
            yield subject.finding("classes", "warning", what, advice, columns=(target,))


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_NAMED])) + (", ..." if len(names) > _NAMED else "")
