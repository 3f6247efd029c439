"""Random log-probabilities of a few steps, and what they give when all paths are tried one by one."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import log_softmax, logsumexp

from polymodal.ctc.alignment import STAR
from polymodal.ctc.ngrams import Ngrams

LETTERS = {1: "a", 2: "b", 3: " "}
ARPA = r"""
\data\
ngram 1=5
ngram 2=3

\1-grams:
-1.0 <s> -0.5
-0.7 </s>
-0.4 a -0.3
-0.9 ba -0.2
-1.5 <unk> 0.0

\2-grams:
-0.2 <s> ba
-0.6 ba a
-0.1 a </s>

\end\
""".splitlines()


def drawn(steps: int, size: int, seed: int) -> np.ndarray:
    return log_softmax(np.random.default_rng(seed).normal(size=(steps, size)) * 2, axis=1)


def all_paths(scores: np.ndarray) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], float]]:
    """Every path, its text, and its log-probability."""
    steps = range(len(scores))
    for path in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        text = tuple(one for one, before in zip(path, (0, *path), strict=False) if one != before and one)
        yield path, text, float(scores[steps, path].sum())


def all_texts(scores: np.ndarray) -> dict[tuple[int, ...], float]:
    """Every text and its log-probability, path by path."""
    found = defaultdict(list)
    for _, text, log in all_paths(scores):
        found[text].append(log)
    return {text: float(logsumexp(logs)) for text, logs in found.items()}


def guided_texts(
    scores: np.ndarray, *, words: Sequence[str] | None, ngrams: Ngrams | None, weight: float, bonus: float
) -> list[tuple[float, tuple[int, ...]]]:
    """Score and ids of the texts of such words, the best first."""
    expected = []
    for ids, score in all_texts(scores).items():
        text = "".join(LETTERS[place] for place in ids)
        parts = text.split(" ")
        if text and ("" in parts or (words and not set(parts) <= set(words))):
            continue
        parts = parts if text else []
        added = bonus * len(parts) + (weight * ngrams.sentence(parts) if ngrams else 0.0)
        expected.append((score + added, ids))
    return sorted(expected, key=lambda one: -one[0])


def best_path(scores: np.ndarray, ids: Sequence[int]) -> tuple[float, tuple[int, ...] | None]:
    """Log-probability of the most probable path of a text, and the path, in which a star is one id more."""
    star = scores.shape[1]
    with_star = np.concatenate([scores, np.zeros((len(scores), 1))], axis=1)
    wanted, best = tuple(star if place == STAR else place for place in ids), (-math.inf, None)
    for path, text, log in all_paths(with_star):
        if text == wanted and log > best[0]:
            best = (log, path)
    return best
