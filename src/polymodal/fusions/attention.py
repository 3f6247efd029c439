"""Self-attention over the tokens of all inputs: every token sees every other one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from polymodal.layers.token_inputs import (
    TokenInputs,
    in_one_row,
    learned_vectors,
    left_aligned,
    mean_of_means,
    with_first,
)
from polymodal.layers.transformer import BlockSettings, TransformerStack, require_heads
from polymodal.types import Tokens


@dataclass(frozen=True)
class AttentionConfig(BlockSettings):
    """Settings of `Attention`, besides those of its blocks.

    Attributes:
        width: of the tokens and of the result; a multiple of `heads`.
        pool: what comes out: `token`: a learned token that attends to all others; `mean`: the mean of each input's
            tokens, then of the inputs; `none`: all tokens.
    """

    pool: Literal["token", "mean", "none"] = "token"


class Attention(nn.Module):
    """Z = Transformer([c, x_11, ..., x_1T, x_21, ...]); x_it: token t of input i, projected, plus that input's vector.

    The encoder of Vaswani et al. (2017, arXiv 1706.03762), with the norm first, over the tokens of all inputs in one
    row "B T D", as in single-stream models (VisualBERT, Li et al. 2019, arXiv 1908.03557, section 3.2). With `token`
    the result is what becomes of the learned token c, as in BERT. An input of one vector is one token. Tokens of an
    absent input are masked: nobody attends to them.

    Raises:
        ConfigError: the width is no multiple of the number of heads.
    """

    Config: ClassVar[type] = AttentionConfig
    when_absent: ClassVar[str] = "is not attended to"

    def __init__(self, config: AttentionConfig, *, widths: Mapping[str, int]) -> None:
        super().__init__()
        require_heads("Fusion 'attention'", width=config.width, heads=config.heads)
        self.pool = config.pool
        self.width = config.width
        self.inputs = TokenInputs(widths, width=config.width)
        self.anchor = next(iter(widths)) if len(widths) == 1 else None  # of several inputs, the tokens of all come out
        self.summary = learned_vectors(1, config.width) if config.pool == "token" else None
        self.transformer = TransformerStack(config)

    @property
    def keeps_time(self) -> bool:
        """All tokens come out, with the setting `pool: none`."""
        return self.pool == "none"

    @property
    def sources(self) -> tuple[str, ...]:
        """All inputs, where all tokens come out."""
        return tuple(self.inputs.names) if self.keeps_time else ()

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        inputs = self.inputs(tokens)
        row = in_one_row(inputs)
        present = row.present
        if self.summary is not None:
            row = with_first(self.summary[0], row)
        states = self.transformer(row.values, row.mask)
        if self.summary is not None:
            return Tokens.vector(states[:, 0], present)
        if self.pool == "none":
            return left_aligned(Tokens(states, row.mask))
        parts = states.split([model_input.mask.shape[1] for model_input in inputs], dim=1)
        means = mean_of_means([Tokens(part, model_input.mask) for part, model_input in zip(parts, inputs, strict=True)])
        return Tokens.vector(means, present)
