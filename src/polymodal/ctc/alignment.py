"""Forced alignment: when each character of a given text is spoken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from polymodal.errors import DataError

STAR = -1
"""In place of an id: whatever is spoken there."""


@dataclass(frozen=True)
class Alignment:
    """The most probable path of a text.

    Attributes:
        starts: of each character, its first step.
        ends: one behind its last step.
        confidence: of each character, its mean probability over its steps; 1 of a star.
        log_probability: of the whole path, in nats.
        best: of the most probable path of any text.
    """

    starts: Int[np.ndarray, " L"]
    ends: Int[np.ndarray, " L"]
    confidence: Float[np.ndarray, " L"]
    log_probability: float
    best: float

    @property
    def loss(self) -> float:
        """How much less probable the path is than the best one of any text, in nats for each character."""
        return (self.best - self.log_probability) / max(len(self.starts), 1)


def align(log_probabilities: Float[np.ndarray, "T V"], ids: Sequence[int], *, blank: int = 0) -> Alignment:
    """The most probable path that gives a text (Viterbi), under connectionist temporal classification.

    Args:
        log_probabilities: of each step.
        ids: of the text's characters; `STAR` stands for any number of characters, or none, whose steps cost nothing
            (as in torchaudio).
        blank: id of the blank.

    Raises:
        DataError: the text is empty, or needs more steps than there are.
    """
    num_steps, length = len(log_probabilities), len(ids)
    if length == 0:
        raise DataError("There is no text to align.")
    repeats = sum(one == other != STAR for one, other in pairwise(ids))
    if num_steps < length + repeats:
        raise DataError(
            f"The text needs at least {length + repeats} steps of sound, and there are {num_steps}: it is too long."
        )
    states = np.full(2 * length + 1, blank)
    states[1::2] = ids
    emissions = np.where(states == STAR, 0.0, log_probabilities[:, np.maximum(states, 0)])
    skips = np.zeros(len(states), dtype=bool)  # over the blank between two characters that differ
    skips[3::2] = (states[3::2] != states[1:-2:2]) | (states[3::2] == STAR)
    scores = np.full(len(states), -np.inf)
    scores[:2] = emissions[0, :2]
    back = np.zeros((num_steps, len(states)), dtype=np.int8)
    for step in range(1, num_steps):
        by_one = np.concatenate([[-np.inf], scores[:-1]])
        by_two = np.where(skips, np.concatenate([[-np.inf, -np.inf], scores[:-2]]), -np.inf)
        options = np.stack([scores, by_one, by_two])
        back[step] = options.argmax(axis=0)
        scores = options.max(axis=0) + emissions[step]
    place = len(states) - 1 if scores[-1] > scores[-2] else len(states) - 2
    total = float(scores[place])
    path = np.zeros(num_steps, dtype=np.int64)
    for step in range(num_steps - 1, -1, -1):
        path[step] = place
        place -= int(back[step, place])
    starts, ends, confidence = np.zeros(length, dtype=np.int64), np.zeros(length, dtype=np.int64), np.ones(length)
    for character in range(length):
        steps = np.flatnonzero(path == 2 * character + 1)
        starts[character], ends[character] = steps[0], steps[-1] + 1
        if ids[character] != STAR:
            confidence[character] = float(np.exp(log_probabilities[steps, ids[character]]).mean())
    return Alignment(starts, ends, confidence, total, float(log_probabilities.max(axis=1).sum()))
