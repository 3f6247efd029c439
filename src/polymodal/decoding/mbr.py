"""Minimum Bayes risk: the text that is most like all that the model, and similar training rows, would say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from polymodal.config.node import settings
from polymodal.decoding._constraints import allowed
from polymodal.decoding.beam import Beam, BeamConfig
from polymodal.decoding.sampling import Sampling, SamplingConfig
from polymodal.layers.datastore import Neighbours
from polymodal.layers.pooling import lengths_to_mask
from polymodal.layers.search import Bounds, Found, SearchSettings, Step
from polymodal.metrics.generation import chrf_table

_DIGITS = 9  # of an expected chrF: an error of rounding does not choose


@settings
class MbrConfig(SearchSettings):
    """Settings of `Mbr`.

    Attributes:
        samples: texts that are drawn for each row: evidence, and candidates.
        temperature: of the draws, as for `sampling`.
        width: texts of a beam that are candidates, too.
        neighbours: texts of so many training rows, those with the nearest inputs, are candidates and evidence, too; the
            model, and the bundle, then hold the texts of all training rows. 0: of none.
        n_best: texts that are given for each row.
        seed: of the draws. Equal rows get equal texts, whatever their batch.
    """

    samples: Annotated[int, Field(ge=1)] = 32
    temperature: Annotated[float, Field(gt=0)] = 1.0
    width: Annotated[int, Field(ge=1)] = 4
    neighbours: Annotated[int, Field(ge=0)] = 0
    n_best: Annotated[int, Field(ge=1)] = 1
    seed: Annotated[int, Field(ge=0)] = 0


class Mbr:
    """The candidate with the largest expected chrF (Kumar and Byrne 2004; Eikema and Aziz 2022, arXiv 2108.04718).

    The expectation is over texts that the model draws; with neighbours, a share of it, their weight, is over the texts
    of the nearest training rows. The texts that it finds come in the order of their expected chrF.
    """

    Config: ClassVar[type] = MbrConfig

    def __init__(self, config: MbrConfig) -> None:
        self.config = config

    @property
    def draft(self) -> Beam:
        """What stands in for it while a model learns, and every epoch is measured."""
        return Beam(BeamConfig())

    def __call__(
        self,
        step: Step,
        state: Any,
        bounds: Bounds,
        *,
        begins: Int[Tensor, " B"],
        neighbours: Neighbours | None = None,
    ) -> Found:
        """`n_best` sequences a row; a row that has fewer repeats its last one."""
        weight = 0.0 if neighbours is None else neighbours.weight
        return self.weighted(step, state, bounds, begins=begins, neighbours=neighbours, weights=[weight])[0]

    def weighted(
        self,
        step: Step,
        state: Any,
        bounds: Bounds,
        *,
        begins: Int[Tensor, " B"],
        neighbours: Neighbours | None,
        weights: Sequence[float],
    ) -> list[Found]:
        """What is found with each of several weights of the neighbours, from the same draws."""
        assert bounds.text is not None, "texts are compared"
        config, every = self.config, torch.arange(len(begins), device=begins.device)
        sampling = Sampling(SamplingConfig(n_best=config.samples, temperature=config.temperature, seed=config.seed))
        beam = Beam(BeamConfig(width=config.width, n_best=config.width))
        found = [search(step, state.rows(every), bounds, begins=begins) for search in (sampling, beam)]
        if neighbours is not None:
            found.append(_scored(step, state, bounds, begins, neighbours))
        pools = [_Pool.of(bounds, [_line(one, row) for one in found]) for row in range(len(begins))]
        shares = None if neighbours is None else neighbours.shares.double().cpu().numpy()
        for row, pool in enumerate(pools):
            pool.compare(None if shares is None else shares[row])
        return [_found([pool.best(weight, config.n_best) for pool in pools], begins.device) for weight in weights]


Line = list[tuple[tuple[int, ...], float]]  # ids and log-probability of some sequences


@dataclass
class _Pool:
    """The texts of one row.

    Attributes:
        texts: all of them.
        said: ids and log-probability by text; minus infinity of one that the bounds refuse.
        lists: of the draws, the beam, the neighbours: the places of their texts.
        drawn, near: expected chrF of each text over the draws, and over the neighbours.
    """

    texts: list[str]
    said: list[tuple[tuple[int, ...], float]]
    lists: list[list[int]]
    drawn: np.ndarray | None = None
    near: np.ndarray | None = None

    @classmethod
    def of(cls, bounds: Bounds, lines: Sequence[Line]) -> _Pool:
        assert bounds.text is not None, "texts are compared"
        places: dict[str, int] = {}
        said: list[tuple[tuple[int, ...], float]] = []
        lists: list[list[int]] = []
        for line in lines:
            lists.append([])
            for ids, log_probability in line:
                place = places.setdefault(bounds.text(ids), len(said))
                if place == len(said):
                    said.append((ids, log_probability))
                elif log_probability > said[place][1]:
                    said[place] = (ids, log_probability)
                lists[-1].append(place)
        return cls(list(places), said, lists)

    def compare(self, shares: np.ndarray | None) -> None:
        """Finds the expected chrF of every text."""
        table = chrf_table(self.texts)
        self.drawn = table[:, self.lists[0]].mean(axis=1)
        self.near = np.zeros(len(table)) if shares is None else table[:, self.lists[2]] @ shares

    def best(self, weight: float, number: int) -> list[tuple[tuple[int, ...], float]]:
        """The texts with the largest expected chrF; of equals, what was drawn first."""
        assert self.drawn is not None and self.near is not None, "they were compared"
        expected = np.round((1 - weight) * self.drawn + weight * self.near, _DIGITS)
        possible = [place for place, (_, score) in enumerate(self.said) if math.isfinite(score)]
        order = sorted(possible, key=lambda place: -expected[place])[:number]
        return [self.said[place] for place in (*order, *order[-1:] * (number - len(order)))]


def _line(found: Found, row: int) -> Line:
    ids, lengths, scores = found.ids[row].tolist(), found.lengths[row].tolist(), found.log_probability[row].tolist()
    return [(tuple(line[:length]), score) for line, length, score in zip(ids, lengths, scores, strict=True)]


def _found(lines: Sequence[Line], device: torch.device) -> Found:
    longest = max(1, *(len(ids) for line in lines for ids, _ in line))
    ids = [[(*ids, *[0] * (longest - len(ids))) for ids, _ in line] for line in lines]
    return Found(
        torch.tensor(ids, device=device),
        torch.tensor([[len(ids) for ids, _ in line] for line in lines], device=device),
        torch.tensor([[score for _, score in line] for line in lines], device=device),
    )


def _scored(step: Step, state: Any, bounds: Bounds, begins: Int[Tensor, " B"], neighbours: Neighbours) -> Found:
    """The neighbours' texts with the log-probability that the model gives them; minus infinity if one is refused."""
    number = neighbours.ids.shape[1]
    every = torch.arange(len(begins), device=begins.device).repeat_interleave(number)
    lengths = neighbours.lengths.flatten()
    ids = neighbours.ids.flatten(0, 1)[:, : int(lengths.max())]
    real = lengths_to_mask(lengths, ids.shape[1] + 1)
    ids = torch.where(real, torch.nn.functional.pad(ids, (0, 1)), bounds.end)
    totals: Float[Tensor, " R"] = torch.zeros(len(ids), device=ids.device)
    totals = totals.masked_fill(lengths >= bounds.max_length, -math.inf)
    state, last = state.rows(every), begins[every]
    for place in range(min(ids.shape[1], bounds.max_length)):
        scores, state = step(state, last)
        last = ids[:, place]
        of_token = allowed(scores, ids[:, :place], bounds).gather(1, last.unsqueeze(1)).squeeze(1)
        totals = totals + of_token.masked_fill(place > lengths, 0)
    shape = (len(begins), number)
    return Found(ids.view(*shape, -1), lengths.view(shape), totals.view(shape))
