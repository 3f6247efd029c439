"""Old rows to learn from again, so that learning new ones does not mean forgetting them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from polymodal.data.tables.table import Table, read_table


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
class _Row:
    key: float
    folder: Path
    cells: Mapping[str, object]
    target: object
    weight: float


class Reservoir:
    """A fair sample of all rows that were seen: each is in it with the same probability.

    Every row draws a random number, and those with the smallest stay: as fair as a reservoir (Vitter 1985, "Random
    sampling with a reservoir"), and the order in which rows come does not matter.

    Args:
        size: rows that are kept at most.
        seed: of the draw.
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
        return [_joined(folder, rows) for folder, rows in by_folder.items()]


def _joined(folder: Path, rows: Sequence[_Row]) -> Labelled:
    names = dict.fromkeys(name for row in rows for name in row.cells)
    cells = {name: [row.cells.get(name) for row in rows] for name in names}
    return Labelled(
        read_table(cells, folder=folder), [row.target for row in rows], np.array([row.weight for row in rows])
    )


def sample(target: Sequence[object], count: int, *, stratify: bool, rng: np.random.Generator) -> Int[np.ndarray, " n"]:
    """Places of `count` rows, ascending; all if there are fewer.

    Args:
        target: of every row.
        count: how many to take.
        stratify: the target's values are classes, each of which gets its share.
        rng: draws.
    """
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
