"""Text in any language, split into words, into learned or given subwords, or into hashed character n-grams."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeGuard

import numpy as np
import torch
from jaxtyping import Float, UInt8
from pydantic import Field
from scipy.sparse import csr_matrix

from polymodal.codecs import previews
from polymodal.codecs.padding import pad
from polymodal.config.node import settings
from polymodal.errors import UnreadableCellError
from polymodal.protocols import Modality, Recognition, Sample
from polymodal.tokenizers import subwords, vocabulary
from polymodal.tokenizers.character_ngrams import CharacterNgrams
from polymodal.tokenizers.subwords import Subwords
from polymodal.tokenizers.text_features import text_features
from polymodal.tokenizers.vocabulary import Words
from polymodal.types import Cells


@settings
class TextConfig:
    """Settings of a text column.

    Attributes:
        tokenizer: `bpe` learns subwords from the training rows; `character_ngrams` hashes words and groups of 2 to 4
            letters; `words` are those of the training rows, whole; anything else is the path of a `tokenizer.json`,
            which is copied into the statistics and not opened again.
        vocabulary_size: the most subwords that `bpe` learns, or `words` keeps; the buckets that `character_ngrams`
            hashes into.
        max_tokens: the first ones of a text enter the model, the rest do not; `fit` counts the texts that are cut.
        max_characters: the first ones of a text are kept when it is read.
        lowercase: `bpe`, `character_ngrams` and `words` take upper and lower case as one.
        token_dropout: in training, the share of words that are left out at random; one word always stays.
    """

    tokenizer: str = "bpe"
    vocabulary_size: Annotated[int, Field(ge=16)] = 8_000
    max_tokens: Annotated[int, Field(ge=1)] = 256
    max_characters: Annotated[int, Field(ge=1)] = 20_000
    lowercase: bool = True
    token_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Text(Modality):
    """Reads strings (and numbers and dates, as they print) as NFC text, stored as UTF-8.

    Surrogate pairs become the character they stand for, lone surrogates U+FFFD; every other character stays, NUL and
    direction marks included. A blank text is a missing cell (an empty array).
    """

    Config: ClassVar[type] = TextConfig
    near: ClassVar[float] = 0.98

    def __init__(self, config: TextConfig, statistics: Mapping[str, Any] | None = None) -> None:
        self.config = config
        self.max_tokens = config.max_tokens
        self._statistics = statistics or {}
        # The words of the tokenizer `words`, the first of which has the id 2; and the id of all that training did not
        # see. None with other tokenizers, which know all parts of words.
        with_words = self._statistics.get("tokenizer") == _WORDS
        self.words: tuple[str, ...] | None = tuple(self._statistics["words"]) if with_words else None
        self.unknown_id = vocabulary.UNKNOWN_ID if with_words else None

    @property
    def vocabulary_size(self) -> int:
        """One more than the largest token id."""
        return self._vocabulary.vocabulary_size

    @property
    def padding_id(self) -> int:
        return self._vocabulary.padding_id

    @property
    def rarity(self) -> Float[np.ndarray, " ids"]:
        """Inverse document frequency of each token id: log((1 + texts) / (1 + texts that hold it)) + 1.

        Smoothed as in scikit-learn's TfidfTransformer; 1 for all ids where they were not counted.
        """
        rarity = np.ones(self.vocabulary_size)
        if "holding" in self._statistics:
            holding = np.zeros(self.vocabulary_size)
            holding[: len(self._statistics["holding"])] = self._statistics["holding"]
            rarity += np.log((1 + self._statistics["texts"]) / (1 + holding))
        return rarity

    @classmethod
    def recognise(cls, sample: Sample) -> Recognition | None:
        """Strings that name no file; surer the longer they are. Categories claim short ones that repeat first. Lists of
        strings, such as the turns of a dialogue, unless they name files.
        """
        if sample.only_numbers:
            return None
        lists = [value for value in sample.values if _is_list(value)]
        if 2 * len(lists) > len(sample.values) and not any(head for heads in sample.several for head in heads):
            return Recognition(0.6, f"{len(lists)} of {len(sample.values)} sampled cells are lists of texts")
        printed = [value for value, head in zip(sample.values, sample.heads, strict=True)
                   if isinstance(value, str | int | float) and head is None]  # fmt: skip
        strings = [value for value in printed if isinstance(value, str)]
        num_cells = len(sample.values)
        if 2 * len(printed) < max(num_cells, 1) or not strings:
            return None
        words = sum(len(value.split()) for value in strings) / len(strings)
        lettered = sum(any(map(str.isalpha, value)) for value in strings)
        confidence = 0.3 if 2 * lettered < len(strings) else 0.5 if words <= 5 else 0.7
        reason = f"{len(strings)} of {num_cells} sampled cells are strings, {words:.1f} words long on average"
        return Recognition(confidence, f"{reason}, {sample.distinct} different in all")

    def read(self, cell: object) -> UInt8[np.ndarray, " bytes"]:
        """The text; of a list of texts one a line."""
        if _is_list(cell):
            cell = "\n".join(cell)
        if isinstance(cell, _PRINTABLE):
            try:
                cell = str(cell)
            except ValueError:  # Python prints no integer of more than 4,300 digits
                raise UnreadableCellError("not a text: an integer of thousands of digits") from None
        if not isinstance(cell, str):
            raise UnreadableCellError(f"not a text: a cell of type {type(cell).__name__}")
        kept = cell[: self.config.max_characters]
        paired = kept.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        text = unicodedata.normalize("NFC", paired)
        return np.frombuffer(b"" if text.isspace() else text.encode(), dtype=np.uint8)

    def note(self, cell: object) -> str | None:
        """That a text is cut to `max_characters`."""
        limit = self.config.max_characters
        return f"cut to {limit} characters" if isinstance(cell, str) and len(cell) > limit else None

    def fit(self, arrays: Iterable[np.ndarray]) -> dict[str, Any]:
        """What a tokenizer has learned, and how often its tokens occur.

        `tokenizer`: a file's text, or `character_ngrams`, or `words`, whose vocabulary then is `words`; `truncated`:
        how many training texts are longer than `max_tokens`; `holding`: by token id, how many training texts hold it.

        Raises:
            ConfigError: the tokenizer file is absent, is none, or holds a part that is not let in.
        """
        config, texts = self.config, [_decode(array) for array in arrays]
        learned_words: dict[str, Any] = {}
        if config.tokenizer == _CHARACTER_NGRAMS:
            whole, tokenizer = self._letters(None).encode(texts), _CHARACTER_NGRAMS
        elif config.tokenizer == _WORDS:
            known = vocabulary.learn(texts, vocabulary_size=config.vocabulary_size, lowercase=config.lowercase)
            whole, tokenizer = self._words(known, None).encode(texts), _WORDS
            learned_words["words"] = known
        else:
            if config.tokenizer == "bpe":
                learned = subwords.train(texts, vocabulary_size=config.vocabulary_size, lowercase=config.lowercase)
            else:
                learned = subwords.read(Path(config.tokenizer))
            whole, tokenizer = [encoding.ids for encoding in learned.encode_batch_fast(texts)], learned.to_str()
        held = Counter(token for ids in whole for token in set(ids[: config.max_tokens]))
        return {
            "tokenizer": tokenizer,
            "truncated": sum(len(ids) > config.max_tokens for ids in whole),
            "texts": len(texts),
            "holding": [held[token] for token in range(max(held, default=-1) + 1)],
            **learned_words,
        }

    def augment(self, array: np.ndarray, rng: np.random.Generator) -> UInt8[np.ndarray, " bytes"]:
        """The text without some of its words."""
        words = _decode(array).split()
        keep = rng.random(len(words)) >= self.config.token_dropout
        if keep.all():
            return array
        if not keep.any():
            keep[rng.integers(len(words))] = True
        kept = " ".join(word for word, stays in zip(words, keep, strict=True) if stays)
        return np.frombuffer(kept.encode(), dtype=np.uint8)

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        """Token ids Int64 "B T", left-aligned, T the longest of the batch; a text that gives none is one unknown."""
        texts = {row: _decode(array) for row, array in enumerate(arrays) if array is not None and array.size}
        tokens = dict(zip(texts, self._vocabulary.encode(list(texts.values())), strict=True))
        return pad([tokens.get(row) for row in range(len(arrays))], torch.int64, fill=self.padding_id)

    def handcrafted_features(self, arrays: Sequence[np.ndarray | None]) -> csr_matrix:
        """Those of `text_features`; zero where the cell is missing."""
        return text_features(["" if array is None else _decode(array) for array in arrays])

    def measures(self, array: np.ndarray) -> dict[str, float]:
        return {"characters": float(len(_decode(array)))}

    def fingerprints(self, arrays: Sequence[np.ndarray]) -> csr_matrix:
        """The words and letter groups of each text: upper case, punctuation and order of words hardly count."""
        return self.handcrafted_features(arrays)

    def preview(self, cell: object) -> str:
        return previews.words(_decode(self.read(cell)))

    @cached_property
    def _vocabulary(self) -> Subwords | CharacterNgrams | Words:
        tokenizer = self._statistics["tokenizer"]
        if self.words is not None:
            return self._words(self.words, self.max_tokens)
        if tokenizer == _CHARACTER_NGRAMS:
            return self._letters(self.max_tokens)
        return Subwords(tokenizer, max_tokens=self.max_tokens)

    def _letters(self, max_tokens: int | None) -> CharacterNgrams:
        config = self.config
        return CharacterNgrams(num_buckets=config.vocabulary_size, max_tokens=max_tokens, lowercase=config.lowercase)

    def _words(self, known: Sequence[str], max_tokens: int | None) -> Words:
        return Words(known, max_tokens=max_tokens, lowercase=self.config.lowercase)


_CHARACTER_NGRAMS, _WORDS = "character_ngrams", "words"
_PRINTABLE = (int, float, Decimal, date, time, np.bool_, np.integer, np.floating)


def _is_list(cell: object) -> TypeGuard[list[str]]:
    return isinstance(cell, list | tuple | np.ndarray) and all(isinstance(item, str) for item in cell)


def _decode(array: np.ndarray) -> str:
    return array.tobytes().decode()
