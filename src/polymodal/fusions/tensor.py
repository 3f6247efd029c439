"""Tensor fusion: a linear map of all products of features of different inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import torch
from jaxtyping import Float
from pydantic import PositiveInt
from torch import nn

from polymodal.errors import ConfigError
from polymodal.layers.projection import EachInput, StackConfig, prepend_one
from polymodal.types import Tokens

_WIDEST = 32  # of the inputs, where nothing is said
_FEATURES = 2_048  # of the product, where nothing is said
_MOST_FEATURES = 65_536


@dataclass(frozen=True)
class TensorConfig(StackConfig):
    """Settings of `Tensor`, besides those of `StackConfig`.

    Attributes:
        project: bring every input to `input_width` first (LayerNorm, Linear); False combines the inputs as they are.
        input_width: None: the widest, up to 32, with which the product has at most 2,048 features: 32 for two
            inputs, 11 for three, 5 for four. Wider ones need more rows.
    """

    input_width: PositiveInt | None = None


class Tensor(nn.Module):
    """y = W vec([1; v_1] x [1; v_2] x ...) + b, x the outer product, flattened row by row: the last input runs fastest.

    Tensor fusion (Zadeh et al. 2017, arXiv 1707.07250, section 4.2). v_i: pooled and projected, "B D_i"; the product:
    "B (D_1 + 1)(D_2 + 1)..."; y: "B width". The ones make the inputs themselves, and the products of fewer of them,
    part of the product.

    An absent input is [1; 0]: all products with it are zero, and those without it stay as they are.

    The weights of each product of some inputs begin as those of a Linear layer by itself: with one scale for all, the
    few weights of single inputs would drown among those of the many products.

    Raises:
        ConfigError: a product of too many features.
    """

    Config: ClassVar[type] = TensorConfig
    keeps_time: ClassVar[bool] = False
    when_absent: ClassVar[str] = "is [1; 0]: its products with others are zero"

    def __init__(self, config: TensorConfig, *, widths: Mapping[str, int]) -> None:
        super().__init__()
        fitting = config.input_width or _fitting(len(widths))
        self.inputs = EachInput(widths, width=fitting if config.project else None)
        self.width = config.width
        self.linear = nn.Linear(_num_features(self.inputs.names, self.inputs.widths, config), config.width)
        with torch.no_grad():
            # Of each input's share in the weights; that of the one alone begins as a bias would.
            shares = [prepend_one(torch.full((1, width), width**-0.5)) for width in self.inputs.widths]
            self.linear.weight.uniform_(-1, 1).mul_(_flat_product(shares))

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        vectors, present = self.inputs(tokens)
        product = _flat_product([prepend_one(vector) for vector in vectors])
        return Tokens.vector(self.linear(product), present.any(dim=1))


def _flat_product(vectors: Sequence[Float[torch.Tensor, "B _"]]) -> Float[torch.Tensor, "B _"]:
    """The outer product of the vectors of each row, flattened row by row."""
    product, *others = vectors
    for vector in others:
        product = (product.unsqueeze(2) * vector.unsqueeze(1)).flatten(1)
    return product


def _fitting(num_inputs: int) -> int:
    """The widest inputs of which the product is not too large."""
    return max((w for w in range(1, _WIDEST + 1) if (w + 1) ** num_inputs <= _FEATURES), default=1)


def _num_features(names: Sequence[str], widths: Sequence[int], config: TensorConfig) -> int:
    number = prod(width + 1 for width in widths)
    if number > _MOST_FEATURES:
        listed = ", ".join(f"{name} {width}" for name, width in zip(names, widths, strict=True))
        narrower = "Lower fusion.input_width" if config.project else "Set fusion.project to true"
        raise ConfigError(
            f"Fusion 'tensor': the outer product of {len(names)} inputs (widths: {listed}) has {number:,} features "
            f"and {number * config.width:,} weights; at most {_MOST_FEATURES:,} features are allowed. {narrower}, or "
            "choose fusion low_rank, which learns such a map without building the product."
        )
    return number
