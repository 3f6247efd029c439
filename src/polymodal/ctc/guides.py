"""What is known of texts besides their sound: a list of words, and how probable they are one after the other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from polymodal.ctc.ngrams import Ngrams


@dataclass
class _Node:
    """A beginning of words: what may follow, and the word that it is."""

    children: dict[int, _Node] = field(default_factory=dict)
    word: str | None = None


@dataclass(frozen=True)
class _Place:
    """Where in a word a text stands, and the words before."""

    node: _Node | None
    letters: tuple[int, ...]
    words: tuple[str, ...]


class WordGuide:
    """Texts of whole words with single blanks between them; each word adds a bonus, and its log-probability if known.

    Args:
        characters: what each id writes.
        words: that may occur; None: any.
        ngrams: how probable a word is behind others.
        weight: of their log-probability.
        bonus: of each word: without one, long words and few win.
    """

    def __init__(
        self,
        characters: Mapping[int, str],
        *,
        words: Iterable[str] | None = None,
        ngrams: Ngrams | None = None,
        weight: float = 0.5,
        bonus: float = 0.0,
    ) -> None:
        self._characters, self._ngrams, self._weight, self._bonus = characters, ngrams, weight, bonus
        self.most = max(0.0, bonus)
        self._root = None if words is None else _tree(words, {text: place for place, text in characters.items()})

    def start(self) -> _Place:
        return _Place(self._root, (), ())

    def extend(self, state: _Place, character: int) -> tuple[float, _Place] | None:
        sign = self._characters.get(character)
        if sign is None:
            return None
        if sign == " ":
            if not state.letters:
                return None
            closed = self._closed(state)
            return None if closed is None else (closed[0], _Place(self._root, (), closed[1]))
        node = None
        if state.node is not None and (node := state.node.children.get(character)) is None:
            return None
        return 0.0, _Place(node, (*state.letters, character), state.words)

    def finish(self, state: _Place) -> float | None:
        if not state.letters:
            return None if state.words else self._ending(())
        closed = self._closed(state)
        return None if closed is None else closed[0] + self._ending(closed[1])

    def _closed(self, state: _Place) -> tuple[float, tuple[str, ...]] | None:
        """What the word that ends here adds, and the words with it; None where it is none."""
        if state.node is not None and state.node.word is None:
            return None
        word = "".join(self._characters[letter] for letter in state.letters)
        added = self._bonus
        if self._ngrams is not None:
            probability = self._ngrams.log_probability(word, ("<s>", *state.words))
            if probability == -math.inf:
                return None
            added += self._weight * probability
        kept = self._ngrams.order - 1 if self._ngrams is not None else 1
        return added, (*state.words, word)[-kept:] if kept else ("",)

    def _ending(self, words: Sequence[str]) -> float:
        if self._ngrams is None:
            return 0.0
        probability = self._ngrams.log_probability("</s>", ("<s>", *words))
        return 0.0 if probability == -math.inf else self._weight * probability


def _tree(words: Iterable[str], ids: Mapping[str, int]) -> _Node:
    """All words letter by letter; those with letters that the model lacks cannot be heard."""
    root = _Node()
    for word in words:
        if not word or not all(letter in ids for letter in word):
            continue
        node = root
        for letter in word:
            node = node.children.setdefault(ids[letter], _Node())
        node.word = word
    return root
