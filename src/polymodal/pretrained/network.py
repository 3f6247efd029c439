"""What encoders around a pretrained network have alike: how it goes on learning, is saved, and gives tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polymodal.errors import ConfigError
from polymodal.layers.encoder import EncoderModule, EncoderSettings
from polymodal.layers.pooling import masked_mean
from polymodal.pretrained import adaptation
from polymodal.pretrained.adaptation import FROZEN, Layers, Train
from polymodal.types import Tokens

Pool: TypeAlias = Literal["auto", "mean", "first", "none"]
"""What an encoder makes of the states of its network: see `choose_pool` and `pooled`."""


@runtime_checkable
class PretrainedSettings(EncoderSettings, Protocol):
    """A dataclass of settings that says how the weights learn."""

    @property
    def train(self) -> Train: ...


_Config = TypeVar("_Config", bound=PretrainedSettings)


class Pretrained(EncoderModule[_Config]):
    """An encoder around a pretrained network, which learns as its setting `train` says.

    Attributes:
        frozen: no weight learns.
        lr_scale: the learning rate of the weights, as a share of the others'.
        network: once it is adopted.
    """

    network: Any

    def __init__(self, config: _Config) -> None:
        super().__init__(config)
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
        train = FROZEN if self.config.train.name == "lora" else self.config.train
        return {**super().portable, "checkpoint": None, "train": asdict(train), **inside}

    def portable_state(self) -> dict[str, Tensor]:
        """The weights that fit such settings."""
        return adaptation.merged_state(self)

    def train(self, mode: bool = True) -> Pretrained[_Config]:
        """As for any module, but a frozen network stays in eval mode, and BatchNorm always: rows must not mix."""
        super().train(mode)
        self.network.train(mode and not self.frozen)
        for module in self.network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def learning(self) -> torch.set_grad_enabled:
        """Where the network runs: without gradients if it is frozen."""
        return torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen)


def choose_pool(pool: Pool, *, num_first: int, who: str) -> Pool:
    """What `auto` means: the class token where a network has one, else the mean.

    Raises:
        ConfigError: `first`, but there is none.
    """
    if pool == "first" and not num_first:
        raise ConfigError(f"{who}: pool: first needs a network with a class token; this one has none. Use mean.")
    return ("first" if num_first else "mean") if pool == "auto" else pool


def pooled(
    first: Float[Tensor, "N P D"], rest: Float[Tensor, "N T D"], mask: Bool[Tensor, "N T"], pool: Pool
) -> Tokens:
    """Tokens of rows that all have a cell.

    `first` are the states of class tokens (P may be 0; several, such as AST's, count by their mean), `rest` the others,
    in the order of time or space, of which `mask` says which are real.
    """
    if pool == "none":
        return Tokens(rest, mask)
    return Tokens.vector(first.mean(dim=1) if pool == "first" else masked_mean(rest, mask), mask.any(dim=1))
