"""Finds words that may mean one thing, spelled in several ways: `Yes` and `yes`, `1` and `1.0`, `y` and `yes`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from polymodal.data.target.looks import STEPS, as_usual_forms

_CASE = "only by upper and lower case"
_BLANKS = "only by blanks, invisible characters, dashes or underscores"
_NUMBER = "only by how a number is written"
_TRUTH = "only as words for true and false do"

_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200e\u200f\u2060\ufe0f\ufeff"))
_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212"), "-")
_QUOTES = {ord("\u2018"): "'", ord("\u2019"): "'", ord("\u02bc"): "'"}
_PLAIN = {**_INVISIBLE, **_DASHES, **_QUOTES}
_WHOLE = re.compile(r"([+-]?)0*([0-9]+)(?:\.0+)?")
_BETWEEN_WORDS = re.compile(r"(?<=[^\W\d_])[-_](?=[^\W\d_])")
_TRUTH_WORDS = (("true", "t"), ("yes", "y")), (("false", "f"), ("no", "n"))
_BITS = "1", "0"


@dataclass(frozen=True)
class Spellings:
    """Words that may mean one thing.

    Attributes:
        differ: how, in words that follow "classes that differ".
        counts: word -> number of its rows, the most frequent first.
    """

    differ: str
    counts: Mapping[str, int]

    @property
    def named(self) -> str:
        """The words with their counts: `'yes' (30), 'y' (2)`."""
        return ", ".join(f"{word!r} ({count:,})" for word, count in self.counts.items())


def spellings(counts: Mapping[str, int]) -> list[Spellings]:
    """Groups of words that differ only in spelling; words of one group are still different classes.

    Args:
        counts: word -> number of its rows; without blanks around the words.

    >>> spellings({"yes": 3, "no": 4, "Yes": 1})[0].named
    "'yes' (3), 'Yes' (1)"
    """
    groups: dict[str, list[str]] = {}
    for word in counts:
        groups.setdefault(_plain(word), []).append(word)
    joined = _same_truth(groups)
    found = []
    for keys in [*joined, *([key] for key in groups if not any(key in one for one in joined))]:
        words = [word for key in keys for word in groups[key]]
        if len(words) > 1:
            ranked = sorted(words, key=lambda word: (-counts[word], word))
            found.append(Spellings(_difference(words, keys), {word: counts[word] for word in ranked}))
    return found


def _plain(word: str) -> str:
    """What is equal for words that differ only in spelling."""
    for _, step in STEPS:
        word = step(word)
    return _near(word)


def _near(word: str) -> str:
    """What is equal for words that differ only in case, blanks, what joins words, or how a number is written."""
    text = " ".join(unicodedata.normalize("NFC", word).translate(_PLAIN).split()).casefold()
    whole = _WHOLE.fullmatch(text)
    return f"{whole[1]}{whole[2]}" if whole else _BETWEEN_WORDS.sub(" ", text)


def _difference(words: list[str], keys: list[str]) -> str:
    """The least that makes the words equal."""
    if len(keys) > 1:
        return _TRUTH
    if len({as_usual_forms(word) for word in words}) > 1 and len({word.casefold() for word in words}) == 1:
        return _CASE
    if len({_near(word) for word in words}) == 1:
        return _NUMBER if _WHOLE.fullmatch(max(words, key=len)) else _BLANKS
    for differ, step in STEPS:
        words = [step(word) for word in words]
        if len({_near(word) for word in words}) == 1:
            return differ
    return STEPS[-1][0]


def _same_truth(groups: Mapping[str, object]) -> list[list[str]]:
    """The words there are for true, and those for false, where these are several: `1`, `true`; `y`, `yes`.

    One letter says so beside its own word alone, and a bit where no other number is there.
    """
    bits_alone = all(word in _BITS for word in groups if word.lstrip("+-").replace(".", "", 1).isdecimal())
    found = []
    for pairs, bit in zip(_TRUTH_WORDS, _BITS, strict=True):
        full = [word for word, _ in pairs if word in groups]
        letters = [letter for word, letter in pairs if word in groups and letter in groups]
        bits = [bit] if full and bits_alone and bit in groups else []
        if len(words := [*full, *letters, *bits]) > 1:
            found.append(words)
    return found
