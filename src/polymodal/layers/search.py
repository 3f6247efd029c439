"""What a search sees of a decoder, what it finds, and the settings that every search has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, runtime_checkable

from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from polymodal.config.node import settings


@runtime_checkable
class State(Protocol):
    """What a decoder remembers of each row: its memory, and what was said so far."""

    def rows(self, index: Int[Tensor, " M"]) -> Any:
        """Some of the rows, in the order of the index; a row may come several times."""

    def reordered(self, index: Int[Tensor, " B"]) -> Any:
        """The same, where every row takes the place of one with the same memory, which need not be copied."""


@runtime_checkable
class Step(Protocol):
    """(state, last token of each row) -> log-probabilities of the next token, and the state after it."""

    def __call__(self, state: Any, ids: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B V"], Any]: ...


@settings
class SearchSettings:
    """What every search lets the user choose.

    Attributes:
        max_length: most tokens of a sequence, the end mark among them; null: half as many again as the longest target
            of the training rows has.
        min_length: fewest tokens before the end mark.
        no_repeat_ngram: no group of so many tokens occurs twice in a sequence; 0: any may.
        prefix: what every text begins with.
    """

    max_length: Annotated[int, Field(ge=1)] | None = None
    min_length: Annotated[int, Field(ge=0)] = 0
    no_repeat_ngram: Annotated[int, Field(ge=0)] = 0
    prefix: str = ""


@dataclass(frozen=True)
class Bounds:
    """Of one search, in ids.

    Attributes:
        end: the token that ends it.
        never: tokens that never come, such as padding.
        max_length: most tokens, the end mark among them.
        min_length: fewest tokens before the end mark.
        no_repeat_ngram: no group of so many tokens comes twice; 0: any may.
        prefix: the first tokens of every sequence.
        text: what tokens write, for a search that compares texts.
    """

    end: int
    max_length: int
    never: Sequence[int] = ()
    min_length: int = 0
    no_repeat_ngram: int = 0
    prefix: Sequence[int] = ()
    text: Callable[[Sequence[int]], str] | None = None


@dataclass(frozen=True)
class Found:
    """The best sequences of each row, the best first.

    Attributes:
        ids: "B N L", without the end mark; what stands behind the length means nothing.
        lengths: "B N".
        log_probability: "B N", of each sequence, its end mark included where it has one, in nats.
    """

    ids: Int[Tensor, "B N L"]
    lengths: Int[Tensor, "B N"]
    log_probability: Float[Tensor, "B N"]
