"""Optimizers by name, and how the learning rate moves while training goes on."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn
from torch.nn import Parameter
from torch.optim import SGD, Adadelta, Adam, AdamW, Optimizer, RMSprop

from polymodal.config.train import ModalityDropoutScheduleConfig, OptimizerConfig, ScheduleConfig


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> Optimizer:
    """The optimizer of all parameters of a model that learn; frozen ones are left out.

    Weight decay acts on matrices and convolution kernels only: pulling biases, normalisations and embeddings towards
    zero takes freedom away without regularising, unless a module asks for it. In `adamw` it is decoupled from the
    gradient (Loshchilov & Hutter, arXiv 1711.05101, algorithm 2), in the others it is the gradient of an L2 penalty.
    `momentum` is that of `sgd`.
    """
    lr, weight_decay = config.lr, config.weight_decay
    assert lr is not None and weight_decay is not None, "the defaults fill these in before training"
    groups = parameter_groups(model, weight_decay)
    match config.name:
        case "sgd":
            return SGD(groups, lr=lr, momentum=config.momentum)
        case "adam":
            return Adam(groups, lr=lr)
        case "adamw":
            return AdamW(groups, lr=lr, fused=True)  # one pass over the weights, a third of the time on a CPU
        case "adadelta":
            return Adadelta(groups, lr=lr)
        case "rmsprop":
            return RMSprop(groups, lr=lr)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, list[Parameter] | float]]:
    """The parameters by how fast they decay and learn: as said, not at all, or as their module asks for.

    A module with an attribute `decay` has all of its parameters decay so many times as fast; one with `lr_scale` has
    them learn at this share of the learning rate, which their group holds for the schedule.
    """
    decays: dict[Parameter, float] = {}
    scales: dict[Parameter, float] = {}
    for module in model.modules():
        own = getattr(module, "decay", 0.0 if isinstance(module, nn.Embedding | nn.EmbeddingBag) else None)
        for asked, factors in ((own, decays), (getattr(module, "lr_scale", None), scales)):
            if asked is not None:
                for parameter in module.parameters():
                    factors.setdefault(parameter, float(asked))
    groups: dict[tuple[float, float], list[Parameter]] = {(1.0, 1.0): [], (0.0, 1.0): []}
    for parameter in model.parameters():
        if parameter.requires_grad:
            decay = decays.get(parameter, 1.0 if parameter.ndim >= 2 else 0.0)
            groups.setdefault((decay, scales.get(parameter, 1.0)), []).append(parameter)
    return [
        {"params": learned, "weight_decay": decay * weight_decay, "lr_scale": scale}
        for (decay, scale), learned in groups.items()
    ]


def make_schedule(config: ScheduleConfig, num_steps: int) -> Callable[[int], float]:
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
