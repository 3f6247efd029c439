"""One run, from a table to a trained, evaluated model: this page is the whole way of the data."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polymodal import config as configuration
from polymodal import registry
from polymodal.build import build
from polymodal.bundle import Bundle
from polymodal.card import model_card
from polymodal.config import ColumnConfig, Part, RunConfig
from polymodal.data.audit.audit import leaks
from polymodal.data.clean import Action, clean_cells, clean_rows, counted, with_policies
from polymodal.data.infer import infer_columns
from polymodal.data.loader import Loader, LoaderSettings
from polymodal.data.prepare import Prepared, Reject, fit_statistics, modality_of, prepare
from polymodal.data.remarks import sentences, truncated, unseen
from polymodal.data.split import Split, split_rows
from polymodal.data.suggest import suggest_settings
from polymodal.data.table import Table, read_table
from polymodal.defaults import FUSION, complete_inputs, complete_train
from polymodal.device import pick_device
from polymodal.errors import DataError
from polymodal.evaluation.baselines import fit_baselines
from polymodal.evaluation.evaluate import Measured, evaluate_scores
from polymodal.metrics.bootstrap import known_rows
from polymodal.metrics.direction import larger_is_better
from polymodal.model import Model
from polymodal.predict import score
from polymodal.schema import Schema
from polymodal.task_choice import choose_task, fit_target, target_values
from polymodal.task_choice import remarks as on_target
from polymodal.training.callbacks import Callback
from polymodal.training.frozen import encode_frozen
from polymodal.training.history import History
from polymodal.training.loop import Plan, fit
from polymodal.training.precision import pick_precision
from polymodal.types import Advised, Head, Tokens

Watch = Callable[[str, int, str], Sequence[Callback]]
"""(phase: `train` or `refit`, epochs at most, watched metric) -> callbacks."""


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


def train(source: object, config: RunConfig, *, watch: Watch | None = None, cache: Path | None = None) -> Run:
    """Trains a model on a table.

    Args:
        source: whatever `read_table` takes.
        config: at least `target`; what it leaves open is chosen.
        watch: makes the callbacks of each training.
        cache: a folder in which decoded media are kept for later runs; without it they live in a temporary folder.

    Raises:
        UsageError: the configuration does not fit the table or this installation.
        DataError: the table cannot be learned from.
        NonFiniteLossError: training diverged.
    """
    start = time.monotonic()
    table = read_table(source, text=config.table)
    columns = with_policies(infer_columns(table, config), config.clean)
    values = target_values(table, config)
    task = choose_task(values, config)
    head: type[Head] = registry.load("tasks", task.name or "")
    split = split_rows(table, config.split, target=values, stratify=head.stratified, seed=config.seed)
    config = _complete(config, task, head, num_rows=len(split.train))
    columns, inputs = complete_inputs(
        columns, config, num_rows=len(split.train), suggested=suggest_settings(table, columns, config.limits)
    )
    _refuse_early(config, head, values, split.train)
    with tempfile.TemporaryDirectory(prefix="polymodal-") as temporary:
        prepared = prepare(
            table, columns, limits=config.limits, bad_cells=config.bad_cells, cache=cache or Path(temporary)
        )
        split = _without(split, prepared.dropped)
        split, cleaned = clean_rows(columns, prepared, values, split, config.clean)
        target = fit_target(config, [values[row] for row in split.train])
        schema = Schema(columns=fit_statistics(columns, prepared, split.train), inputs=inputs, target=target)
        config = _written_out(config, schema)
        weight = _weights(table, config, split.train)
        trainer = _Trainer(schema, config, prepared, head.encode_target(values, target.statistics), weight)
        model, history, metrics = trainer.run(split, watch or (lambda *_: ()))
        measured = np.concatenate([split.validation, split.test])
        remarks = sentences(
            prepared.remarks, truncated(schema.features()), unseen(prepared, trainer.modalities, measured)
        )
        cleaned += clean_cells(schema, prepared, split)
        remarks = (
            *remarks,
            *sentences(counted(cleaned)),
            *on_target(target),
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
        bundle, history, prepared.rejects, split, unlabelled, remarks,
        trainer.measured, trainer.refit, time.monotonic() - start, table, cleaned,
    )  # fmt: skip


class _Trainer:
    """Trains and measures models of one schema on one prepared table."""

    def __init__(
        self, schema: Schema, config: RunConfig, prepared: Prepared, target: np.ndarray, weight: np.ndarray | None
    ) -> None:
        self.schema, self.config, self.prepared, self.target, self.weight = schema, config, prepared, target, weight
        self.modalities = {column.name: modality_of(column) for column in schema.features()}
        self.device = pick_device(config.device)
        self.encoded: dict[str, Tokens] = {}
        self.measured: Measured | None = None
        self.refit: History | None = None

    def run(self, split: Split, watch: Watch) -> tuple[Model, History, dict[str, Any]]:
        """The final model, how it was found, and `metrics.json`."""
        model = self._build()
        used = np.concatenate([split.train, split.validation, split.test])
        self.encoded = encode_frozen(model, self._loader(used), self.device)
        validation = self._known(split.validation)
        history = self._fit(model, split.train, validation, watch, phase="train")
        metrics: dict[str, Any] = {"validation": self._measure(model, validation, "validation")}
        rows = split.train
        if self.config.train.final == "refit" and len(validation) and not history.interrupted:
            joined, again = np.sort(np.concatenate([split.train, validation])), self._build()
            refit = self._fit(again, joined, None, watch, phase="refit", epochs=history.best_epoch)
            history.interrupted = refit.interrupted
            if not refit.interrupted:  # else the best model of before is the better one
                rows, model, self.refit = joined, again, refit
        metrics["test"] = self._measure(model, split.test, "test")
        metrics["baselines"] = fit_baselines(
            model.head,
            self.prepared,
            inputs={name: {c: self.modalities[c] for c in columns} for name, columns in model.columns.items()},
            target=self.target,
            train=rows,
            test=self._known(split.test),
            seed=self.config.seed,
        )
        metrics["rows"] = {side: len(getattr(split, side)) for side in ("train", "validation", "test")}
        metrics["rows"]["unknown_class"] = sum(
            len(side) - len(self._known(side)) for side in (split.validation, split.test)
        )
        metrics["best_epoch"] = history.best_epoch
        return model, history, metrics

    def _build(self) -> Model:
        torch.manual_seed(self.config.seed)
        return build(self.schema, self.config)

    def _fit(
        self, model: Model, rows: np.ndarray, validation: np.ndarray | None, watch: Watch, *, phase: str,
        epochs: int | None = None,
    ) -> History:  # fmt: skip
        settings = self.config.train
        epochs = epochs or settings.epochs or 1
        metric = settings.early_stopping.metric or ""
        plan = Plan(
            train=settings,
            metric=metric,
            larger_is_better=larger_is_better(metric),
            device=self.device,
            precision=pick_precision(settings.precision, self.device),
            seed=self.config.seed,
            epochs=epochs,
        )
        learn = self._loader(rows, shuffle=True, augment=settings.augment)
        check = self._loader(validation) if validation is not None and len(validation) else None
        return fit(model, learn, check, plan=plan, callbacks=watch(phase, epochs, metric))

    def _loader(self, rows: np.ndarray, *, shuffle: bool = False, augment: bool = False) -> Loader:
        """Batches of some rows; columns that only frozen encoders read are not read again once these have run."""
        read = {
            name for of_input in self.schema.inputs if of_input.name not in self.encoded for name in of_input.columns
        }
        size = self.config.train.batch_size or 1
        return Loader(
            self.prepared,
            {name: modality for name, modality in self.modalities.items() if name in read},
            rows=rows,
            settings=LoaderSettings(batch_size=size, shuffle=shuffle, augment=augment, seed=self.config.seed),
            target=self.target.astype(np.float32),
            weight=self.weight,
            encoded=self.encoded,
        )

    def _measure(self, model: Model, rows: np.ndarray, side: str) -> dict[str, Any]:
        if not len(rows):
            return {}
        self.measured = Measured(side, rows, score(model, self._loader(rows), self.device), self.target[rows])
        return evaluate_scores(model.head, self.measured.scores, self.measured.target, seed=self.config.seed)

    def _known(self, rows: np.ndarray) -> np.ndarray:
        """The rows whose target the task can encode: a class may be missing among the training rows."""
        return np.asarray(rows[known_rows(self.target[rows])])


def _complete(config: RunConfig, task: Part, head: Any, *, num_rows: int) -> RunConfig:
    advice = head.advice if isinstance(head, Advised) else None
    fusion = config.fusion if config.fusion.name else Part(name=FUSION, **config.fusion.settings)
    return config.model_copy(
        update={
            "task": configuration.completed("tasks", task),
            "fusion": configuration.completed("fusions", fusion),
            "train": complete_train(config.train, num_rows=num_rows, monitor=head.monitor, advice=advice),
        }
    )


def _refuse_early(config: RunConfig, head: Any, values: Sequence[object], train: np.ndarray) -> None:
    """Raises what is wrong with the device, the watched metric or the target before media are read: that takes long."""
    pick_precision(config.train.precision, pick_device(config.device))
    larger_is_better(config.train.early_stopping.metric or "")
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
    cells = table.values(config.weight)
    for row, cell in enumerate(cells):
        if not isinstance(cell, int | float) or not 0 <= cell < float("inf"):
            found = "the cell is empty" if cell is None else f"{cell!r} is no sample weight"
            raise DataError(f"{table.where(row)}, column {config.weight!r}: {found}; "
                            "weights are numbers from 0 upwards.")  # fmt: skip
    weights = np.array(cells, dtype=np.float64)
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
