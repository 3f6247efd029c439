"""Text: any language, cut into the subwords of a vocabulary that the training rows (or a given file) define."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import numpy as np
import torch
from jaxtyping import UInt8
from pydantic import ConfigDict, Field
from scipy.sparse import csr_matrix, hstack
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from polymodal.config import LimitsConfig
from polymodal.errors import ConfigError, UnreadableCellError
from polymodal.types import Cells, Recognition, Sample

PADDING, UNKNOWN = "[PAD]", "[UNK]"

# Parts of a tokenizer file that are let in. A regular expression from a file could take exponential time, so `Split`
# and `Replace` are let in with plain strings only, which `_refuse_regex` sees to.
_ALLOWED = {
    "normalizer": {"BertNormalizer", "ByteLevel", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "Precompiled",
                   "Prepend", "Replace", "Sequence", "Strip", "StripAccents"},
    "pre_tokenizer": {"BertPreTokenizer", "ByteLevel", "CharDelimiterSplit", "Digits", "Metaspace", "Punctuation",
                      "Sequence", "Split", "UnicodeScripts", "Whitespace", "WhitespaceSplit"},
    "post_processor": {"BertProcessing", "ByteLevel", "RobertaProcessing", "Sequence", "TemplateProcessing"},
    "decoder": {"BPEDecoder", "ByteFallback", "ByteLevel", "CTC", "Fuse", "Metaspace", "Replace", "Sequence", "Strip",
                "WordPiece"},
    "model": {"BPE", "Unigram", "WordLevel", "WordPiece"},
}  # fmt: skip


@dataclass(frozen=True)
class TextConfig:
    """Settings of a text column.

    Attributes:
        tokenizer: `bpe` learns a vocabulary from the training rows; anything else is the path of a `tokenizer.json`,
            which is copied into the statistics and not opened again.
        vocabulary_size: the most subwords that `bpe` learns.
        max_tokens: the first ones of a text enter the model, the rest do not; `fit` counts the texts that are cut.
        max_characters: the first ones of a text are kept when it is read.
        lowercase: `bpe` takes upper and lower case as one.
        token_dropout: in training, the share of words that are left out at random; one word always stays.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    tokenizer: str = "bpe"
    vocabulary_size: Annotated[int, Field(ge=16)] = 8_000
    max_tokens: Annotated[int, Field(ge=1)] = 256
    max_characters: Annotated[int, Field(ge=1)] = 20_000
    lowercase: bool = True
    token_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Text:
    """Reads strings (and numbers and dates, as they print) as NFC text, stored as UTF-8.

    Surrogate pairs become the character they stand for, lone surrogates U+FFFD; every other character stays, NUL and
    direction marks included. A blank text is a missing cell (an empty array).
    """

    Config: ClassVar[type] = TextConfig
    group: ClassVar[str | None] = None
    media: ClassVar[bool] = False

    def __init__(self, config: TextConfig, statistics: Mapping[str, Any] | None = None) -> None:
        self.config = config
        self._statistics = statistics or {}

    @property
    def max_tokens(self) -> int:
        return self.config.max_tokens

    @cached_property
    def vocabulary_size(self) -> int:
        """One more than the largest token id."""
        return max(self._tokenizer.get_vocab(with_added_tokens=True).values()) + 1

    @property
    def padding_id(self) -> int:
        return int(self._statistics["padding_id"])

    @classmethod
    def recognise(cls, sample: Sample) -> Recognition | None:
        """Strings that name no file; surer the longer they are. Categories claim short ones that repeat first."""
        strings = [value for value, head in zip(sample.values, sample.heads, strict=True)
                   if isinstance(value, str) and head is None]  # fmt: skip
        num_cells = len(sample.values)
        if 2 * len(strings) < max(num_cells, 1):
            return None
        words = sum(len(value.split()) for value in strings) / len(strings)
        lettered = sum(any(map(str.isalpha, value)) for value in strings)
        confidence = 0.3 if 2 * lettered < len(strings) else 0.5 if words <= 5 else 0.7
        reason = f"{len(strings)} of {num_cells} sampled cells are strings, {words:.1f} words long on average"
        return Recognition(confidence, f"{reason}, {sample.distinct} different in all")

    @classmethod
    def suggest(cls, cells: Sequence[object], limits: LimitsConfig) -> dict[str, Any]:  # noqa: ARG003
        """What is declared suits every column."""
        return {}

    def read(self, cell: object) -> UInt8[np.ndarray, " bytes"]:
        """One text in UTF-8; empty where it is blank."""
        if isinstance(cell, _PRINTABLE):
            cell = _print(cell)
        if not isinstance(cell, str):
            raise UnreadableCellError(f"not a text: a cell of type {type(cell).__name__}")
        kept = cell[: self.config.max_characters]
        paired = kept.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        text = unicodedata.normalize("NFC", paired)
        return np.frombuffer(b"" if text.isspace() else text.encode(), dtype=np.uint8)

    def remark(self, cell: object) -> str | None:
        """That a text is cut to `max_characters`."""
        limit = self.config.max_characters
        return f"cut to {limit} characters" if isinstance(cell, str) and len(cell) > limit else None

    def fit(self, arrays: Iterable[np.ndarray]) -> dict[str, Any]:
        """The `tokenizer` as JSON, its `padding_id`, and how many training texts are `truncated` to `max_tokens`.

        Raises:
            ConfigError: the tokenizer file is absent, is none, or holds a part that is not let in.
        """
        texts = [_decode(array) for array in arrays]
        learn = self.config.tokenizer == "bpe"
        tokenizer = _train(texts, self.config) if learn else _read_tokenizer(Path(self.config.tokenizer))
        encodings = tokenizer.encode_batch_fast(texts)
        return {
            "tokenizer": tokenizer.to_str(),
            "padding_id": _padding_id(tokenizer),
            "truncated": sum(len(encoding.ids) > self.config.max_tokens for encoding in encodings),
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
        lengths = np.zeros(len(arrays), dtype=np.int64)
        rows = [row for row, array in enumerate(arrays) if array is not None and array.size]
        encodings = self._tokenizer.encode_batch_fast([_decode(cast(np.ndarray, arrays[row])) for row in rows])
        tokens = [encoding.ids or [self._unknown_id] for encoding in encodings]
        lengths[rows] = [len(ids) for ids in tokens]
        values = np.full((len(arrays), max(1, *lengths, 0)), self.padding_id, dtype=np.int64)
        for row, ids in zip(rows, tokens, strict=True):
            values[row, : len(ids)] = ids
        return Cells(torch.from_numpy(values), torch.from_numpy(lengths))

    def simple_features(self, arrays: Sequence[np.ndarray | None]) -> csr_matrix:
        """Sparse [rows, 16384], rows of length 1, zero where the cell is missing.

        Log(1 + n) of how often each word, and each group of 2 to 4 letters, occurs; both hashed, both of equal weight.
        """
        from sklearn.feature_extraction.text import HashingVectorizer
        from sklearn.preprocessing import normalize

        counts = {"n_features": 2**13, "alternate_sign": False, "norm": None, "dtype": np.float32}
        words = HashingVectorizer(token_pattern=r"(?u)\b\w+\b", **counts)  # noqa: S106
        letters = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), **counts)
        texts = ["" if array is None else _decode(array) for array in arrays]
        blocks = [normalize(vectorizer.transform(texts).log1p()) for vectorizer in (words, letters)]
        return csr_matrix(normalize(hstack(blocks)))

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = _load_tokenizer(self._statistics["tokenizer"], source="the statistics of a text column")
        num_marks = tokenizer.num_special_tokens_to_add(is_pair=False)
        if self.config.max_tokens <= num_marks:  # the library would then not truncate at all
            raise ConfigError(
                f"max_tokens = {self.config.max_tokens} leaves no room for words: this tokenizer adds {num_marks} marks"
                " of its own to every text."
            )
        tokenizer.enable_truncation(self.config.max_tokens)
        return tokenizer

    @cached_property
    def _unknown_id(self) -> int:
        unknown = getattr(self._tokenizer.model, "unk_token", None)
        return cast(int, self._tokenizer.token_to_id(unknown)) if unknown else self.padding_id


_PRINTABLE = (int, float, Decimal, date, time, np.bool_, np.integer, np.floating)


def _print(cell: object) -> str:
    try:
        return str(cell)
    except ValueError:  # Python prints no integer of more than 4,300 digits
        raise UnreadableCellError("not a text: an integer of thousands of digits") from None


def _decode(array: np.ndarray) -> str:
    return array.tobytes().decode()


def _train(texts: Sequence[str], config: TextConfig) -> Tokenizer:
    """Byte-pair encoding inside words (Sennrich et al. 2016, arXiv 1508.07909), the same for the same texts."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN, fuse_unk=True))
    tokenizer.normalizer = normalizers.Lowercase() if config.lowercase else normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    counts = Counter("".join(tokenizer.normalizer.normalize_str(text) for text in texts))
    letters = sorted(
        (letter for letter in counts if not letter.isspace()), key=lambda letter: (-counts[letter], letter)
    )
    room = config.vocabulary_size // 2  # the other half is for longer pieces, in scripts of thousands of letters too
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocabulary_size,
        min_frequency=2,
        special_tokens=[PADDING, UNKNOWN],
        initial_alphabet=letters[:room],
        limit_alphabet=room,  # the trainer alone would break ties between rare letters at random
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _read_tokenizer(path: Path) -> Tokenizer:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"Cannot read the tokenizer {path}: {error}. Give `bpe`, or the path of a tokenizer.json."
        ) from error
    return _load_tokenizer(text, source=str(path))


def _load_tokenizer(text: str, *, source: str) -> Tokenizer:
    """A tokenizer whose parts are all let in; what is built is what was checked, so duplicate keys hide nothing."""
    try:
        parts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{source} is not a tokenizer file: {error}.") from error
    if not isinstance(parts, dict) or not isinstance(parts.get("model"), dict):
        raise ConfigError(f"{source} is not a tokenizer file: it has no model.")
    if "type" not in parts["model"]:
        raise ConfigError(f"{source}: the tokenizer's model does not say its type.")
    for section, allowed in _ALLOWED.items():
        node = {"type": parts["model"]["type"]} if section == "model" else parts.get(section)
        _check_parts(node, allowed, where=f"{source}: {section}")
    parts |= {"padding": None, "truncation": None}  # both are ours to set
    parts["model"].pop("dropout", None)  # random merges: the same text would not give the same tokens
    try:
        return Tokenizer.from_str(json.dumps(parts))
    except Exception as error:  # the library raises just this class, nothing narrower
        raise ConfigError(f"{source} is not a tokenizer file: {error}.") from error


def _check_parts(node: object, allowed: set[str], *, where: str) -> None:
    if isinstance(node, list):
        for item in node:
            _check_parts(item, allowed, where=where)
    elif isinstance(node, dict):
        if "Regex" in node:
            raise ConfigError(f"{where} holds a regular expression; Polymodal lets in none from a file.")
        kind = node.get("type")
        if kind is not None and str(kind) not in allowed:
            raise ConfigError(f"{where}: {kind!r} is not let in. Let in: {', '.join(sorted(allowed))}.")
        for item in node.values():
            _check_parts(item, allowed, where=where)


def _padding_id(tokenizer: Tokenizer) -> int:
    """Of the usual names the first that is there; else 0: the mask alone says what is padding."""
    ids = (tokenizer.token_to_id(name) for name in (PADDING, "<pad>"))
    return next((padding for padding in ids if padding is not None), 0)
