"""One update of the weights from the rows of one or more batches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from polymodal.errors import ConfigError, NonFiniteLossError
from polymodal.metrics.history import EpochRecord
from polymodal.protocols import Prediction
from polymodal.training.balance import Balance
from polymodal.training.constraints import incoming, limit_norms, matrices, orthogonality
from polymodal.training.distributed import num_processes, sum_over_processes
from polymodal.training.mixing import draw_mixing
from polymodal.training.objective import Losses, Objective, Outputs, detached
from polymodal.training.optim import make_optimizer, make_schedule, modality_dropout_factor
from polymodal.training.plan import Plan, autocast
from polymodal.training.weights import WeightAverage
from polymodal.types import Batch, Cells, full_precision

_MOST_ROWS_NAMED = 20


@dataclass(frozen=True)
class StepOutput:
    """What one batch gave before the update; detached, on the device of the training.

    Attributes:
        rows: row numbers in the table.
        prediction: for the watched metric; None where it is not measured.
        confidence: that of `Losses`.
    """

    losses: Float[Tensor, " B"]
    weights: Float[Tensor, " B"]
    rows: Int[Tensor, " B"]
    prediction: Prediction | None
    target: Cells | None
    confidence: Mapping[str, Float[Tensor, " B"]]


def confidence_in(outputs: Sequence[StepOutput]) -> dict[str, float]:
    """How confident each input is by itself: the weighted mean over the rows of some batches that have it.

    An input that no row has, or no row that counts, is left out.
    """
    confidences, weights = {}, torch.cat([output.weights for output in outputs]).cpu()
    for name in outputs[0].confidence:
        rows = torch.cat([output.confidence[name].float() for output in outputs]).cpu()
        there = ~rows.isnan()
        if total := float(weights[there].sum()):
            confidences[name] = float((rows[there] * weights[there]).sum()) / total
    return confidences


class Stepper:
    """Updates the weights of a network, one step of the schedule after another.

    It is a context: on leaving it the network has the weights that the training is to end with. Its state (optimizer,
    scaler, average of the weights, place in the schedule) is a `state_dict`.

    Args:
        steps_per_epoch: for the schedule.
        wrap: makes what is called of the objective, such as `DistributedDataParallel`; None: it is called itself.

    Raises:
        ConfigError: rows are to be mixed, and the loss looks across the batch.
    """

    def __init__(
        self,
        objective: Objective,
        plan: Plan,
        *,
        steps_per_epoch: int,
        wrap: Callable[[Objective], nn.Module] | None = None,
    ) -> None:
        config = plan.train
        if config.mixup.alpha and objective.in_batch:
            raise ConfigError(
                "train.mixup: the loss of this task compares the rows of a batch; set train.mixup.alpha=0."
            )
        self.objective = objective
        self.called: nn.Module = objective if wrap is None else wrap(objective)
        self.plan = plan
        self.device = plan.device
        self.clip_norm = math.inf if config.clip_norm is None else config.clip_norm
        self.parameters = [parameter for parameter in objective.parameters() if parameter.requires_grad]
        self.optimizer = make_optimizer(objective, config.optimizer)
        self.base_lr = float(self.optimizer.defaults["lr"])
        self.factor = make_schedule(config.schedule, plan.epochs * steps_per_epoch)
        self.scaler = torch.amp.GradScaler(plan.device.type, enabled=plan.precision == "float16")
        self.balance = None if config.balance.name == "none" else Balance(objective.network, config.balance)
        self.average = None if config.ema is None else WeightAverage(objective, config.ema)
        self.matrices, self.incoming = matrices(objective), incoming(objective)
        self.modality_dropout = objective.modality_dropout
        self.config = config
        self.num_steps = plan.epochs * steps_per_epoch
        self.step = 0
        self.lr = 0.0
        self.balances = False

    def __enter__(self) -> Stepper:
        return self

    def __exit__(self, *_: object) -> None:
        self.objective.modality_dropout = self.modality_dropout
        if self.average is not None:
            self.average.put_in()

    def begin(self, epoch: int) -> None:
        """Makes ready for an epoch, from 1: what depends on it is set."""
        factor = modality_dropout_factor(self.config.modality_dropout_schedule, epoch, self.plan.epochs)
        self.objective.modality_dropout = self.modality_dropout * factor
        asked = self.config.balance.start <= epoch <= (self.config.balance.end or epoch)
        self.balances = self.balance is not None and asked
        self.objective.train()

    def averaged(self) -> AbstractContextManager[None]:
        """While it lasts, the network has the weights that are to be validated and kept."""
        return nullcontext() if self.average is None else self.average.in_place()

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on, but for the weights."""
        average = None if self.average is None else self.average.state_dict()
        return {
            "step": self.step,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": average,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.step = int(state["step"])
        self.optimizer.load_state_dict(dict(state["optimizer"]))
        self.scaler.load_state_dict(dict(state["scaler"]))
        if self.average is not None:
            self.average.load_state_dict(state["average"])

    def update(self, batches: Sequence[Batch]) -> list[StepOutput]:
        """Learns from the batches as if they were one; the loss is the mean over their rows by sample weight.

        Raises:
            NonFiniteLossError: a loss or the gradient is NaN or infinite; the weights are as they were before.
        """
        batches = [batch.to(self.device) for batch in batches]
        total = sum_over_processes(torch.stack([self._weights(batch).sum() for batch in batches]).sum())
        if self.objective.in_batch and len(batches) > 1:
            outputs = self._backward_joined(batches, total)
        else:
            outputs = [self._backward(place, batch, total) for place, batch in enumerate(batches)]
        self._complete_gradient(outputs)
        norm = clip_grad_norm_(self.parameters, self.clip_norm)
        self._require_finite(outputs, norm)
        self.lr = self.base_lr * self.factor(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * group["lr_scale"]
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        if self.config.max_norm is not None:
            limit_norms(self.incoming, self.config.max_norm)
        if self.average is not None:
            self.average.update()
        self.step += 1
        return outputs

    def _backward(self, place: int, batch: Batch, total: Float[Tensor, ""]) -> StepOutput:
        weights, mixing = self._weights(batch), None
        self._draw_from(place)
        if self.config.mixup.alpha:
            mixing, weights = draw_mixing(batch, weights, model=self.objective.network, config=self.config.mixup)
        with autocast(self.device, self.plan.precision):
            found: Losses = self.called(
                batch, mixing=mixing, progress=self.step / self.num_steps, measure_inputs=self.balances
            )
        torch.autograd.backward(self._reduced(found.values, weights, total))
        return self._output(batch, weights, found)

    def _backward_joined(self, batches: Sequence[Batch], total: Float[Tensor, ""]) -> list[StepOutput]:
        """Of a loss that looks across the batch: all of them are one batch to it."""

        def forward(place: int, batch: Batch) -> Outputs:
            self._draw_from(place)
            with autocast(self.device, self.plan.precision):
                return self.objective.outputs(batch, progress=self.step / self.num_steps, measure_inputs=self.balances)

        weights = torch.cat([self._weights(batch) for batch in batches])
        found = self.objective.backward_joined(batches, forward, lambda losses: self._reduced(losses, weights, total))
        outputs, start = [], 0
        for batch in batches:
            mine = slice(start, start + len(batch))
            outputs.append(self._output(batch, weights[mine], found.rows(mine)))
            start += len(batch)
        return outputs

    def _reduced(
        self, losses: Float[Tensor, " B"], weights: Float[Tensor, " B"], total: Float[Tensor, ""]
    ) -> Float[Tensor, ""]:
        """What is differentiated: the part of these rows in the mean by weight over the rows of all processes, whose
        gradients a wrapper averages.
        """
        # Weights that are all zero ask for no change, not for 0 / 0.
        mean = (losses * weights).sum() / total.clamp_min(torch.finfo(total.dtype).tiny)
        scaled: Tensor = self.scaler.scale(mean * num_processes())
        return scaled

    def _output(self, batch: Batch, weights: Float[Tensor, " B"], found: Losses) -> StepOutput:
        return StepOutput(
            losses=full_precision(found.values.detach()),
            weights=weights,
            rows=batch.rows,
            prediction=detached(found.prediction) if self.config.train_metric else None,
            target=batch.target,
            confidence=found.confidence,
        )

    def _draw_from(self, place: int) -> None:
        """Sets the random numbers of one batch of this step: those of dropout, masks and mixtures.

        `torch.manual_seed` also notes a stack trace for every kind of device: a tenth of the time of a small step.
        """
        state = np.random.SeedSequence((self.plan.seed, self.step, place)).generate_state(1, np.uint64)
        seed = int(state[0] >> np.uint64(1))
        torch.default_generator.manual_seed(seed)
        if self.device.type != "cpu":
            module = torch.get_device_module(self.device)
            getattr(module, "manual_seed_all", module.manual_seed)(seed)  # the device need not be the current one

    def _require_finite(self, outputs: Sequence[StepOutput], norm: Tensor) -> None:
        """Looks at losses and gradient in one transfer; refuses them before they reach the weights."""
        finite = torch.stack([*(output.losses.isfinite().all() for output in outputs), norm.isfinite()])
        if bool(finite.all()):
            return
        for output in outputs:
            if not (of_row := output.losses.isfinite()).all():
                raise NonFiniteLossError(
                    f"The loss is NaN or infinite for {name_rows(output.rows[~of_row])}. The weights are as before the"
                    " update from them. Look at the cells and the target of these rows, or lower train.optimizer.lr."
                )
        # A gradient that overflows float16 only says that the scale is too large: the scaler skips and lowers it.
        if not (self.scaler.is_enabled() and self.scaler.get_scale() > 1.0):
            raise NonFiniteLossError(
                "The gradient is NaN or infinite although every loss is finite, in the update from"
                f" {name_rows(torch.cat([output.rows for output in outputs]))}. The weights are as before it."
                " Lower train.optimizer.lr, or look for extreme values in these rows."
            )

    def _complete_gradient(self, outputs: Sequence[StepOutput]) -> None:
        """Adds what depends on the weights alone, and slows the inputs down that the others have to catch up with."""
        if self.config.orthogonality:
            penalty = self.config.orthogonality * orthogonality(self.matrices)
            torch.autograd.backward(self.scaler.scale(penalty))
        self.scaler.unscale_(self.optimizer)
        if self.balance is not None and self.balances:
            self.balance.modulate(confidence_in(outputs))

    def _weights(self, batch: Batch) -> Float[Tensor, " B"]:
        return torch.ones(len(batch), device=self.device) if batch.weight is None else batch.weight


def learn_epoch(
    epoch: int,
    stepper: Stepper,
    steps: Iterable[Sequence[Batch]],
    *,
    after_step: Callable[[Stepper], None] | None = None,
) -> tuple[EpochRecord, list[StepOutput]]:
    """Learns from the batches of each step once; `after_step` hears of every update.

    Returns:
        The record of the epoch, from 1, without metrics; and what every batch gave.
    """
    start = time.perf_counter()
    stepper.begin(epoch)
    outputs: list[StepOutput] = []
    for batches in steps:
        outputs += stepper.update(batches)
        if after_step is not None:
            after_step(stepper)
    losses = torch.cat([output.losses for output in outputs])
    weights = torch.cat([output.weights for output in outputs])
    counted = weights.sum().cpu().clamp_min(torch.finfo(weights.dtype).tiny)  # waits for the device
    loss = float((losses * weights).sum().cpu() / counted)
    seconds = time.perf_counter() - start
    rate = len(losses) / seconds
    record = EpochRecord(epoch, loss, None, {}, rows_per_second=rate, seconds=seconds, lr=stepper.lr)
    return record, outputs


def name_rows(rows: Int[Tensor, " N"]) -> str:
    """Rows in words.

    >>> name_rows(torch.tensor([7, 3]))
    'rows 3, 7 of the table (the first row is 0)'
    """
    numbers = sorted(rows.tolist())
    words = ", ".join(map(str, numbers[:_MOST_ROWS_NAMED]))
    more = f" and {len(numbers) - _MOST_ROWS_NAMED} more" if len(numbers) > _MOST_ROWS_NAMED else ""
    return f"row{'s' if len(numbers) > 1 else ''} {words}{more} of the table (the first row is 0)"
