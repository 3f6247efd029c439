"""The training loop: epochs of updates, validation after each, the best weights kept."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from polymodal.data.loader import Loader
from polymodal.errors import ConfigError, NonFiniteLossError, did_you_mean
from polymodal.model import Model
from polymodal.predict import score_batches
from polymodal.settings.train import TrainConfig
from polymodal.training.balance import shares
from polymodal.training.callbacks import Callback
from polymodal.training.history import EpochRecord, History
from polymodal.training.precision import Precision
from polymodal.training.step import Outcome, Stepper, confidence_in, name_rows


@dataclass(frozen=True)
class Plan:
    """How one training goes, everything chosen.

    Attributes:
        train: with every None filled in.
        metric: the one of the task's metrics that is watched.
        seed: of dropout and of whatever else PyTorch draws.
        epochs: at most so many.
    """

    train: TrainConfig
    metric: str
    larger_is_better: bool
    device: torch.device
    precision: Precision
    seed: int
    epochs: int


def fit(
    model: Model, train: Loader, validation: Loader | None, *, plan: Plan, callbacks: Sequence[Callback] = ()
) -> History:
    """Trains a model in place and leaves it with its best weights, on the plan's device, in eval mode.

    The best weights are those of the epoch with the best watched metric on the validation rows, or the last ones
    without such rows; with `ema`, weights are the averaged ones. Ctrl-C ends the training in the same way.

    Raises:
        NonFiniteLossError: a loss or gradient is NaN or infinite; names the rows, and did not update from them.
        ConfigError: the validation rows do not give the watched metric.
    """
    torch.manual_seed(plan.seed)
    num_steps = plan.epochs * math.ceil(len(train) / plan.train.accumulate)
    best = _Best(model, larger_is_better=plan.larger_is_better)
    history = History()
    try:
        model.to(plan.device)
        with Stepper(model, plan.train, device=plan.device, precision=plan.precision, num_steps=num_steps) as stepper:
            for epoch in range(1, plan.epochs + 1):
                record = _run_epoch(epoch, stepper, train, validation, plan)
                history.epochs.append(record)
                if validation is not None:
                    with stepper.averaged():
                        best.see(epoch, record.validation[plan.metric])
                history.best_epoch = best.epoch or epoch
                for callback in callbacks:
                    callback.on_epoch(record)
                patience = plan.train.early_stopping.patience
                if patience is not None and epoch - history.best_epoch >= patience:
                    break
    except KeyboardInterrupt:
        history.interrupted = True
    finally:
        for callback in callbacks:
            callback.on_end(history)
    best.restore()
    model.eval()
    return history


def _run_epoch(epoch: int, stepper: Stepper, train: Loader, validation: Loader | None, plan: Plan) -> EpochRecord:
    start = time.perf_counter()
    stepper.begin(epoch, plan.epochs)
    outcomes = _learn(epoch, stepper, train, plan.train.accumulate)
    learned = time.perf_counter()
    losses = torch.cat([outcome.losses for outcome in outcomes])
    weights = torch.cat([outcome.weights for outcome in outcomes])
    scores = torch.cat([outcome.scores for outcome in outcomes])
    target = torch.cat([outcome.target for outcome in outcomes])
    metrics = {} if plan.train.mixup.alpha else stepper.model.head.metrics(scores.numpy(), target.numpy())
    with stepper.averaged():
        validated = {} if validation is None else _validate(stepper.model, validation, plan)
    return EpochRecord(
        epoch=epoch,
        loss=float((losses * weights).sum() / weights.sum()),
        metric=metrics.get(plan.metric),
        validation=validated,
        rows_per_second=len(losses) / (learned - start),
        seconds=time.perf_counter() - start,
        lr=stepper.lr,
        share=shares(confidence_in(outcomes)),
    )


def _learn(epoch: int, stepper: Stepper, train: Loader, accumulate: int) -> list[Outcome]:
    stepper.model.train()
    for encoder in stepper.model.encoders.values():
        if encoder.frozen:
            encoder.eval()
    batches = train.epoch(epoch)
    outcomes: list[Outcome] = []
    while group := list(islice(batches, accumulate)):
        outcomes += stepper.update(group)
    return outcomes


def _validate(model: Model, loader: Loader, plan: Plan) -> dict[str, float]:
    """Every metric of the task over the rows of a loader."""
    scores: list[np.ndarray] = []
    target: list[np.ndarray] = []
    for batch, prediction in score_batches(model, loader, plan.device):
        assert batch.target is not None, "rows to validate on have a target"
        if not (finite := prediction.scores.isfinite().all(dim=1)).all():
            raise NonFiniteLossError(
                f"The model's scores are NaN or infinite for validation {name_rows(batch.rows[~finite])}."
                " Look at the cells of these rows, or lower train.optimizer.lr."
            )
        scores.append(prediction.scores.numpy())
        target.append(batch.target.numpy())
    measured = model.head.metrics(np.concatenate(scores), np.concatenate(target))
    if plan.metric not in measured:
        raise ConfigError(
            f"train.early_stopping.metric: the {sum(map(len, target))} validation rows give no metric"
            f" {plan.metric!r}.{did_you_mean(plan.metric, measured)} They give: {', '.join(sorted(measured))}."
        )
    return measured


class _Best:
    """The weights of the best epoch so far, on the CPU; frozen ones stay where they are."""

    def __init__(self, model: nn.Module, *, larger_is_better: bool) -> None:
        self.model = model
        self.sign = 1.0 if larger_is_better else -1.0
        self.gain = -math.inf
        self.epoch = 0
        self.state: dict[str, Tensor] = {}
        self.frozen = {
            name for name, value in model.named_parameters(remove_duplicate=False) if not value.requires_grad
        }

    def see(self, epoch: int, value: float) -> None:
        if self.sign * value >= self.gain:  # of equals the later: its learning rate was lower
            state = self.model.state_dict()
            self.state = {name: state[name].to("cpu", copy=True) for name in state.keys() - self.frozen}
            self.gain, self.epoch = self.sign * value, epoch

    def restore(self) -> None:
        if self.state:
            self.model.load_state_dict(self.state, strict=False)
