"""Whole words of a vocabulary: what word vectors are looked up by."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

PADDING_ID, UNKNOWN_ID = 0, 1
FIRST_ID = 2  # of the vocabulary's first word

_WORD = re.compile(r"\w+|[^\w\s]")


class Words:
    """Texts -> ids of their words and marks; of those that the vocabulary lacks, the one of an unknown word.

    Args:
        vocabulary: words in the order of their ids, which start at 2.
        max_tokens: the first ones of a text are kept; None: all.
        lowercase: take upper and lower case as one.
    """

    padding_id = PADDING_ID

    def __init__(self, vocabulary: Sequence[str], *, max_tokens: int | None, lowercase: bool) -> None:
        self.vocabulary_size = FIRST_ID + len(vocabulary)
        self._ids = {word: number for number, word in enumerate(vocabulary, start=FIRST_ID)}
        self._max_tokens, self._lowercase = max_tokens, lowercase

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text; at least one."""
        found = (split(text, lowercase=self._lowercase)[: self._max_tokens] for text in texts)
        return [[self._ids.get(word, UNKNOWN_ID) for word in words] or [UNKNOWN_ID] for words in found]


def split(text: str, *, lowercase: bool) -> list[str]:
    """The words of a text, and its marks.

    >>> split("Don't stop!", lowercase=True)
    ['don', "'", 't', 'stop', '!']
    """
    return _WORD.findall(text.lower() if lowercase else text)


def learn(texts: Iterable[str], *, vocabulary_size: int, lowercase: bool) -> list[str]:
    """The most frequent words, equals by name; with the two reserved ids there are at most `vocabulary_size`."""
    counts = Counter(word for text in texts for word in split(text, lowercase=lowercase))
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return ranked[: vocabulary_size - FIRST_ID]
