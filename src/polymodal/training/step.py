"""One update of the weights from the rows of one or more batches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from polymodal.errors import NonFiniteLossError
from polymodal.model import Model
from polymodal.settings.train import TrainConfig
from polymodal.training.average import WeightAverage
from polymodal.training.balance import Balance, mean_confidence
from polymodal.training.constraints import incoming, limit_norms, matrices, orthogonality
from polymodal.training.mixup import draw_mixing
from polymodal.training.optim import make_optimizer
from polymodal.training.precision import Precision, autocast
from polymodal.training.schedule import make_schedule, modality_dropout_factor
from polymodal.types import Batch

_MOST_ROWS_NAMED = 20


@dataclass(frozen=True)
class Outcome:
    """What one batch gave before the update; detached, on the CPU, float32.

    Attributes:
        own: by input, how sure it is of the target by itself, NaN for rows without it; empty if not measured.
    """

    losses: Float[Tensor, " B"]
    weights: Float[Tensor, " B"]
    scores: Float[Tensor, "B K"]
    target: Tensor
    own: Mapping[str, Float[Tensor, " B"]]


def confidence_in(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """How sure each input is by itself, over the rows of some batches."""
    own = {name: torch.cat([outcome.own[name] for outcome in outcomes]) for name in outcomes[0].own}
    return mean_confidence(own, torch.cat([outcome.weights for outcome in outcomes]))


class Stepper:
    """Updates the weights of a model, one step of the schedule after another.

    It is a context: on leaving it the model has the weights that the training is to end with, and is as it was else.

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
        self.balance = None if config.balance.name == "none" else Balance(model, config.balance)
        self.average = None if config.ema is None else WeightAverage(model, config.ema)
        self.matrices, self.incoming = matrices(model), incoming(model)
        self.modality_dropout = model.modality_dropout
        self.config = config
        self.step = 0
        self.lr = 0.0
        self.balances = False

    def __enter__(self) -> Stepper:
        return self

    def __exit__(self, *_: object) -> None:
        self.model.modality_dropout = self.modality_dropout
        if self.average is not None:
            self.average.put_in()

    def begin(self, epoch: int, num_epochs: int) -> None:
        """Makes ready for an epoch, from 1: what depends on it is set."""
        factor = modality_dropout_factor(self.config.modality_dropout_schedule, epoch, num_epochs)
        self.model.modality_dropout = self.modality_dropout * factor
        self.balances = self.balance is not None and self.balance.acts_in(epoch)

    def averaged(self) -> AbstractContextManager[None]:
        """While it lasts, the model has the weights that are to be validated and kept."""
        return nullcontext() if self.average is None else self.average.in_place()

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
        self._complete_gradient(outcomes)
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
            group["lr"] = self.lr * group["lr_scale"]
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        self._complete_update()
        self.step += 1
        return outcomes

    def _backward(self, batch: Batch, total: Float[Tensor, ""]) -> Outcome:
        assert batch.target is not None, "rows to learn from have a target"
        weights, mixing = self._weights(batch), None
        if self.config.mixup.alpha:
            mixing, weights = draw_mixing(batch, weights, model=self.model, config=self.config.mixup)
        with autocast(self.device, self.precision):
            lesson = self.model.training_loss(batch, batch.target, mixing=mixing, ask_inputs=self.balances)
        losses = lesson.loss
        # Weights that are all zero ask for no change, not for 0 / 0.
        mean = (losses * weights).sum() / total.clamp_min(torch.finfo(total.dtype).tiny)
        torch.autograd.backward(self.scaler.scale(mean))
        return Outcome(
            losses=losses.detach().float().cpu(),
            weights=weights.cpu(),
            scores=lesson.prediction.scores.detach().float().cpu(),
            target=batch.target.cpu(),
            own={name: of_input.float().cpu() for name, of_input in lesson.own.items()},
        )

    def _complete_gradient(self, outcomes: Sequence[Outcome]) -> None:
        """Adds what depends on the weights alone, and slows the inputs down that the others have to catch up with."""
        if self.config.orthogonality:
            penalty = self.config.orthogonality * orthogonality(self.matrices)
            torch.autograd.backward(self.scaler.scale(penalty))
        self.scaler.unscale_(self.optimizer)
        if self.balance is not None and self.balances:
            self.balance.modulate(confidence_in(outcomes))

    def _complete_update(self) -> None:
        """Brings the new weights within their bounds, and into their average."""
        if self.config.max_norm is not None:
            limit_norms(self.incoming, self.config.max_norm)
        if self.average is not None:
            self.average.update()

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
