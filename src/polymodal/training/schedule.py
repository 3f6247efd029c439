"""How the learning rate moves while training goes on."""

from __future__ import annotations

import math
from collections.abc import Callable

from polymodal.config.train import ModalityDropoutScheduleConfig, ScheduleConfig

Schedule = Callable[[int], float]


def make_schedule(config: ScheduleConfig, num_steps: int) -> Schedule:
    """The factor on the learning rate as a function of the step, 0 to `num_steps` - 1.

    With W warm-up steps of N, p = (step - W) / (N - W):

        step < W        (step + 1) / (W + 1)        so that no step is lost at zero
        constant        1
        linear          1 - p
        cosine          (1 + cos(pi p)) / 2         Loshchilov & Hutter, arXiv 1608.03983, equation 5

    >>> factor = make_schedule(ScheduleConfig(name="linear", warmup=0.2), num_steps=10)
    >>> [round(factor(step), 3) for step in (0, 1, 2, 6)]
    [0.333, 0.667, 1.0, 0.5]
    """
    num_warmup = round(config.warmup * num_steps)

    def factor(step: int) -> float:
        if step < num_warmup:
            return (step + 1) / (num_warmup + 1)
        progress = (step - num_warmup) / (num_steps - num_warmup)
        match config.name:
            case "constant":
                return 1.0
            case "linear":
                return 1.0 - progress
            case "cosine":
                return (1.0 + math.cos(math.pi * progress)) / 2.0

    return factor


def modality_dropout_factor(config: ModalityDropoutScheduleConfig, epoch: int, num_epochs: int) -> float:
    """The factor on `modality_dropout` in an epoch, from 1 to `num_epochs`.

    `linear` is (epoch - 1) / (until * num_epochs), and 1 from there on.

    >>> schedule = ModalityDropoutScheduleConfig(name="linear", until=0.5)
    >>> [modality_dropout_factor(schedule, epoch, 8) for epoch in (1, 2, 5, 6)]
    [0.0, 0.25, 1.0, 1.0]
    """
    return 1.0 if config.name == "constant" else min(1.0, (epoch - 1) / (config.until * num_epochs))
