"""How near texts that a model wrote are to the true ones: BLEU, chrF, ROUGE-L, CIDEr.

Each is made of figures of single rows, which a weighting adds up: a bootstrap costs a matrix product. BLEU and chrF are
of the corpus, with the settings and the signature of sacrebleu (Post 2018, arXiv 1804.08771).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from polymodal.metrics.weighted import ratio

_BLEU_ORDER, _CHRF_ORDER, _CIDER_ORDER = 4, 6, 4
_BETA = 2.0  # of chrF: recall counts so many times as much as precision
_SIGMA = 6.0  # of CIDEr-D, in words
_MARKS = (  # mteval-v13a, the tokenization of BLEU that papers report
    (re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), r" \1 "),
    (re.compile(r"([^0-9])([\.,])"), r"\1 \2 "),
    (re.compile(r"([\.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)
_ENTITIES = (("<skipped>", ""), ("-\n", ""), ("\n", " "), ("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_WORD = re.compile(r"\w+")


def bleu_statistics(predicted: Sequence[str], true: Sequence[str]) -> Float[np.ndarray, "N 10"]:
    """Of each row: matching groups of 1 to 4 words, predicted groups of 1 to 4, predicted and true words."""
    rows = np.zeros((len(predicted), 2 * _BLEU_ORDER + 2))
    for row, pair in zip(rows, zip(predicted, true, strict=True), strict=True):
        words, others = (_tokens_13a(text) for text in pair)
        for size in range(1, _BLEU_ORDER + 1):
            found, expected = _groups(words, size), _groups(others, size)
            row[size - 1] = (found & expected).total()
            row[_BLEU_ORDER + size - 1] = found.total()
        row[-2:] = len(words), len(others)
    return rows


def bleu(sums: Float[np.ndarray, "S 10"]) -> Float[np.ndarray, " S"]:
    """BLEU of the corpus, 0 to 100 (Papineni et al. 2002), zero counts smoothed as in sacrebleu (`exp`)."""
    matches, groups = sums[:, :_BLEU_ORDER], sums[:, _BLEU_ORDER : 2 * _BLEU_ORDER]
    zeros = (matches == 0) & (groups > 0)
    smoothed = np.where(zeros, 0.5 ** zeros.cumsum(axis=1), matches)
    precisions = ratio(smoothed, groups, undefined=0.0)
    with np.errstate(divide="ignore"):
        mean = np.exp(np.log(precisions).mean(axis=1))
    lengths, true_lengths = sums[:, -2], sums[:, -1]
    brevity = np.exp(np.minimum(0.0, 1 - ratio(true_lengths, lengths, undefined=math.inf)))
    return np.asarray(np.where(matches.any(axis=1), 100 * brevity * mean, 0.0))


def chrf_statistics(predicted: Sequence[str], true: Sequence[str]) -> Float[np.ndarray, "N 18"]:
    """Of each row and of groups of 1 to 6 characters, without white space: predicted, true and matching ones."""
    rows = np.zeros((len(predicted), 3 * _CHRF_ORDER))
    for row, pair in zip(rows, zip(predicted, true, strict=True), strict=True):
        letters, others = ("".join(text.split()) for text in pair)
        for place in range(_CHRF_ORDER):
            found, expected = _groups(letters, place + 1), _groups(others, place + 1)
            of_size = (found.total() if expected else 0, expected.total(), (found & expected).total())
            row[3 * place : 3 * place + 3] = of_size
    return rows


def chrf(sums: Float[np.ndarray, "S 18"]) -> Float[np.ndarray, " S"]:
    """chrF2 of the corpus, 0 to 100 (Popovic 2015): F of the mean precision and recall over the sizes of groups."""
    found, expected, matches = (sums[:, place::3] for place in range(3))
    both = (found > 0) & (expected > 0)
    sizes = np.maximum(both.sum(axis=1), 1)
    precision = np.where(both, ratio(matches, found, undefined=0.0), 0).sum(axis=1) / sizes
    recall = np.where(both, ratio(matches, expected, undefined=0.0), 0).sum(axis=1) / sizes
    weight = _BETA**2
    return 100 * ratio((1 + weight) * precision * recall, weight * precision + recall, undefined=0.0)


def chrf_table(texts: Sequence[str]) -> Float[np.ndarray, "N N"]:
    """chrF2 of each text (rows) as the prediction of each other one (columns), 0 to 100."""
    sums = np.zeros((len(texts), len(texts), 3 * _CHRF_ORDER))
    letters = ["".join(text.split()) for text in texts]
    for place in range(_CHRF_ORDER):
        groups = [_groups(text, place + 1) for text in letters]
        places = {group: number for number, group in enumerate(dict.fromkeys(g for one in groups for g in one))}
        counts = np.zeros((len(texts), len(places)), dtype=np.float32)
        for row, found in zip(counts, groups, strict=True):
            row[[places[group] for group in found]] = list(found.values())
        totals = counts.sum(axis=1)
        matches = np.zeros((len(texts), len(texts)))
        level = 1
        while (reached := counts >= level).any():  # min(a, b) is the number of levels that both reach
            some = reached[:, reached.any(axis=0)].astype(np.float32)
            matches += some @ some.T
            level += 1
        sums[:, :, 3 * place] = totals[:, None] * (totals > 0)[None, :]
        sums[:, :, 3 * place + 1] = totals[None, :]
        sums[:, :, 3 * place + 2] = matches
    return chrf(sums.reshape(-1, 3 * _CHRF_ORDER)).reshape(len(texts), len(texts))


def rouge_l(predicted: Sequence[str], true: Sequence[str]) -> Float[np.ndarray, " N"]:
    """Of each row, F of the longest common subsequence of words, 0 to 1 (Lin 2004), in lower case, without marks."""
    scores = np.zeros(len(predicted))
    for row, pair in enumerate(zip(predicted, true, strict=True)):
        words, others = (_WORD.findall(text.lower()) for text in pair)
        common = _common(words, others)
        scores[row] = 2 * common / (len(words) + len(others)) if common else 0.0
    return scores


def cider(predicted: Sequence[str], true: Sequence[str]) -> Float[np.ndarray, " N"]:
    """CIDEr-D of each row, 0 to 10 (Vedantam et al. 2015, arXiv 1411.5726), groups of words weighted by their rarity.

    Rarity is that among the true texts of these rows, as in the figures of the literature: of one row it is zero.
    """
    scores = np.zeros(len(predicted))
    pairs = [[_all_groups(_WORD.findall(text.lower())) for text in pair] for pair in zip(predicted, true, strict=True)]
    holding = Counter(group for _, expected in pairs for group in expected)
    every = math.log(max(len(pairs), 1))
    for row, (found, expected) in enumerate(pairs):
        weighted = [
            {group: count * (every - math.log(max(holding[group], 1))) for group, count in groups.items()}
            for groups in (found, expected)
        ]
        gap = sum(c for g, c in found.items() if len(g) == 2) - sum(c for g, c in expected.items() if len(g) == 2)
        of_sizes = [_similarity(weighted[0], weighted[1], size) for size in range(1, _CIDER_ORDER + 1)]
        similar = sum(of_sizes) / _CIDER_ORDER
        scores[row] = 10 * similar * math.exp(-(gap**2) / (2 * _SIGMA**2))
    return scores


def _similarity(found: Mapping[tuple[str, ...], float], expected: Mapping[tuple[str, ...], float], size: int) -> float:
    """Cosine of the weights of groups of a size, those of the found text clipped to those of the expected one."""
    first = {group: value for group, value in found.items() if len(group) == size}
    second = {group: value for group, value in expected.items() if len(group) == size}
    shared = sum(min(value, second.get(group, 0.0)) * second.get(group, 0.0) for group, value in first.items())
    norms = math.sqrt(sum(v * v for v in first.values())) * math.sqrt(sum(v * v for v in second.values()))
    return shared / norms if norms else 0.0


def _all_groups(words: Sequence[str]) -> Counter[tuple[str, ...]]:
    total: Counter[tuple[str, ...]] = Counter()
    for size in range(1, _CIDER_ORDER + 1):
        total.update(tuple(words[at : at + size]) for at in range(len(words) - size + 1))
    return total


def _groups(items: Sequence[str], size: int) -> Counter[object]:
    """How often each group of neighbours occurs."""
    return Counter(
        items[at : at + size] if isinstance(items, str) else tuple(items[at : at + size])
        for at in range(len(items) - size + 1)
    )


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(second) + 1)
    for one in first:
        corner = 0
        for place, other in enumerate(second, start=1):
            corner, row[place] = row[place], corner + 1 if one == other else max(row[place], row[place - 1])
    return row[-1]


def _tokens_13a(text: str) -> list[str]:
    for entity, sign in _ENTITIES:
        text = text.replace(entity, sign)
    text = f" {text.rstrip()} "
    for pattern, spaced in _MARKS:
        text = pattern.sub(spaced, text)
    return text.split()
