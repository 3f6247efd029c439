"""Divides rows into K folds, each of which is the test once: seeded, disjoint, the same for the same rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from polymodal.config.run_config import SplitConfig
from polymodal.data.split.split import groups_of, method_of
from polymodal.data.tables.table import Table
from polymodal.data.target.class_names import name_of
from polymodal.errors import ConfigError, DataError

_NAMED = 5  # classes that a message names


def fold_of_rows(
    table: Table, config: SplitConfig, *, target: Sequence[object] | None, stratify: bool, seed: int, folds: int
) -> Int[np.ndarray, " R"]:
    """The number of the fold of every row, from 0.

    `stratified` deals the rows of each class evenly, `group` keeps rows of one group in one fold, `random` deals all
    rows; `auto` is `stratified` for classes, else `random`. Folds differ in size by one row, those of groups by more.

    Args:
        table: the rows.
        config: its method and `by`.
        target: by row, none is missing; None of a task without a target.
        stratify: whether the target's values are classes.
        seed: of the random order.
        folds: their number, at least 2.

    Raises:
        ConfigError: a method that lacks its column or its classes, or that folds cannot follow.
        ColumnError: the table lacks the column of groups.
        DataError: fewer rows, groups or rows of a class than folds.
    """
    if config.method == "time":
        raise ConfigError(
            "split.method time: folds would learn from rows that are newer than those of the test. Use 1 fold: the"
            " split itself, whose test rows are the newest."
        )
    method = method_of(config, stratify, others="random or group")
    order = np.random.default_rng(seed).permutation(table.num_rows)
    if table.num_rows < folds:
        raise DataError(f"{table.source}: {table.num_rows} rows cannot be divided into {folds} folds; use fewer folds.")
    if method == "group":
        assert config.by is not None
        table.require(config.by, role="split.by")
        return _by_group(groups_of(table, config), order, table, config, folds)
    if method == "random" or target is None:
        return _by_class([""] * table.num_rows, order, table, folds)
    return _by_class([name_of(value) for value in target], order, table, folds)


def _by_class(classes: Sequence[str], order: Int[np.ndarray, " R"], table: Table, folds: int) -> Int[np.ndarray, " R"]:
    """Rows of one class go to one fold after the other; the next class goes on where the last one ended."""
    members: dict[str, list[int]] = defaultdict(list)
    for row in order.tolist():
        members[classes[row]].append(row)
    if few := {name: len(rows) for name, rows in members.items() if len(rows) < folds}:
        named = ", ".join(f"{name!r} has {count}" for name, count in list(few.items())[:_NAMED])
        more = f" and {len(few) - _NAMED} more classes have as few" if len(few) > _NAMED else ""
        raise DataError(
            f"{table.source}: {folds} folds need {folds} rows of every class, but {named}{more}. Use fewer folds, join"
            " or empty these classes, or set split.method to random: a class may then be unknown to a fold's model."
        )
    found = np.empty(table.num_rows, dtype=np.int64)
    dealt = 0
    for rows in members.values():
        found[rows] = (dealt + np.arange(len(rows))) % folds
        dealt += len(rows)
    return found


def _by_group(
    groups: Int[np.ndarray, " R"], order: Int[np.ndarray, " R"], table: Table, config: SplitConfig, folds: int
) -> Int[np.ndarray, " R"]:
    """Groups in random order, the larger half first, each to the fold that has the fewest rows."""
    sizes = np.bincount(groups)
    if len(sizes) < folds:
        raise DataError(
            f"{table.source}: {len(sizes)} different groups in {config.by!r} cannot be divided into {folds} folds; use"
            f" at most {len(sizes)} folds."
        )
    in_any_order = list(dict.fromkeys(groups[order].tolist()))
    large = np.median(sizes)
    in_any_order.sort(key=lambda group: sizes[group] <= large)
    filled = np.zeros(folds, dtype=np.int64)
    of_group = np.empty(len(sizes), dtype=np.int64)
    for group in in_any_order:
        of_group[group] = int(filled.argmin())
        filled[of_group[group]] += sizes[group]
    return np.asarray(of_group[groups])
