"""Columns that say train and test, although nobody named them as the split."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from polymodal.data.split.sides import HIDDEN, NO_SIDE, SHORT, SIDES, is_surely_flag, sides_of, word_of
from polymodal.data.tables.column_data import shown
from polymodal.data.tables.table import Table

_MOST_OTHERS = 0.05  # of the cells that hold another word
_PLAIN = {"train", "training", "test", "testing", "validation"}
_ABOUT_SPLITS = re.compile(
    r"(?i)(^|[\W_])(split|set|subset|part|partition|portion|fold|phase|usage|sample|dataset|role)([\W_]|$)"
)


@dataclass(frozen=True)
class SideColumn:
    """A column that says on which side of a split a row is.

    Attributes:
        flaw: why it cannot divide the rows as it is; empty where it can.
        sides: by row `train`, `validation` or `test`; "" where the cell says something else.
        reading: what its words are read as, such as "'tr' as train, 'te' as test"; empty for plain ones.
        num_left_out: rows that are on none of the sides, all of them without a target where there is no flaw.
    """

    name: str
    flaw: str
    sides: tuple[str, ...]
    reading: str = ""
    num_left_out: int = 0


def side_columns(
    table: Table, target: Sequence[object] | None, *, other_than: Collection[str]
) -> tuple[SideColumn, ...]:
    """The columns nearly all of whose cells say train, test or validation, the first of them among them, or nothing.

    In any case and common spelling, also beside words such as `unlabeled`, and `Public` and `Private` for test rows; a
    column of true and false does by its name alone, such as `is_test`. Short words (tr, te) count where the name of the
    column is about splits.

    Args:
        table: the rows.
        target: by row, None where it is missing: such rows are not divided. None: every row counts.
        other_than: names of columns that have a role already.
    """
    return tuple(found for name in table.names if name not in other_than if (found := _found(table, name, target)))


def _found(table: Table, name: str, target: Sequence[object] | None) -> SideColumn | None:
    """What a column says of the split; None where it says something else."""
    flag = is_surely_flag(name)
    allowed, others = max(1, int(_MOST_OTHERS * table.num_rows)), 0
    cells, words = list[object](), list[str]()
    for cell in table.cells(name):  # most columns are passed over after a few cells
        told = cell is None or isinstance(cell, str) or flag
        word = word_of(cell) if told else ""
        cells.append(cell)
        words.append(word)
        others += not told or not (_may_say_side(word, flag) or word in NO_SIDE | HIDDEN)
        if others > allowed:
            return None
    sides = sides_of(name, cells)
    about_splits = bool(_ABOUT_SPLITS.search(name))
    hidden = HIDDEN & set(words)
    if hidden == HIDDEN and about_splits and set(words) <= HIDDEN | NO_SIDE:
        return SideColumn(name, "it names two kinds of test rows, and none for train", tuple(sides))
    if "train" not in sides or not ({"test", "validation"} & set(sides) or hidden):
        return None
    if not flag and not about_splits and _is_short(words, sides):
        return None
    labelled = {side for row, side in enumerate(sides) if target is None or target[row] is not None}
    strange = [row for row, side in enumerate(sides) if not side and (target is None or target[row] is not None)]
    flaw = next(_flaws(table, [(row, cells[row]) for row in strange], labelled), "")
    return SideColumn(name, flaw, tuple(sides), _reading(cells, words, sides), sides.count(""))


def _may_say_side(word: str, flag: bool) -> bool:
    return word in SIDES or word.startswith("eval") or (flag and word != "")


def _is_short(words: Sequence[str], sides: Sequence[str]) -> bool:
    """Whether one of the sides is named by short words alone, which often say something else."""
    of_side = [{word for word, said in zip(words, sides, strict=True) if said == side} for side in set(sides) - {""}]
    return any(words_of_side <= SHORT for words_of_side in of_side)


def _reading(cells: Sequence[object], words: Sequence[str], sides: Sequence[str]) -> str:
    shown = {str(cell).strip(): side for cell, word, side in zip(cells, words, sides, strict=True)
             if side and word not in _PLAIN}  # fmt: skip
    return ", ".join(f"{cell!r} as {side}" for cell, side in sorted(shown.items(), key=lambda one: one[1])[::-1][:6])


def _flaws(table: Table, strange: Sequence[tuple[int, object]], labelled: set[str]) -> Iterator[str]:
    """Why the rows cannot be divided; `strange` are those with a target whose cell names no side."""
    if strange:
        row, cell = strange[0]
        others = f", and {len(strange) - 1:,} more rows" if strange[1:] else ""
        yield f"{table.where(row)}{others} say{'' if others else 's'} " + (
            "nothing" if cell is None else f"something else, such as {shown(cell)}"
        )
    for side in ("train", "test"):
        if side not in labelled:
            yield f"no row with a target says {side}"
