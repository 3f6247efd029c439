"""A table and a configuration, with every open choice answered and every cell read: what there is to learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from polymodal.abilities import Verbatim
from polymodal.config.run_config import ColumnConfig, Part, RunConfig
from polymodal.data.audit.audit import check_run
from polymodal.data.cells.clean import Action, clean_cells, clean_rows, counted
from polymodal.data.cells.dataset import Dataset
from polymodal.data.cells.date_orders import date_order_warnings
from polymodal.data.cells.notes import sentences, truncated, unseen
from polymodal.data.cells.prepare import Reject, fit_statistics, modality_of, prepare
from polymodal.data.cells.store import Store
from polymodal.data.split.split import Split
from polymodal.data.tables.table import Table, read_table
from polymodal.data.target.cells import row_weights
from polymodal.errors import DataError
from polymodal.metrics.alerts import Alert
from polymodal.metrics.results import InputTest
from polymodal.models.build import task_of
from polymodal.pipeline.choices import Choices, choose
from polymodal.pipeline.selection import Selection, select_inputs
from polymodal.pipeline.shared_media import shared_media
from polymodal.pipeline.warm_start import WarmStart
from polymodal.protocols import Modality, Task
from polymodal.schema import Schema


@dataclass(frozen=True)
class Problem:
    """What is to be learned, and from what.

    Attributes:
        table: the rows, by whose numbers all else counts.
        schema: its columns, inputs and target, fitted on the training rows.
        config: complete, as it is written back: with it a run repeats.
        task: fitted.
        split: of the rows, without those that were dropped.
        dataset: the cells, the target and the sample weights of all rows.
        values: as in `Choices`, like `warm_start`.
        rejects: cells that could not be read, those of the target last.
        unreadable_targets: rows whose target could not be read.
        cleaned: what `clean` changed.
        warnings: what the user should hear of the table, in sentences.
        alerts: what he should hear first: why the figures may not hold for new rows.
        tests: by input, what the training rows say of it; empty where none was tested.
    """

    table: Table
    schema: Schema
    config: RunConfig
    task: Task
    split: Split
    dataset: Dataset
    values: Sequence[object] | None
    rejects: tuple[Reject, ...]
    cleaned: tuple[Action, ...]
    warnings: tuple[str, ...]
    alerts: tuple[Alert, ...]
    tests: Mapping[str, InputTest]
    warm_start: WarmStart | None = None
    unreadable_targets: int = 0


def resolve(source: object, config: RunConfig, *, folder: Path) -> Problem:
    """Answers every question that a table and a configuration leave open, and reads the table's cells.

    Decoded media are kept in a folder, and looked for there; they have to stay while the problem is used.

    Raises:
        UsageError: the configuration does not fit the table or this installation.
        DataError: the table cannot be learned from.
    """
    table = read_table(source, text=config.table)
    choices = choose(table, config)
    rejects = _unreadable_targets(table, choices)
    target = choices.check()
    targets = encode_targets(task_of(target), choices.values)  # refused now, before media are read
    config, columns = choices.config, choices.columns
    prepared = prepare(table, columns, limits=config.limits, bad_cells=config.bad_cells, cache=folder)
    split = _without(choices.split, prepared.dropped)
    split, cleaned = clean_rows(columns, prepared, choices.values, split, config.clean)
    if not np.array_equal(split.train, choices.split.train):
        target = choices.target(split.train)
        targets = encode_targets(task_of(target), choices.values)
    given = () if choices.warm_start is None else tuple(choices.warm_start.columns)  # what it learned of them stays
    fitted = fit_statistics(columns, prepared, split.train, together=choices.together, given=given)
    schema = Schema(columns=fitted, inputs=choices.inputs, target=target)
    modalities = {column.name: modality_of(column) for column in schema.features()}
    task = task_of(target)
    config = _written_out(config, schema, modalities, task)
    dataset = Dataset(prepared, modalities, task, targets, weight=_weights(table, config, split.train))
    selection = Selection(schema) if choices.warm_start else select_inputs(schema, config, dataset, split.train)
    used = np.sort(np.concatenate([split.train, split.validation, split.test]))
    cleaned += clean_cells(prepared, modalities, used)
    alerts, notes = check_run(table, columns, choices.config, split)  # with columns as the user named them
    return Problem(
        table, selection.schema, config, task, split, dataset, choices.values,
        (*prepared.rejects, *rejects), cleaned,
        (*choices.warnings, *selection.warnings, *_of_cells(choices, schema, dataset, split, cleaned), *notes),
        (*choices.alerts, *alerts, *shared_media(columns, prepared.stores, split)), selection.tests, choices.warm_start,
        sum(choices.values is not None and choices.values[row] is None
            for row in {one.row for one in choices.read.unreadable}),
    )  # fmt: skip


def _unreadable_targets(table: Table, choices: Choices) -> tuple[Reject, ...]:
    """The cells of the target that cannot be read, whose rows are left out.

    Raises:
        DataError: there is one, and `bad_cells` is `error`.
    """
    name = ", ".join(choices.config.targets)
    rejects = tuple(
        Reject(table.source, one.row, one.column or name, f"unreadable target: {one.reason}", None)
        for one in choices.read.unreadable
    )
    if rejects and choices.config.bad_cells == "error":
        first = rejects[0]
        raise DataError(
            f"{table.where(first.row)}, target column {first.column!r}: {first.reason}. Repair the cell, or set "
            "bad_cells to missing: its row is then left out."
        )
    return rejects


def encode_targets(task: Task, values: Sequence[object] | None) -> Store | None:
    """The encoded target of each row; None of a task without a target.

    Raises:
        DataError: a value does not suit the task.
    """
    return None if values is None else Store.of(map(task.encode, values))


def _of_cells(
    choices: Choices, schema: Schema, dataset: Dataset, split: Split, cleaned: Sequence[Action]
) -> tuple[str, ...]:
    """What was read, but not as it stands; what was changed; what the task says of its target."""
    measured = np.concatenate([split.validation, split.test])
    read = sentences(
        dataset.prepared.notes,
        truncated(schema.features(), together=choices.together),
        unseen(dataset.prepared, dataset.modalities, measured),
    )
    assert schema.target is not None, "a problem has a target"
    of_target: Any = schema.target.statistics.get("notes", [])  # such as labels that are left out
    read_so = (f"{schema.target.name}: {note}" for note in choices.read.notes)
    of_table = (f"{choices.table.source}: {note}" for note in choices.table.notes)
    of_dates = date_order_warnings(choices.table, schema.features(), trained=False)
    return (*of_table, *read, *of_dates, *sentences(counted(cleaned)), *read_so, *map(str, of_target))


def _written_out(config: RunConfig, schema: Schema, modalities: Mapping[str, Modality], task: Task) -> RunConfig:
    """The configuration with the schema's choices as a user would write them: all of them, so that it repeats."""
    grouped = {name for name, modality in modalities.items() if modality.group is not None}
    groups = {i.modality: Part(name=i.encoder, **i.settings) for i in schema.inputs if i.columns[0] in grouped}
    single = {i.columns[0]: Part(name=i.encoder, **i.settings) for i in schema.inputs if i.columns[0] not in grouped}
    columns = {
        column.name: ColumnConfig(
            modality=Part(name=column.modality, **column.settings), encoder=single.get(column.name, Part())
        )
        for column in schema.features()
    }
    verbatim = [name for name, modality in modalities.items() if isinstance(modality, Verbatim) and modality.verbatim]
    if isinstance(task, Verbatim) and task.verbatim:
        verbatim += config.targets
    text = config.table.model_copy(update={"verbatim": tuple(dict.fromkeys((*config.table.verbatim, *verbatim)))})
    return config.model_copy(update={"columns": columns, "modalities": {}, "encoders": groups, "table": text})


def _weights(table: Table, config: RunConfig, train: np.ndarray) -> np.ndarray | None:
    """The sample weight of every row, some of which must count among the training rows."""
    if config.weight is None:
        return None
    weights = row_weights(table, config.weight)
    if not weights[train].any():
        raise DataError(f"{table.source}, column {config.weight!r}: the sample weights of all {len(train)} training "
                        "rows are zero, so none of them counts. Give some of them a weight above 0.")  # fmt: skip
    # Only their proportions count; beside the largest, none of them and no sum leaves float32.
    return np.asarray(weights / weights.max(), dtype=np.float32)


def _without(split: Split, dropped: np.ndarray) -> Split:
    left = {side: np.setdiff1d(getattr(split, side), dropped) for side in ("train", "validation", "test")}
    if not len(left["train"]):
        raise DataError("No training row is left: every one has a cell that cannot be read; see bad_cells.")
    return replace(split, **left)
