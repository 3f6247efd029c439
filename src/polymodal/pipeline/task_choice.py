"""What is predicted, and by which task: the target's cells, the task that suits them, and what it learned of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from polymodal import registry
from polymodal.config.run_config import ColumnConfig, Part, RunConfig, part_settings
from polymodal.data.tables.table import Table, read_table
from polymodal.data.target.cells import target_cells
from polymodal.data.target.xy import attach_target, checked, is_numeric
from polymodal.errors import ColumnError, ConfigError, DataError
from polymodal.protocols import Recognition, Task
from polymodal.schema import Target


def with_target(source: object, y: object, config: RunConfig, *, several: bool) -> tuple[Table, RunConfig]:
    """The table with a target that is given beside it, and the configuration that names it.

    The columns of a numeric array are numbers, whatever their cells look like.

    Args:
        source: whatever `read_table` takes, or array-like [rows, columns].
        y: the target: a column's name, or one value a row; None: the configuration names the column, if anything does.
        config: what else is known.
        several: whether more than one column can be predicted.

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

    Args:
        values: of the target, by row; None: the task that is named has none.
        config: target and task.
        among: names of the tasks to choose from; None: all.

    Raises:
        DataError: there is no value, or no task suits them.
        ConfigError: the named task predicts one column, but the target is several.
    """
    if values is None:
        return config.task
    present, title = [value for value in values if value is not None], ", ".join(config.targets)
    if config.task.name is not None:
        if len(config.targets) > 1 and present and _recognise(config.task.name, present) is None:
            raise ConfigError(
                f"The task {config.task.name!r} does not predict the columns {title} together: several targets are "
                "columns of numbers, for the task 'regress'. Name one column as the target, or set another task."
            )
        return config.task
    if not present:
        raise DataError(f"The target column {title!r} has no values; there is nothing to learn.")
    found = [(recognition.confidence, name) for name in among or registry.names("tasks")
             if (recognition := _recognise(name, present)) is not None]  # fmt: skip
    if not found:
        hint = " Several targets must be columns of numbers." if len(config.targets) > 1 else ""
        raise DataError(f"No task suits the target column {title!r} with values such as {present[0]!r}.{hint}")
    return Part(name=max(found)[1], **config.task.settings)


def fit_target(config: RunConfig, values: Sequence[object]) -> Target:
    """The target with what its task learned from the training rows' values.

    Raises:
        ConfigError: a setting of the task is wrong.
        DataError: the values do not suit the task.
    """
    statistics = unfitted(config.task).fit(values, column=", ".join(config.targets))
    column = config.targets[0] if len(config.targets) == 1 else config.targets
    return Target(column=column, task=config.task.name or "", settings=config.task.settings, statistics=statistics)


def unfitted(part: Part) -> Task:
    """The task of that name and settings, which has not seen a target.

    Raises:
        ConfigError: a setting is wrong.
    """
    task: Task = registry.load("tasks", part.name or "")(part_settings("tasks", part))
    return task


def notes(target: Target) -> tuple[str, ...]:
    """Sentences on the target that the user should hear, such as labels that are left out."""
    said: Any = target.statistics.get("notes", [])
    return tuple(map(str, said))


def _recognise(task: str, values: Sequence[object]) -> Recognition | None:
    found: Recognition | None = registry.load("tasks", task).recognise(values)
    return found
