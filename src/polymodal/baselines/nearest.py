"""The nearest training row of each test row, by simple features of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int
from scipy import sparse

from polymodal.abilities import InputFeatures

_AT_ONCE = 512  # test rows


def nearest_rows(features: Mapping[str, InputFeatures], num_rows: int) -> Int[np.ndarray, " M"]:
    """Number of the training row whose inputs are likest: the largest sum of cosines over the inputs that both have.

    Args:
        features: by input, of training and test rows.
        num_rows: test rows.
    """
    found = np.zeros(num_rows, dtype=np.int64)
    units = {name: (_units(one.train, one.in_train), _units(one.test, one.in_test)) for name, one in features.items()}
    for start in range(0, num_rows, _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        similarity: Any = sum(_dense(test[rows] @ train.T) for train, test in units.values())
        found[rows] = np.argmax(similarity, axis=1)
    return found


def _units(features: Any, present: np.ndarray) -> Any:
    """Rows of length 1; zeros where the input is missing."""
    values = (
        sparse.csr_matrix(features) if sparse.issparse(features) else np.nan_to_num(np.asarray(features, dtype=float))
    )
    square = values.multiply(values).sum(axis=1) if sparse.issparse(values) else (values**2).sum(axis=1)
    norms = np.sqrt(np.asarray(square)).reshape(-1)
    factors = np.where(present & (norms > 0), 1 / np.maximum(norms, 1e-12), 0.0)
    return sparse.diags(factors) @ values if sparse.issparse(values) else values * factors[:, None]


def _dense(values: Any) -> np.ndarray:
    return np.asarray(values.toarray() if sparse.issparse(values) else values)
