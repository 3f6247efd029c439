"""What a comparison is about, checked before anything is trained: table, target, folds, inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from polymodal.comparison.entries import Entry
from polymodal.comparison.rows import divide
from polymodal.comparison.trial import Fold
from polymodal.config import run_config as configuration
from polymodal.config.run_config import RunConfig
from polymodal.data.split.split import groups_of
from polymodal.errors import ConfigError
from polymodal.metrics.direction import greater_is_better
from polymodal.models.stage import stage_of
from polymodal.pipeline.choices import Choices, choose, complete
from polymodal.pipeline.task_choice import choose_task, target_values, unfitted, with_target


@dataclass(frozen=True)
class ComparedTable:
    """What is compared on.

    Attributes:
        config: what the user says, with target and task.
        choices: what a training with it decides on the first fold.
        folds: of all repeats.
        num_folds: in each of them.
        repeats: their number.
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
                self._check(entry.config, entry.inputs)
            except ConfigError as error:
                chosen = entry.kind in ("single", "ablation") or (forgiving and entry.kind == "fusion")
                if not chosen:  # the user named it
                    raise
                refused.append(f"Left out, {entry.name}: {error}")
            else:
                kept.append(entry)
        return kept, tuple(refused)

    def _check(self, config: RunConfig, inputs: Sequence[str]) -> None:
        task, num_rows = unfitted(config.task), len(self.choices.split.train)
        whole = complete(config, config.task, task, num_rows=num_rows)
        stage_of(whole).check(whole, task, inputs)
        task.sides([column for name in inputs for column in self.columns[name]])


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

    Args:
        source: as `compare` takes it.
        y: the target.
        config: what the user says.
        folds: in each repeat.
        repeats: their number.
        purpose: who asks, for messages.

    Raises:
        UsageError: settings that do not fit the table.
        DataError: the table has too few rows for the folds.
    """
    config = _read(config, purpose)
    if config.bad_cells == "drop":
        raise ConfigError(
            f"{purpose}: bad_cells drop takes rows out by the inputs that a model has; all must be measured on the same"
            " rows. Set bad_cells to missing, or repair the cells."
        )
    table, config = with_target(source, y, config, several=True)
    values = target_values(table, config)
    config = config.model_copy(update={"task": choose_task(values, config)})
    stratify = unfitted(config.task).stratified
    divided, notes = divide(table, config, values, stratify=stratify, folds=folds, repeats=repeats)
    return ComparedTable(
        config=config,
        choices=choose(divided[0].table, divided[0].config(config)),
        folds=divided,
        num_folds=folds,
        repeats=repeats,
        notes=notes,
    )


def quick(about: ComparedTable) -> RunConfig:
    """The configuration for a cheap training: half of the epochs, where none are said, and the best of them kept."""
    config = about.config
    epochs = max(1, round((about.choices.config.train.epochs or 1) / 2))
    train = config.train.model_copy(update={"epochs": config.train.epochs or epochs, "final": "best"})
    return config.model_copy(update={"train": train})


def _read(config: RunConfig | Mapping[str, Any] | str | Path | None, purpose: str) -> RunConfig:
    if isinstance(config, str | Path):
        return configuration.read(Path(config))
    if isinstance(config, RunConfig):
        return config
    return configuration.make(dict(config or {}), source=purpose)
