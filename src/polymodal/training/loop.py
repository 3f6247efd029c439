"""The training loops: epochs of updates with validation after each; and learning on from new rows beside old ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from polymodal.data.cells.dataset import Loader
from polymodal.errors import ConfigError, DataError, NonFiniteLossError, did_you_mean
from polymodal.inference.forward import finite_rows, joined, predict_batches
from polymodal.metrics.history import EpochRecord, History
from polymodal.metrics.rows import RowStatistics
from polymodal.models.model import Network
from polymodal.protocols import Prediction
from polymodal.training import memory
from polymodal.training.balance import contributions
from polymodal.training.callbacks import Callback
from polymodal.training.objective import Objective
from polymodal.training.plan import Plan
from polymodal.training.step import StepOutput, Stepper, confidence_in, learn_epoch, name_rows
from polymodal.training.weights import BestWeights
from polymodal.types import Batch, Cells


def fit(
    objective: Objective, train: Loader, validation: Loader | None, *, plan: Plan, callbacks: Sequence[Callback] = ()
) -> History:
    """Trains a network in place and leaves it with its best weights, on the plan's device, in eval mode.

    The best weights are those of the epoch with the best watched metric on the validation rows, or the last ones
    without such rows; with `ema`, weights are the averaged ones. Ctrl-C ends the training in the same way.

    Raises:
        NonFiniteLossError: a loss or gradient is NaN or infinite; names the rows, and did not update from them.
        ConfigError: the validation rows do not give the watched metric.
    """
    try:
        loop = Loop(objective, train, validation, plan=plan)
    except BaseException:  # a progress line must not stay open
        for callback in callbacks:
            callback.on_end(History())
        raise
    return loop.run(callbacks)


class Loop:
    """One training, epoch by epoch.

    Between two epochs it has a state, with which another loop over the same rows goes on to the very same weights.
    """

    def __init__(self, objective: Objective, train: Loader, validation: Loader | None, *, plan: Plan) -> None:
        self.objective, self.train, self.validation, self.plan = objective.to(plan.device), train, validation, plan
        self.stepper = Stepper(objective, plan, steps_per_epoch=math.ceil(len(train) / plan.train.accumulate))
        self.best = BestWeights(objective, greater_is_better=plan.greater_is_better)
        self.history = History()

    def run(self, callbacks: Sequence[Callback] = ()) -> History:
        """Trains to the end, and leaves the best weights; the callbacks hear of every epoch."""
        try:
            with memory.reused(), self.stepper:
                while not self.ended:
                    record = self.advance()
                    for callback in callbacks:
                        callback.on_epoch(record)
            self.history.ended = self._reason()
        except KeyboardInterrupt:
            self.history.interrupted, self.history.ended = True, "by an interrupt"
        finally:
            for callback in callbacks:
                callback.on_end(self.history)
        self.best.restore()
        self.objective.eval()
        return self.history

    def advance(self) -> EpochRecord:
        """Trains for one epoch."""
        epoch, start = len(self.history.epochs) + 1, self.plan.clock()
        batches, size = self.train.epoch(epoch), self.plan.train.accumulate
        record, outputs = learn_epoch(epoch, self.stepper, iter(lambda: list(islice(batches, size)), []))
        validated: dict[str, float] = {}
        if self.validation is not None:
            with self.stepper.averaged():
                validated = _validate(self.objective.network, self.validation, self.plan)
                self.best.see(epoch, validated[self.plan.metric])
        record = replace(
            record,
            metric=_train_metric(outputs, self.plan),
            validation=validated,
            seconds=self.plan.clock() - start,
            contribution=contributions(confidence_in(outputs)),
        )
        self.history.epochs.append(record)
        self.history.best_epoch = self.best.epoch or epoch
        return record

    @property
    def ended(self) -> bool:
        """All epochs are done, the watched metric has not gained for as long as the plan is patient, or time is up."""
        return bool(self._reason())

    def _reason(self) -> str:
        """When and why it ended; empty while an epoch follows."""
        done, patience = len(self.history.epochs), self.plan.train.early_stopping.patience
        if done >= self.plan.epochs:
            return f"after all {done} epochs" if done > 1 else "after its only epoch"
        if patience is not None and done - self.history.best_epoch >= patience:
            return f"after epoch {done} of {self.plan.epochs}: no gain for {patience} epoch{'s' * (patience > 1)}"
        if done and self.plan.clock() + self.history.pace > self.plan.deadline:
            return f"after epoch {done} of {self.plan.epochs}: no time was left for another"
        return ""

    def state_dict(self) -> dict[str, Any]:
        """Weights, and all that the next epoch depends on besides; tensors are not copied."""
        return {
            "objective": self.objective.state_dict(),
            "stepper": self.stepper.state_dict(),
            "best": self.best.state_dict(),
            "history": self.history.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.objective.load_state_dict(state["objective"])
        self.stepper.load_state_dict(state["stepper"])
        self.best.load_state_dict(state["best"])
        self.history.load_state_dict(state["history"])


def learn_more(
    objective: Objective,
    new: Loader,
    old: Sequence[Loader],
    *,
    plan: Plan,
    anchor: float,
    callbacks: Sequence[Callback] = (),
) -> History:
    """Trains a network in place, and leaves it on the plan's device, in eval mode.

    Every step learns from a batch of new rows and, where there are any, from old rows beside it: experience replay
    (Ratcliff 1990; Chaudhry et al. 2019, "On tiny episodic memories in continual learning"). After every step the
    weights w move back towards those w0 of before, w <- w - a f (w - w0), where f is the learning rate as a share of
    its highest. That is the penalty |w - w0|^2 (Li, Grandvalet & Davoine 2018, "Explicit inductive bias for transfer
    learning with convolutional networks", L2-SP), decoupled from the gradient as weight decay is in AdamW.

    The old rows are spread over the steps of an epoch. The plan's `train.optimizer` has the learning rate of the
    update; the other settings are those of the training. The anchor is a, from 0 (the weights are free) to 1 (they
    stay).

    Raises:
        NonFiniteLossError: a loss or gradient is NaN or infinite; names the rows.
    """
    objective.to(plan.device)
    history = History()
    try:
        with memory.reused(), Stepper(objective, plan, steps_per_epoch=len(new)) as stepper:
            start = [parameter.detach().clone() for parameter in stepper.parameters]
            for epoch in range(1, plan.epochs + 1):
                steps = _side_by_side(new, old, epoch)
                record, _ = learn_epoch(epoch, stepper, steps, after_step=partial(_pull, start, anchor))
                history.epochs.append(record)
                history.best_epoch = epoch
                for callback in callbacks:
                    callback.on_epoch(record)
    finally:
        for callback in callbacks:
            callback.on_end(history)
    objective.eval()
    return history


def _train_metric(outputs: Sequence[StepOutput], plan: Plan) -> float | None:
    """The watched metric over the rows of an epoch as they were learned; None where it is not measured."""
    predictions = [output.prediction.cpu() for output in outputs if output.prediction is not None]
    targets = [output.target.to(torch.device("cpu")) for output in outputs if output.target is not None]
    if not predictions:
        return None
    target = Cells.joined(targets) if targets else None
    return RowStatistics.of(plan.task, joined(predictions), target).values().get(plan.metric)


def _validate(network: Network, loader: Loader, plan: Plan) -> dict[str, float]:
    """Every metric of the task over the rows of a loader."""
    predictions: list[Prediction] = []
    targets: list[Cells] = []
    for batch, prediction in predict_batches(network, loader, plan.device):
        if not (finite := finite_rows(prediction)).all():
            raise NonFiniteLossError(
                f"The model's predictions are NaN or infinite for validation {name_rows(batch.rows[~finite])}."
                " Look at the cells of these rows, or lower train.optimizer.lr."
            )
        predictions.append(prediction)
        targets += [] if batch.target is None else [batch.target]
    target = Cells.joined(targets) if targets else None
    measured = RowStatistics.of(plan.task, joined(predictions), target).values()
    if not measured:
        raise DataError(
            f"None of the {len(loader.rows)} validation rows can be measured: each lacks a cell that {plan.metric!r}"
            " needs. Look at the missing cells (polymodal inspect)."
        )
    if plan.metric not in measured:
        raise ConfigError(
            f"train.early_stopping.metric: the {len(loader.rows)} validation rows give no metric"
            f" {plan.metric!r}.{did_you_mean(plan.metric, measured)} They give: {', '.join(sorted(measured))}."
        )
    return measured


def _side_by_side(new: Loader, old: Sequence[Loader], epoch: int) -> Iterator[list[Batch]]:
    """What each step learns from: one batch of new rows, and its part of the old ones."""
    steps, count = len(new), sum(map(len, old))
    batches = (batch for loader in old for batch in loader.epoch(epoch))
    for step, batch in enumerate(new.epoch(epoch)):
        yield [batch, *islice(batches, (step + 1) * count // steps - step * count // steps)]


@torch.no_grad()
def _pull(start: Sequence[Tensor], anchor: float, stepper: Stepper) -> None:
    """Moves the weights their share of the way back, after a step."""
    share = anchor * stepper.lr / stepper.base_lr
    if share:
        for parameter, before in zip(stepper.parameters, start, strict=True):
            parameter.lerp_(before, share)
