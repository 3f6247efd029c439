"""Finds out what every column of a table is and which settings suit it, by its content, and says why in plain words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polymodal import registry
from polymodal.codecs.notation import most, numerals_of
from polymodal.codecs.numerals import is_boolean, is_plain, means_missing
from polymodal.config.run_config import ColumnConfig, LimitsConfig, RunConfig
from polymodal.data.cells.media import lists_media, open_cell
from polymodal.data.columns.examples import example
from polymodal.data.columns.profile import Profiler, column_profiler
from polymodal.data.columns.said import modality_with
from polymodal.data.columns.unread_media import UNREAD, why_no_media, why_unread
from polymodal.data.tables.column_data import as_text
from polymodal.data.tables.table import Table
from polymodal.errors import ColumnError, UnreadableCellError
from polymodal.protocols import Modality, Sample
from polymodal.schema import Column

_SUGGEST_FROM = 64  # cells
_WRITTEN = ("number", "datetime")  # how text is to be read as these all cells tell, not some
_DATES = "datetime"  # where it is the surest, at least half are dates: no keys, and what is unreadable is named
_FEWEST_IDENTIFIERS = 20  # rows; fewer values may well differ by chance
_NEARLY_ALL = 0.98
_SURE = 0.97  # a modality as sure as this knows its cells by their form: that they all differ makes them no key
_KEY = re.compile(r"[!-+\--{}~]{1,128}")  # ASCII without blanks, `,` and `|`, which separate words of a list
_MARKED = re.compile(r"[0-9]|\w[^\w\s]\w|_")  # what tells `img_7`, `a-b` or `x@y.org` from a word

_Left = tuple[str, str]  # kind of a column that is left out, and why


def infer_columns(table: Table, config: RunConfig, profile: Profiler | None = None) -> tuple[Column, ...]:
    """What every column is, in the order of the table; columns that do not enter the model have no modality.

    Every registered modality sees a sample of the column and says how sure it is; the surest reads it. What the
    configuration says about a column takes precedence. `settings` are those of the configuration, not yet complete.

    Args:
        table: the rows.
        config: roles of columns, and what is said of them.
        profile: of a caller that needs its looks again; None: taken here.

    Raises:
        ColumnError: the configuration names a column that is absent or gives one two roles; no column remains.
    """
    columns = recognise_columns(table, config, profile or column_profiler(table, config.limits))
    if not any(column.modality for column in columns):
        reasons = "; ".join(f"{column.name}: {column.reason}" for column in columns)
        raise ColumnError(
            f"{table.source}: no column is left to learn from ({reasons}). "
            "Set columns.NAME.modality to use one of them all the same."
        )
    return columns


def recognise_columns(table: Table, config: RunConfig, profile: Profiler) -> tuple[Column, ...]:
    """The same, where it is no error that none of the columns enters the model."""
    roles = _roles(table, config)
    return tuple(_column(table, name, config, roles, profile) for name in table.names)


def suggest_settings(
    table: Table, columns: Sequence[Column], limits: LimitsConfig, profile: Profiler | None = None
) -> dict[str, dict[str, Any]]:
    """By column, what its modality suggests from up to 64 of its cells, of text from all; unreadable ones do not count.

    Args:
        table: the rows.
        columns: those without a modality are passed over.
        limits: what a cell may cost.
        profile: of a caller that has looked already; None: taken here.
    """
    profile = profile or column_profiler(table, limits)
    found = {}
    for column in columns:
        if column.modality is not None:
            modality: type[Modality] = registry.load("modalities", column.modality)
            cells = profile(column.name).values
            if column.modality in _WRITTEN and any(isinstance(cell, str) for cell in cells):
                cells = [cell for cell in table.cells(column.name) if cell is not None]
            else:
                cells = cells[:: max(1, math.ceil(len(cells) / _SUGGEST_FROM))]
            if modality.media:
                cells = _opened(cells, table.folder, limits, several=lists_media(modality))
            found[column.name] = modality.suggest(cells, limits)
    return found


def _roles(table: Table, config: RunConfig) -> Mapping[str, _Left]:
    """Columns that the configuration keeps out of the model, and why; checks every name that it holds."""
    split = config.split
    single = [("weight", config.weight), ("split.column", split.column), ("split.by", split.by)]
    taken: dict[str, str] = {}
    for role, name in [*(("target", name) for name in config.targets), *single]:
        if name is None:
            continue
        table.require(name, role=role)
        if name in taken:
            raise ColumnError(f"Column {name!r} is given as {taken[name]} and as {role}; it can be one of them.")
        if name in config.columns:
            among = " The target is among the features." if role == "target" else ""
            raise ColumnError(f"Column {name!r} is given as {role} and under columns.{among} Remove one of them.")
        taken[name] = role
    table.require(*config.drop, role="drop")
    table.require(*config.columns, role="columns")
    if both := set(config.targets).intersection(config.drop):
        raise ColumnError(f"Column {min(both)!r} is the target and in drop; remove it from drop.")
    by = "time" if split.method == "time" else "group"
    found = {
        "target": ("target", "what is predicted"),
        "weight": ("weight", "weighs the rows"),
        "split.column": ("split", "says which side of the split a row is on"),
        "split.by": (by, f"the {by} by which rows are split"),
    }
    dropped = dict.fromkeys(config.drop, ("dropped", "left out by the configuration"))
    return dropped | {name: found[role] for name, role in taken.items()}


def _column(table: Table, name: str, config: RunConfig, roles: Mapping[str, _Left], profile: Profiler) -> Column:
    said = config.columns.get(name, ColumnConfig()).modality
    modality: str | None = None
    if name in roles:
        kind, reason = roles[name]
    elif said.name is not None:
        kind, modality, reason = said.name, said.name, "said by the configuration"
    elif not profile(name).values:
        kind, modality, reason = "number", "number", "no cell holds a value; kept as an always-missing number"
    else:
        kind, modality, reason = _infer(table, name, profile(name))
    if name not in roles and said.name is None and (meant := modality_with(said.settings, name, modality)) != modality:
        kind, modality, reason = str(meant), meant, f"said by the configuration: {', '.join(said.settings)}"
    decimal = _with_comma(profile(name)) if modality == "number" and config.table.decimal == "comma" else {}
    settings = {} if modality is None else {**decimal, **config.modalities.get(modality, {}), **said.settings}
    return Column(name=name, kind=kind, modality=modality, reason=reason, settings=settings)


def _with_comma(seen: Sample) -> dict[str, str]:
    """How numbers are written where the table says that its decimal mark is a comma."""
    points = any(isinstance(value, str) and "." in value for value in seen.values)
    return {"decimal": "comma", "thousands": "point"} if points else {"decimal": "comma"}


def _infer(table: Table, name: str, seen: Sample) -> tuple[str, str | None, str]:
    """Kind, modality and reason of a column that the configuration says nothing about."""
    values = seen.values
    first = example(values[0])
    if seen.distinct == 1 and table.num_rows > 1 and seen.present == table.num_rows:
        return "constant", None, f"left out: every row holds {first}"
    if why := why_unread(seen, table.folder):
        return UNREAD, None, f"left out: {why}"
    if all(isinstance(value, bool) or (isinstance(value, str) and is_boolean(value)) for value in values):
        return "boolean", "category", f"all {len(values)} sampled cells are true or false"
    modalities = [(name, registry.load("modalities", name)) for name in registry.names("modalities")]
    asked = [(name, one.recognise(seen)) for name, one in modalities if not (one.media and seen.only_numbers)]
    recognised = [(name, recognition) for name, recognition in asked if recognition is not None]
    if not recognised:
        why = why_no_media(seen)
        return UNREAD if why else "unknown", None, f"left out: {why or f'no modality reads cells such as {first}'}"
    modality, recognition = max(recognised, key=lambda pair: pair[1].confidence)  # of equals, the first by name
    known = recognition.confidence >= _SURE or modality == _DATES or registry.load("modalities", modality).media
    if not known and (why := _identifies(table, name, seen)):
        return "identifier", None, f"left out: {why}"
    return modality, modality, recognition.reason


def _identifies(table: Table, name: str, seen: Sample) -> str | None:
    """Why the column looks like a key of its rows; None where it does not."""
    if seen.present < _FEWEST_IDENTIFIERS or not most(seen.distinct, seen.present):
        return None
    if not numerals_of(seen.values).mostly:
        return _names_rows(name, seen)
    return None if any(isinstance(value, float) for value in seen.values) else _counts_rows(table, name)


def _names_rows(name: str, seen: Sample) -> str | None:
    """The same of words."""
    present, values = seen.present, seen.values
    words = [as_text(value) for value in values if isinstance(value, str | int | float)]
    different = seen.distinct >= _NEARLY_ALL * present
    if not different or len(words) < len(values) or not any(isinstance(value, str) for value in values):
        return None
    keys = [word for word in words if _KEY.fullmatch(word)]
    marked = sum(bool(_MARKED.search(word)) for word in keys)
    found = len(keys) >= _NEARLY_ALL * len(values) and 2 * marked >= len(values)
    if not found:
        return None
    differ = f"{seen.distinct} different values in {present} cells"
    return f"{differ}, without blanks: they look like keys; columns.{name}.modality=text would use them"


def _counts_rows(table: Table, name: str) -> str | None:
    """The same of whole numbers; words among them, such as `x`, may come again."""
    if (numbers := _whole_numbers(table.values(name))) is None:
        return None
    first, last, distinct = min(numbers), max(numbers), len(set(numbers))
    if distinct < _NEARLY_ALL * len(numbers) or last - first >= 2 * distinct:
        return None
    differ = f"{distinct} different values in {len(numbers)} cells"
    return f"{differ}, whole numbers that run from {first} to {last}: they count the rows"


def _whole_numbers(values: Sequence[object]) -> list[int] | None:
    """The cells as integers, less few that are no numbers; None where more are not, or one is a float."""
    numbers, others = [], 0
    for value in values:
        if isinstance(value, float):
            return None
        whole = isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", value.strip())
        number = int(str(value)) if whole else value
        if isinstance(number, int) and not isinstance(number, bool):
            numbers.append(number)
        elif isinstance(value, str) and is_plain(value):
            return None
        elif value is not None and not (isinstance(value, str) and means_missing(value)):
            others += 1
    return numbers if most(len(numbers), len(numbers) + others) else None


def _opened(values: Sequence[object], folder: Path, limits: LimitsConfig, *, several: bool) -> list[object]:
    cells: list[object] = []
    for value in values:
        try:
            cells.append(open_cell(value, folder, limits, several=several).content)
        except UnreadableCellError:  # it becomes a reject, with its reason, when all cells are read
            continue
    return cells
