"""Searches against all sequences one by one, on hundreds of random models with random bounds (`make test-slow`)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_models import BEGIN, END, Random, every_sequence, texts

from polymodal.decoding.beam import Beam, BeamConfig
from polymodal.decoding.greedy import Greedy, GreedyConfig
from polymodal.decoding.sampling import Sampling, SamplingConfig
from polymodal.layers.search import Bounds

pytestmark = pytest.mark.slow

ROWS = 4


def drawn(rng: np.random.Generator, letters: int, longest: int) -> Bounds:
    """Any bounds; a prefix repeats no letter, so that it may be."""
    names = list(range(2, 2 + letters))
    prefix = rng.permutation(names)[: rng.integers(3)].tolist() if rng.integers(3) == 0 else []
    banned = [int(rng.choice(names))] if letters > 2 and rng.integers(3) == 0 else []
    return Bounds(
        END,
        max_length=longest,
        never=(BEGIN, *(letter for letter in banned if letter not in prefix)),
        min_length=int(rng.integers(longest)),
        no_repeat_ngram=int(rng.integers(4)),
        prefix=tuple(prefix),
    )


@pytest.mark.parametrize(("letters", "longest", "number"), [(1, 8, 60), (2, 6, 60), (3, 5, 40), (4, 4, 40), (6, 3, 40)])
def test_a_beam_as_wide_as_all_beginnings_finds_the_best_sequences_of_all(
    letters: int, longest: int, number: int
) -> None:
    rng, compared = np.random.default_rng([letters, longest]), 0
    for seed in range(number):
        model, bounds = Random(letters + 2, seed), drawn(rng, letters, longest)
        penalty, num_best = float(rng.choice([-0.5, 0.0, 0.6, 1.0, 2.0])), int(rng.integers(1, 6))
        width = max((letters + 1) * letters ** (longest - 1), num_best)
        search = Beam(BeamConfig(width=width, n_best=num_best, length_penalty=penalty))
        found = search(model, model.start(ROWS), bounds, begins=torch.full((ROWS,), BEGIN))
        for row in range(ROWS):
            best = every_sequence(model, row, bounds, penalty)[:num_best]
            if not best:  # no sequence keeps such bounds
                assert not found.log_probability[row].isfinite().any()
                continue
            best += [best[-1]] * (num_best - len(best))
            assert texts(found)[row] == [ids for _, _, ids in best], (seed, bounds, penalty)
            assert found.log_probability[row].tolist() == pytest.approx([total for _, total, _ in best])
            compared += num_best
    assert compared > number
    print(f"{letters} letters, up to {longest}: {number} models, {compared} sequences as found by trying all")


@pytest.mark.parametrize("size", [4, 9, 40])
def test_narrow_beams_are_greedy_or_better_than_nothing(size: int) -> None:
    """One is greedy; of wider ones each sequence has the log-probability that the model gives it, the best first."""
    rng, compared = np.random.default_rng(size), 0
    for seed in range(40):
        model, bounds = Random(size, seed), drawn(rng, size - 2, 8)
        begins = torch.full((ROWS,), BEGIN)
        greedy = Greedy(GreedyConfig())(model, model.start(ROWS), bounds, begins=begins)
        one = Beam(BeamConfig(width=1))(model, model.start(ROWS), bounds, begins=begins)
        assert texts(one) == texts(greedy)
        penalty = float(rng.choice([0.0, 1.0]))
        few = Beam(BeamConfig(width=5, n_best=3, length_penalty=penalty))
        found = few(model, model.start(ROWS), bounds, begins=begins)
        for row, sequences in enumerate(texts(found)):
            scores = []
            for ids, log in zip(sequences, found.log_probability[row].tolist(), strict=True):
                if not np.isfinite(log):
                    continue
                line = [*ids, END] if len(ids) < bounds.max_length else ids
                said = [BEGIN, *line]
                steps = [float(model.log_probabilities(row, said[: at + 1])[token]) for at, token in enumerate(line)]
                assert log == pytest.approx(sum(steps))
                scores.append(log / len(line) ** penalty)
                compared += 1
            assert scores == sorted(scores, reverse=True)
    print(f"{size} tokens: 40 models, {compared} sequences with the log-probability of the model")


@pytest.mark.parametrize(
    "search",
    [
        Greedy(GreedyConfig()),
        Beam(BeamConfig(width=4, n_best=4, length_penalty=0.7)),
        Sampling(SamplingConfig(n_best=4, temperature=0.8, top_k=8, top_p=0.9, seed=3)),
    ],
    ids=["greedy", "beam", "sampling"],
)
def test_rows_together_give_what_each_gives_alone(search) -> None:
    rng, compared = np.random.default_rng(0), 0
    for seed in range(60):
        size = int(rng.choice([4, 12, 50]))
        model, bounds = Random(size, seed), Bounds(END, max_length=8, never=(BEGIN,), no_repeat_ngram=seed % 3)
        together = search(model, model.start(8), bounds, begins=torch.full((8,), BEGIN))
        for row in range(8):
            alone = search(model, model.start(8).rows(torch.tensor([row])), bounds, begins=torch.tensor([BEGIN]))
            assert texts(alone)[0] == texts(together)[row]
            torch.testing.assert_close(alone.log_probability[0], together.log_probability[row])
            compared += len(texts(alone)[0])
    print(f"60 models: {compared} sequences alike")
