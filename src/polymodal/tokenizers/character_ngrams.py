"""Words and the groups of letters in them, hashed: a vocabulary that needs no training and knows every new word."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from itertools import islice

from polymodal.tokenizers.vocabulary import split

_SIZES = (2, 3, 4)


class CharacterNgrams:
    """Texts -> ids of their words and of each group of 2 to 4 letters in a word, its edges included.

    As in fastText (Bojanowski et al. 2017, arXiv 1607.04606, section 3.2): a word that training never met shares most
    of its groups with words that it did. Two groups in one bucket are taken as one.

    Args:
        num_buckets: of the hash; ids are 1 to `num_buckets`.
        max_tokens: the first ones of a text are kept.
        lowercase: take upper and lower case as one.
    """

    padding_id = 0

    def __init__(self, *, num_buckets: int, max_tokens: int | None, lowercase: bool) -> None:
        self.vocabulary_size = num_buckets + 1
        self._num_buckets, self._max_tokens, self._lowercase = num_buckets, max_tokens, lowercase

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text; at least one."""
        found = (islice(_groups(text, lowercase=self._lowercase), self._max_tokens) for text in texts)
        return [[1 + zlib.crc32(group.encode()) % self._num_buckets for group in groups] for groups in found]


def _groups(text: str, *, lowercase: bool) -> Iterator[str]:
    """Each word between blanks, then its groups; a word that is itself a group counts twice.

    >>> list(_groups("Ab", lowercase=False))
    [' Ab ', ' A', 'Ab', 'b ', ' Ab', 'Ab ', ' Ab ']
    """
    for word in split(text, lowercase=lowercase):
        edged = f" {word} "
        yield edged
        for size in _SIZES:
            for start in range(len(edged) - size + 1):
                yield edged[start : start + size]
