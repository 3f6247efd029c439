"""Beam search: the most probable sequences that are found when so many are followed at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from polymodal.config.node import settings
from polymodal.decoding._constraints import allowed
from polymodal.decoding._one_by_one import collected
from polymodal.decoding.greedy import Greedy, GreedyConfig
from polymodal.errors import ConfigError
from polymodal.layers.search import Bounds, Found, SearchSettings, Step


@settings
class BeamConfig(SearchSettings):
    """Settings of `Beam`.

    Attributes:
        width: sequences that are followed at a time; 1 is greedy search.
        n_best: sequences that are given for each row; at most `width`.
        length_penalty: sequences are compared by log-probability / length ** this, the end mark counted; 0 finds the
            most probable one, which is often a short one; above that, longer ones.
    """

    width: Annotated[int, Field(ge=1)] = 4
    n_best: Annotated[int, Field(ge=1)] = 1
    length_penalty: float = 1.0


class Beam:
    """Follows the `width` best beginnings of each row, and keeps the best sequences that ended.

    It stops when none that is followed can still pass the worst of those that are kept, whatever comes: with a beam as
    wide as there are beginnings it finds the best sequences of all.

    Raises:
        ConfigError: more sequences asked for than are followed.
    """

    Config: ClassVar[type] = BeamConfig

    def __init__(self, config: BeamConfig) -> None:
        if config.n_best > config.width:
            raise ConfigError(
                f"Decoding 'beam': n_best = {config.n_best} sequences are asked for, and width = {config.width} are "
                "followed. Set width to at least n_best."
            )
        self.config = config

    def __call__(self, step: Step, state: Any, bounds: Bounds, *, begins: Int[Tensor, " B"]) -> Found:
        """`n_best` sequences a row; a row that has fewer repeats its last one."""
        if self.config.width == 1:
            return collected(Greedy(GreedyConfig()).stream(step, state, bounds, begins=begins), len(begins), 1, bounds)
        width, device = self.config.width, begins.device
        every = torch.arange(len(begins), device=device).repeat_interleave(width)
        state = state.rows(every)
        first = torch.arange(width, device=device) > 0
        followed = _Sequences.empty(len(begins), width, device)
        followed.sums[:] = torch.where(first, -math.inf, 0.0)
        kept = _Sequences.empty(len(begins), width, device)
        last = begins.unsqueeze(1).expand(-1, width)
        for length in range(1, bounds.max_length + 1):
            scores, state = step(state, last.flatten())
            scores = allowed(scores, followed.ids.flatten(0, 1), bounds).view(*last.shape, -1)
            totals = (followed.sums.unsqueeze(2) + scores).flatten(1)
            best, place = totals.topk(min(2 * width, totals.shape[1]), dim=1)
            parent, token = place // scores.shape[2], place % scores.shape[2]
            ids = torch.cat([_chosen(followed.ids, parent), token.unsqueeze(2)], dim=2)
            ended = (token == bounds.end) | (length == bounds.max_length)
            candidates = _Sequences(
                ids,
                torch.where(token == bounds.end, length - 1, length),
                best,
                self._scores(best, length).masked_fill(~_among_first(ended, width), -math.inf),
            )
            kept = _Sequences.best_of(kept, candidates, width)
            running = best.masked_fill(ended, -math.inf)
            sums, order = running.topk(min(width, running.shape[1]), dim=1)
            sums, order = _filled(sums, order, width)
            followed = _Sequences(_chosen(ids, order), token.gather(1, order), sums, sums)
            last = token.gather(1, order)
            if self._finished(sums[:, 0], kept.scores, length, bounds.max_length):
                break
            start = torch.arange(len(begins), device=device).unsqueeze(1) * width
            state = state.reordered((start + parent.gather(1, order)).flatten())
        return kept.found(self.config.n_best)

    def _scores(self, sums: Float[Tensor, "B N"], length: int) -> Float[Tensor, "B N"]:
        """By what sequences of a length are compared."""
        compared: Float[Tensor, "B N"] = sums / length**self.config.length_penalty
        return compared

    def _finished(self, best: Float[Tensor, " B"], kept: Float[Tensor, "B N"], length: int, max_length: int) -> bool:
        """Whether no sequence that is followed can pass the worst one that is kept: log-probabilities only fall."""
        longest = max_length if self.config.length_penalty > 0 else length + 1
        reachable = best / longest**self.config.length_penalty
        return bool((reachable <= kept.amin(dim=1)).all())


@dataclass(frozen=True)
class _Sequences:
    """N sequences of each row; those that are not there have the score minus infinity."""

    ids: Int[Tensor, "B N L"]
    lengths: Int[Tensor, "B N"]
    sums: Float[Tensor, "B N"]
    scores: Float[Tensor, "B N"]

    @classmethod
    def empty(cls, num_rows: int, number: int, device: torch.device) -> _Sequences:
        lengths = torch.zeros(num_rows, number, dtype=torch.long, device=device)
        nothing = torch.full((num_rows, number), -math.inf, device=device)
        return cls(lengths.new_zeros(num_rows, number, 0), lengths, nothing, nothing.clone())

    @classmethod
    def best_of(cls, first: _Sequences, second: _Sequences, number: int) -> _Sequences:
        """The best ones of two; of equals, those of the first."""
        missing = second.ids.shape[2] - first.ids.shape[2]
        ids = torch.cat([torch.nn.functional.pad(first.ids, (0, missing)), second.ids], dim=1)
        lengths = torch.cat([first.lengths, second.lengths], dim=1)
        sums = torch.cat([first.sums, second.sums], dim=1)
        scores, order = torch.cat([first.scores, second.scores], dim=1).topk(number, dim=1)
        return cls(_chosen(ids, order), lengths.gather(1, order), sums.gather(1, order), scores)

    def found(self, number: int) -> Found:
        """The best ones; where there are fewer, the last one stands for the others."""
        there = self.scores[:, :number].isfinite().sum(dim=1, keepdim=True)
        every = torch.arange(number, device=there.device).expand(len(there), -1)
        order = torch.minimum(every, (there - 1).clamp_min(0))
        return Found(_chosen(self.ids, order), self.lengths.gather(1, order), self.sums.gather(1, order))


def _chosen(ids: Int[Tensor, "B N L"], order: Int[Tensor, "B M"]) -> Int[Tensor, "B M L"]:
    return ids.gather(1, order.unsqueeze(2).expand(-1, -1, ids.shape[2]))


def _among_first(ended: Bool[Tensor, "B N"], width: int) -> Bool[Tensor, "B N"]:
    """Those that ended among the first `width`: others would not have been followed either."""
    return ended & (torch.arange(ended.shape[1], device=ended.device) < width)


def _filled(
    sums: Float[Tensor, "B N"], order: Int[Tensor, "B N"], width: int
) -> tuple[Float[Tensor, "B W"], Int[Tensor, "B W"]]:
    """With impossible ones up to the width, where the vocabulary is too small for as many."""
    missing = width - sums.shape[1]
    if missing <= 0:
        return sums, order
    pad = torch.nn.functional.pad
    return pad(sums, (0, missing), value=-math.inf), pad(order, (0, missing))
