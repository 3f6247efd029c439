"""Minimum Bayes risk against an expected chrF that is summed up text by text."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from random_models import BEGIN, END, Random, texts

from polymodal.decoding.beam import Beam, BeamConfig
from polymodal.decoding.mbr import Mbr, MbrConfig
from polymodal.decoding.sampling import Sampling, SamplingConfig
from polymodal.layers.datastore import Neighbours
from polymodal.layers.search import Bounds
from polymodal.metrics.generation import chrf, chrf_statistics

LETTERS = "..abcdefgh"


def written(ids) -> str:
    return "".join(LETTERS[place] for place in ids)


def bounds(**more) -> Bounds:
    return Bounds(END, max_length=6, never=(BEGIN,), text=written, **more)


def neighbours(lines: list[list[int]], num_rows: int, weight: float) -> Neighbours:
    longest = max(map(len, lines))
    ids = torch.tensor([[*line, *[0] * (longest - len(line))] for line in lines]).expand(num_rows, -1, -1)
    lengths = torch.tensor([len(line) for line in lines]).expand(num_rows, -1)
    shares = torch.arange(len(lines), 0, -1).softmax(dim=0, dtype=torch.float64).expand(num_rows, -1)
    return Neighbours(ids, lengths, shares, weight)


def one_chrf(predicted: str, true: str) -> float:
    return float(chrf(chrf_statistics([predicted], [true]))[0])


def log_probability(model: Random, row: int, line: list[int]) -> float:
    said = [BEGIN, *line]
    following = [*line, *([END] if len(line) < 6 else [])]
    return sum(float(model.log_probabilities(row, said[: at + 1])[token]) for at, token in enumerate(following))


@pytest.mark.parametrize("weight", [None, 0.0, 0.4, 1.0])
def test_the_best_text_has_the_largest_expected_chrf(weight: float | None) -> None:
    model, number = Random(8, seed=4), 12
    lines = [[2, 3, 4], [2, 3], [5, 5, 6, 7]]
    near = None if weight is None else neighbours(lines, 5, weight)
    search = Mbr(MbrConfig(samples=number, width=3, n_best=2, seed=1))
    begins = torch.full((5,), BEGIN)
    found = search(model, model.start(5), bounds(), begins=begins, neighbours=near)
    drawn = texts(Sampling(SamplingConfig(n_best=number, seed=1))(model, model.start(5), bounds(), begins=begins))
    beam = texts(Beam(BeamConfig(width=3, n_best=3))(model, model.start(5), bounds(), begins=begins))
    for row in range(5):
        candidates = [*drawn[row], *beam[row], *(lines if near is not None else [])]

        def expected(line: list[int], row: int = row) -> float:
            own = float(np.mean([one_chrf(written(line), written(other)) for other in drawn[row]]))
            if near is None:
                return own
            of_rows = [one_chrf(written(line), written(other)) for other in lines]
            return (1 - near.weight) * own + near.weight * float(near.shares[row].numpy() @ of_rows)

        best = sorted({expected(line) for line in candidates}, reverse=True)
        given = [expected(line) for line in texts(found)[row]]
        assert given[0] == pytest.approx(best[0])
        assert given[1] <= given[0]
        for line, score in zip(texts(found)[row], found.log_probability[row].tolist(), strict=True):
            assert score == pytest.approx(log_probability(model, row, line), abs=1e-5)


@pytest.mark.parametrize(
    ("more", "refused"),
    [({"prefix": (2,)}, [5, 5, 5]), ({"no_repeat_ngram": 1}, [5, 5, 5]), ({"min_length": 4}, [5, 5, 5])],
)
def test_neighbours_that_break_the_bounds_are_not_given(more: dict, refused: list[int]) -> None:
    model = Random(8, seed=5)
    near = neighbours([refused, [2, 3, 5, 5, 5, 5, 5, 5, 5, 5]], 4, 1.0)
    search = Mbr(MbrConfig(samples=6, n_best=40))
    found = search(model, model.start(4), bounds(**more), begins=torch.full((4,), BEGIN), neighbours=near)
    assert all(line != refused and len(line) <= 6 for row in texts(found) for line in row)
    assert torch.isfinite(found.log_probability).all()
    free = search(model, model.start(4), bounds(), begins=torch.full((4,), BEGIN), neighbours=near)
    assert all(refused in row for row in texts(free))


def test_rows_together_give_what_each_gives_alone() -> None:
    model, near = Random(6, seed=2), neighbours([[2, 3], [4, 4, 5]], 6, 0.5)
    search = Mbr(MbrConfig(samples=5, n_best=3))
    together = search(model, model.start(6), bounds(), begins=torch.full((6,), BEGIN), neighbours=near)
    for row in range(6):
        alone = search(
            model,
            model.start(6).rows(torch.tensor([row])),
            bounds(),
            begins=torch.tensor([BEGIN]),
            neighbours=neighbours([[2, 3], [4, 4, 5]], 1, 0.5),
        )
        assert texts(alone)[0] == texts(together)[row]
    assert math.isfinite(float(together.log_probability.sum()))
