"""Texts that a model writes: pieces that become the same text again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from polymodal.tokenizers import subwords

Kind = Literal["bpe", "words", "characters"]

PADDING_ID, BEGIN_ID, END_ID = 0, 1, 2
_FIRST_ID = 3
_NUM_BYTES = 256
_PIECE = {"words": re.compile(r"\s?\w+|\s?[^\w\s]|\s"), "characters": re.compile(r".", re.DOTALL)}


def learn(texts: Iterable[str], *, kind: Kind, vocabulary_size: int) -> dict[str, Any]:
    """What `Reversible` is made of, as JSON values, from the texts that a model learns to write.

    Args:
        texts: of the training rows.
        kind: `bpe`: groups of bytes that are frequent (Sennrich et al. 2016), so that any text can be written; `words`
            and marks, each with the space before it; `characters`. What was not learned is written byte by byte.
        vocabulary_size: the most pieces, among them the reserved ones and the 256 bytes, which there are always.
    """
    if kind == "bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=max(vocabulary_size - _FIRST_ID, _NUM_BYTES),
            min_frequency=2,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return {"kind": kind, "file": tokenizer.to_str()}
    counts = Counter(piece for text in texts for piece in _PIECE[kind].findall(text))
    ranked = sorted(counts, key=lambda piece: (-counts[piece], piece))
    return {"kind": kind, "pieces": ranked[: max(0, vocabulary_size - _FIRST_ID - _NUM_BYTES)]}


class Reversible:
    """Texts -> ids of their pieces -> the same texts, whatever they hold.

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
            self._pieces = [piece.encode() for piece in learned["pieces"]]
            first = _FIRST_ID + _NUM_BYTES
            self._ids = {piece: place for place, piece in enumerate(learned["pieces"], start=first)}
            self.size = first + len(self._pieces)

    def encode(self, text: str) -> list[int]:
        """Ids of the text's pieces."""
        if self._kind == "bpe":
            return [_FIRST_ID + place for place in self._tokenizer.encode(text).ids]
        return [place for piece in _PIECE[self._kind].findall(text) for place in self._piece(piece)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text; reserved ids say nothing, bytes that are no text U+FFFD."""
        said = [place - _FIRST_ID for place in ids if place >= _FIRST_ID]
        if self._kind == "bpe":
            text: str = self._tokenizer.decode(said)
            return text
        parts = (bytes([one]) if one < _NUM_BYTES else self._pieces[one - _NUM_BYTES] for one in said)
        return b"".join(parts).decode(errors="replace")

    def _piece(self, piece: str) -> list[int]:
        known = self._ids.get(piece)
        return [_FIRST_ID + byte for byte in piece.encode()] if known is None else [known]
