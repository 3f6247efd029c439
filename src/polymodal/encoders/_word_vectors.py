"""How a text encoder begins with word vectors from a file; the settings for it are those of the encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from polymodal.errors import ConfigError
from polymodal.layers.word_vectors import WordEmbedding
from polymodal.modalities.text import Text
from polymodal.tokenizers import word_vectors
from polymodal.tokenizers.vocabulary import FIRST_ID

_MOST_WORDS = 50_000  # that a vocabulary holds, unless the user says otherwise


@runtime_checkable
class VectorSettings(Protocol):
    """What the settings of such an encoder have."""

    @property
    def vectors(self) -> str | None: ...
    @property
    def train_vectors(self) -> bool: ...
    @property
    def vectors_width(self) -> int | None: ...


def wanted(config: VectorSettings) -> bool:
    """Whether there are word vectors: in a file, or in a saved model."""
    return config.vectors is not None or config.vectors_width is not None


def needs(config: VectorSettings) -> dict[str, Any]:
    """Whole words, and of a model that was not saved yet the file.

    Raises:
        ConfigError: no such file.
    """
    if config.vectors is not None and not Path(config.vectors).expanduser().is_file():
        raise ConfigError(
            f"There is no file of word vectors {config.vectors!r}. Point `vectors` to a text file of GloVe, or to a "
            "text or binary file of word2vec or fastText. Nothing is downloaded."
        )
    return {"tokenizer": "words", "vocabulary_size": _MOST_WORDS}


def embed(config: VectorSettings, modality: Text) -> tuple[WordEmbedding, tuple[str, ...]]:
    """The embedding of a column's words, and what the user should hear of it.

    Args:
        config: without a file, the embedding waits for the weights of a saved model.
        modality: fitted, with the tokenizer `words`.

    Raises:
        ConfigError: another tokenizer; a file that cannot be read, or that has none of the words.
    """
    words = modality.words
    if words is None:
        raise ConfigError("Word vectors are looked up by whole words; set the column's tokenizer to `words`.")
    if config.vectors is None:
        assert config.vectors_width is not None, "see `wanted`"
        return WordEmbedding(modality.vocabulary_size, config.vectors_width, learns=config.train_vectors), ()
    found = word_vectors.read(Path(config.vectors).expanduser(), words)
    if words and not found.words:
        raise ConfigError(
            f"{config.vectors} has a vector for none of the {len(words)} words of the training rows, such as "
            f"{words[0]!r}. Is it of another language, or does it need `lowercase: false`?"
        )
    result = WordEmbedding(modality.vocabulary_size, found.width, learns=config.train_vectors)
    result.fill([FIRST_ID + place for place in found.words], torch.from_numpy(found.values))
    without = len(words) - len(found.words)
    share = len(found.words) / max(len(words), 1)
    return result, (f"vectors cover {share:.0%} of {len(words)} words; {without} have none",)
