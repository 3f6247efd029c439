"""Sum of embeddings of words and character n-grams: the fastest text encoder, and strong on short texts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from polymodal.encoders import _word_vectors
from polymodal.layers.encoder import EncoderModule
from polymodal.layers.pooling import lengths_to_mask, masked_mean, zero_masked
from polymodal.modalities.text import Text
from polymodal.types import Cells, Tokens


@dataclass(frozen=True)
class BagConfig(_word_vectors.VectorSettings):
    """Settings of `Bag`, besides those of word vectors.

    Attributes:
        width: of an embedding and of the result.
        weighting: how much a piece counts: `tfidf` by how rare it is, as in the classic weighting of search engines;
            `mean` each the same.
        dropout: probability with which a feature of the result is dropped in training.
    """

    width: PositiveInt = 128
    weighting: Literal["tfidf", "mean"] = "tfidf"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2


class Bag(EncoderModule[BagConfig]):
    """Text "N T" of ids -> one token made of its pieces' embeddings e_t, as in fastText (Joulin et al. 2016).

    `tfidf`: sum of w_t e_t / sqrt(sum of w_t squared), w_t the inverse document frequency of piece t among the training
    texts (Salton and Buckley 1988); `mean`: the mean of e_t. Unless told otherwise its pieces are words and groups of
    letters. On tables of a few thousand rows they do better than subwords, whose vocabulary turns every word that
    training met twice into a piece of its own. Word vectors of a file are brought to the width by a learned matrix.
    """

    Config: ClassVar[type] = BagConfig

    weight: Tensor | None

    def __init__(self, config: BagConfig, modality: Text) -> None:
        super().__init__(config)
        self.width = config.width
        self.notes: tuple[str, ...] = ()
        self.vectors_width: int | None = None
        if _word_vectors.wanted(config):
            words, self.notes = _word_vectors.embed(config, modality)
            self.vectors_width = words.width
            self.embedding: nn.Module = nn.Sequential(words, nn.Linear(words.width, config.width, bias=False))
        else:
            self.embedding = nn.Embedding(modality.vocabulary_size, config.width)
            # Small at first: what training adds then counts, also for pieces that it meets a few times only.
            nn.init.normal_(self.embedding.weight, std=0.05)
        weight = torch.from_numpy(modality.rarity).float() if config.weighting == "tfidf" else None
        self.register_buffer("weight", weight, persistent=False)  # the text's statistics hold it
        self.dropout = nn.Dropout(config.dropout)

    @classmethod
    def needs(cls, config: BagConfig) -> dict[str, Any]:
        """Letter groups, some ten to a word; works with any tokenizer that the user names instead. Vectors: words."""
        letters = {"tokenizer": "character_ngrams", "max_tokens": 2_048}
        return _word_vectors.needs(config) if _word_vectors.wanted(config) else letters

    @property
    def portable(self) -> dict[str, Any]:
        return {**asdict(self.config), "vectors": None, "vectors_width": self.vectors_width}

    def forward(self, cells: Cells) -> Tokens:
        mask = lengths_to_mask(cells.lengths, cells.values.shape[1])
        pieces = self.embedding(cells.values)
        if self.weight is None:
            pooled = masked_mean(pieces, mask)
        else:
            weight = (self.weight[cells.values] * mask).unsqueeze(-1)
            length = weight.square().sum(dim=1).sqrt().clamp_min(1e-6)
            pooled = (zero_masked(pieces, mask) * weight).sum(dim=1) / length
        return Tokens.vector(self.dropout(pooled), cells.present)
