"""How long an epoch takes, measured before the training: the number of epochs decides how the learning rate moves."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from itertools import islice

import torch

from polymodal.data.cells.dataset import Loader
from polymodal.inference.forward import predict_batches
from polymodal.training import memory
from polymodal.training.loop import Loop
from polymodal.training.objective import Objective
from polymodal.training.plan import Plan
from polymodal.training.step import Stepper

_MOST_STEPS = 10


@dataclass(frozen=True)
class Speed:
    """How fast a network learns and predicts.

    Attributes:
        row: seconds to predict one; zero where there are no validation rows.
        epoch: seconds to learn from every training row once and predict every validation row.
    """

    row: float
    epoch: float


def measure_speed(
    objective: Objective, train: Loader, validation: Loader | None, *, plan: Plan, seconds: float
) -> Speed:
    """Measures some updates of a copy, and some predictions, in about so many seconds each; at least one.

    Of several updates the first does not count. Where a whole epoch is that short, one is measured. The objective, and
    the random numbers of whoever calls, stay as they are.
    """
    objective.to(plan.device)
    frozen = {id(one): one for one in objective.parameters() if not one.requires_grad}  # not copied: they do not learn
    with memory.reused(), torch.random.fork_rng(devices=[]):  # as the training will run
        trial = copy.deepcopy(objective, frozen)
        update = _seconds_of_update(trial, train, plan, seconds)
        row = 0.0 if validation is None else _seconds_of_row(trial, validation, plan, seconds)
        epoch = update * _steps(train, plan) + row * (0 if validation is None else len(validation.rows))
        if epoch <= seconds:
            epoch = Loop(trial, train, validation, plan=plan).advance().seconds
    return Speed(row, epoch)


def _seconds_of_update(trial: Objective, train: Loader, plan: Plan, seconds: float) -> float:
    stepper, batches, times = Stepper(trial, plan, steps_per_epoch=_steps(train, plan)), train.epoch(1), list[float]()
    stepper.begin(1)
    start = before = plan.clock()
    while len(times) < _MOST_STEPS and before - start <= seconds:
        if not (some := list(islice(batches, plan.train.accumulate))):
            break
        stepper.update(some)
        now = plan.clock()
        times.append(now - before)
        before = now
    counted = times[1:] or times
    return sum(counted) / len(counted)


def _seconds_of_row(trial: Objective, validation: Loader, plan: Plan, seconds: float) -> float:
    start, num_rows = plan.clock(), 0
    for batch, _ in islice(predict_batches(trial.network, validation, plan.device), _MOST_STEPS):
        num_rows += len(batch)
        if plan.clock() - start > seconds:
            break
    return (plan.clock() - start) / num_rows


def _steps(train: Loader, plan: Plan) -> int:
    return math.ceil(len(train) / plan.train.accumulate)
