"""Trains the model of a run, in the way that the run's stage goes about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool

from polymodal.baselines.scaling import Block
from polymodal.config.train import TrainConfig
from polymodal.data.cells.dataset import Dataset
from polymodal.device import pick_device
from polymodal.inference.forward import loader_for
from polymodal.layers.pooling import masked_mean
from polymodal.metrics.direction import greater_is_better
from polymodal.metrics.history import History, merged
from polymodal.models.budget import Budget
from polymodal.models.build import build
from polymodal.models.ensemble import Ensemble
from polymodal.models.model import Model, Network
from polymodal.models.stage import FitResult, stage_of
from polymodal.pipeline.problem import Problem
from polymodal.pipeline.time_plan import TimePlan
from polymodal.training.callbacks import Callback
from polymodal.training.frozen import encode_frozen
from polymodal.training.loop import fit
from polymodal.training.objective import Objective
from polymodal.training.plan import Plan, pick_precision
from polymodal.training.progress import Expecting
from polymodal.types import Cells, Tokens

_FAILED = 0.25  # worse than before, on training rows, by this share of the figure and of what was learned for it

CallbackFactory = Callable[[str, int, str], Sequence[Callback]]
"""(phase, epochs at most, watched metric) -> callbacks.

Phases are `train` and `refit`; where inputs or networks learn by themselves `train:photo`, `refit:photo`, ...
"""


@dataclass(frozen=True)
class Trained:
    """What came of the trainings of a run.

    Attributes:
        first: the model that learned from the training rows, and stopped by the validation rows.
        final: the one to use: the first, or one that learned from both.
        rows: that the final model learned from.
        histories: of the trainings by which it was found, by phase; those of a refit are not among them.
        refit: history of the last training, on all rows but test; None where there was none.
        dataset: what was learned from, with the tokens of frozen encoders.
        warnings: what the user should hear of the model and the trainings, in sentences.
    """

    first: FitResult
    final: FitResult
    rows: np.ndarray
    histories: Mapping[str, History]
    refit: History | None
    dataset: Dataset
    warnings: tuple[str, ...]


class Trainer:
    """Trains networks for one problem: the `Fitter` of its stage, which says what the methods do and take.

    The other arguments are those of `run.train`.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        make_callbacks: CallbackFactory | None = None,
        cache: Path | None = None,
        estimators: Mapping[str, Any] | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.schema, self.config, self.task = problem.schema, problem.config, problem.task
        self.split, self.warm_start = problem.split, problem.warm_start
        self.make_callbacks: CallbackFactory = make_callbacks or (lambda *_: ())
        self._announce()
        self.cache, self.estimators, self.budget = cache, estimators or {}, budget or Budget()
        self.time = TimePlan(self.budget, self.split, stage_of(self.config).num_trainings(len(self.schema.inputs)))
        self.device = pick_device(self.config.device)
        self.metric = self.config.train.early_stopping.metric or ""
        self.greater_is_better = greater_is_better(self.task.greater_is_better, self.metric)
        self._dataset = problem.dataset
        self._started = tuple[str, ...]()

    def run(self) -> Trained:
        """Trains the model of the run: once to find when to stop, and where asked once more on all rows but test."""
        stage, train, split = stage_of(self.config), self.config.train, self.split
        validation = self._dataset.known(split.validation)
        first = final = stage.learn(self, split.train, validation)
        rows, refit, histories, failures = split.train, None, first.histories, list[str]()
        asked = train.final == "refit" and len(validation) > 0 and not first.interrupted
        if asked and self.time.affords_final(stage, first.histories):
            joined = np.sort(np.concatenate([split.train, validation]))
            again = stage.learn(self, joined, validation[:0], before=first)
            if again.interrupted:  # the best model of before is the better one
                histories = {**histories, "refit": History(interrupted=True)}
            elif failed := self.time.failure() or failure(
                histories, again.histories, self.metric, greater_is_better=self.greater_is_better
            ):
                failures.append(failed)
            else:
                rows, final, refit = joined, again, merged(again.histories.values())
        inside = ((name, part) for name, encoder in final.network.encoders.items() for part in encoder.modules())
        notes = [f"{name}: {note}" for name, part in inside for note in getattr(part, "notes", ())]
        warnings = (*dict.fromkeys(notes), *self._started, *failures)
        return Trained(first, final, rows, histories, refit, self._dataset, warnings)

    def _announce(self) -> None:
        """Tells the callbacks how many trainings there will be, where they ask for it."""
        if isinstance(self.make_callbacks, Expecting):
            stage = stage_of(self.config)
            count = stage.num_trainings(len(self.schema.inputs))
            again = self.config.train.final == "refit" and len(self.split.validation) > 0
            self.make_callbacks.expect(count, refits=count if again else 0, refit_epochs=stage.refit_epochs)

    def build(self) -> Network:
        torch.manual_seed(self.config.seed)
        network = build(self.schema, self.config, self._dataset.modalities)
        if self.warm_start is not None:
            self._started = self.warm_start.fill(network, self.schema, self.config)
        return network

    def fit(
        self,
        network: Network,
        rows: np.ndarray,
        validation: np.ndarray | None,
        *,
        phase: str,
        epochs: int | None = None,
        lr_factor: float = 1.0,
        seed: int | None = None,
    ) -> History:
        self._freeze(network)
        optimizer = self.config.train.optimizer
        optimizer = optimizer.model_copy(update={"lr": lr_factor * (optimizer.lr or 0.0)})
        settings = self.config.train.model_copy(update={"optimizer": optimizer})
        epochs, seed = epochs or settings.epochs or 1, self.config.seed if seed is None else seed
        plan = Plan(
            task=self.task,
            train=settings,
            metric=self.metric,
            greater_is_better=self.greater_is_better,
            device=self.device,
            precision=pick_precision(settings.precision, self.device),
            seed=seed,
            epochs=epochs,
        )
        start = self.budget.spent
        batches = partial(self._dataset.loader, batch_size=self._size, seed=seed, columns=network.columns)
        learn = batches(rows, shuffle=True, augment=settings.augment)
        check = batches(validation) if validation is not None and len(validation) else None
        objective = make_objective(network, settings, joint=stage_of(self.config).joint)
        plan = self.time.plan(phase, plan, objective, learn, check)
        callbacks = self.make_callbacks(phase, plan.epochs, self.metric)
        history = fit(objective, learn, check, plan=plan, callbacks=callbacks)
        self.time.trained_since(start, phase, plan, history)
        return history

    def tokens(
        self,
        network: Network,
        rows: np.ndarray,
        function: Callable[[Mapping[str, Tokens]], Mapping[str, Tokens]] | None = None,
    ) -> dict[str, Tokens]:
        self._freeze(network)
        network.to(self.device).eval()
        parts: list[dict[str, Tokens]] = []
        loader = loader_for(network, self._dataset, rows, batch_size=self._size)
        for batch in loader.epoch(0):
            with torch.inference_mode():
                tokens: Mapping[str, Tokens] = network.encode(batch.to(self.device))
                tokens = tokens if function is None else function(tokens)
            parts.append({name: Tokens(one.values.float().cpu(), one.mask.cpu()) for name, one in tokens.items()})
        return {name: Tokens.joined([part[name] for part in parts]) for name in parts[0]}

    def features(self, network: Network, name: str, rows: np.ndarray) -> Sequence[Sequence[Block]]:
        self._freeze(network)
        groups = [[self._dataset.features(column, rows) for column in network.columns[name]]]
        if name in self._dataset.encoded:
            tokens = self._dataset.encoded[name]
            values, mask = tokens.values[rows], tokens.mask[rows]
            groups.append([(masked_mean(values, mask).double().numpy(), mask.any(dim=1).numpy())])
        return groups

    def target(self, rows: np.ndarray) -> Cells | None:
        return self._dataset.target(rows)

    def weights(self, rows: np.ndarray) -> torch.Tensor:
        weight = self._dataset.weight
        return torch.ones(len(rows)) if weight is None else torch.as_tensor(weight[rows], dtype=torch.float32)

    def present(self, columns: Sequence[str], rows: np.ndarray) -> Bool[np.ndarray, " N"]:
        return self._dataset.present(columns, rows)

    @property
    def _size(self) -> int:
        return self.config.train.batch_size or 1

    def _freeze(self, network: Network) -> None:
        """Computes the tokens of frozen encoders once, for all rows of the run."""
        known = self._dataset.encoded
        new = [name for name, encoder in network.encoders.items() if encoder.frozen and name not in known]
        if new:
            start = self.budget.spent
            used = np.concatenate([self.split.train, self.split.validation, self.split.test])
            loader = self._dataset.loader(used, batch_size=self._size, columns=network.columns)
            made = encode_frozen(network, loader, self.device, cache=self.cache, columns=self.schema.features())
            self._dataset = replace(self._dataset, encoded={**known, **made})
            self.time.encoded_since(start)


def failure(
    first: Mapping[str, History], again: Mapping[str, History], metric: str, *, greater_is_better: bool
) -> str | None:
    """Says so where the last training came nowhere near what the first had learned of its own training rows.

    Both are epochs by phase: of the training that found when to stop (`train`, ...) and of the last one (`refit`, ...).
    """
    sign = 1 if greater_is_better else -1
    for phase, history in again.items():
        before = first.get(phase.replace("refit", "train", 1), History())
        if not history.epochs or not before.best_epoch:
            continue
        records = (before.epochs[0], before.epochs[before.best_epoch - 1], history.epochs[-1])
        began, was, now = (record.metric for record in records)
        if began is None or was is None or now is None:
            continue
        if sign * (was - now) > _FAILED * max(abs(was), abs(was - began)):  # near 0 the first share alone is noise
            return (
                f"The last training, with the validation rows, failed: {metric} {now:.3f} on its own rows, where "
                f"the first had {was:.3f}. The model of the first is kept; another seed may do better."
            )
    return None


def make_objective(network: Network, settings: TrainConfig, *, joint: bool) -> Objective:
    """What a training with these settings, complete, makes smaller; `joint`: inputs learn together, some are masked."""
    assert isinstance(network, Model | Ensemble), "a stage trains models and ensembles"
    return Objective(
        network,
        auxiliary_loss=(settings.auxiliary_loss or 0.0) if isinstance(network, Ensemble) else 0.0,
        learned_blend=settings.auxiliary_blend == "learned",
        modality_dropout=(settings.modality_dropout or 0.0) if joint else 0.0,
    )
