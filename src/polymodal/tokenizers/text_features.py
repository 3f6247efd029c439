"""Handcrafted features of texts: which words they hold, and which groups of letters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, hstack


def text_features(texts: Sequence[str]) -> csr_matrix:
    """Sparse [texts, 16384], rows of length 1, zero of empty texts.

    Log(1 + n) of how often each word, and each group of 2 to 4 letters, occurs; both hashed, both of equal weight.
    """
    from sklearn import config_context

    with config_context(skip_parameter_validation=True):  # which takes longer than a short text
        blocks = [_unit_rows(vectorizer.transform(texts).log1p()) for vectorizer in _vectorizers()]
    return _unit_rows(csr_matrix(hstack(blocks, format="csr")))


@cache
def _vectorizers() -> tuple[Any, Any]:
    """Of words, and of groups of letters."""
    from sklearn.feature_extraction.text import HashingVectorizer

    counts = {"n_features": 2**13, "alternate_sign": False, "norm": None, "dtype": np.float32}
    words = HashingVectorizer(token_pattern=r"(?u)\b\w+\b", **counts)  # noqa: S106 - no password
    return words, HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), **counts)


def _unit_rows(counts: csr_matrix) -> csr_matrix:
    """The same with every row divided by its length; rows of zeros stay."""
    squares = np.concatenate([[0.0], np.cumsum(counts.data.astype(np.float64) ** 2)])[counts.indptr]
    lengths = np.sqrt(np.maximum(np.diff(squares), 0))
    shares = np.repeat(np.where(lengths > 0, lengths, 1.0), np.diff(counts.indptr))
    return csr_matrix(((counts.data / shares).astype(np.float32), counts.indices, counts.indptr), shape=counts.shape)
