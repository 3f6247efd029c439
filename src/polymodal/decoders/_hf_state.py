"""What the decoder `hf` remembers: keys and values, which transformers gets in its caches and gives back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor

Pairs = tuple[tuple[Tensor, Tensor], ...]
"""Keys and values "B M L W" of every layer."""


@dataclass(frozen=True)
class HfState:
    """Keys and values of what was read and written so far.

    Attributes:
        past: of the self-attention; of a causal model, its first steps are those of the memory.
        cross: of the attention to the memory; empty in a causal model, and before the first step.
        memory: "B T D", None in a causal model.
        mask: "B T", real steps of the memory.
        length: number of tokens that were written.
    """

    past: Pairs
    cross: Pairs
    memory: Float[Tensor, "B T D"] | None
    mask: Bool[Tensor, "B T"]
    length: int = 0

    def rows(self, index: Int[Tensor, " M"]) -> HfState:
        memory = None if self.memory is None else self.memory[index]
        return HfState(_rows(self.past, index), _rows(self.cross, index), memory, self.mask[index], self.length)

    def reordered(self, index: Int[Tensor, " B"]) -> HfState:
        return replace(self, past=_rows(self.past, index))


def cache_of(pairs: Pairs) -> Any:
    """In which a network finds keys and values, and adds new ones."""
    from transformers import DynamicCache

    cache: Any = DynamicCache([(keys[:, :, :0], values[:, :, :0]) for keys, values in pairs])
    for layer, (keys, values) in zip(cache.layers, pairs, strict=True):
        layer.keys, layer.values = keys, values  # handed over whole they would be copied
    return cache


def two_caches_of(past: Pairs, cross: Pairs) -> Any:
    """The same for self-attention and the attention to the memory."""
    from transformers import EncoderDecoderCache

    return EncoderDecoderCache(cache_of(past), cache_of(cross))


def pairs_of(cache: Any) -> Pairs:
    """What a cache holds."""
    return tuple((layer.keys, layer.values) for layer in cache.layers)


def _rows(pairs: Pairs, index: Int[Tensor, " M"]) -> Pairs:
    return tuple((keys.index_select(0, index), values.index_select(0, index)) for keys, values in pairs)
