"""Texts that a model writes: pieces that become the same text again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from polymodal.tokenizers import subwords

Kind = Literal["bpe", "words", "characters"]

CHECKPOINT = "checkpoint"  # the kind of a tokenizer that was not learned here

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


@runtime_checkable
class Writing(Protocol):
    """A tokenizer of texts that a model writes.

    Attributes:
        size: of the vocabulary: one more than the largest id.
        begin: id that stands before a text.
        end: id that stands behind a text.
        padding: id that fills up a batch; it means nothing.
        never: ids that are never written.
    """

    size: int
    begin: int
    end: int
    padding: int
    never: Sequence[int]

    def encode(self, text: str) -> list[int]:
        """Ids of the text's pieces."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids."""


def load(learned: Mapping[str, Any]) -> Writing:
    """The tokenizer that the statistics of a target describe."""
    return CheckpointTokenizer(learned) if learned["kind"] == CHECKPOINT else Reversible(learned)


class Reversible:
    """Texts -> ids of their pieces -> the same texts, whatever they hold: a `Writing`.

    Args:
        learned: what `learn` gave.
    """

    begin, end, padding = BEGIN_ID, END_ID, PADDING_ID
    never: Sequence[int] = (PADDING_ID, BEGIN_ID)

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


class CheckpointTokenizer:
    """Texts -> ids of the pieces that a pretrained language model writes -> texts: a `Writing`.

    It need not be reversible: what the checkpoint's tokenizer normalises stays so, and what it does not know is lost.

    Args:
        learned: `file`, the text of a `tokenizer.json`; `size`, `begin`, `end` and `padding` as the network has them;
            `lead`, ids that stand before the pieces of every text, such as BART's `<s>`.
    """

    def __init__(self, learned: Mapping[str, Any]) -> None:
        self._tokenizer = subwords.load(learned["file"], source="the tokenizer of the target")
        self._tokenizer.encode_special_tokens = True  # "</s>" in a text is spelled, where the tokenizer can
        self.size, self.begin, self.end = int(learned["size"]), int(learned["begin"]), int(learned["end"])
        self.padding, self._lead = int(learned["padding"]), [int(place) for place in learned["lead"]]
        known = set(self._tokenizer.get_vocab(with_added_tokens=True).values())
        special = {place for place, token in self._tokenizer.get_added_tokens_decoder().items() if token.special}
        unknown = set(range(self.size)) - known
        self.never: Sequence[int] = sorted((special | unknown | {self.begin, self.padding}) - {self.end})

    def encode(self, text: str) -> list[int]:
        """Ids of the text's pieces, behind those that stand before every text."""
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        return [*self._lead, *(place for place in ids if place != self.end)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text; special tokens say nothing."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        return text
