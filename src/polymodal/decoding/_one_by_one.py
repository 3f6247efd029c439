"""The loop of searches that choose one token after the other and never go back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polymodal.decoding._constraints import allowed
from polymodal.layers.search import Bounds, Found, Step

Choose = Callable[[Float[Tensor, "B V"]], Int[Tensor, " B"]]
Pieces = Iterator[tuple[Int[Tensor, " B"], Float[Tensor, " B"]]]


def one_by_one(step: Step, state: Any, bounds: Bounds, begins: Int[Tensor, " B"], *, choose: Choose) -> Pieces:
    """The next token of every row and its log-probability, until all have ended or are as long as they may be.

    Args:
        step: the decoder.
        state: of all rows, at the begin.
        bounds: what the sequences must keep.
        begins: the token that stands before the sequence of each row.
        choose: log-probabilities -> token of each row; called once a step.
    """
    last = begins
    said = last.new_zeros(len(last), 0)
    ended = torch.zeros_like(last, dtype=torch.bool)
    for _ in range(bounds.max_length):
        scores, state = step(state, last)
        scores = allowed(scores, said, bounds)
        last = torch.where(ended, bounds.end, choose(scores))
        yield last, scores.gather(1, last.unsqueeze(1)).squeeze(1).masked_fill(ended, 0)
        ended = ended | (last == bounds.end)
        said = torch.cat([said, last.unsqueeze(1)], dim=1)
        if bool(ended.all()):
            return


def collected(pieces: Pieces, num_rows: int, num_best: int, bounds: Bounds) -> Found:
    """All pieces as sequences; `num_best` rows that follow one another belong to one row of the result."""
    tokens, scores = zip(*pieces, strict=True)
    ids, log_probability = torch.stack(tokens, dim=1), torch.stack(scores, dim=1).sum(dim=1)
    real = (ids == bounds.end).cumsum(dim=1) == 0
    return Found(
        ids.view(num_rows, num_best, -1),
        real.sum(dim=1).view(num_rows, num_best),
        log_probability.view(num_rows, num_best),
    )
