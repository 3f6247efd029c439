"""One run, from a table to a trained, evaluated model: this page is the whole way of the data."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from polymodal import config as configuration
from polymodal import registry
from polymodal.abilities import Advised
from polymodal.bundle import Bundle
from polymodal.card import model_card
from polymodal.config import ColumnConfig, Part, RunConfig
from polymodal.data.audit.audit import leaks
from polymodal.data.clean import Action, clean_cells, clean_rows, counted, with_policies
from polymodal.data.infer import infer_columns
from polymodal.data.prepare import Reject, fit_statistics, modality_of, prepare
from polymodal.data.remarks import sentences, truncated, unseen
from polymodal.data.split import Split, split_rows
from polymodal.data.suggest import suggest_settings
from polymodal.data.table import Table, read_table
from polymodal.data.weights import row_weights
from polymodal.defaults import FUSION, complete_inputs, complete_train
from polymodal.device import pick_device
from polymodal.errors import DataError
from polymodal.evaluation.evaluate import Measured
from polymodal.metrics.direction import larger_is_better
from polymodal.model import Model
from polymodal.schema import Schema
from polymodal.sharing import groups_of
from polymodal.starting import begin
from polymodal.task_choice import choose_task, fit_target, target_values
from polymodal.task_choice import remarks as on_target
from polymodal.timing import INTERMEDIATE, Timing, timing_of, with_estimators
from polymodal.trainer import Trainer, Watch
from polymodal.training.history import History, merged
from polymodal.training.precision import pick_precision
from polymodal.types import Head


@dataclass(frozen=True)
class Run:
    """What a run leaves.

    Attributes:
        bundle: the trained model; its `config` is complete, so that running it again gives the same numbers.
        history: of the training with validation rows.
        rejects: cells that could not be read.
        split: row numbers of each side.
        unlabelled: number of rows left out because they have no target.
        remarks: on cells that were read, but not as they stand, such as "sound: 12 cells cut to 30 s".
        measured: what the figures of the final model are about; None without rows to measure on.
        refit: history of the last training, on all rows but test; None where there was none.
        seconds: from the table to the figures.
        table: what was learned from, by whose rows all of the above count.
        cleaned: what `clean` changed.
        branches: by input, the history of its own training, where inputs learn by themselves; `history` is then all of
            them, one after the other.
    """

    bundle: Bundle
    history: History
    rejects: tuple[Reject, ...]
    split: Split
    unlabelled: int
    remarks: tuple[str, ...]
    measured: Measured | None
    refit: History | None
    seconds: float
    table: Table
    cleaned: tuple[Action, ...]
    branches: Mapping[str, History] = field(default_factory=dict)


def train(
    source: object,
    config: RunConfig,
    *,
    watch: Watch | None = None,
    cache: Path | None = None,
    baselines: bool = True,
    estimators: Mapping[str, Any] | None = None,
) -> Run:
    """Trains a model on a table.

    Args:
        source: whatever `read_table` takes.
        config: at least `target`; what it leaves open is chosen.
        watch: makes the callbacks of each training.
        cache: a folder in which decoded media, and the tokens of frozen encoders, are kept for later runs; without it
            they live in a temporary folder.
        baselines: also fit what the model has to beat; a comparison fits it once for all of its models.
        estimators: of scikit-learn, that the timing uses: by input (late), or by "" for the one on top of all
            (fuse_then_train). A model with one cannot be saved.

    Raises:
        UsageError: the configuration does not fit the table or this installation.
        DataError: the table cannot be learned from.
        NonFiniteLossError: training diverged.
    """
    began = time.monotonic()
    config = with_estimators(config, estimators)
    table = read_table(source, text=config.table)
    columns = with_policies(infer_columns(table, config), config.clean)
    start, columns, config = begin(columns, config)
    values = target_values(table, config)
    task = choose_task(values, config)
    head: type[Head] = registry.load("tasks", task.name or "")
    split = split_rows(table, config.split, target=values, stratify=head.stratified, seed=config.seed)
    config = complete(config, task, head, num_rows=len(split.train))
    given = {} if start is None else start.columns
    suggested = suggest_settings(table, columns, config.limits)
    columns, inputs = complete_inputs(columns, config, num_rows=len(split.train), suggested=suggested, given=given)
    _refuse_early(config, head, values, split.train, [of_input.name for of_input in inputs])
    together = groups_of(inputs)
    if start is not None:
        start.check(together)
    with tempfile.TemporaryDirectory(prefix="polymodal-") as temporary:
        prepared = prepare(
            table, columns, limits=config.limits, bad_cells=config.bad_cells, cache=cache or Path(temporary)
        )
        split = _without(split, prepared.dropped)
        split, cleaned = clean_rows(columns, prepared, values, split, config.clean)
        target = fit_target(config, [values[row] for row in split.train])
        fitted = fit_statistics(columns, prepared, split.train, together=together, given=given)
        schema = Schema(columns=fitted, inputs=inputs, target=target)
        config = _written_out(config, schema)
        trainer = Trainer(
            schema, config, prepared, target=head.encode_target(values, target.statistics),
            weight=_weights(table, config, split.train), watch=watch, cache=cache, estimators=estimators, start=start,
        )  # fmt: skip
        model, histories, metrics = trainer.run(split, baselines=baselines)
        measured = np.concatenate([split.validation, split.test])
        remarks = sentences(
            prepared.remarks,
            truncated(schema.features(), together=together),
            unseen(prepared, trainer.modalities, measured),
        )
        cleaned += clean_cells(schema, prepared, split)
        remarks = (
            *remarks,
            *sentences(counted(cleaned)),
            *on_target(target),
            *_of_encoders(model),
            *trainer.started,
            *trainer.remarks,
            *map(str, leaks(table, columns, config, split)),
        )
    unlabelled = sum(value is None for value in values)
    metrics["rows"] |= {
        "unlabelled": unlabelled,
        "dropped": sum(values[row] is not None for row in prepared.dropped),  # the others are unlabelled
        "rejected_cells": len(prepared.rejects),
        "cleaned": sum(action.action == "drop" for action in cleaned),
    }
    metrics["remarks"] = list(remarks)
    bundle = Bundle(model, schema, config, metrics, model_card(schema, config, metrics))
    return Run(
        bundle, merged(histories.values()), prepared.rejects, split, unlabelled, remarks,
        trainer.measured, trainer.refit, time.monotonic() - began, table, cleaned,
        {phase.partition(":")[2]: history for phase, history in histories.items() if phase.startswith("train:")},
    )  # fmt: skip


def _of_encoders(model: Model) -> list[str]:
    """What the encoders have to tell, each with the name of its input."""
    inside = ((name, module) for name, encoder in model.encoders.items() for module in encoder.modules())
    return [f"{name}: {remark}" for name, module in inside for remark in getattr(module, "remarks", ())]


def complete(config: RunConfig, task: Part, head: Any, *, num_rows: int) -> RunConfig:
    """The configuration with task, fusion, timing and training settings as they are for so many training rows."""
    advice = head.advice if isinstance(head, Advised) else None
    timing = timing_of(config)
    fusion = _fusion(config, timing)
    return config.model_copy(
        update={
            "task": configuration.completed("tasks", task),
            "fusion": configuration.completed("fusions", fusion),
            "timing": configuration.completed(
                "timings", config.timing.model_copy(update={"name": config.timing.name or INTERMEDIATE})
            ),
            "train": complete_train(config.train, num_rows=num_rows, monitor=head.monitor, advice=advice),
        }
    )


def _fusion(config: RunConfig, timing: Timing) -> Part:
    """The fusion with what the timing would have it do differently, where the user says nothing."""
    name = config.fusion.name or FUSION
    known = {field.name for field in dataclasses.fields(registry.load("fusions", name).Config)}
    suited = {key: value for key, value in timing.settings_of_fusion().items() if key in known}
    return Part(name=name, **{**suited, **config.fusion.settings})


def _refuse_early(
    config: RunConfig, head: Any, values: Sequence[object], train: np.ndarray, inputs: Sequence[str]
) -> None:
    """Raises what is wrong with device, metric, target or timing before media are read: that takes long."""
    pick_precision(config.train.precision, pick_device(config.device))
    larger_is_better(config.train.early_stopping.metric or "")
    timing_of(config).check(config, head.scores, inputs)
    head.encode_target(values, fit_target(config, [values[row] for row in train]).statistics)


def _written_out(config: RunConfig, schema: Schema) -> RunConfig:
    """The configuration with the schema's choices as a user would write them: all of them, so that it repeats."""
    grouped = {column.name for column in schema.features() if modality_of(column).group is not None}
    groups = {i.modality: Part(name=i.encoder, **i.settings) for i in schema.inputs if i.columns[0] in grouped}
    single = {i.columns[0]: Part(name=i.encoder, **i.settings) for i in schema.inputs if i.columns[0] not in grouped}
    columns = {
        column.name: ColumnConfig(
            modality=Part(name=column.modality, **column.settings), encoder=single.get(column.name, Part())
        )
        for column in schema.features()
    }
    return config.model_copy(update={"columns": columns, "modalities": {}, "encoders": groups})


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
