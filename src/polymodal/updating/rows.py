"""Rows of an update: which it learns from, which are held out to measure it, which old ones it learns from again.

Old rows are learned from again so that learning new ones does not mean forgetting them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from polymodal.config.run_config import RunConfig, SplitConfig
from polymodal.data.split.split import split_rows
from polymodal.data.tables.table import Table, read_table

_FEWEST = 10  # new rows of which some are held out


@dataclass(frozen=True)
class Labelled:
    """A table and what is to be learned from it.

    Attributes:
        target: a cell for each row; None where it is missing.
        weight: a sample weight for each row; None: all count alike.
    """

    table: Table
    target: Sequence[object]
    weight: Float[np.ndarray, " N"] | None = None

    @property
    def rows(self) -> Int[np.ndarray, " n"]:
        """Numbers of the rows that have a target."""
        return np.array([row for row, value in enumerate(self.target) if value is not None], dtype=np.int64)

    def take(self, rows: Int[np.ndarray, " n"]) -> Labelled:
        """Some of the rows, by number."""
        weight = None if self.weight is None else self.weight[rows]
        return Labelled(self.table.take(rows), [self.target[row] for row in rows.tolist()], weight)


@dataclass(frozen=True)
class Sides:
    """Numbers of rows that have a target, ascending; the first ones may be learned from, the others are measured on."""

    learned: Int[np.ndarray, " n"]
    held: Int[np.ndarray, " m"]


def new_sides(new: Labelled, config: RunConfig, rng: np.random.Generator, notes: list[str]) -> Sides:
    """Divides new rows: by the column that says it, else by group or time as the training was, else at random.

    `notes` gets a sentence where nothing is held out although it was asked for.
    """
    rows, split, share = new.rows, config.split, config.update.holdout
    if split.column in new.table.names:
        return _divided(new, split, seed=config.seed, stratify=False)
    if share and len(rows) < _FEWEST:
        notes.append(f"Fewer than {_FEWEST} new rows: none is held out, so they are only measured before the update.")
        share = 0.0
    if share and split.by in new.table.names:
        alike = SplitConfig(method=split.method, by=split.by, test=share, validation=0)
        return _divided(new, alike, seed=config.seed, stratify=False)
    held = np.sort(rng.permutation(rows)[: round(share * len(rows))])
    return Sides(np.setdiff1d(rows, held), held)


def sides_of_training(old: Labelled, config: RunConfig, *, stratify: bool, notes: list[str]) -> Sides:
    """Divides old rows as the training did: its test rows are held out again, or without such its validation rows.

    `notes` gets a sentence where the rows, which may be of another table, cannot be divided so.
    """
    split = config.split
    missing = [name for name in (split.column, split.by) if name is not None and name not in old.table.names]
    if missing:
        split = SplitConfig(method="random", test=config.update.holdout, validation=0)
        notes.append(
            f"{old.table.source} has no column {missing[0]!r}, which divided the rows of the training: a random "
            f"{split.test:.0%} of its rows are held out, and the training may have learned from some of them."
        )
    return _divided(old, split, seed=config.seed, stratify=stratify)


def _divided(rows: Labelled, split: SplitConfig, *, seed: int, stratify: bool) -> Sides:
    if split.column is None and not split.test and not split.validation:
        return Sides(rows.rows, rows.rows[:0])
    sides = split_rows(rows.table, split, target=rows.target, stratify=stratify, seed=seed)
    if len(sides.test):
        return Sides(np.sort(np.concatenate([sides.train, sides.validation])), sides.test)
    return Sides(sides.train, sides.validation)


@dataclass(frozen=True)
class _Row:
    key: float
    folder: Path
    cells: Mapping[str, object]
    target: object
    weight: float


class Reservoir:
    """A fair sample of at most `size` of all rows that were seen: each is in it with the same probability.

    Every row draws a random number, and those with the smallest stay: as fair as a reservoir (Vitter 1985, "Random
    sampling with a reservoir"), and the order in which rows come does not matter.
    """

    def __init__(self, size: int, *, seed: int) -> None:
        self.size = size
        self._rng = np.random.default_rng(seed)
        self._rows: list[_Row] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, seen: Labelled) -> None:
        """Lets the rows that have a target take part in the draw."""
        rows = seen.rows
        keys = self._rng.random(len(rows))
        some = np.sort(np.argsort(keys)[: self.size])
        kept = seen.take(rows[some])
        columns = {name: kept.table.values(name) for name in kept.table.names}
        for place, key in enumerate(keys[some].tolist()):
            cells = {name: values[place] for name, values in columns.items()}
            weight = 1.0 if kept.weight is None else float(kept.weight[place])
            self._rows.append(_Row(key, kept.table.folder, cells, kept.target[place], weight))
        self._rows = sorted(self._rows, key=lambda row: row.key)[: self.size]

    def rows(self) -> list[Labelled]:
        """All rows that are kept, as one table for each folder that their media are in."""
        by_folder: defaultdict[Path, list[_Row]] = defaultdict(list)
        for row in self._rows:
            by_folder[row.folder].append(row)
        tables = []
        for folder, rows in by_folder.items():
            names = dict.fromkeys(name for row in rows for name in row.cells)
            cells = {name: [row.cells.get(name) for row in rows] for name in names}
            weight = np.array([row.weight for row in rows])
            tables.append(Labelled(read_table(cells, folder=folder), [row.target for row in rows], weight))
        return tables


def sample(target: Sequence[object], count: int, *, stratify: bool, rng: np.random.Generator) -> Int[np.ndarray, " n"]:
    """Places of `count` rows, ascending; all if there are fewer. With `stratify`, every class gets its share."""
    order = rng.permutation(len(target))
    if stratify:
        classes: defaultdict[object, list[int]] = defaultdict(list)
        for row in order.tolist():
            classes[target[row]].append(row)
        # The k-th of n rows of a class stands at about k / n: the first of all classes together hold each one's share.
        stands = {
            row: (place + rng.random()) / len(rows) for rows in classes.values() for place, row in enumerate(rows)
        }
        order = np.array(sorted(stands, key=stands.__getitem__), dtype=np.int64)
    return np.sort(order[:count])
