"""What encoders around a pretrained network have alike: how it goes on learning, and how it is saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from polymodal.pretrained import adaptation
from polymodal.pretrained.adaptation import Layers, Train


@runtime_checkable
class _Settings(Protocol):
    """A dataclass of settings that says how the weights learn."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def train(self) -> Train: ...


class Pretrained(nn.Module):
    """An encoder around a pretrained network, which learns as its setting `train` says.

    Args:
        config: settings of the encoder.

    Attributes:
        frozen: no weight learns.
        lr_scale: the learning rate of the weights, as a share of the others'.
        network: once it is adopted.
    """

    network: Any

    def __init__(self, config: _Settings) -> None:
        super().__init__()
        self.config = config
        self.frozen = config.train.name == "frozen"
        self.lr_scale = config.train.factor

    def adopt(
        self,
        network: nn.Module,
        *,
        who: str,
        layers: Layers = adaptation.blocks,
        unused: Sequence[str] = (),
    ) -> None:
        """Takes a network that has its weights; `adaptation.adapt` says what the arguments mean, and what it raises."""
        self.network = network
        adaptation.adapt(network, self.config.train, who=who, layers=layers, unused=unused)
        self.train()

    def settings_inside(self, **inside: object) -> dict[str, Any]:
        """The settings of a saved encoder, whose weights lie beside it: no checkpoint, and no adapters."""
        train = asdict(adaptation.without_adapters(self.config.train))
        return {**asdict(self.config), "checkpoint": None, "train": train, **inside}

    def portable_state(self) -> dict[str, Tensor]:
        """The weights that fit such settings."""
        return adaptation.merged_state(self)

    def train(self, mode: bool = True) -> Pretrained:
        """As for any module, but a frozen network stays in eval mode, and BatchNorm always: rows must not mix."""
        super().train(mode)
        adaptation.keep_modes(self.network, mode, self.config.train)
        return self

    def learning(self) -> torch.set_grad_enabled:
        """Where the network runs: without gradients if it is frozen."""
        return torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen)
