"""One update of the weights from the rows of one or more batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from polymodal.config import TrainConfig
from polymodal.errors import NonFiniteLossError
from polymodal.model import Model
from polymodal.training.optim import make_optimizer
from polymodal.training.precision import Precision, autocast
from polymodal.training.schedule import make_schedule
from polymodal.types import Batch

_MOST_ROWS_NAMED = 20


@dataclass(frozen=True)
class Outcome:
    """What one batch gave before the update; detached, on the CPU, float32."""

    losses: Float[Tensor, " B"]
    weights: Float[Tensor, " B"]
    scores: Float[Tensor, "B K"]
    target: Tensor


class Stepper:
    """Updates the weights of a model, one step of the schedule after another.

    Args:
        config: with every None filled in.
        num_steps: of the whole training, for the schedule.
    """

    def __init__(
        self, model: Model, config: TrainConfig, *, device: torch.device, precision: Precision, num_steps: int
    ) -> None:
        self.model = model
        self.device = device
        self.precision = precision
        self.clip_norm = math.inf if config.clip_norm is None else config.clip_norm
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = make_optimizer(model, config.optimizer)
        self.base_lr = float(self.optimizer.defaults["lr"])
        self.factor = make_schedule(config.schedule, num_steps)
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "float16")
        self.step = 0
        self.lr = 0.0

    def update(self, batches: Sequence[Batch]) -> list[Outcome]:
        """Learns from the batches as if they were one; the loss is the mean over their rows by sample weight.

        Raises:
            NonFiniteLossError: a loss or the gradient is NaN or infinite; the weights are as they were before.
        """
        batches = [batch.to(self.device) for batch in batches]
        total = torch.stack([self._weights(batch).sum() for batch in batches]).sum()
        outcomes = [self._backward(batch, total) for batch in batches]
        for batch, outcome in zip(batches, outcomes, strict=True):
            _check_losses(outcome.losses, batch.rows)
        self.scaler.unscale_(self.optimizer)
        norm = float(clip_grad_norm_(self.parameters, self.clip_norm))
        # A gradient that overflows float16 only says that the scale is too large: the scaler skips and lowers it.
        if not math.isfinite(norm) and not (self.scaler.is_enabled() and self.scaler.get_scale() > 1.0):
            raise NonFiniteLossError(
                "The gradient is NaN or infinite although every loss is finite, in the update from"
                f" {name_rows(torch.cat([batch.rows for batch in batches]))}. The weights are as before it."
                " Lower train.optimizer.lr, or look for extreme values in these rows."
            )
        self.lr = self.base_lr * self.factor(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        self.step += 1
        return outcomes

    def _backward(self, batch: Batch, total: Float[Tensor, ""]) -> Outcome:
        assert batch.target is not None, "rows to learn from have a target"
        weights = self._weights(batch)
        with autocast(self.device, self.precision):
            losses, prediction = self.model.training_loss(batch, batch.target)
        # Weights that are all zero ask for no change, not for 0 / 0.
        mean = (losses * weights).sum() / total.clamp_min(torch.finfo(total.dtype).tiny)
        torch.autograd.backward(self.scaler.scale(mean))
        tensors = losses.detach().float(), weights, prediction.scores.detach().float(), batch.target
        return Outcome(*(tensor.cpu() for tensor in tensors))

    def _weights(self, batch: Batch) -> Float[Tensor, " B"]:
        return torch.ones(len(batch), device=self.device) if batch.weight is None else batch.weight


def _check_losses(losses: Float[Tensor, " B"], rows: Int[Tensor, " B"]) -> None:
    finite = losses.isfinite()
    if not finite.all():
        raise NonFiniteLossError(
            f"The loss is NaN or infinite for {name_rows(rows[~finite])}. The weights are as before the update from"
            " them. Look at the cells and the target of these rows, or lower train.optimizer.lr."
        )


def name_rows(rows: Int[Tensor, " N"]) -> str:
    """Rows in words.

    >>> name_rows(torch.tensor([7, 3]))
    'rows 3, 7 of the table (the first row is 0)'
    """
    numbers = sorted(rows.tolist())
    words = ", ".join(map(str, numbers[:_MOST_ROWS_NAMED]))
    more = f" and {len(numbers) - _MOST_ROWS_NAMED} more" if len(numbers) > _MOST_ROWS_NAMED else ""
    return f"row{'s' if len(numbers) > 1 else ''} {words}{more} of the table (the first row is 0)"
