"""Edits from one text to another, and the error rates that are made of them."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from polymodal.metrics.weighted import Values, Weights, ratio

ERROR_RATES: Mapping[str, str] = {
    "cer": "character error rate: edits for each character of the true texts",
    "wer": "word error rate: edits for each word of the true texts",
}
"""What `error_rates` gives, in words; less is better."""


def edit_distance(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """Fewest insertions, deletions and substitutions that make one sequence of the other (Levenshtein 1966).

    A column of the table of distances is held as the bits of two numbers, where it rises and where it falls: a step for
    each item of `second` (Myers 1999, as in Hyyrö 2003, figure 9).

    >>> edit_distance("kitten", "sitting")
    3
    """
    places: defaultdict[Hashable, int] = defaultdict(int)
    for place, item in enumerate(first):
        places[item] |= 1 << place
    every = (1 << len(first)) - 1
    last, rises, falls, distance = (every + 1) >> 1, every, 0, len(first)
    for item in second:
        equal = places.get(item, 0)
        diagonal = (((equal & rises) + rises) ^ rises) | equal | falls
        right_rises, right_falls = falls | (every & ~(diagonal | rises)), rises & diagonal
        distance += bool(right_rises & last) - bool(right_falls & last)
        right_rises, right_falls = (right_rises << 1) | 1, right_falls << 1
        rises, falls = every & (right_falls | ~(diagonal | right_rises)), every & right_rises & diagonal
    return distance if first else len(second)


def single_blanks(text: str) -> str:
    r"""A text as error rates count it: in Unicode's composed form (NFC), a single blank between words, none around.

    >>> single_blanks("  a\tcat ")
    'a cat'
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def edit_statistics(predicted: Sequence[str], true: Sequence[str]) -> dict[str, np.ndarray]:
    """Of each row the edits [N] from predicted to true characters, and how many true ones; the same of words."""
    pairs = list(zip(predicted, true, strict=True))
    return {
        "edits": np.array([edit_distance(one, other) for one, other in pairs]),
        "characters": np.array([len(text) for text in true]),
        "word_edits": np.array([edit_distance(one.split(), other.split()) for one, other in pairs]),
        "words": np.array([len(text.split()) for text in true]),
    }


def error_rates(rows: Mapping[str, np.ndarray], weights: Weights) -> dict[str, Values]:
    """`cer` and `wer`: edits of all rows / true characters (words) of all rows, as jiwer defines them.

    Args:
        rows: what `edit_statistics` gives.
        weights: "S N", how often each row counts.
    """
    return {
        "cer": ratio(weights @ rows["edits"].astype(float), weights @ rows["characters"].astype(float)),
        "wer": ratio(weights @ rows["word_edits"].astype(float), weights @ rows["words"].astype(float)),
    }
