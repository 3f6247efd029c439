"""Which rows an update learns from, and which are held out to see what it gained and what it forgot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from polymodal.config.run_config import RunConfig, SplitConfig
from polymodal.data.split.split import split_rows
from polymodal.updating.replay import Labelled

_FEWEST = 10  # new rows of which some are held out


@dataclass(frozen=True)
class Sides:
    """Numbers of rows that have a target, ascending; the first ones may be learned from, the others are measured on."""

    learned: Int[np.ndarray, " n"]
    held: Int[np.ndarray, " m"]


def new_sides(new: Labelled, config: RunConfig, rng: np.random.Generator, notes: list[str]) -> Sides:
    """Divides new rows: by the column that says it, else by group or time as the training was, else at random.

    Args:
        new: the rows.
        config: of the training.
        rng: draws.
        notes: gets a sentence where nothing is held out although it was asked for.
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

    Args:
        old: the rows; the table of the training, or any other.
        config: of the training.
        stratify: the target's values are classes.
        notes: gets a sentence where the rows cannot be divided so.
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
