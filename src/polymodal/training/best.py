"""Keeps the weights of the best epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class BestWeights:
    """The weights of the best epoch so far, on the CPU; frozen ones stay where they are."""

    def __init__(self, model: nn.Module, *, greater_is_better: bool) -> None:
        self.model = model
        self.sign = 1.0 if greater_is_better else -1.0
        self.gain = -math.inf
        self.epoch = 0
        self.weights: dict[str, Tensor] = {}
        self.frozen = {
            name for name, value in model.named_parameters(remove_duplicate=False) if not value.requires_grad
        }

    def see(self, epoch: int, value: float) -> None:
        """Keeps the weights as they are now, if the value of the epoch is the best so far."""
        if self.sign * value >= self.gain:  # of equals the later: its learning rate was lower
            state = self.model.state_dict()
            self.weights = {name: state[name].to("cpu", copy=True) for name in state.keys() - self.frozen}
            self.gain, self.epoch = self.sign * value, epoch

    def restore(self) -> None:
        """Gives the model its best weights, if there are any."""
        if self.weights:
            self.model.load_state_dict(self.weights, strict=False)

    def state_dict(self) -> dict[str, Any]:
        """The best epoch, its value and its weights."""
        return {"gain": self.gain, "epoch": self.epoch, "weights": dict(self.weights)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from where another was."""
        self.gain, self.epoch, self.weights = float(state["gain"]), int(state["epoch"]), dict(state["weights"])
