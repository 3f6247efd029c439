"""Optimizers by name."""

from __future__ import annotations

from torch import nn
from torch.nn import Parameter
from torch.optim import SGD, Adadelta, Adam, AdamW, Optimizer, RMSprop

from polymodal.config.train import OptimizerConfig


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> Optimizer:
    """The optimizer of all parameters of a model that learn; frozen ones are left out.

    Weight decay acts on matrices and convolution kernels only: pulling biases, normalisations and embeddings towards
    zero takes freedom away without regularising, unless a module asks for it. In `adamw` it is decoupled from the
    gradient (Loshchilov & Hutter, arXiv 1711.05101, algorithm 2), in the others it is the gradient of an L2 penalty.
    `momentum` is that of `sgd`.

    Args:
        model: its parameters that require no gradient are frozen.
        config: with `lr` and `weight_decay` filled in.
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
            return AdamW(groups, lr=lr)
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
