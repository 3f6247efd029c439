"""What an update does to one model: read rows as it reads them, teach it, measure it, write down what happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from polymodal.bundle_members.row_hashes import NAME, RowHashes
from polymodal.bundles.bundle import Bundle
from polymodal.bundles.card import model_card
from polymodal.data.cells.dataset import Dataset
from polymodal.data.cells.prepare import Reject, modality_of, prepare
from polymodal.data.tables.inputs import require_inputs
from polymodal.data.tables.table import read_table
from polymodal.data.target.cells import row_weights, target_cells
from polymodal.data.target.reading import read_values
from polymodal.device import pick_device
from polymodal.errors import BundleError, DataError
from polymodal.evaluation.evaluate import report
from polymodal.inference.forward import loader_for, predict_loader
from polymodal.layers.sequence_head import Remembering
from polymodal.metrics.history import History
from polymodal.metrics.results import Report, UpdateResults, UpdateRows
from polymodal.metrics.rows import RowStatistics
from polymodal.models.ensemble import Ensemble
from polymodal.models.model import Network
from polymodal.models.stage import stage_of
from polymodal.pipeline.problem import encode_targets
from polymodal.pipeline.trainer import make_objective
from polymodal.training.callbacks import Callback
from polymodal.training.loop import learn_more
from polymodal.training.plan import Plan, pick_precision
from polymodal.updating.rows import Labelled, sample

LR_FACTOR = 0.2  # of the learning rate of the training

CallbackFactory = Callable[[int], Sequence[Callback]]
"""Epochs -> callbacks."""


@dataclass(frozen=True)
class ReadRows:
    """Rows of a table, read.

    Attributes:
        dataset: their cells, target and weight.
        rows: their numbers, less those that fell to `bad_cells: drop`.
    """

    dataset: Dataset
    rows: Int[np.ndarray, " n"]

    @property
    def weight(self) -> Float[np.ndarray, " N"]:
        """Of each row of the dataset; 1 where none was given."""
        weight = self.dataset.weight
        return np.ones(len(self.dataset)) if weight is None else weight


class Updater:
    """One update of one model; the bundle stays as it is.

    Attributes:
        rejects: cells that could not be read so far.

    Raises:
        BundleError: a model that cannot go on learning.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle, self.config, self.model, target = bundle, bundle.config, bundle.model, bundle.schema.target
        if target is None or not target.columns or not stage_of(self.config).joint:
            trains = target and target.columns
            what = f"has the stage {self.config.stage.name!r}" if trains else "predicts no column"
            raise BundleError(
                f"This model {what}; only one that learns as a whole can go on learning. Train it again, with the old "
                "and the new rows in one table."
            )
        if isinstance(self.model.head, Remembering) and self.model.head.datastore is not None:
            raise BundleError(
                "This model finds similar training rows (task.decoding.neighbours) by what its encoders made of them, "
                "which an update would change. Train it again, with the old and the new rows in one table."
            )
        self.target, self.task, self.columns = target, bundle.task, bundle.schema.features()
        self.modalities = {column.name: modality_of(column) for column in self.columns}
        self.device = pick_device(self.config.device)
        self.rejects: list[Reject] = []
        member = bundle.members.get(NAME)
        self._row_hashes = member if isinstance(member, RowHashes) else None
        # Another order and other noise in every update of a model, and yet the same ones when it is repeated.
        self.seed = self.config.seed + sum(entry.times or 1 for entry in bundle.metrics.updates)
        self.rng = np.random.default_rng(self.seed)

    @property
    def lr(self) -> float:
        """The learning rate at its highest."""
        return self.config.update.lr or LR_FACTOR * (self.config.train.optimizer.lr or 0.0)

    def given(self, source: object) -> Labelled:
        """All rows of a table.

        Raises:
            ColumnError: it lacks a column.
            DataError: as `check`.
        """
        table = read_table(source, text=self.config.table)
        require_inputs(table, (column.name for column in self.columns))
        weights = None if self.config.weight is None else row_weights(table, self.config.weight)
        cells = target_cells(table, self.target.column)
        found = read_values(self.task, cells, column=self.target.name)
        self.rejects += [
            Reject(table.source, one.row, one.column or self.target.name, f"unreadable target: {one.reason}", None)
            for one in found.unreadable
        ]
        labelled = Labelled(table, found.values or cells, weights)
        self.check(labelled)
        return labelled

    def read_target(self, given: Labelled) -> Labelled:
        """The rows with their target as the task understands it.

        Raises:
            DataError: most of it cannot be read.
        """
        values = read_values(self.task, given.target, column=self.target.name).values
        return replace(given, target=given.target if values is None else values)

    def check(self, given: Labelled) -> None:
        """Looks at the target, before media are read.

        Raises:
            DataError: no row has one, or one has a class that the model has no place for.
        """
        rows, source = given.rows, given.table.source
        if not len(rows):
            raise DataError(f"{source}: no row has a target {self.target.name!r}, so there is nothing to learn from.")
        if new := [row for row in rows.tolist() if self.task.encode(given.target[row]) is None]:
            classes: Any = self.target.statistics.get("classes", [])
            known = ", ".join(map(str, classes[:20])) + (", ..." if len(classes) > 20 else "")
            raise DataError(
                f"{given.table.where(new[0])}: {given.target[new[0]]!r} in the column {self.target.name!r} is new to "
                f"the model, which knows {known or 'other values'}. An update adds no class: train again, with the old "
                "and the new rows in one table, or empty the cell, so that its row is left out."
            )

    def sample(self, target: Sequence[object], new: ReadRows) -> Int[np.ndarray, " n"]:
        """Places of old rows to learn from again, as many as `update.replay` says; of classes each gets its share."""
        count = round(self.config.update.replay * len(new.rows))
        return sample(target, count, stratify=self.task.stratified, rng=self.rng)

    def training_rows(self, new: Labelled, rows: Int[np.ndarray, " n"], *, cache: Path) -> ReadRows:
        """The cells of the rows to learn from, as `read` gives them.

        Raises:
            DataError: there are none, or as `read`.
        """
        if (found := self.read(new, rows, cache=cache)) is not None:
            return found
        raise DataError(
            f"{new.table.source}: all of its {len(new.rows)} rows that have a target are held out, so there is nothing "
            "to learn from. Set update.holdout=0, or mark rows with train in the split column."
        )

    def read(self, given: Labelled, rows: Int[np.ndarray, " n"], *, cache: Path) -> ReadRows | None:
        """The cells of some rows, decoded to a folder; None of no rows.

        Raises:
            DataError: a cell cannot be read, and `bad_cells` says `error`; no row is left, and it says `drop`.
        """
        if not len(rows):
            return None
        some, config = given.take(rows), self.config
        prepared = prepare(
            some.table, self.columns, limits=config.limits, bad_cells=config.bad_cells, cache=cache,
            modalities=self.modalities,
        )  # fmt: skip
        self.rejects += [replace(reject, row=int(rows[reject.row])) for reject in prepared.rejects]
        left = np.setdiff1d(np.arange(len(rows)), prepared.dropped)
        targets = encode_targets(self.task, some.target)
        return ReadRows(Dataset(prepared, self.modalities, self.task, targets, weight=some.weight), left)

    def seen(self, part: ReadRows | None) -> Bool[np.ndarray, " n"]:
        """Which of the rows of a part the model learned from before; of none without row hashes."""
        if part is None or self._row_hashes is None:
            return np.zeros(0 if part is None else len(part.rows), dtype=bool)
        return self._row_hashes.seen(self._hash(self._row_hashes, part))

    def _hash(self, hashes: RowHashes, part: ReadRows) -> Int[np.ndarray, " n"]:
        targets = None if part.dataset.targets is None else part.dataset.targets.arrays(part.rows)
        return hashes.hash(part.dataset, [column.name for column in self.columns], part.rows, targets)

    def learn(
        self, model: Network, new: ReadRows, old: Sequence[ReadRows], *, make_callbacks: CallbackFactory | None = None
    ) -> History:
        """Trains a model in place, and takes down which rows it learned from."""
        settings, train = self.config.update, self.config.train
        counts: Any = self.target.statistics.get("counts", ())
        if isinstance(model, Ensemble) and model.features is not None and 0 in counts:
            model.features.fitted.fill_(False)  # they learn no more, and are sure that such a class never comes
        decay = 0.0 if settings.anchor else train.optimizer.weight_decay
        optimizer = train.optimizer.model_copy(update={"lr": self.lr, "weight_decay": decay})
        plan = Plan(
            task=self.task,
            train=train.model_copy(update={"optimizer": optimizer, "ema": None}),
            metric="",
            greater_is_better=True,
            device=self.device,
            precision=pick_precision(train.precision, self.device),
            seed=self.seed,
            epochs=settings.epochs,
        )
        size = train.batch_size or 1
        steps = -(-len(new.rows) // size)
        beside = max(1, -(-sum(len(part.rows) for part in old) // steps))
        heaviest = max(float(part.weight.max()) for part in (new, *old)) or 1.0
        loaders = [
            replace(part.dataset, weight=part.weight / heaviest).loader(
                part.rows, batch_size=rows, shuffle=True, augment=train.augment, seed=self.seed
            )
            for part, rows in ((new, size), *((part, beside) for part in old))
        ]
        callbacks = make_callbacks(settings.epochs) if make_callbacks else ()
        if self._row_hashes is not None:
            self._row_hashes = self._row_hashes.with_rows(self._hash(self._row_hashes, new))
        objective = make_objective(model, plan.train, joint=True)
        return learn_more(objective, loaders[0], loaders[1:], plan=plan, anchor=settings.anchor, callbacks=callbacks)

    def measure(self, model: Network, part: ReadRows | None) -> Report:
        """Every metric of a model on some rows, with intervals; nothing of no rows."""
        if part is None:
            return {}
        loader = loader_for(model, part.dataset, part.rows, batch_size=self.config.train.batch_size or 1)
        prediction = predict_loader(model, loader, self.device)
        return report(RowStatistics.of(self.task, prediction, part.dataset.target(part.rows)), seed=self.config.seed)

    def updated(self, model: Network, entry: UpdateResults) -> Bundle:
        """The bundle of the model that learned. Calls of `partial_fit` that follow one another share an entry."""
        entries = list(self.bundle.metrics.updates)
        if entry.times and entries and (times := entries[-1].times):
            before, now = entries.pop().rows, entry.rows
            rows = UpdateRows(learned=before.learned + now.learned, replayed=before.replayed + now.replayed)
            entry = entry.model_copy(update={"rows": rows, "times": times + entry.times})
        metrics = self.bundle.metrics.model_copy(update={"updates": (*entries, entry)})
        card = model_card(self.bundle.schema, self.config, metrics)
        model.cpu()
        members = {} if self._row_hashes is None else {NAME: self._row_hashes}  # the others fit the old model
        return replace(self.bundle, model=model, metrics=metrics, card=card, members=members)

    @property
    def said(self) -> dict[str, Any]:
        """The settings of the update, with the learning rate that was chosen."""
        return self.config.update.model_dump(mode="json") | {"lr": self.lr}
