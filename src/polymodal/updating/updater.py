"""What an update does to one model: read rows as it reads them, teach it, measure it, write down what happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from jaxtyping import Float, Int

from polymodal.bundle import Bundle
from polymodal.card import model_card
from polymodal.data.loader import Loader, LoaderSettings
from polymodal.data.prepare import Prepared, Reject, modality_of, prepare
from polymodal.data.table import read_table
from polymodal.data.target import target_cells
from polymodal.data.weights import row_weights
from polymodal.device import pick_device
from polymodal.errors import BundleError, DataError
from polymodal.evaluation.evaluate import Report, evaluate_scores
from polymodal.metrics.bootstrap import known_rows
from polymodal.model import Model
from polymodal.predict import score
from polymodal.training.callbacks import Callback
from polymodal.training.continuing import learn_more
from polymodal.training.history import History
from polymodal.training.loop import Plan
from polymodal.training.precision import pick_precision
from polymodal.updating.replay import Labelled, sample

LR_FACTOR = 0.2  # of the learning rate of the training
_TIMINGS = (None, "intermediate", "early")  # those in which the whole model learns at once

Watch = Callable[[int], Sequence[Callback]]
"""Epochs -> callbacks."""


@dataclass(frozen=True)
class Part:
    """Rows of a table, read.

    Attributes:
        target: of each row, as the task encodes it.
        rows: their numbers, less those that fell to `bad_cells: drop`.
    """

    prepared: Prepared
    target: Float[np.ndarray, "N ..."]
    weight: Float[np.ndarray, " N"]
    rows: Int[np.ndarray, " n"]


class Updater:
    """One update of one model.

    Args:
        bundle: the trained model; it stays as it is.

    Attributes:
        rejects: cells that could not be read so far.

    Raises:
        BundleError: a model that cannot go on learning.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle, self.config, self.model = bundle, bundle.config, cast(Model, bundle.model)
        timing, target = self.config.timing.name, bundle.schema.target
        if target is None or timing not in _TIMINGS:
            what = "predicts no column" if target is None else f"has the timing {timing!r}"
            raise BundleError(
                f"This model {what}; only one that learns as a whole can go on learning. Train it again, with the old "
                "and the new rows in one table."
            )
        self.target, self.columns = target, bundle.schema.features()
        self.modalities = {column.name: modality_of(column) for column in self.columns}
        self.device = pick_device(self.config.device)
        self.rejects: list[Reject] = []
        # Another order and other noise in every update of a model, and yet the same ones when it is repeated.
        self.seed = self.config.seed + sum(entry.get("times", 1) for entry in self._entries())
        self.rng = np.random.default_rng(self.seed)

    @property
    def stratify(self) -> bool:
        """The target's values are classes."""
        return bool(self.model.head.stratified)

    @property
    def lr(self) -> float:
        """The learning rate at its highest."""
        return self.config.update.lr or LR_FACTOR * (self.config.train.optimizer.lr or 0.0)

    def given(self, source: object) -> Labelled:
        """All rows of a table.

        Raises:
            ColumnError: it lacks a column.
            DataError: no row has a target, or one has a class that the model does not know.
        """
        table = read_table(source, text=self.config.table)
        table.require(*(column.name for column in self.columns))
        weights = None if self.config.weight is None else row_weights(table, self.config.weight)
        found = Labelled(table, target_cells(table, self.target.column), weights)
        self.check(found)
        return found

    def check(self, given: Labelled) -> None:
        """Looks at the target, before media are read.

        Raises:
            DataError: no row has one, or one has a class that the model has no place for.
        """
        rows, source = given.rows, given.table.source
        if not len(rows):
            raise DataError(f"{source}: no row has a target {self.target.name!r}, so there is nothing to learn from.")
        if new := rows[~known_rows(self._encoded(given)[rows])].tolist():
            classes: Any = self.target.statistics.get("classes", [])
            known = ", ".join(map(str, classes[:20])) + (", ..." if len(classes) > 20 else "")
            raise DataError(
                f"{given.table.where(new[0])}: {given.target[new[0]]!r} in the column {self.target.name!r} is new to "
                f"the model, which knows {known or 'other values'}. An update adds no class: train again, with the old "
                "and the new rows in one table, or empty the cell, so that its row is left out."
            )

    def sample(self, target: Sequence[object], count: int) -> Int[np.ndarray, " n"]:
        """Places of rows to learn from again; of classes each gets its share."""
        return sample(target, count, stratify=self.stratify, rng=self.rng)

    def read(self, given: Labelled, rows: Int[np.ndarray, " n"], *, cache: Path) -> Part | None:
        """The cells of some rows, decoded to a folder; None of no rows.

        Raises:
            DataError: a cell cannot be read, and `bad_cells` says `error`; no row is left, and it says `drop`.
        """
        if not len(rows):
            return None
        some, config = given.take(rows), self.config
        prepared = prepare(some.table, self.columns, limits=config.limits, bad_cells=config.bad_cells, cache=cache)
        self.rejects += prepared.rejects
        left = np.setdiff1d(np.arange(len(rows)), prepared.dropped)
        return Part(prepared, self._encoded(some), np.ones(len(rows)) if some.weight is None else some.weight, left)

    def learn(self, model: Model, new: Part, old: Sequence[Part], *, watch: Watch | None = None) -> History:
        """Trains a model in place."""
        settings, train = self.config.update, self.config.train
        decay = 0.0 if settings.anchor else train.optimizer.weight_decay
        optimizer = train.optimizer.model_copy(update={"lr": self.lr, "weight_decay": decay})
        plan = Plan(
            train=train.model_copy(update={"optimizer": optimizer, "ema": None}),
            metric="",
            larger_is_better=True,
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
            self._loader(part, rows, weight=part.weight / heaviest)
            for part, rows in ((new, size), *((part, beside) for part in old))
        ]
        callbacks = watch(settings.epochs) if watch else ()
        return learn_more(model, loaders[0], loaders[1:], plan=plan, anchor=settings.anchor, callbacks=callbacks)

    def measure(self, model: Model, part: Part | None) -> Report:
        """Every metric of a model on some rows, with intervals; nothing of no rows."""
        if part is None:
            return {}
        scores = score(model, self._loader(part, self.config.train.batch_size or 1), self.device)
        return evaluate_scores(model.head, scores, part.target[part.rows], seed=self.config.seed)

    def updated(self, model: Model, entry: dict[str, Any]) -> Bundle:
        """The bundle of the model that learned. Calls of `partial_fit` that follow one another share an entry."""
        entries = self._entries()
        settings = self.config.update.model_dump(mode="json") | {"lr": self.lr}
        entry = {"metric": model.head.metric, **entry, "settings": settings}
        if "times" in entry and entries and "times" in entries[-1]:
            last = entries.pop()
            rows = {name: last["rows"][name] + count for name, count in entry["rows"].items()}
            entry |= {"rows": rows, "times": last["times"] + entry["times"]}
        metrics = {**self.bundle.metrics, "updates": [*entries, entry]}
        card = model_card(self.bundle.schema, self.config, metrics)
        return replace(self.bundle, model=model.cpu(), metrics=metrics, card=card)

    def _entries(self) -> list[dict[str, Any]]:
        return list(self.bundle.metrics.get("updates", ()))

    def _encoded(self, given: Labelled) -> Float[np.ndarray, "N ..."]:
        encoded = self.model.head.encode_target(given.target, self.target.statistics)
        return np.asarray(encoded, dtype=np.float64)

    def _loader(self, part: Part, size: int, *, weight: np.ndarray | None = None) -> Loader:
        """Batches of some rows: with weights to learn from, else to measure on."""
        learns = weight is not None
        return Loader(
            part.prepared,
            self.modalities,
            rows=part.rows,
            settings=LoaderSettings(size, shuffle=learns, augment=learns and self.config.train.augment, seed=self.seed),
            target=part.target.astype(np.float32),
            weight=None if weight is None else weight.astype(np.float32),
        )
