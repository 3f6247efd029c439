"""Weights that are kept beside the learning ones: those of the best epoch, and an average over all updates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
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
        self.gain, self.epoch, self.weights = float(state["gain"]), int(state["epoch"]), dict(state["weights"])


class WeightAverage:
    """Exponential moving average of the parameters that learn.

    After update t with the weights w_t (Polyak & Juditsky 1992; decay and correction as in Kingma & Ba 2015, arXiv
    1412.6980, section 3):

        average = sum over i of d^(t - i) * w_i * (1 - d) / (1 - d^t)

    The correction leaves the first weights, which learned nothing, without a part: from the first update on it is a
    mean of what was learned. Frozen parameters and buffers are not averaged.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.num_updates = 0
        self.learned: list[Tensor] = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.average = [parameter.detach().clone() for parameter in self.learned]

    @torch.no_grad()
    def update(self) -> None:
        """Takes the weights as they are now into the average."""
        self.num_updates += 1
        part = (1 - self.decay) / (1 - self.decay**self.num_updates)
        torch._foreach_lerp_(self.average, self.learned, part)

    @torch.no_grad()
    def put_in(self) -> None:
        """Makes the average the weights of the model."""
        for parameter, mean in zip(self.learned, self.average, strict=True):
            parameter.copy_(mean)

    def state_dict(self) -> dict[str, Any]:
        """The average, and how many updates it is of."""
        return {"num_updates": self.num_updates, "average": [mean.clone() for mean in self.average]}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.num_updates = int(state["num_updates"])
        for mean, saved in zip(self.average, state["average"], strict=True):
            mean.copy_(saved)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """While it lasts, the model has the average for weights."""
        last = [parameter.detach().clone() for parameter in self.learned]
        self.put_in()
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, weights in zip(self.learned, last, strict=True):
                    parameter.copy_(weights)
