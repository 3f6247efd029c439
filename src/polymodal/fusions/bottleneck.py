"""Attention within each input; the inputs exchange information through a few shared tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from polymodal.layers.stochastic_depth import rising
from polymodal.layers.token_inputs import (
    TokenInputs,
    in_one_row,
    learned_vectors,
    left_aligned,
    mean_of_means,
    mean_of_present,
    with_first,
)
from polymodal.layers.transformer import BlockSettings, TransformerBlock, require_heads
from polymodal.types import Tokens


@dataclass(frozen=True)
class BottleneckConfig(BlockSettings):
    """Settings of `Bottleneck`, besides those of its blocks.

    Attributes:
        width: of the tokens and of the result; a multiple of `heads`.
        tokens: shared ones, through which the inputs hear of each other.
        own_layers: transformer blocks of each input by itself, before there are shared tokens.
        layers: transformer blocks of each input with the shared tokens; at least 2, because what one block writes into
            them only the next can read.
        pool: what comes out: `token`: a learned token for each input that attends to that input and to the shared
            tokens, averaged over the inputs; `mean`: the mean of each input's tokens, then of the inputs; `none`: all
            tokens of the inputs.
    """

    tokens: PositiveInt = 4
    own_layers: Annotated[int, Field(ge=0)] = 0
    layers: Annotated[int, Field(ge=2)] = 2
    pool: Literal["token", "mean", "none"] = "token"


class Bottleneck(nn.Module):
    """[Z_i', S_i] = Block_i([Z_i, S]), then S' = mean of S_i over the inputs i that are present.

    Z_i: tokens of input i, projected, "B T D"; S: shared tokens "B tokens D", learned at first. The attention
    bottleneck of Nagrani et al. (2021, arXiv 2107.00135, equations 8 and 9), from layer `own_layers` on; the blocks
    have the norm first. With `token` each input brings a learned token c_i, and the result is the mean of what becomes
    of them (section 3.3: logits are averaged over the CLS tokens, which is the same before a linear head).

    The cost grows with the square of each input's length, not of the sum of all. An absent input writes nothing into
    the shared tokens and is not averaged.

    Raises:
        ConfigError: the width is no multiple of the number of heads.
    """

    Config: ClassVar[type] = BottleneckConfig
    when_absent: ClassVar[str] = "writes nothing into the shared tokens"

    def __init__(self, config: BottleneckConfig, *, widths: Mapping[str, int]) -> None:
        super().__init__()
        require_heads("Fusion 'bottleneck'", width=config.width, heads=config.heads)
        self.pool = config.pool
        self.width = config.width
        self.inputs = TokenInputs(widths, width=config.width)
        self.anchor = next(iter(widths)) if len(widths) == 1 else None  # of several inputs, the tokens of all come out
        num_inputs = len(self.inputs.names)
        self.summaries = learned_vectors(num_inputs, config.width) if config.pool == "token" else None
        self.shared = learned_vectors(config.tokens, config.width)
        layers = [
            _Layer(config, num_inputs=num_inputs, drop_path=probability)
            for probability in rising(config.drop_path, config.own_layers + config.layers)
        ]
        self.own, self.layers = nn.ModuleList(layers[: config.own_layers]), nn.ModuleList(layers[config.own_layers :])
        self.norm = nn.LayerNorm(config.width)

    @property
    def keeps_time(self) -> bool:
        """All tokens of the inputs come out, with the setting `pool: none`."""
        return self.pool == "none"

    @property
    def sources(self) -> tuple[str, ...]:
        """All inputs, where all tokens come out."""
        return tuple(self.inputs.names) if self.keeps_time else ()

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        inputs = self.inputs(tokens)
        present = torch.stack([model_input.present for model_input in inputs], dim=1)
        if self.summaries is not None:
            inputs = [with_first(first, model_input) for first, model_input in zip(self.summaries, inputs, strict=True)]
        nothing = self.shared[:0].expand(present.shape[0], -1, -1)
        for layer in self.own:
            inputs, _ = layer(inputs, nothing, present)
        shared = self.shared.expand(present.shape[0], -1, -1)
        for layer in self.layers:
            inputs, shared = layer(inputs, shared, present)
        return self._pooled([Tokens(self.norm(model_input.values), model_input.mask) for model_input in inputs])

    def _pooled(self, inputs: list[Tokens]) -> Tokens:
        if self.pool == "none":
            return left_aligned(in_one_row(inputs))
        if self.pool == "token":
            inputs = [Tokens(model_input.values[:, :1], model_input.mask[:, :1]) for model_input in inputs]
        anything = torch.stack([model_input.present for model_input in inputs]).any(dim=0)
        return Tokens.vector(mean_of_means(inputs), anything)


class _Layer(nn.Module):
    """A block for each input, which reads its tokens and the shared ones."""

    def __init__(self, config: BottleneckConfig, *, num_inputs: int, drop_path: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(TransformerBlock(config, drop_path=drop_path) for _ in range(num_inputs))

    def forward(
        self, inputs: list[Tokens], shared: Float[Tensor, "B S D"], present: Bool[Tensor, "B M"]
    ) -> tuple[list[Tokens], Float[Tensor, "B S D"]]:
        """The tokens of each input, and the mean of what the inputs make of the shared ones."""
        real = shared.new_ones(shared.shape[:2], dtype=torch.bool)
        states, written = [], []
        for model_input, block in zip(inputs, self.blocks, strict=True):
            row = in_one_row([model_input, Tokens(shared, real)])
            own, others = block(row.values, row.mask).tensor_split([model_input.mask.shape[1]], dim=1)
            states.append(Tokens(own, model_input.mask))
            written.append(others)
        return states, mean_of_present(written, present)
