"""Divides rows into train, validation and test: seeded, disjoint, the same for the same rows."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from polymodal.config.run_config import SplitConfig
from polymodal.data.split.sides import read_sides
from polymodal.data.tables.column_data import shown
from polymodal.data.tables.table import Table
from polymodal.data.target.class_names import name_of
from polymodal.errors import ConfigError, DataError, warn


@dataclass(frozen=True)
class Split:
    """Row numbers of each side, ascending; no row is on two sides, rows without a target are on none."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def sides(self, num_rows: int) -> np.ndarray:
        """By row of a table of so many rows `train`, `validation` or `test`; "" for none."""
        found = np.full(num_rows, "", dtype="<U10")
        for side in ("train", "validation", "test"):
            found[getattr(self, side)] = side
        return found


def split_rows(
    table: Table, config: SplitConfig, *, target: Sequence[object] | None, stratify: bool, seed: int
) -> Split:
    """Divides the rows of a table as the configuration says.

    A row's side depends on its position and the seed; under `column`, `group` and `time` on the cells of those
    columns. Shares are of all rows that have a target. With `column` and no validation rows in it, that share of its
    train rows becomes validation, by the configured method.

    Args:
        table: the rows.
        config: method, shares, columns.
        seed: of every random choice.
        target: by row, None where it is missing: such rows are on no side. None: every row counts.
        stratify: whether the target's values are classes, each of which should be on every side.

    Raises:
        ConfigError: shares that leave nothing to train on; a method that lacks its column or its classes.
        ColumnError: the table lacks the column.
        DataError: too few rows, groups or times; a cell of the split column that names no side, in a row with a target.
    """
    rows = np.arange(table.num_rows)
    if target is not None:
        rows = np.array([row for row in range(table.num_rows) if target[row] is not None], dtype=np.int64)
    divider = _Divider(table, config, target, stratify, seed)
    if config.column is None:
        if config.test + config.validation >= 1:
            raise ConfigError(
                f"split.test {config.test:g} and split.validation {config.validation:g} leave no rows to train on."
            )
        return Split(**divider.divide(rows, {"test": config.test, "validation": config.validation}))
    sides = _given_sides(table, config.column, rows)
    if not len(sides["train"]):
        raise DataError(f"{table.source}: no row with a target has 'train' in the split column {config.column!r}.")
    if not len(sides["validation"]):
        sides |= divider.divide(sides["train"], {"validation": config.validation})
    return Split(**sides)


def _given_sides(table: Table, column: str, rows: np.ndarray) -> dict[str, np.ndarray]:
    side = np.array(read_sides(table, column, rows), dtype=object)[rows]
    return {name: rows[side == name] for name in ("train", "validation", "test")}


def method_of(config: SplitConfig, stratify: bool, *, others: str = "random, group or time") -> str:
    """The method of dividing rows: `stratified`, `random`, `group` or `time`; `auto` is one of the first two.

    Args:
        config: its method and `by`.
        stratify: whether the target's values are classes.
        others: what can be used instead of `stratified`, for the message.

    Raises:
        ConfigError: a method that lacks its column or its classes, or a column without its method.
    """
    method, by = config.method, config.by
    if method in ("group", "time") and by is None:
        raise ConfigError(f"split.method {method} needs split.by: the column of the {method}.")
    if method not in ("group", "time") and by is not None:
        raise ConfigError(f"split.by {by!r} needs split.method group or time; it is {method}.")
    if method == "stratified" and not stratify:
        raise ConfigError(f"split.method stratified needs a target of classes; use {others}.")
    if method == "auto":
        return "stratified" if stratify else "random"
    return method


def groups_of(table: Table, config: SplitConfig) -> Int[np.ndarray, " R"]:
    """What rows are drawn together: the number of a row's group under the method `group`, else its own.

    Rows without a group are one: they may belong together.
    """
    if config.method != "group" or config.by is None:
        return np.arange(table.num_rows)
    numbers: dict[str, int] = {}
    names = ("" if cell is None else name_of(cell) for cell in table.cells(config.by))
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


@dataclass(frozen=True)
class _Divider:
    """Takes sides out of some rows of a table, by one method."""

    table: Table
    config: SplitConfig
    target: Sequence[object] | None
    stratify: bool
    seed: int

    def divide(self, rows: np.ndarray, shares: dict[str, float]) -> dict[str, np.ndarray]:
        """Rows of each side, ascending: of those with a share as many as it says, of `train` all others."""
        sizes = {side: max(1, round(share * len(rows))) for side, share in shares.items() if share > 0}
        if len(rows) < len(sizes) + 1:
            what = "row" if self.target is None else "row with a target"
            words = f"1 sample ({what})" if len(rows) == 1 else f"{len(rows)} {what.replace('row', 'rows')}"
            raise DataError(self._too_few(words, sizes))
        method = method_of(self.config, self.stratify)
        if method == "stratified":
            sides = self._stratified(rows, sizes)
        else:
            units = self._units(rows, method)
            if units.max() < len(sizes):
                raise DataError(self._too_few(f"{units.max() + 1} different cells in {self.config.by!r}", sizes))
            choose = _fitting if method == "group" else _consecutive
            sides = {side: rows[np.isin(units, chosen)] for side, chosen in choose(np.bincount(units), sizes).items()}
        none = np.array([], dtype=np.int64)
        train = np.setdiff1d(rows, np.concatenate([none, *sides.values()]))
        return {"train": train} | {side: np.sort(sides.get(side, none)) for side in shares}

    def _scores(self) -> np.ndarray:
        """A random number for each row of the table; rows that come after it do not change it."""
        return np.random.default_rng(self.seed).random(self.table.num_rows)

    def _units(self, rows: np.ndarray, method: str) -> np.ndarray:
        """What stays together: for each row the number of its unit, numbered in the order in which sides are filled."""
        scores = self._scores()[rows]
        if method == "random":
            return np.argsort(np.argsort(scores))
        if method == "group":
            groups = groups_of(self.table, self.config)[rows]
            _, first, numbers = np.unique(groups, return_index=True, return_inverse=True)
            return np.asarray(np.argsort(np.argsort(scores[first]))[numbers])
        assert self.config.by is not None
        times = _times(rows, self.table, self.config.by)
        newest_first = {time: unit for unit, time in enumerate(sorted(set(times), reverse=True))}
        return np.array([newest_first[time] for time in times])

    def _stratified(self, rows: np.ndarray, sizes: dict[str, int]) -> dict[str, np.ndarray]:
        """From each class its share, by the largest remainder; the last row of a class stays in train."""
        assert self.target is not None
        scores = self._scores()
        classes: dict[str, list[int]] = defaultdict(list)
        for row in sorted(rows.tolist(), key=scores.__getitem__):
            classes[name_of(self.target[row])].append(row)
        if single := sorted(name for name, members in classes.items() if len(members) == 1):
            named = ", ".join(map(repr, single[:5])) + (", ..." if len(single) > 5 else "")
            warn(f"One row only, kept for train, has each of these classes: {named}. No metric can tell of them.")
        sides = {}
        for side, size in sizes.items():
            taken = _shares([len(members) for members in classes.values()], size)
            if not sum(taken):
                raise DataError(self._too_few("no class with a row to spare", sizes))
            members = zip(classes.values(), taken, strict=True)
            sides[side] = np.array([rows_of.pop() for rows_of, number in members for _ in range(number)])
        return sides

    def _too_few(self, what: str, sizes: dict[str, int]) -> str:
        needed = ", ".join(["train", *sizes])
        return (
            f"{self.table.source} has {what}, but each of {needed} needs one. Add rows, or set "
            f"{' or '.join(f'split.{side}' for side in sizes) or 'another split'} to 0."
        )


def _consecutive(units: np.ndarray, sizes: dict[str, int]) -> dict[str, np.ndarray]:
    """Fills one side after the other with units (given: rows in each) in order, until each has its size."""
    sides, start = {}, 0
    for later, (side, size) in zip(range(len(sizes), 0, -1), sizes.items(), strict=True):
        enough = int(np.searchsorted(np.cumsum(units[start:]), size)) + 1
        end = start + min(enough, len(units) - start - later)  # one unit is kept for each later side and train
        sides[side] = np.arange(start, end)
        start = end
    return sides


def _fitting(units: np.ndarray, sizes: dict[str, int]) -> dict[str, np.ndarray]:
    """The same, but passes over units too large for what a side still lacks: groups differ in size."""
    free = list(range(len(units)))
    sides = {}
    for later, (side, size) in zip(range(len(sizes), 0, -1), sizes.items(), strict=True):
        chosen: list[int] = []
        filled = 0
        for unit in free:
            if filled + units[unit] / 2 <= size and len(free) - len(chosen) > later:
                chosen.append(unit)
                filled += int(units[unit])
        chosen = chosen or [min(free, key=units.__getitem__)]
        taken = set(chosen)
        free = [unit for unit in free if unit not in taken]
        sides[side] = np.array(chosen)
    return sides


def _shares(members: list[int], size: int) -> list[int]:
    """How many rows each class gives to a side of some size; at least one of each stays."""
    quotas = [size * number / sum(members) for number in members]
    taken = [min(int(quota), number - 1) for quota, number in zip(quotas, members, strict=True)]
    by_remainder = sorted(range(len(members)), key=lambda c: taken[c] - quotas[c])
    for number in by_remainder:
        if sum(taken) < size and taken[number] < members[number] - 1:
            taken[number] += 1
    return taken


def _times(rows: np.ndarray, table: Table, column: str) -> list[int | float | dt.datetime]:
    """Cells of the time column as what sorts: all numbers, or all times in UTC."""
    cells, times = table.values(column), []
    for row in rows:
        time = _time_of(cells[row])
        if time is None:
            raise DataError(
                f"{table.where(int(row))}, column {column!r}: {shown(cells[row])} is no time. "
                "A split by time needs a number or an ISO 8601 date in every row that has a target."
            )
        times.append(time)
    if len({isinstance(time, dt.datetime) for time in times}) > 1:
        raise DataError(
            f"{table.source}, column {column!r} mixes numbers and dates; a split by time needs one of them."
        )
    return times


def _time_of(cell: object) -> int | float | dt.datetime | None:
    if isinstance(cell, str):
        cell = _parsed(cell.strip())
    if isinstance(cell, dt.datetime):
        try:
            return cell.astimezone(dt.UTC) if cell.tzinfo else cell.replace(tzinfo=dt.UTC)
        except OverflowError:  # in UTC it lies before the year 1 or after 9999
            return None
    if isinstance(cell, dt.date):
        return dt.datetime(cell.year, cell.month, cell.day, tzinfo=dt.UTC)
    return cell if isinstance(cell, int | float) and not isinstance(cell, bool) else None


def _parsed(text: str) -> int | float | dt.datetime | None:
    for parse in (float, dt.datetime.fromisoformat):  # in this order: `20240131` is a number in every other row too
        try:
            time: int | float | dt.datetime = parse(text)
        except ValueError:
            continue
        return time if time == time else None  # noqa: PLR0124 - "nan" is no time
    return None
