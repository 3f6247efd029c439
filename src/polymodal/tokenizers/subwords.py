"""Subwords: a tokenizer learned from the training texts, or read from a file that is checked part by part."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from polymodal.errors import ConfigError

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


class Subwords:
    """Texts -> ids of subwords.

    Args:
        tokenizer: as JSON, checked by `load`.
        max_tokens: of a text, its own marks included.

    Attributes:
        padding_id: what fills up a batch.
        vocabulary_size: one more than the largest id.

    Raises:
        ConfigError: the marks that the tokenizer adds leave no room for words.
    """

    def __init__(self, tokenizer: str, *, max_tokens: int) -> None:
        self._tokenizer = load(tokenizer, source="the statistics of a text column")
        num_marks = self._tokenizer.num_special_tokens_to_add(is_pair=False)
        if max_tokens <= num_marks:  # the library would then not truncate at all
            raise ConfigError(
                f"max_tokens = {max_tokens} leaves no room for words: this tokenizer adds {num_marks} marks"
                " of its own to every text."
            )
        self._tokenizer.enable_truncation(max_tokens)
        paddings = (self._tokenizer.token_to_id(name) for name in (PADDING, "<pad>"))
        self.padding_id = next((padding for padding in paddings if padding is not None), 0)  # the mask says what it is
        self.vocabulary_size = max(self._tokenizer.get_vocab(with_added_tokens=True).values()) + 1
        unknown = self._tokenizer.token_to_id(getattr(self._tokenizer.model, "unk_token", None) or "")
        self._unknown_id = self.padding_id if unknown is None else unknown

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text; of one that gives none, the unknown one."""
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        return [encoding.ids or [self._unknown_id] for encoding in encodings]


def train(texts: Sequence[str], *, vocabulary_size: int, lowercase: bool) -> Tokenizer:
    """Byte-pair encoding inside words (Sennrich et al. 2016, arXiv 1508.07909), the same for the same texts."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN, fuse_unk=True))
    tokenizer.normalizer = normalizers.Lowercase() if lowercase else normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    counts = Counter("".join(tokenizer.normalizer.normalize_str(text) for text in texts))
    letters = sorted(
        (letter for letter in counts if not letter.isspace()), key=lambda letter: (-counts[letter], letter)
    )
    room = vocabulary_size // 2  # the other half is for longer pieces, in scripts of thousands of letters too
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=2,
        special_tokens=[PADDING, UNKNOWN],
        initial_alphabet=letters[:room],
        limit_alphabet=room,  # the trainer alone would break ties between rare letters at random
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def read(path: Path) -> Tokenizer:
    """The tokenizer of a `tokenizer.json`, checked by `load`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"Cannot read the tokenizer {path}: {error}. Give `bpe`, or the path of a tokenizer.json."
        ) from error
    return load(text, source=str(path))


def load(text: str, *, source: str) -> Tokenizer:
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
