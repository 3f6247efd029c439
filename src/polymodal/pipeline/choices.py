"""Everything that a run decides before any media are decoded: columns, inputs, task, split, settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from polymodal import registry
from polymodal.abilities import Advised, ReadsTarget, Scoring
from polymodal.config.preset_names import BEST
from polymodal.config.run_config import ColumnConfig, Part, RunConfig, completed, part_settings
from polymodal.config.sharing import Groups, groups_of
from polymodal.data.cells.clean import with_policies
from polymodal.data.columns.infer import infer_columns, suggest_settings
from polymodal.data.columns.profile import Profiler, column_profiler
from polymodal.data.split.split import Split, split_rows
from polymodal.data.tables.column_data import shown
from polymodal.data.tables.table import Table, read_table
from polymodal.data.target.cells import target_cells
from polymodal.data.target.dates import why_dates_are_no_target
from polymodal.data.target.reading import TargetValues, read_values
from polymodal.data.target.xy import attach_target, checked, is_numeric
from polymodal.device import pick_device
from polymodal.errors import ColumnError, ConfigError, DataError
from polymodal.metrics.alerts import Alert
from polymodal.metrics.direction import greater_is_better
from polymodal.models.stage import DEEP_ENSEMBLE, INTERMEDIATE, Stage, stage_of
from polymodal.pipeline.defaults import complete_inputs, complete_train, fusion_of, with_anchor
from polymodal.pipeline.odd_target import alerts_of, odd_classes
from polymodal.pipeline.preset_encoders import PresetEncoders
from polymodal.pipeline.split_column import with_split_column
from polymodal.pipeline.warm_start import WarmStart, start_from
from polymodal.protocols import Recognition, Task
from polymodal.schema import Column, Input, Target
from polymodal.training.plan import pick_precision


@dataclass(frozen=True)
class Choices:
    """What a run does with a table: every choice that its configuration left open, made.

    Attributes:
        config: task, fusion, stage and training settings are complete; columns are as the user named them.
        columns: of the table, with complete settings; nothing is learned of them yet.
        inputs: that they form.
        values: the target's cell of each row, None where it is missing; None of a task without a target.
        task: not fitted yet.
        split: of the rows that have a target.
        warm_start: the trained model that the run starts from.
        read: the same values, with what could not be read and what is to be said of them.
        alerts: what the user is told of these choices first.
        warnings: what could not be chosen as the user would have it, in sentences.
    """

    table: Table
    config: RunConfig
    columns: tuple[Column, ...]
    inputs: tuple[Input, ...]
    values: Sequence[object] | None
    task: Task
    split: Split
    warm_start: WarmStart | None
    read: TargetValues
    alerts: tuple[Alert, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def together(self) -> Groups:
        """Names of columns that go through one encoder, and of which one thing is learned."""
        return groups_of(self.inputs)

    def check(self) -> Target:
        """Finds what is wrong with device, metric, stage or target before media are read: that takes long.

        Returns:
            The target as the training rows are now.

        Raises:
            ConfigError: a setting makes no sense, or does not fit the others.
            DataError: a value of the target does not suit the task.
        """
        pick_precision(self.config.train.precision, pick_device(self.config.device))
        greater_is_better(self.task.greater_is_better, self.config.train.early_stopping.metric or "")
        stage_of(self.config).check(self.config, self.task, [model_input.name for model_input in self.inputs])
        if self.warm_start is not None:
            self.warm_start.check(self.together)
        return self.target(self.split.train)

    def target(self, train: np.ndarray) -> Target:
        """What the task learns of the target from some rows."""
        task, names, values = self.config.task, self.config.targets, self.values
        known = [] if values is None else [values[row] for row in train]
        return Target(
            column=names[0] if len(names) == 1 else names,
            task=task.name or "",
            settings=task.settings,
            statistics=self.task.fit(known, column=", ".join(names)),
        )


def choose(
    table: Table, config: RunConfig, profile: Profiler | None = None, columns: tuple[Column, ...] | None = None
) -> Choices:
    """Makes every choice that a configuration leaves open; of media some cells are looked at, to suggest settings.

    Args:
        table: the rows.
        config: what is known.
        profile: of a caller that has looked at the columns already; None: taken here.
        columns: as `infer_columns` would find them, likewise.

    Raises:
        UsageError: the configuration does not fit the table or this installation.
        DataError: the table cannot be learned from.
    """
    cells = target_values(table, config)
    config, alerts = with_split_column(table, config, cells)
    profile = profile or column_profiler(table, config.limits)
    if columns is None or not any(column.modality for column in columns):
        columns = infer_columns(table, config, profile)
    columns = with_policies(columns, config.clean)
    warm_start, columns, config = start_from(columns, config)
    part, task, target = read_target(table, config)
    values, odd = target.values, odd_classes(cells, config, part)
    try:
        split = split_rows(table, config.split, target=values, stratify=task.stratified, seed=config.seed)
    except DataError as error:
        if odd is None:
            raise
        raise DataError(f"The target column {odd} As classes: {error}") from error  # the likely cause
    num_rows = len(split.train)
    config = complete(config, part, task, num_rows=num_rows)
    suggested = suggest_settings(table, columns, config.limits, profile)
    if task.needs().time:  # of a recording that is cut, the text is not what is heard
        suggested = {name: _whole(one, config.limits.seconds) for name, one in suggested.items()}
    given = () if warm_start is None else warm_start.columns
    preset = PresetEncoders(config)
    columns, inputs = complete_inputs(
        columns, config, task, num_rows=num_rows, suggested=suggested, given=given, preset=preset
    )
    config = with_anchor(config, task, inputs)
    warnings = tuple(preset.warnings(inputs))
    alerts = (*alerts, *alerts_of(odd))
    return Choices(table, config, columns, inputs, values, task, split, warm_start, target, alerts, warnings)


def _whole(suggested: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Suggested settings of a modality, with recordings up to so many seconds kept whole."""
    return {**suggested, **({"max_seconds": seconds} if "max_seconds" in suggested else {})}


def with_target(source: object, y: object, config: RunConfig, *, several: bool) -> tuple[Table, RunConfig]:
    """The table with a target that is given beside it, and the configuration that names it.

    The source is whatever `read_table` takes, or array-like [rows, columns]. The columns of a numeric array are
    numbers, whatever their cells look like. `y` and `several` are as for `attach_target`.

    Raises:
        ColumnError: no such column, or the values bear the name of a column of the table.
        ValueError: not one value a row.
    """
    source = checked(source)
    table = read_table(source, text=config.table)
    numbers = table.names if is_numeric(source) else ()
    columns = dict.fromkeys(numbers, ColumnConfig(modality=Part(name="number"))) | config.columns
    table, target = attach_target(table, y, name=config.target, several=several)
    return table, config.model_copy(update={"target": target, "columns": columns})


def read_target(table: Table, config: RunConfig) -> tuple[Part, Task, TargetValues]:
    """The task with the settings that suit its target, which has not seen it yet, and the target's values.

    Raises:
        UsageError: as `target_values` and `choose_task`.
        DataError: no task suits the values, or most of them cannot be read.
    """
    values = target_values(table, config)
    part = choose_task(values, config)
    return part, (task := unfitted(part)), read_values(task, values, column=", ".join(config.targets))


def target_values(table: Table, config: RunConfig) -> list[object] | None:
    """The target's cells, of several columns mappings by their names; None where the task has no target.

    Raises:
        ColumnError: no target is named, or the table lacks it.
        ConfigError: a target is named, and the task has none.
    """
    if config.task.name is not None and not registry.load("tasks", config.task.name).targeted:
        if config.targets:
            raise ConfigError(
                f"The task {config.task.name!r} learns from all columns and predicts none: leave the target "
                f"{', '.join(config.targets)} out, or choose another task."
            )
        return None
    if not config.targets:
        raise ColumnError(f"{table.source}: which column is to be predicted? Name it as the target. "
                          f"Columns: {', '.join(table.names)}.")  # fmt: skip
    return target_cells(table, config.target or ())


def choose_task(values: Sequence[object] | None, config: RunConfig, *, among: Sequence[str] | None = None) -> Part:
    """The task that the user named, else the one that is surest of the target's values.

    The values are the target's, by row; None: the task that is named has none. `among` names tasks to choose from.

    Raises:
        DataError: there is no value, or no task suits them.
        ConfigError: the named task predicts one column, but the target is several.
    """
    if values is None:
        return config.task
    present, title = [value for value in values if value is not None], ", ".join(config.targets)
    if config.task.name in (None, "regress") and (dates := why_dates_are_no_target(present, title)):
        raise DataError(dates)
    if config.task.name is not None:
        if len(config.targets) > 1 and present and _recognise(config.task.name, present) is None:
            raise ConfigError(
                f"The task {config.task.name!r} does not predict the columns {title} together: several targets are "
                "columns of numbers, for the task 'regress'. Name one column as the target, or set another task."
            )
        return _with_suggestions(config.task, present)
    if not present:
        raise DataError(f"The target column {title!r} has no values; there is nothing to learn.")
    found = [(recognition.confidence, name) for name in among or registry.names("tasks")
             if (recognition := _recognise(name, present)) is not None]  # fmt: skip
    if not found:
        hint = " Several targets must be columns of numbers." if len(config.targets) > 1 else ""
        raise DataError(f"No task suits the target column {title!r} with values such as {shown(present[0])}.{hint}")
    return _with_suggestions(Part(name=max(found)[1], **config.task.settings), present)


def _with_suggestions(part: Part, present: Sequence[object]) -> Part:
    """The task with what suits its target, where the user says nothing."""
    task = registry.load("tasks", part.name or "")
    if not isinstance(task, type) or not issubclass(task, ReadsTarget):
        return part
    return Part(name=part.name, **{**task.suggest(present), **part.settings})


def unfitted(part: Part) -> Task:
    """The task of that name and settings, which has not seen a target.

    Raises:
        ConfigError: a setting is wrong.
    """
    task: Task = registry.load("tasks", part.name or "")(part_settings("tasks", part))
    return task


def _recognise(task: str, values: Sequence[object]) -> Recognition | None:
    found: Recognition | None = registry.load("tasks", task).recognise(values)
    return found


def complete(config: RunConfig, part: Part, task: Task, *, num_rows: int) -> RunConfig:
    """The configuration with task, fusion, stage and training settings as they are for so many training rows."""
    advice = task.advice if isinstance(task, Advised) else None
    stage = preset_stage(config, task)
    config = config.model_copy(update={"stage": stage.model_copy(update={"name": stage.name or INTERMEDIATE})})
    return config.model_copy(
        update={
            "task": completed("tasks", part),
            "fusion": completed("fusions", _fusion(config, stage_of(config), task)),
            "stage": completed("stages", config.stage),
            "train": complete_train(
                config.train, num_rows=num_rows, monitor=task.monitor, advice=advice, effort=config.effort
            ),
        }
    )


def preset_stage(config: RunConfig, task: Task) -> Part:
    """The stage that the user named, else that of the preset: `best` is a deep ensemble, where scores are predicted.

    A warm start keeps the stage of its bundle.
    """
    ensembles = config.effort == BEST and isinstance(task, Scoring) and config.warm_start.bundle is None
    if config.stage.name is not None or not ensembles:
        return config.stage
    return config.stage.model_copy(update={"name": DEEP_ENSEMBLE})


def _fusion(config: RunConfig, stage: Stage, task: Task) -> Part:
    """The fusion with what stage and task would have it do differently, where the user says nothing."""
    asked = fusion_of(task.needs())
    name = config.fusion.name or asked.name or ""
    known = {field.name for field in dataclasses.fields(registry.load("fusions", name).Config)}
    suited = {key: value for key, value in stage.fusion_settings.items() if key in known}
    return Part(name=name, **{**suited, **(asked.settings if name == asked.name else {}), **config.fusion.settings})
