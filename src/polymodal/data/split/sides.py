"""Reads what the cells of a split column say: train, validation or test."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from polymodal.data.tables.column_data import shown
from polymodal.data.tables.table import Table
from polymodal.errors import DataError

_WORDS = {
    "train": (
        *("train", "training", "trn", "tr", "learn", "learning"),
        *("entrainement", "entraînement", "apprentissage", "entrenamiento", "addestramento", "treino"),
    ),
    "validation": (
        *("validation", "val", "valid", "validate", "validating", "vld", "va", "dev"),
        *("validierung", "validación", "validacion", "convalida", "validazione", "validação", "validacao"),
    ),
    "test": ("test", "testing", "tst", "te", "ts", "holdout", "heldout", "prueba", "teste"),
}
SIDES = {word: side for side, words in _WORDS.items() for word in words}
"""Word -> `train`, `validation` or `test`. Words are lower case, without blanks, hyphens and underscores."""

SHORT = frozenset({"tr", "va", "te", "ts"})  # they say something else in most columns, such as a language
NO_SIDE = frozenset(
    ["", "none", "nan", "na", "n/a", "unlabeled", "unlabelled", "unsupervised", "unsup", "unused", "extra", "ignored"]
)
"""Words that say that a row is on none of the sides."""

HIDDEN = frozenset(["public", "private"])  # test rows of a contest, by the list of results that they count for
_EVALUATION = ("eval", "evaluation", "evaluate")  # the test rows, unless other words are there for these
_TRUTH = {"1": True, "true": True, "yes": True, "y": True, "t": True}
_TRUTH |= {"0": False, "false": False, "no": False, "n": False, "f": False}

_WHOLE = {"1.0": "1", "0.0": "0"}
_BETWEEN = re.compile(r"(?<=[a-z])[\s_-]+(?=[a-z])")  # of `hold-out`
_ENDING = re.compile(r"(?<=.)(?:set|data|split|rows|s?daten|s?satz|s?menge)$")  # of `train set`, `test_data`
_IN_NAME = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_AROUND = {"is", "in", "for", "set", "data", "split", "mask", "subset", "row", "rows", "sample", "flag", "indicator"}
_MARKS = {"is", "set", "split", "mask", "subset"}  # beside which the word can hardly be about something else
_NAMING = {"train", "training", "test", "testing", "holdout", "validation", "val"}  # not `valid`: an address may be

KNOWN = "train, validation (or val, valid, dev), test (or holdout, eval)"
"""The words for a message; other spellings of them are known, too."""


def sides_of(name: str, cells: Iterable[object]) -> list[str]:
    """By cell `train`, `validation` or `test`; "" where it says none of them.

    In any case and common spelling. Cells that are all true or false (1 or 0, yes or no) are read by the column's
    name: under `is_test` true is test and false is train, under `is_train` the other way round.

    >>> sides_of("part", ["Training", "hold-out", "bus"]), sides_of("is_test", [0, 1])
    (['train', 'test', ''], ['train', 'test'])
    """
    words = [word_of(cell) for cell in cells]
    meant = side_of_flag(name)
    if meant is not None and set(words) - {""} <= set(_TRUTH):
        other = "test" if meant == "train" else "train"
        return ["" if not word else meant if _TRUTH[word] else other for word in words]
    found = {word: SIDES.get(word, "") for word in set(words)}
    evaluation = "validation" if "test" in found.values() else "test"
    found |= {word: evaluation for word in _EVALUATION if word in found}
    return [found[word] for word in words]


def read_sides(table: Table, column: str, rows: np.ndarray | None = None) -> list[str]:
    """By row of a table what its split column says: `train`, `validation` or `test`.

    Args:
        table: all rows.
        column: of the table.
        rows: that have to say one of them; None: all.

    Raises:
        ColumnError: the table lacks the column.
        DataError: a cell says something else.
    """
    table.require(column, role="split.column")
    cells = table.values(column)
    sides = sides_of(column, cells)
    asked = range(table.num_rows) if rows is None else rows.tolist()
    strange = [row for row in asked if not sides[row]]
    if strange:
        named = "; ".join(f"row {row}: {shown(cells[row])}" for row in strange[:5])
        are = "1 cell is" if len(strange) == 1 else f"{len(strange)} cells are"
        raise DataError(
            f"{table.where(strange[0])}, split column {column!r}: {are} none of {KNOWN} ({named}). "
            f"{_instead(column, cells)}"
        )
    return sides


def _instead(column: str, cells: Sequence[object]) -> str:
    """What to do with a split column whose cells are none of the words."""
    words = {word_of(cell) for cell in cells} - {""}
    if words <= set(_TRUTH):
        return "Call it is_test, or is_train, if 1 (or true) marks these rows; or write train and test into it."
    if all(word.isdecimal() for word in words):
        return (
            f"If they are the numbers of folds: --group {column} keeps the rows of a fold on one side, and "
            "`polymodal cross-validate` takes it as well. Else write train and test into it."
        )
    return "Repair them, or name another column."


def word_of(cell: object) -> str:
    """A cell of a split column as `SIDES` has it; "" where it is missing.

    >>> word_of(" Train set"), word_of(1.0)
    ('train', '1')
    """
    if cell is None:
        return ""
    text = str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell).strip().lower()
    word = _BETWEEN.sub("", text)
    shorter = _ENDING.sub("", word)
    return shorter if shorter in SIDES else _WHOLE.get(word, word)


def side_of_flag(name: str) -> str | None:
    """The side of the rows that a column of true and false marks, by its name; None where it names no side.

    >>> side_of_flag("is_test"), side_of_flag("trainMask"), side_of_flag("test_result"), side_of_flag("trained")
    ('test', 'train', None, None)
    """
    words = _words_of_name(name)
    meant = {SIDES[word] for word in words if word in SIDES and word not in SHORT}
    if len(meant) != 1 or any(word not in _AROUND and word not in SIDES for word in words):
        return None
    return meant.pop()


def is_surely_flag(name: str) -> bool:
    """Whether a column of that name, of true and false, can hardly say anything but the side of a row.

    `is_test`, `train_mask` and `holdout` do; a column `test` may hold the result of one, and `train` a means of travel.
    """
    words = _words_of_name(name)
    if side_of_flag(name) is None or not any(word in _NAMING for word in words):
        return False
    return "holdout" in words or any(word in _MARKS for word in words)


def _words_of_name(name: str) -> list[str]:
    words = [word.lower() for word in _IN_NAME.findall(re.sub("(?i)hold[ _-]?out", "Holdout", name))]
    return [part for word in words for part in _parted(word)]


def _parted(word: str) -> list[str]:
    """`istest` as two words."""
    rest = word.removeprefix("is")
    return ["is", rest] if rest != word and rest in _NAMING else [word]
