"""Columns that give the target away: by one of them, one could tell the answer without learning anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from polymodal import registry
from polymodal.data.audit.column_cells import EMPTY, ColumnCells
from polymodal.data.audit.finding import Finding, Severity
from polymodal.data.audit.held_out import FEWEST_OTHERS, MOST, HeldOut
from polymodal.data.audit.number_target import tell_most_numbers, tell_numbers
from polymodal.data.audit.single_column import LeakageRule, tell_by_emptiness, tell_classes
from polymodal.data.audit.subject import AuditedTable
from polymodal.data.audit.summary_rows import summary_rows
from polymodal.metrics.alerts import Alert, leave_out, lone_column, predicts_alone, share_of_rows
from polymodal.schema import Column

FEWEST = 30  # rows with a target
ALONE = 0.99  # share of rows told right, or R2, at which a run asks for the column
LIKELY = 0.9  # of the way from the commonest answer to all answers
_CERTAIN = 0.97  # of the same way
_FEW = 100  # rows: one that is told wrong is more than the hundredth that `ALONE` lets pass
_FEWEST_FOR_ONE = 50  # rows, of which one may be told wrong
_ONE = 0.95  # of the same way, with that one
_SHORTEST_NAME = 3
_ASKED = ("identifier", "constant", "unknown")  # beside the features: somebody may want to use them


@dataclass(frozen=True)
class LeakingColumn:
    """A column that tells the target by itself.

    Attributes:
        what: a sentence about it, which follows its name.
        certain: no good feature is that good.
        asked: so good that a run asks for it, even if it may be a good feature.
    """

    column: Column
    what: str
    certain: bool
    asked: bool


def check(subject: AuditedTable) -> Iterator[Finding]:
    """One finding for each column that answers nearly all rows of a target; nothing without a target."""
    return map(_finding, leaking_columns(subject))


def alerts(subject: AuditedTable) -> tuple[tuple[Alert, ...], tuple[str, ...]]:
    """What a run says of the columns that tell the target by themselves: those of its model; notes on the others."""
    found = [one for one in leaking_columns(subject) if one.certain or one.asked]
    inside = [lone_column(one.column.name, one.what) for one in found if one.column.modality is not None]
    outside = [_finding(one) for one in found if one.column.modality is None]
    return tuple(inside), tuple(f"{note.columns[0]} {note.what} {note.advice}" for note in outside)


def leaking_columns(subject: AuditedTable) -> Iterator[LeakingColumn]:
    """The columns that answer nearly all rows of a target, also of those that are left out as identifiers."""
    summaries = summary_rows(subject) if subject.config.targets else []
    for target in subject.config.targets:
        asked = _AskedTarget.of(subject, target, without=summaries)
        for column in subject.columns:
            if column.modality is None and column.kind not in _ASKED:
                continue
            if column.modality is not None and registry.load("modalities", column.modality).media:
                found = _is_filled_by_class(subject, column, asked)  # the model sees no names of files
            elif subject.has_words(column.name):
                found = _leaking(subject, column, asked)
            else:
                continue
            if found is not None:
                yield found


def well_above(share: float, base: float) -> bool:
    """Whether a share of rows told right is most of the way from the commonest answer's share to all rows."""
    return share - base >= LIKELY * (1 - base)


def nearly_all(share: float, base: float, count: int) -> bool:
    """Whether a share of some rows that are told right is 99 %; or all but one of 50 or more, if chance tells few.

    >>> nearly_all(59 / 60, 0.5, 60), nearly_all(29 / 30, 0.5, 30), nearly_all(59 / 60, 0.8, 60)
    (True, False, False)
    """
    return share >= ALONE or _all_but_one(share, base, count)


def share_told(share: float, count: int) -> str:
    """How many of some rows are told right; that it may be chance, where one of few is not."""
    wrong = round((1 - share) * count)
    few = f" ({count - wrong} of {count}, which may be chance)" if wrong and count < _FEW else ""
    return share_of_rows(share) + few


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
    def of(cls, subject: AuditedTable, target: str, *, without: Sequence[int]) -> _AskedTarget:
        reading = subject.reading(target) if subject.classes(target) is None else None
        numbers = None if reading is None else reading.values
        known = np.empty(0, dtype=np.int64) if numbers is None else np.flatnonzero(~np.isnan(numbers))
        known = np.setdiff1d(known, without)
        held_numbers = HeldOut.of(subject, known) if len(known) >= FEWEST else None
        answers = subject.answers(target) or None
        held = None
        if answers:
            labelled = np.array([row for row, answer in enumerate(answers) if answer], dtype=np.int64)
            labelled = np.setdiff1d(labelled, without)
            held = HeldOut.of(subject, labelled) if len(labelled) >= FEWEST else None
        if answers and held is not None:
            asked = Counter(answers[held.rows[place]] for place in held.asked)
            held = held if asked.total() - max(asked.values()) >= FEWEST_OTHERS else None
        return cls(target, numbers, held_numbers, answers, held)

    @property
    def of_rows(self) -> list[str]:
        """The classes of the held rows."""
        assert self.held is not None and self.answers is not None
        return [self.answers[row] for row in self.held.rows]


def _leaking(subject: AuditedTable, column: Column, asked: _AskedTarget) -> LeakingColumn | None:
    found = _explains(subject, column, asked) or _holds_number(subject, column, asked)
    if found is not None:
        return found
    if not asked.answers:
        return _holds(subject, column, asked.name)
    return _tells(subject, column, asked) or _is_filled_by_class(subject, column, asked)


def _tells(subject: AuditedTable, column: Column, asked: _AskedTarget) -> LeakingColumn | None:
    """Whether a rule on the column's cells answers the rows of a target of classes, or the tenths of numbers."""
    if asked.held is None:
        return None
    rule = tell_classes(ColumnCells.of(subject, column.name, asked.held.rows), asked.held, asked.of_rows)
    return _as_leak(column, asked.name, rule)


def _as_leak(column: Column, target: str, rule: LeakageRule) -> LeakingColumn | None:
    """A column of which the best rule tells so many of the held-out rows, if these are enough."""
    of_few = _all_but_one(rule.score, rule.base, rule.num_rows)
    if rule.skill < (_CERTAIN if rule.graded and not of_few else LIKELY):  # a number may well be a good feature
        return None
    how = f"{rule.how} (the commonest answer alone: {100 * rule.base:.1f} %)"
    what = predicts_alone(target, share_told(rule.score, rule.num_rows), how)
    certain, asked = rule.skill >= _CERTAIN and not rule.graded, nearly_all(rule.score, rule.base, rule.num_rows)
    return LeakingColumn(column, what, certain, asked)


def _all_but_one(share: float, base: float, count: int) -> bool:
    right = (1 - share) * count < 1.5 and 1 - share <= (1 - _ONE) * (1 - base)
    return right and count >= _FEWEST_FOR_ONE


def _is_filled_by_class(subject: AuditedTable, column: Column, asked: _AskedTarget) -> LeakingColumn | None:
    """Whether it is filled, or empty, in the rows of one class and in no others."""
    if asked.held is None:
        return None
    held, of_rows = asked.held, asked.of_rows
    cells = subject.cells(column.name)
    filled = np.array([cells[row] is not None for row in held.rows.tolist()])
    if filled.all() or not filled.any():
        return None
    rule = tell_by_emptiness(filled, held, of_rows)
    if (found := _as_leak(column, asked.name, rule)) is not None:
        return found
    classes = np.array(of_rows)[held.asked]
    there = filled[held.asked]
    for name, count in Counter(classes.tolist()).most_common():
        others = len(classes) - count
        if min(count, others) < FEWEST_OTHERS:
            continue
        is_it, base = classes == name, max(count, others) / len(classes)
        right = float(max((there == is_it).mean(), (there != is_it).mean()))
        if right - base >= _CERTAIN * (1 - base):
            what = f"alone tells {name!r} from the rest of {asked.name} {share_of_rows(right)}, by {EMPTY}."
            return LeakingColumn(column, what, certain=False, asked=right >= ALONE)
    return None


def _explains(subject: AuditedTable, column: Column, asked: _AskedTarget) -> LeakingColumn | None:
    """Whether a rule on the column's cells explains nearly all variance of a target of numbers, or nearly all rows."""
    held = asked.held_numbers
    if held is None or asked.numbers is None:
        return None
    cells, answers = ColumnCells.of(subject, column.name, held.rows), asked.numbers[held.rows]
    rule = tell_numbers(cells, held, answers)
    if rule.score >= ALONE:
        what = predicts_alone(asked.name, f"with R² {rule.score:.3f}", rule.how)
        return LeakingColumn(column, what, certain=False, asked=True)
    rule = tell_most_numbers(cells, held, answers)
    if rule.score >= _ONE:
        what = predicts_alone(asked.name, share_of_rows(rule.score), rule.how)
        return LeakingColumn(column, what, certain=False, asked=True)
    return None


def _holds_number(subject: AuditedTable, column: Column, asked: _AskedTarget) -> LeakingColumn | None:
    """Whether the column's texts hold the number that is the target, among others."""
    held = asked.held_numbers
    if held is None or asked.numbers is None:
        return None
    cells, answers = ColumnCells.of(subject, column.name, held.rows), asked.numbers[held.rows]
    if cells.reading is not None:
        return None
    share, by_chance = cells.holds(answers)
    if share - by_chance < LIKELY:
        return None
    what = predicts_alone(asked.name, share_of_rows(share), "a number in it, which is the target")
    return LeakingColumn(column, what, certain=False, asked=share >= ALONE)


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
    what = predicts_alone(target, share_of_rows(held), "the text of the target, which its cells hold")
    return LeakingColumn(column, what, held >= _CERTAIN, asked=held >= ALONE)


def _finding(found: LeakingColumn) -> Finding:
    column = found.column
    if column.modality is None:
        what = f"{found.what[:-1]}; it is left out as {column.kind}."
        return Finding("target_leakage", "note", what, "Keep it out.", (column.name,))
    severity: Severity = "error" if found.certain else "warning"
    return Finding("target_leakage", severity, found.what, leave_out(column.name), (column.name,))
