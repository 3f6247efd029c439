"""Everything that a run decides before any media are decoded: columns, inputs, task, split, settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from polymodal import registry
from polymodal.abilities import Advised
from polymodal.config import run_config as configuration
from polymodal.config.run_config import Part, RunConfig
from polymodal.config.sharing import Groups, groups_of
from polymodal.data.cells.clean import with_policies
from polymodal.data.columns.infer import infer_columns, suggest_settings
from polymodal.data.columns.profile import column_profiler
from polymodal.data.split.split import Split, split_rows
from polymodal.data.tables.table import Table
from polymodal.device import pick_device
from polymodal.metrics.direction import greater_is_better
from polymodal.models.stage import INTERMEDIATE, Stage, stage_of
from polymodal.pipeline.defaults import FUSION, FUSION_IN_TIME, complete_inputs, complete_train, with_anchor
from polymodal.pipeline.task_choice import choose_task, fit_target, target_values, unfitted
from polymodal.pipeline.warm_start import WarmStart, start_from
from polymodal.protocols import Task
from polymodal.schema import Column, Input, Target
from polymodal.training.plan import pick_precision


@dataclass(frozen=True)
class Choices:
    """What a run does with a table: every choice that its configuration left open, made.

    Attributes:
        table: the rows.
        config: task, fusion, stage and training settings are complete; columns are as the user named them.
        columns: of the table, with complete settings; nothing is learned of them yet.
        inputs: that they form.
        values: the target's cell of each row, None where it is missing; None of a task without a target.
        task: not fitted yet.
        split: of the rows that have a target.
        warm_start: the trained model that the run starts from.
    """

    table: Table
    config: RunConfig
    columns: tuple[Column, ...]
    inputs: tuple[Input, ...]
    values: Sequence[object] | None
    task: Task
    split: Split
    warm_start: WarmStart | None

    @property
    def together(self) -> Groups:
        """Names of columns that go through one encoder, and of which one thing is learned."""
        return groups_of(self.inputs)

    @property
    def known(self) -> frozenset[str]:
        """Names of columns that the model to start from has read before: what it learned of them stays."""
        return frozenset(() if self.warm_start is None else self.warm_start.columns)

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
        values = self.values
        return fit_target(self.config, [] if values is None else [values[row] for row in train])


def choose(table: Table, config: RunConfig) -> Choices:
    """Makes every choice that a configuration leaves open; of media some cells are looked at, to suggest settings.

    Args:
        table: the rows.
        config: at least `target`, or a task that has none.

    Raises:
        UsageError: the configuration does not fit the table or this installation.
        DataError: the table cannot be learned from.
    """
    profile = column_profiler(table, config.limits)
    columns = with_policies(infer_columns(table, config, profile), config.clean)
    warm_start, columns, config = start_from(columns, config)
    values = target_values(table, config)
    part = choose_task(values, config)
    task = unfitted(part)
    split = split_rows(table, config.split, target=values, stratify=task.stratified, seed=config.seed)
    num_rows = len(split.train)
    config = complete(config, part, task, num_rows=num_rows)
    suggested = suggest_settings(table, columns, config.limits, profile)
    given = () if warm_start is None else warm_start.columns
    columns, inputs = complete_inputs(columns, config, task, num_rows=num_rows, suggested=suggested, given=given)
    config = with_anchor(config, task, inputs)
    return Choices(table, config, columns, inputs, values, task, split, warm_start)


def complete(config: RunConfig, part: Part, task: Task, *, num_rows: int) -> RunConfig:
    """The configuration with task, fusion, stage and training settings as they are for so many training rows.

    Args:
        config: what the user says.
        part: name and settings of the task.
        task: not fitted.
        num_rows: training rows.
    """
    advice = task.advice if isinstance(task, Advised) else None
    return config.model_copy(
        update={
            "task": configuration.completed("tasks", part),
            "fusion": configuration.completed("fusions", _fusion(config, stage_of(config), task)),
            "stage": configuration.completed(
                "stages", config.stage.model_copy(update={"name": config.stage.name or INTERMEDIATE})
            ),
            "train": complete_train(config.train, num_rows=num_rows, monitor=task.monitor, advice=advice),
        }
    )


def _fusion(config: RunConfig, stage: Stage, task: Task) -> Part:
    """The fusion with what stage and task would have it do differently, where the user says nothing."""
    asked = FUSION_IN_TIME if task.needs().time else Part(name=FUSION)
    name = config.fusion.name or asked.name or ""
    known = {field.name for field in dataclasses.fields(registry.load("fusions", name).Config)}
    suited = {key: value for key, value in stage.settings_of_fusion().items() if key in known}
    return Part(name=name, **{**suited, **(asked.settings if name == asked.name else {}), **config.fusion.settings})
