"""Trains and measures models of one schema on one prepared table, in the way that the run's timing goes about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool

from polymodal.build import build
from polymodal.config import RunConfig
from polymodal.data.loader import Loader, LoaderSettings
from polymodal.data.prepare import Prepared, modality_of
from polymodal.data.split import Split
from polymodal.device import pick_device
from polymodal.evaluation.baselines import fit_baselines
from polymodal.evaluation.evaluate import Measured, evaluate_scores
from polymodal.evaluation.robustness import Hiding, measure_subsets, score_subsets, subsets_of
from polymodal.metrics.bootstrap import known_rows
from polymodal.metrics.direction import larger_is_better
from polymodal.model import Model
from polymodal.predict import score
from polymodal.schema import Schema
from polymodal.starting import Start
from polymodal.timing import Learned, timing_of
from polymodal.training.callbacks import Callback
from polymodal.training.frozen import encode_frozen
from polymodal.training.history import History, merged
from polymodal.training.loop import Plan, fit
from polymodal.training.precision import pick_precision
from polymodal.types import Tokens

_MOST_INPUTS = 8  # that are hidden in turn after a training
_FAILED = 0.25  # worse than before, on training rows, by this share of the figure and of what was learned for it

Watch = Callable[[str, int, str], Sequence[Callback]]
"""(phase, epochs at most, watched metric) -> callbacks.

Phases are `train` and `refit`; where inputs learn by themselves `train:photo`, `refit:photo`, ...
"""


class Trainer:
    """One prepared table, its target and the settings of a run.

    Args:
        schema: fitted.
        config: complete.
        prepared: the table's cells.
        target: of every row of the table, as the task encodes it.
        weight: of every row of the table.
        watch: makes the callbacks of each training.
        cache: a folder that keeps the tokens of frozen encoders for later runs.
        estimators: of scikit-learn, from Python, by input.
        start: what every model starts from, in place of random weights.

    Attributes:
        remarks: what the user should hear of the trainings.
        started: which parts came from `start`, in words.
        measured: what the figures of the final model are about; None without rows to measure on.
        refit: history of the last training, on all rows but test; None where there was none.
    """

    def __init__(  # noqa: PLR0913 - what a run knows by the time that it trains
        self,
        schema: Schema,
        config: RunConfig,
        prepared: Prepared,
        *,
        target: np.ndarray,
        weight: np.ndarray | None = None,
        watch: Watch | None = None,
        cache: Path | None = None,
        estimators: Mapping[str, Any] | None = None,
        start: Start | None = None,
    ) -> None:
        self.schema, self.config, self.prepared, self.target, self.weight = schema, config, prepared, target, weight
        self.watch: Watch = watch or (lambda *_: ())
        self.cache, self.estimators = cache, estimators or {}
        self.start, self.started = start, tuple[str, ...]()
        self.modalities = {column.name: modality_of(column) for column in schema.features()}
        self.device = pick_device(config.device)
        self.used = np.arange(len(target))
        self.encoded: dict[str, Tokens] = {}
        self.measured: Measured | None = None
        self.remarks: tuple[str, ...] = ()
        self.refit: History | None = None

    def run(self, split: Split, *, baselines: bool = True) -> tuple[Model, Mapping[str, History], dict[str, Any]]:
        """The final model, the histories by which it was found (without those of a refit), and `metrics.json`.

        Args:
            split: its validation rows decide when to stop.
            baselines: also fit what the model has to beat, and hide its inputs in turn.
        """
        timing = timing_of(self.config)
        self.used = np.concatenate([split.train, split.validation, split.test])
        validation = self._known(split.validation)
        found = learned = timing.learn(self, split.train, validation)
        metrics: dict[str, Any] = {"validation": self._measure(learned, validation, "validation")}
        rows = split.train
        if self.config.train.final == "refit" and len(validation) and not learned.interrupted:
            joined = np.sort(np.concatenate([split.train, validation]))
            again = timing.learn(self, joined, validation[:0], before=learned)
            if again.interrupted:  # the best model of before is the better one
                found = replace(found, histories={**found.histories, "refit": History(interrupted=True)})
            elif failed := _failed(learned.histories, again.histories, self.config.train.early_stopping.metric or ""):
                self.remarks = (failed,)
            else:
                rows, learned, self.refit = joined, again, merged(again.histories.values())
        metrics["test"] = self._measure(learned, split.test, "test")
        metrics |= self._subsets(learned) if baselines else {}
        metrics["baselines"] = self._baselines(learned.model, rows, self._known(split.test)) if baselines else {}
        metrics["rows"] = {side: len(getattr(split, side)) for side in ("train", "validation", "test")}
        metrics["rows"]["unknown_class"] = sum(
            len(side) - len(self._known(side)) for side in (split.validation, split.test)
        )
        metrics["auxiliary_vote"] = _share(learned.model)
        metrics["temperature"] = float(learned.model.temperature.value)
        metrics["best_epoch"] = merged(found.histories.values()).best_epoch
        return learned.model, found.histories, metrics

    def build(self) -> Model:
        """A model that has not learned yet, always with the same weights."""
        torch.manual_seed(self.config.seed)
        model = build(self.schema, self.config)
        if self.start is not None:
            self.started = self.start.fill(model, self.schema, self.config)
        return model

    def fit(
        self,
        model: Model,
        rows: np.ndarray,
        validation: np.ndarray | None,
        *,
        phase: str,
        epochs: int | None = None,
    ) -> History:
        """Trains a model in place; stops early on the validation rows where there are any.

        Args:
            model: of inputs of the schema; all of them, or some.
            rows: numbers of the training rows.
            validation: numbers of the rows to stop early on.
            phase: what the log calls this training.
            epochs: at most so many; None: as the settings say.
        """
        self._freeze(model)
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
        learn = self._loader(model, rows, shuffle=True, augment=settings.augment)
        check = self._loader(model, validation) if validation is not None and len(validation) else None
        return fit(model, learn, check, plan=plan, callbacks=self.watch(phase, epochs, metric))

    def tokens(self, model: Model, rows: np.ndarray) -> dict[str, Tokens]:
        """What a model's encoders give for some rows, in their order and as it is in eval mode, on the CPU."""
        self._freeze(model)
        model.to(self.device).eval()
        parts: dict[str, list[Tokens]] = {name: [] for name in model.encoders}
        for batch in self._loader(model, rows).epoch(0):
            with torch.inference_mode():
                for name, tokens in model.encode_all(batch.to(self.device)).items():
                    parts[name].append(Tokens(tokens.values.float().cpu(), tokens.mask.cpu()))
        return {name: _stacked(tokens) for name, tokens in parts.items()}

    def present(self, columns: Sequence[str], rows: np.ndarray) -> Bool[np.ndarray, " N"]:
        """Which of the rows have a cell in one of the columns; all, where a column's gaps are filled."""
        if any(getattr(self.modalities[column], "fill", None) is not None for column in columns):
            return np.ones(len(rows), dtype=bool)
        return np.asarray(np.any([self.prepared.stores[column].present[rows] for column in columns], axis=0))

    def _freeze(self, model: Model) -> None:
        """Computes the tokens of frozen encoders once, for all rows of the run."""
        new = [name for name, encoder in model.encoders.items() if encoder.frozen and name not in self.encoded]
        if new:
            self.encoded |= encode_frozen(model, self._loader(model, self.used), self.device, cache=self.cache)

    def _loader(self, model: Model, rows: np.ndarray, *, shuffle: bool = False, augment: bool = False) -> Loader:
        """Batches of some rows; columns that only frozen encoders read are not read again once these have run."""
        encoded = {name: tokens for name, tokens in self.encoded.items() if name in model.columns}
        read = {column for name, columns in model.columns.items() if name not in encoded for column in columns}
        size = self.config.train.batch_size or 1
        return Loader(
            self.prepared,
            {name: modality for name, modality in self.modalities.items() if name in read},
            rows=rows,
            settings=LoaderSettings(batch_size=size, shuffle=shuffle, augment=augment, seed=self.config.seed),
            target=self.target.astype(np.float32),
            weight=self.weight,
            encoded=encoded,
        )

    def _measure(self, learned: Learned, rows: np.ndarray, side: str) -> dict[str, Any]:
        if not len(rows):
            return {}
        scores = learned.scores if side == "validation" else None
        if scores is None:
            scores = score(learned.model, self._loader(learned.model, rows), self.device)
        self.measured = Measured(side, rows, scores, self.target[rows])
        return evaluate_scores(learned.model.head, self.measured.scores, self.measured.target, seed=self.config.seed)

    def _subsets(self, learned: Learned) -> dict[str, Any]:
        """How well the final model does without some of its inputs; not where there are many, or rows it knows."""
        model, measured = learned.model, self.measured
        if measured is None or not 1 < len(model.columns) <= _MOST_INPUTS:
            return {}
        if measured.side == "validation" and learned.scores is not None:
            return {}
        hiding = Hiding(subsets_of(tuple(model.columns), most=3))
        scores = score_subsets(model, self._loader(model, measured.rows).epoch(0), self.device, hiding)
        return {"subsets": measure_subsets(model.head, scores, measured.target, seed=self.config.seed)}

    def _baselines(self, model: Model, train: np.ndarray, test: np.ndarray) -> dict[str, Any]:
        return fit_baselines(
            model.head,
            self.prepared,
            inputs={name: {c: self.modalities[c] for c in columns} for name, columns in model.columns.items()},
            target=self.target,
            train=train,
            test=test,
            seed=self.config.seed,
        )

    def _known(self, rows: np.ndarray) -> np.ndarray:
        """The rows whose target the task can encode: a class may be missing among the training rows."""
        return np.asarray(rows[known_rows(self.target[rows])])


def _failed(first: Mapping[str, History], again: Mapping[str, History], metric: str) -> str | None:
    """Says so where the last training came nowhere near what the first had learned of its own training rows."""
    sign = 1 if larger_is_better(metric) else -1
    for phase, history in again.items():
        before = first.get(phase.replace("refit", "train", 1), History())
        if not history.epochs or not before.best_epoch:
            continue
        began, was, now = (
            before.epochs[0].metric,
            before.epochs[before.best_epoch - 1].metric,
            history.epochs[-1].metric,
        )
        if began is None or was is None or now is None:
            continue
        if sign * (was - now) > _FAILED * max(abs(was), abs(was - began)):  # near 0 the first share alone is noise
            return (
                f"The last training, with the validation rows, failed: {metric} {now:.3f} on its own rows, where the "
                f"first had {was:.3f}. The model of the first is kept; another seed may do better."
            )
    return None


def _share(model: Model) -> float:
    """Of what the inputs say by themselves in a prediction."""
    return 0.0 if model.auxiliary is None else float(model.auxiliary.vote)


def _stacked(parts: Sequence[Tokens]) -> Tokens:
    """Batches one below the other, padded to the longest."""
    longest = max(part.mask.shape[1] for part in parts)
    padded = [
        (
            torch.nn.functional.pad(part.values, (0, 0, 0, longest - part.mask.shape[1])),
            torch.nn.functional.pad(part.mask, (0, longest - part.mask.shape[1])),
        )
        for part in parts
    ]
    return Tokens(torch.cat([values for values, _ in padded]), torch.cat([mask for _, mask in padded]))
