"""How a text encoder begins with word vectors from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from pydantic import PositiveInt
from torch import Tensor, nn

from polymodal.config.node import settings
from polymodal.errors import ConfigError
from polymodal.modalities.text import Text
from polymodal.tokenizers import word_vectors
from polymodal.tokenizers.vocabulary import FIRST_ID

_MOST_WORDS = 50_000  # that a vocabulary holds, unless the user says otherwise


@settings
class VectorSettings:
    """Settings of a text encoder that may begin with word vectors.

    Attributes:
        vectors: file of word vectors (GloVe, word2vec or fastText, text or binary) to begin with, in place of random
            ones; texts are then cut into whole words. None in a saved model, whose vectors lie in its bundle.
        train_vectors: let them learn; otherwise they stay as they are.
        vectors_width: of the vectors; filled in when a model is saved.
    """

    vectors: str | None = None
    train_vectors: bool = False
    vectors_width: PositiveInt | None = None


class WordEmbedding(nn.Module):
    """Ids -> vectors of words.

    Words without a given vector share a learned one where the others stay as they are; where all learn, each begins at
    random, as large as the given ones (Kim 2014, arXiv 1408.5882, section 3.1).

    Args:
        vocabulary_size: one more than the largest id.
        width: D of a vector.
        learns: whether the given vectors change in training.
    """

    decay = 0.0  # as of every embedding

    vectors: Tensor
    known: Tensor

    def __init__(self, vocabulary_size: int, width: int, *, learns: bool) -> None:
        super().__init__()
        self.width, self.learns = width, learns
        zeros = torch.zeros(vocabulary_size, width)
        if learns:
            self.vectors = nn.Parameter(zeros)
        else:
            self.register_buffer("vectors", zeros)
            self.register_buffer("known", torch.zeros(vocabulary_size, dtype=torch.bool))
            self.shared = nn.Parameter(torch.zeros(width))

    @torch.no_grad()
    def fill(self, ids: Sequence[int], vectors: Float[Tensor, "N D"]) -> None:
        """Takes the vectors of some words; the first values of the others are drawn anew."""
        if self.learns:
            deviation = vectors.std().item() if vectors.numel() > 1 else 0.1
            nn.init.normal_(self.vectors, std=deviation)
        else:
            self.vectors.zero_()
            self.known.zero_()
            self.known[list(ids)] = True
        self.vectors[list(ids)] = vectors

    def forward(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        found: Tensor = nn.functional.embedding(ids, self.vectors)
        return found if self.learns else torch.where(self.known[ids].unsqueeze(-1), found, self.shared)


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
