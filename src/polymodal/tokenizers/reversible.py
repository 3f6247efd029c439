"""Texts that a model writes: pieces that become the same text again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from polymodal.tokenizers import subwords

Kind = Literal["bpe", "words", "characters"]

PADDING_ID, BEGIN_ID, END_ID, UNKNOWN_ID = 0, 1, 2, 3
_FIRST_ID = 4
_PIECE = {"words": re.compile(r"\s?\w+|\s?[^\w\s]|\s"), "characters": re.compile(r".", re.DOTALL)}


def learn(texts: Iterable[str], *, kind: Kind, vocabulary_size: int) -> dict[str, Any]:
    """What `Reversible` is made of, as JSON values, from the texts that a model learns to write.

    Args:
        texts: of the training rows.
        kind: `bpe`: groups of bytes that are frequent (Sennrich et al. 2016), so that any text can be written; `words`
            and marks, each with the space before it; `characters`.
        vocabulary_size: the most pieces, the reserved ones among them; `bpe` has at least the 256 bytes.
    """
    if kind == "bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=max(vocabulary_size - _FIRST_ID, 256),
            min_frequency=2,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return {"kind": kind, "file": tokenizer.to_str()}
    counts = Counter(piece for text in texts for piece in _PIECE[kind].findall(text))
    ranked = sorted(counts, key=lambda piece: (-counts[piece], piece))
    return {"kind": kind, "pieces": ranked[: vocabulary_size - _FIRST_ID]}


class Reversible:
    """Texts -> ids of their pieces -> the same texts.

    Args:
        learned: what `learn` gave.

    Attributes:
        size: one more than the largest id.
    """

    def __init__(self, learned: Mapping[str, Any]) -> None:
        self._kind = learned["kind"]
        if self._kind == "bpe":
            self._tokenizer = subwords.load(learned["file"], source="the tokenizer of the target")
            self.size = _FIRST_ID + self._tokenizer.get_vocab_size()
        else:
            self._pieces: list[str] = learned["pieces"]
            self._ids = {piece: place for place, piece in enumerate(self._pieces, start=_FIRST_ID)}
            self.size = _FIRST_ID + len(self._pieces)

    def encode(self, text: str) -> list[int]:
        """Ids; of pieces that were not learned the unknown one, which `bpe` never needs."""
        if self._kind == "bpe":
            return [_FIRST_ID + place for place in self._tokenizer.encode(text).ids]
        return [self._ids.get(piece, UNKNOWN_ID) for piece in _PIECE[self._kind].findall(text)]

    def decode(self, ids: Sequence[int], *, unknown: str = "") -> str:
        """The text; reserved ids say nothing, but for the unknown one."""
        if self._kind == "bpe":
            text: str = self._tokenizer.decode([place - _FIRST_ID for place in ids if place >= _FIRST_ID])
            return text
        return "".join(
            self._pieces[place - _FIRST_ID] if place >= _FIRST_ID else unknown if place == UNKNOWN_ID else ""
            for place in ids
        )
