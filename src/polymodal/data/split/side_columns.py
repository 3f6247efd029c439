"""Columns that say train and test, although nobody named them as the split."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from polymodal.data.split.sides import SHORT, SIDES, is_surely_flag, sides_of, word_of
from polymodal.data.tables.table import Table

_MOST_OTHERS = 0.05  # of the cells that hold another word, or nothing
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
    """

    name: str
    flaw: str
    sides: tuple[str, ...]
    reading: str = ""


def side_columns(
    table: Table, target: Sequence[object] | None, *, other_than: Collection[str]
) -> tuple[SideColumn, ...]:
    """The columns nearly all of whose cells say train, test or validation, the first of them among them.

    In any case and common spelling; a column of true and false does by its name alone, such as `is_test`. Short words
    (tr, te) count where the name of the column is about splits.

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
        word = word_of(cell) if isinstance(cell, str) or flag else ""
        cells.append(cell)
        words.append(word)
        others += not _may_say_side(word, flag)
        if others > allowed:
            return None
    sides = sides_of(name, cells)
    if "train" not in sides or not {"test", "validation"} & set(sides) or sides.count("") > allowed:
        return None
    if not flag and not _ABOUT_SPLITS.search(name) and _is_short(words, sides):
        return None
    labelled = {side for row, side in enumerate(sides) if target is None or target[row] is not None}
    flaw = next(_flaws(table, sides, labelled), "")
    return SideColumn(name, flaw, tuple(sides), _reading(cells, words, sides))


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


def _flaws(table: Table, sides: Sequence[str], labelled: set[str]) -> Iterator[str]:
    if "" in sides:
        yield f"{table.where(sides.index(''))} says something else"
    for side in ("train", "test"):
        if side not in labelled:
            yield f"no row with a target says {side}"
