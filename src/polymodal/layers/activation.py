"""Activation functions by name."""

from __future__ import annotations

from typing import Literal

from torch import nn

ActivationName = Literal["relu", "gelu", "tanh", "sigmoid"]

_ACTIVATIONS: dict[ActivationName, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def activation(name: ActivationName) -> nn.Module:
    """The activation of that name.

    >>> activation("gelu")
    GELU(approximate='none')
    """
    return _ACTIVATIONS[name]()
