"""What a comparison is about, checked before anything is trained: table, target, folds, inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polymodal import config as configuration
from polymodal import registry
from polymodal.comparison.entries import Entry
from polymodal.comparison.rows import divide
from polymodal.comparison.trial import Fold
from polymodal.config import ColumnConfig, Part, RunConfig
from polymodal.data.infer import infer_columns
from polymodal.data.table import read_table
from polymodal.data.xy import attach_target, checked, is_numeric
from polymodal.defaults import complete_inputs
from polymodal.errors import ConfigError
from polymodal.run import complete
from polymodal.task_choice import choose_task, target_values
from polymodal.timing import timing_of
from polymodal.types import Head


@dataclass(frozen=True)
class Subject:
    """What is compared on.

    Attributes:
        config: what the user says, with target and task.
        columns: by input, the columns that form it.
        folds: of all repeats.
        num_folds: in each of them.
        repeats: their number.
        head: the task's class.
        remarks: on rows that are left out.
    """

    config: RunConfig
    columns: Mapping[str, tuple[str, ...]]
    folds: Sequence[Fold]
    num_folds: int
    repeats: int
    head: Any  # type[Head], which the checker of types takes for an instance
    remarks: tuple[str, ...]

    @property
    def num_rows(self) -> int:
        """About how many rows a training learns from."""
        split, rows = self.config.split, self.folds[0].table.num_rows
        learned = 1 - 1 / self.num_folds if self.num_folds > 1 else 1 - split.test
        return int(rows * learned * (1 - split.validation))

    @property
    def metric(self) -> str:
        """The task's first metric."""
        return str(self.head.metric)

    def possible(self, entries: Sequence[Entry], *, forgiving: bool) -> tuple[list[Entry], tuple[str, ...]]:
        """The entries whose fusion and timing go together, and remarks on the others.

        Raises:
            ConfigError: one does not, and `forgiving` (all are asked for, whatever they are) is not set.
        """
        kept, refused = [], []
        for entry in entries:
            assert entry.config is not None
            try:
                self._check(entry.config, entry.inputs)
            except ConfigError as error:
                if not forgiving or entry.kind != "fusion":
                    raise
                refused.append(f"Left out, {entry.name}: {error}")
            else:
                kept.append(entry)
        return kept, tuple(refused)

    def _check(self, config: RunConfig, inputs: Sequence[str]) -> None:
        whole = complete(config, config.task, self.head, num_rows=self.num_rows)
        timing_of(whole).check(whole, self.head.scores, inputs)


def subject(
    source: object,
    y: object,
    config: RunConfig | Mapping[str, Any] | str | Path | None,
    *,
    folds: int,
    repeats: int,
    purpose: str,
) -> Subject:
    """Reads the table and divides its rows; nothing is decoded yet.

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
    source = checked(source)
    table = read_table(source, text=config.table)
    numbers = table.names if is_numeric(source) else ()
    table, target = attach_target(table, y, name=config.target, several=True)
    said = dict.fromkeys(numbers, ColumnConfig(modality=Part(name="number"))) | config.columns
    config = config.model_copy(update={"target": target, "columns": said})
    values = target_values(table, config)
    config = config.model_copy(update={"task": choose_task(values, config)})
    head: type[Head] = registry.load("tasks", config.task.name or "")
    inferred = infer_columns(table, config)
    divided, remarks = divide(table, config, values, stratify=head.stratified, folds=folds, repeats=repeats)
    _, inputs = complete_inputs(inferred, config, num_rows=divided[0].table.num_rows, suggested={})
    return Subject(
        config=config,
        columns={of_input.name: of_input.columns for of_input in inputs},
        folds=divided,
        num_folds=folds,
        repeats=repeats,
        head=head,
        remarks=remarks,
    )


def quick(about: Subject) -> RunConfig:
    """The configuration for a cheap training: half of the epochs, where none are said, and the best of them kept."""
    config = about.config
    usual = complete(config, config.task, about.head, num_rows=about.num_rows).train.epochs or 1
    epochs = max(1, round(usual / 2))
    train = config.train.model_copy(update={"epochs": config.train.epochs or epochs, "final": "best"})
    return config.model_copy(update={"train": train})


def _read(config: RunConfig | Mapping[str, Any] | str | Path | None, purpose: str) -> RunConfig:
    if isinstance(config, str | Path):
        return configuration.read(Path(config))
    if isinstance(config, RunConfig):
        return config
    return configuration.make(dict(config or {}), source=purpose)
