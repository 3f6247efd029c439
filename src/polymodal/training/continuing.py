"""More learning for a model that has learned: new rows beside old ones, near to the weights that it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice

import torch
from torch import Tensor

from polymodal.data.cells.loader import Loader
from polymodal.metrics.history import History
from polymodal.training.callbacks import Callback
from polymodal.training.objective import Objective
from polymodal.training.plan import Plan
from polymodal.training.step import Stepper, learn_epoch
from polymodal.types import Batch


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

    Args:
        objective: of the network as it was trained.
        new: batches of the new rows.
        old: batches of the old ones; all are spread over the steps of an epoch.
        plan: its `train.optimizer` has the learning rate of the update; the other settings are those of the training.
        anchor: a, from 0 (the weights are free) to 1 (they stay).
        callbacks: hear of every epoch.

    Raises:
        NonFiniteLossError: a loss or gradient is NaN or infinite; names the rows.
    """
    objective.to(plan.device)
    history = History()
    try:
        with Stepper(objective, plan, steps_per_epoch=len(new)) as stepper:
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
