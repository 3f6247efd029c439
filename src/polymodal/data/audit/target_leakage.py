"""Columns that give the target away: by one of them, one could tell the answer without learning anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from polymodal import registry
from polymodal.data.audit.finding import Finding
from polymodal.data.audit.single_column import MOST, SIZE, HeldOut, tell_classes, tell_numbers
from polymodal.data.audit.subject import AuditedTable, as_numbers
from polymodal.metrics.alerts import Alert, lone_column, share_of_rows
from polymodal.schema import Column

FEWEST = 30  # rows with a target
FEWEST_OTHERS = 10  # of them with another answer than the commonest one
ALONE = 0.99  # share of rows told right, or R2, at which a run asks for the column
LIKELY = 0.9  # of the way from the commonest answer to all answers
_CERTAIN = 0.97  # of the same way
_SHORTEST_NAME = 3
_ASKED = ("identifier", "constant", "unknown")  # beside the features: somebody may want to use them


@dataclass(frozen=True)
class LeakingColumn:
    """A column that tells the target by itself.

    Attributes:
        what: a sentence about it.
        told: how well, as an alert says it.
        certain: no good feature is that good.
        asked: so good that a run asks for it, even if it may be a good feature.
    """

    column: Column
    target: str
    what: str
    told: str
    certain: bool
    asked: bool


def check(subject: AuditedTable) -> Iterator[Finding]:
    """One finding for each column that answers nearly all rows of a target; nothing without a target."""
    return map(_finding, leaking_columns(subject))


def alerts(subject: AuditedTable) -> tuple[tuple[Alert, ...], tuple[str, ...]]:
    """What a run says of the columns that tell the target by themselves: those of its model; notes on the others."""
    found = [one for one in leaking_columns(subject) if one.certain or one.asked]
    inside = [one for one in found if one.column.modality is not None]
    outside = [one for one in found if one.column.modality is None]
    notes = [
        f"{one.column.name} alone predicts {one.target} {one.told}; it is left out as {one.column.kind}: keep it out."
        for one in outside
    ]
    return tuple(lone_column(one.column.name, one.target, one.told) for one in inside), tuple(notes)


def leaking_columns(subject: AuditedTable) -> Iterator[LeakingColumn]:
    """The columns that answer nearly all rows of a target, also of those that are left out as identifiers."""
    for target in subject.config.targets:
        asked = _AskedTarget.of(subject, target)
        for column in subject.columns:
            if column.modality is None and column.kind not in _ASKED:
                continue
            if column.modality is not None and registry.load("modalities", column.modality).media:
                continue  # the model sees the pictures, not the names of their files
            if subject.has_words(column.name) and (found := _leaking(subject, column, asked)) is not None:
                yield found


def well_above(share: float, base: float) -> bool:
    """Whether a share of rows told right is most of the way from the commonest answer's share to all rows."""
    return share - base >= LIKELY * (1 - base)


@dataclass(frozen=True)
class _AskedTarget:
    """A target, and the rows by which every column is asked for it.

    Attributes:
        name: of the target.
        numbers: of a target of numbers, of all rows.
        held_numbers: rows for which the numbers are asked; None where there are too few.
        answers: by row, as classes; None of a target that has none.
        held: rows for which classes are asked; None where there are too few, or all have the same.
    """

    name: str
    numbers: np.ndarray | None
    held_numbers: HeldOut | None
    answers: Sequence[str] | None
    held: HeldOut | None

    @classmethod
    def of(cls, subject: AuditedTable, target: str) -> _AskedTarget:
        numbers = as_numbers(subject.cells(target)) if subject.classes(target) is None else None
        known = np.empty(0, dtype=np.int64) if numbers is None else np.flatnonzero(~np.isnan(numbers))
        held_numbers = HeldOut.of(subject, known) if len(known) >= FEWEST else None
        answers = subject.answers(target) or None
        held = None
        if answers:
            labelled = np.array([row for row, answer in enumerate(answers) if answer], dtype=np.int64)
            held = HeldOut.of(subject, labelled) if len(labelled) >= FEWEST else None
        if answers and held is not None:
            asked = Counter(answers[held.rows[place]] for place in held.asked)
            held = held if asked.total() - max(asked.values()) >= FEWEST_OTHERS else None
        return cls(target, numbers, held_numbers, answers, held)


def _leaking(subject: AuditedTable, column: Column, asked: _AskedTarget) -> LeakingColumn | None:
    found = _explains(subject, column, asked)
    if found is not None:
        return found
    return _tells(subject, column, asked) if asked.answers else _holds(subject, column, asked.name)


def _tells(subject: AuditedTable, column: Column, asked: _AskedTarget) -> LeakingColumn | None:
    """Whether a rule on the column's cells answers the rows of a target of classes, or the tenths of numbers."""
    held, target = asked.held, asked.name
    if held is None or asked.answers is None:
        return None
    of_rows = [asked.answers[row] for row in held.rows]
    commonest = max(Counter(of_rows[place] for place in held.asked).values())
    rule, base = tell_classes(subject, column.name, held, of_rows), commonest / len(held.asked)
    skill = (rule.score - base) / (1 - base)
    if skill < (_CERTAIN if rule.how == SIZE else LIKELY):  # a number may well be a good feature
        return None
    what = (
        f"gives {target!r} away: {rule.how} tells {rule.score:.1%} of held-out rows right "
        f"(always the commonest answer: {base:.1%})."
    )
    certain = skill >= _CERTAIN and rule.how != SIZE
    return LeakingColumn(column, target, what, share_of_rows(rule.score), certain, asked=rule.score >= ALONE)


def _explains(subject: AuditedTable, column: Column, asked: _AskedTarget) -> LeakingColumn | None:
    """Whether a rule on the column's cells explains nearly all variance of a target of numbers."""
    held, target = asked.held_numbers, asked.name
    if held is None or asked.numbers is None:
        return None
    rule = tell_numbers(subject, column.name, held, asked.numbers[held.rows])
    if rule.score < ALONE:
        return None
    what = f"gives {target!r} away: {rule.how} explains {rule.score:.1%} of its variance in held-out rows."
    return LeakingColumn(column, target, what, f"with R² {rule.score:.3f}", certain=False, asked=True)


def _holds(subject: AuditedTable, column: Column, target: str) -> LeakingColumn | None:
    """Whether the column's cells hold the target's text, as a copy of it under another name does."""
    targets, cells = subject.words(target), subject.words(column.name)
    pairs = [(t.casefold(), (c or "").casefold()) for t, c in zip(targets, cells, strict=True) if t]
    pairs = [pair for pair in pairs[:MOST] if len(pair[0]) >= _SHORTEST_NAME]
    if len(pairs) < FEWEST:
        return None
    held = sum(text in cell for text, cell in pairs) / len(pairs)
    by_chance = sum(pairs[place - 1][0] in cell for place, (_, cell) in enumerate(pairs)) / len(pairs)
    if held - by_chance < LIKELY:
        return None
    what = f"gives {target!r} away: {held:.1%} of its cells hold the text of the target."
    return LeakingColumn(column, target, what, share_of_rows(held), held >= _CERTAIN, asked=held >= ALONE)


def _finding(found: LeakingColumn) -> Finding:
    column, what = found.column, found.what
    if column.modality is None:
        what = f"{what[:-1]}; it is left out as {column.kind}."
        return Finding("target_leakage", "note", what, "Keep it out.", (column.name,))
    advice = f"Will you know it of new rows before the answer? If not, leave it out: --drop {column.name}."
    return Finding("target_leakage", "error" if found.certain else "warning", what, advice, (column.name,))
