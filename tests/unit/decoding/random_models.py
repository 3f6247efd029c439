"""Models of random log-probabilities, and all sequences that they can give, one by one."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch

from polymodal.layers.search import Bounds, Found

BEGIN, END = 0, 1


@dataclass(frozen=True)
class Said:
    """A state: the row, and all that was said."""

    row: torch.Tensor
    ids: torch.Tensor

    def rows(self, index):
        return Said(self.row[index], self.ids[index])

    def reordered(self, index):
        return Said(self.row, self.ids[index])


class Random:
    """Log-probabilities that depend on the row and on everything said before."""

    def __init__(self, size: int, seed: int = 0) -> None:
        self.size, self.seed = size, seed

    def log_probabilities(self, row: int, said: list[int]) -> torch.Tensor:
        drawn = np.random.default_rng([self.seed, row, len(said), *said]).normal(size=self.size) * 1.5
        return torch.from_numpy(drawn).log_softmax(dim=0)

    def start(self, num_rows: int) -> Said:
        return Said(torch.arange(num_rows), torch.zeros(num_rows, 0, dtype=torch.long))

    def __call__(self, state: Said, ids: torch.Tensor):
        said = torch.cat([state.ids, ids.unsqueeze(1)], dim=1)
        scores = [self.log_probabilities(int(row), line.tolist()) for row, line in zip(state.row, said, strict=True)]
        return torch.stack(scores), Said(state.row, said)


def every_sequence(model: Random, row: int, bounds: Bounds, penalty: float) -> list[tuple[float, float, list[int]]]:
    """(score, log-probability, ids without the end), the best first."""
    found = []
    letters = [letter for letter in range(model.size) if letter not in (END, *bounds.never)]
    for length in range(bounds.max_length + 1):
        for ids in itertools.product(letters, repeat=length):
            line = list(ids) + ([END] if length < bounds.max_length else [])
            if length < bounds.min_length or list(ids[: len(bounds.prefix)]) != list(bounds.prefix):
                continue
            groups = [
                tuple(line[at : at + bounds.no_repeat_ngram]) for at in range(len(line) + 1 - bounds.no_repeat_ngram)
            ]
            if bounds.no_repeat_ngram and len(set(groups)) < len(groups):
                continue
            said, total = [BEGIN], 0.0
            for token in line:
                total += float(model.log_probabilities(row, said)[token])
                said.append(token)
            found.append((total / len(line) ** penalty, total, list(ids)))
    return sorted(found, key=lambda one: -one[0])


def texts(found: Found) -> list[list[list[int]]]:
    return [
        [ids[:length] for ids, length in zip(row, of_row, strict=True)]
        for row, of_row in zip(found.ids.tolist(), found.lengths.tolist(), strict=True)
    ]
