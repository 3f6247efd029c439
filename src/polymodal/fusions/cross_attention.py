"""Tokens of each input attend to those of every other one, pair by pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor, nn

from polymodal.errors import ConfigError
from polymodal.layers.pooling import masked_mean, zero_masked
from polymodal.layers.projection import require_input
from polymodal.layers.token_inputs import TokenInputs, learned_vectors, with_first
from polymodal.layers.transformer import BlockSettings, CrossTransformer, require_heads
from polymodal.types import Tokens


@dataclass(frozen=True)
class CrossAttentionConfig(BlockSettings):
    """Settings of `CrossAttention`, besides those of its blocks.

    Attributes:
        width: of the tokens, and of each pair's part of the result; a multiple of `heads`.
        layers: blocks on top of each other, for each pair.
        anchor: the input whose tokens attend to those of the others; without one every input's do.
        pool: what comes out: `mean`: the mean of each pair's tokens, all pairs side by side; `none`: a token for each
            of the anchor's, which needs an `anchor`.
    """

    width: PositiveInt = 64
    layers: PositiveInt = 1
    hidden: PositiveInt = 128
    anchor: str | None = None
    pool: Literal["mean", "none"] = "mean"


class CrossAttention(nn.Module):
    """Z_a<-b = CrossTransformer(X_a; memory [n_b, X_b]) for each pair; z = [mean of Z_a<-b over the tokens of a, ...].

    X_a: tokens of input a, projected, "B T D". The directional pairs of Tsai et al. (2019, "Multimodal transformer for
    unaligned multimodal language sequences", arXiv 1906.00295, section 3.2), the pairs of one target side by side in
    the order of the names; a mean over tokens takes the place of their last self-attention. With M inputs there are
    M (M - 1) pairs, with an anchor M - 1, and a single input attends to itself. z: "B (pairs * D)".

    n_b is a learned token that stands for "nothing": a query may turn to it where b does not help, so that attention
    also weighs an input that is one vector. Where b is absent, it is all that is there. Where a is absent, one learned
    token asks in its place.

    Attributes:
        anchor: the input whose tokens come out where time is kept.

    Raises:
        ConfigError: the width is no multiple of the number of heads; an anchor that is no input, or that is missing.
    """

    Config: ClassVar[type] = CrossAttentionConfig
    when_absent: ClassVar[str] = "is not attended to; a learned token sends its queries"

    def __init__(self, config: CrossAttentionConfig, *, widths: Mapping[str, int]) -> None:
        super().__init__()
        require_heads("Fusion 'cross_attention'", width=config.width, heads=config.heads)
        self.pool = config.pool
        self.anchor = config.anchor
        self.inputs = TokenInputs(widths, width=config.width)
        names = self.inputs.names
        targets = _targets(config, names)
        self.pairs = [(a, b) for a in targets for b in range(len(names)) if a != b or len(names) == 1]
        self.stand_ins = learned_vectors(len(targets), config.width)
        self.place = {target: place for place, target in enumerate(targets)}
        sources = sorted({source for _, source in self.pairs})
        self.nothing = learned_vectors(len(sources), config.width)
        self.place_of_source = {source: place for place, source in enumerate(sources)}
        self.transformers = nn.ModuleList(CrossTransformer(config) for _ in self.pairs)
        self.width = len(self.pairs) * config.width

    @property
    def keeps_time(self) -> bool:
        """The anchor's tokens come out, with the setting `pool: none`."""
        return self.pool == "none"

    @property
    def sources(self) -> tuple[str, ...]:
        """The anchor, where its tokens come out."""
        return (self.anchor,) if self.keeps_time and self.anchor else ()

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        inputs = self.inputs(tokens)
        anything = torch.stack([model_input.present for model_input in inputs]).any(dim=0)
        queries = {a: _asking(inputs[a], self.stand_ins[place]) for a, place in self.place.items()}
        memories = {
            b: with_first(self.nothing[place], inputs[b], always=True) for b, place in self.place_of_source.items()
        }
        parts = [
            transformer(queries[a].values, memories[b].values, memories[b].mask)
            for (a, b), transformer in zip(self.pairs, self.transformers, strict=True)
        ]
        if self.pool == "none":
            anchor = queries[self.pairs[0][0]].where_present(anything)
            return Tokens(zero_masked(torch.cat(parts, dim=2), anchor.mask), anchor.mask)
        means = [masked_mean(part, queries[a].mask) for (a, _), part in zip(self.pairs, parts, strict=True)]
        return Tokens.vector(torch.cat(means, dim=1), anything)


def _targets(config: CrossAttentionConfig, names: list[str]) -> list[int]:
    """Places of the inputs whose tokens attend to others."""
    if config.anchor is None:
        if config.pool == "none":
            raise ConfigError(
                "Fusion 'cross_attention': pool none gives a token for each of the anchor's, and there is no anchor. "
                f"Set anchor to one of the inputs: {', '.join(names)}."
            )
        return list(range(len(names)))
    require_input("Fusion 'cross_attention': anchor", config.anchor, names)
    return [names.index(config.anchor)]


def _asking(tokens: Tokens, stand_in: Float[Tensor, " D"]) -> Tokens:
    """The tokens, and in rows without any the stand-in as the only one."""
    absent = ~tokens.present.unsqueeze(1)
    first = torch.arange(tokens.mask.shape[1], device=tokens.mask.device) == 0
    return Tokens(torch.where(absent.unsqueeze(2), stand_in, tokens.values), tokens.mask | (absent & first))
