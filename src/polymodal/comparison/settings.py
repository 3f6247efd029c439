"""What a comparison is about, checked before anything is trained: table, target, folds, inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from polymodal.comparison.entries import Entry
from polymodal.comparison.trial import Fold
from polymodal.config import run_config as configuration
from polymodal.config.run_config import RunConfig, SplitConfig
from polymodal.data.split.folds import fold_of_rows
from polymodal.data.split.sides import read_sides
from polymodal.data.split.split import groups_of
from polymodal.data.tables.table import Table
from polymodal.data.target.xy import attach
from polymodal.errors import ConfigError, DataError
from polymodal.metrics.direction import greater_is_better
from polymodal.models.stage import stage_of
from polymodal.pipeline.choices import (
    Choices,
    choose,
    complete,
    preset_stage,
    read_target,
    target_values,
    unfitted,
    with_target,
)
from polymodal.pipeline.split_column import with_split_column


@dataclass(frozen=True)
class ComparedTable:
    """What is compared on.

    Attributes:
        config: what the user says, with target and task.
        choices: what a training with it decides on the first fold.
        folds: of all repeats; `num_folds` in each.
        notes: on rows that are left out.
    """

    config: RunConfig
    choices: Choices
    folds: Sequence[Fold]
    num_folds: int
    repeats: int
    notes: tuple[str, ...]

    @property
    def columns(self) -> Mapping[str, tuple[str, ...]]:
        """By input, the columns that form it."""
        return {model_input.name: model_input.columns for model_input in self.choices.inputs}

    @property
    def metric(self) -> str:
        """The task's first metric."""
        return str(self.choices.task.metric)

    @property
    def greater_is_better(self) -> bool:
        """Of that metric."""
        return greater_is_better(self.choices.task.greater_is_better, self.metric)

    @property
    def units(self) -> Int[np.ndarray, " R"]:
        """By row of the folds' table, the number of what it is drawn with by a bootstrap: its group, else itself."""
        return groups_of(self.folds[0].table, self.config.split)

    def possible(self, entries: Sequence[Entry], *, forgiving: bool) -> tuple[list[Entry], tuple[str, ...]]:
        """The entries whose fusion, stage, task and inputs go together, and notes on the others.

        Raises:
            ConfigError: one that the user named does not; with `forgiving` all fusions and stages were asked for.
        """
        kept, refused = [], []
        for entry in entries:
            try:
                task = unfitted(entry.config.task)
                whole = complete(entry.config, entry.config.task, task, num_rows=len(self.choices.split.train))
                stage_of(whole).check(whole, task, entry.inputs)
                task.sides([column for name in entry.inputs for column in self.columns[name]])
            except ConfigError as error:
                chosen = entry.kind in ("single", "ablation") or (forgiving and entry.kind == "fusion")
                if not chosen:  # the user named it
                    raise
                refused.append(f"Left out, {entry.name}: {error}")
            else:
                kept.append(entry)
        return kept, tuple(refused)


def subject(
    source: object,
    y: object,
    config: RunConfig | Mapping[str, Any] | str | Path | None,
    *,
    folds: int,
    repeats: int,
    purpose: str,
) -> ComparedTable:
    """Reads the table and divides its rows; of media no more is decoded yet than settings are suggested by.

    The arguments are those of `compare`; `purpose` says for messages who asks.

    Raises:
        UsageError: settings that do not fit the table.
        DataError: the table has too few rows for the folds.
    """
    config = configuration.given(config, source=purpose)
    if config.bad_cells == "drop":
        raise ConfigError(
            f"{purpose}: bad_cells drop takes rows out by the inputs that a model has; all must be measured on the same"
            " rows. Set bad_cells to missing, or repair the cells."
        )
    table, config = with_target(source, y, config, several=True)
    values = target_values(table, config)
    config, alerts = with_split_column(table, config, values)
    part, task, target = read_target(table, config)
    values = target.values
    config = config.model_copy(update={"task": part})
    config = config.model_copy(update={"stage": preset_stage(config, task)})  # what other stages are compared with
    stratify = task.stratified
    divided, notes = _divide(table, config, values, stratify=stratify, folds=folds, repeats=repeats)
    choices = choose(divided[0].table, divided[0].config(config))
    return ComparedTable(
        config=config,
        choices=choices,
        folds=divided,
        num_folds=folds,
        repeats=repeats,
        notes=(*(alert.text for alert in alerts), *notes, *choices.warnings),
    )


def _divide(
    table: Table, config: RunConfig, values: Sequence[object] | None, *, stratify: bool, folds: int, repeats: int
) -> tuple[list[Fold], tuple[str, ...]]:
    """The folds of every repeat, with other seeds, and notes on rows that are left out.

    With one fold, the split of the configuration is used: its test rows are measured. With more, every row that has a
    target is for test once in each repeat; rows that a split column says are for test are left alone, so that they can
    still tell how good the choice is.

    Raises:
        ConfigError: a number or a method of folds that makes no sense; no test rows.
        DataError: too few rows, groups, or rows of a class.
    """
    if folds < 1 or repeats < 1:
        raise ConfigError(f"compare: folds and repeats are numbers from 1; got {folds} and {repeats}.")
    notes = []
    if unlabelled := sum(value is None for value in values or ()):
        notes.append(f"{unlabelled} rows have no target and are left out.")
    split = config.split
    if folds == 1:
        if split.column is None and not split.test:
            raise ConfigError("compare: with 1 fold, the split needs test rows: set split.test, or use more folds.")
        on = f"the column {split.column!r}" if split.column else f"{split.test:g} of the rows"
        notes.append(f"Measured on the test rows ({on}), with which no choice should be made that they then confirm.")
        return [Fold(table, split, (), repeat) for repeat in range(repeats)], tuple(notes)
    kept, left = _to_be_divided(table, split, values)
    if left:
        notes.append(f"{left} test rows of the column {split.column!r} are left alone: the folds divide the others.")
    rows = table.take(kept)
    of_rows = None if values is None else [values[row] for row in kept]
    drop = (split.column,) if split.column else ()
    found = []
    for repeat in range(repeats):
        seed = config.seed + repeat
        of_fold = fold_of_rows(rows, split, target=of_rows, stratify=stratify, seed=seed, folds=folds)
        for number in range(folds):
            sides = np.where(of_fold == number, "test", "train").tolist()
            marked, name = attach(rows, sides, name=None, role="fold")
            method = SplitConfig(column=name, method=split.method, by=split.by, validation=split.validation)
            found.append(Fold(marked, method, drop, repeat))
    return found, tuple(notes)


def _to_be_divided(table: Table, split: SplitConfig, values: Sequence[object] | None) -> tuple[np.ndarray, int]:
    """The rows that folds are made of, and how many the split column sets aside for test."""
    every = range(table.num_rows)
    rows = np.array([row for row in every if values is None or values[row] is not None], dtype=np.int64)
    if split.column is None:
        return rows, 0
    sides = read_sides(table, split.column, rows)
    test = np.array([sides[row] == "test" for row in rows.tolist()], dtype=bool)
    if test.all():
        raise DataError(
            f"{table.source}: every row that has a target is for test in {split.column!r}; folds have none."
        )
    return rows[~test], int(test.sum())


def quick(about: ComparedTable) -> RunConfig:
    """The configuration for a cheap training: half of the epochs, where none are said, and the best of them kept."""
    config = about.config
    epochs = max(1, round((about.choices.config.train.epochs or 1) / 2))
    train = config.train.model_copy(update={"epochs": config.train.epochs or epochs, "final": "best"})
    return config.model_copy(update={"train": train})
