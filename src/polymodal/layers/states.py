"""From the states of a pretrained network to the tokens that an encoder gives."""

from __future__ import annotations

from typing import Literal, TypeAlias

from jaxtyping import Bool, Float
from torch import Tensor

from polymodal.errors import ConfigError
from polymodal.layers.pooling import masked_mean
from polymodal.types import Tokens

Pool: TypeAlias = Literal["auto", "mean", "first", "none"]


def choose(pool: Pool, *, num_first: int, who: str) -> Pool:
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

    Args:
        first: states of class tokens; P may be 0. Several, such as AST's, count by their mean.
        rest: the others, in the order of time or space.
        mask: which of them are real.
        pool: as chosen.
    """
    if pool == "none":
        return Tokens(rest, mask)
    return Tokens.vector(first.mean(dim=1) if pool == "first" else masked_mean(rest, mask), mask.any(dim=1))
